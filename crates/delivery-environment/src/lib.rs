//! Environments: a place of its own for what a branch came to, with a URL, a time to live and a stop action;
//! and web sites that pipelines publish.
//!
//! ```text
//! environment.deployed ─► deploy ─► environment.opened ─► (services make copies) ─► environment.released
//! git.pushed, time, people ─► stop ─► stop job ─► environment.closed ─► (services take them out)
//! site.published ─► site ─► edge
//! ```
//!
//! Invariants:
//! - An environment and the wish for its services are written in one transaction: there are no copies
//!   without their environment.
//! - A deployment that is refused makes nothing, and its change says why.
//! - Production is never copied: its record follows the services of the default branch.
//! - An environment stops once, whatever asks for it and however often.

mod api;
mod cmd;
mod deploy;
mod error;
mod follow;
mod kind;
pub mod page;
mod place;
mod plan;
mod site;
mod stop;
mod sync;
mod view;

pub use kind::{
    Deployment, Edition, Environment, EnvironmentState, EnvironmentStatus, Member, Progress, Site,
    SiteStatus, Stopping,
};
pub use view::{EditionView, EnvironmentView, Extend, ServiceAt, SiteView};

use blob::Blobs;
use kernel::Result;
use kernel::port::Edge;
use part::Part;
use run::Engine;
use std::sync::Arc;
use store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const PART_NAME: &str = "delivery-environment";

pub static PART: Part = Part {
    name: PART_NAME,
    about: (
        "environments of branches, with URL, time to live and stop; web sites of pipelines",
        "브랜치별 환경(URL, 수명, 정지)과 파이프라인이 만든 웹 사이트",
    ),
    kinds: kind::KINDS,
    routes: &part::concat::<{ api::ROUTES.len() + page::ROUTES.len() }>(api::ROUTES, page::ROUTES),
    commands: cmd::COMMANDS,
    ..Part::EMPTY
};

pub struct Options {
    pub store: Store,
    pub blobs: Blobs,
    pub engine: Engine,
    pub edge: Arc<dyn Edge>,
    pub limits: Limits,
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Environments of one project that are not stopped.
    pub environments: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { environments: 50 }
    }
}

/// Opened state; clones share it.
#[derive(Clone)]
pub struct Environments {
    options: Arc<Options>,
}

impl Environments {
    pub fn open(options: Options) -> Result<Environments> {
        Ok(Environments { options: Arc::new(options) })
    }

    /// Follows deployments, ends what is over and serves sites, until `stop`. When it returns, the sites that
    /// were there before have their routes.
    pub async fn start(&self, stop: CancellationToken) -> JoinHandle<()> {
        let (options, limits) = (self.options.clone(), self.options.limits);
        let sites = site::Sites::new(options.clone());
        let listening = sites.open(&stop).await;
        let store = options.store.clone();
        let keeper = sync::Keeper { options, sites };
        let loops = reconcile::Options::default();
        let keeping = reconcile::spawn(store.clone(), keeper, loops, stop.clone());
        let handle =
            move |event: &kernel::Event, tx: &mut store::Tx<'_>| follow::handle(event, tx, limits);
        let following = reconcile::follow_kinds(store, PART_NAME, follow::KINDS, handle, stop);
        tokio::spawn(async move {
            keeping.join().await;
            // Only the runtime's own end cancels them.
            let _ = following.await;
            if let Some(listening) = listening {
                let _ = listening.await;
            }
        })
    }
}

#[cfg(test)]
mod tests;
