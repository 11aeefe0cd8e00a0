//! The handle that the rest of naru holds.

use crate::limits::Limits;
use crate::listen;
use crate::route::{RouteView, Routes};
use kernel::port::{Edge, RouteSet};
use kernel::{BoxFuture, Name, Time};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How people reach the edge; only for [`Edge::url`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub scheme: Scheme,
    /// The port the listener really has: bind first, then make the proxy.
    pub port: u16,
    /// Last part of each service's host: `<service>.<project>.<suffix>`.
    pub suffix: String,
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Options {
        let (scheme, suffix) = (Scheme::Http, "localhost".to_owned());
        Options { scheme, port: 8000, suffix, limits: Limits::default() }
    }
}

/// The edge. Clones share everything.
#[derive(Clone)]
pub struct Proxy {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) routes: Routes,
    /// Client connections over all listeners.
    pub(crate) connections: AtomicUsize,
}

impl Shared {
    pub(crate) fn limits(&self) -> &Limits {
        &self.options.limits
    }
}

impl Proxy {
    pub fn new(options: Options) -> Proxy {
        let (routes, connections) = (Routes::default(), AtomicUsize::new(0));
        Proxy { shared: Arc::new(Shared { options, routes, connections }) }
    }

    /// Serves HTTP/1 and, to clients that begin with its preface, HTTP/2. Returns after `stop`, when the
    /// requests under way have ended or [`Limits::grace`] has passed.
    ///
    /// # Errors
    /// The listener is broken for good. Passing troubles such as too many open files are waited out.
    pub async fn serve(&self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        listen::run(self.shared.clone(), listener, None, stop).await
    }

    /// Like [`Proxy::serve`], over TLS, with the protocol chosen by ALPN. See [`crate::tls_config`].
    ///
    /// # Errors
    /// As for [`Proxy::serve`]; a failed handshake only ends its connection.
    pub async fn serve_tls(
        &self,
        listener: TcpListener,
        tls: Arc<rustls::ServerConfig>,
        stop: CancellationToken,
    ) -> io::Result<()> {
        listen::run(self.shared.clone(), listener, Some(tls), stop).await
    }

    /// Every route with its counters, ordered by project and service.
    pub fn routes(&self) -> Vec<RouteView> {
        self.shared.routes.views()
    }
}

impl Edge for Proxy {
    fn publish(&self, set: RouteSet) {
        tracing::info!(project = %set.project, service = %set.service, upstreams = set.upstreams.len(), "route published");
        self.shared.routes.publish(set, &self.shared.options.suffix);
    }

    fn withdraw(&self, project: &Name, service: &Name) {
        tracing::info!(%project, %service, "route withdrawn");
        self.shared.routes.withdraw(project, service);
    }

    fn drain<'a>(&'a self, instance: &'a str, limit: Duration) -> BoxFuture<'a, usize> {
        Box::pin(self.shared.routes.drain(instance, limit))
    }

    fn last_use(&self, project: &Name, service: &Name) -> Option<Time> {
        self.shared.routes.last_use(project, service)
    }

    fn url(&self, project: &Name, service: &Name) -> String {
        let Options { scheme, port, suffix, .. } = &self.shared.options;
        let (word, usual) = match scheme {
            Scheme::Http => ("http", 80),
            Scheme::Https => ("https", 443),
        };
        match *port == usual {
            true => format!("{word}://{service}.{project}.{suffix}"),
            false => format!("{word}://{service}.{project}.{suffix}:{port}"),
        }
    }
}
