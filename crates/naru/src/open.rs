//! Opens the parts in order and wires the ports between them.

use crate::config::Config;
use crate::parts;
use blob::Blobs;
use cli::Endpoint;
use delivery_git::Git;
use delivery_pipeline::Pipelines;
use host::Host;
use insight::Insight;
use kernel::port::{Edge, Source};
use kernel::{Error, Name, Principal, Result};
use naru_http::{Site, SiteOptions};
use network_proxy::Proxy;
use orchestration_service::Services;
use policy::Policy;
use run::Engine;
use std::path::Path;
use std::sync::Arc;
use store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Everything opened, nothing listening yet.
pub struct Platform {
    pub url: String,
    pub token: String,
    pub store: Store,
    pub policy: Policy,
    pub edge: Proxy,
    engine: Engine,
    git: Git,
    pipelines: Pipelines,
    services: Services,
    insight: Insight,
    site: Arc<Site>,
}

/// What runs until it is stopped.
pub struct Serving(Vec<JoinHandle<()>>);
