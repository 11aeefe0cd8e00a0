//! One request and its response: choosing an instance, trying again where that is safe.

use crate::edge::Shared;
use crate::forward::Asked;
use crate::h1::{Conn, Request};
use crate::instance::{Instance, Lease};
use crate::link::Reuse;
use crate::page::Problem;
use crate::route::Route;
use crate::wire::Reject;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Instances tried for one request, and stale connections on the way.
const TRIES: usize = 6;
/// Looks at the table when an instance began to drain just as it was chosen.
const LOOKS: usize = 4;

pub(crate) struct Outcome {
    pub(crate) status: u16,
    /// The client's connection may serve another request.
    pub(crate) keep: bool,
}

pub(crate) enum Failure {
    /// The client left or its connection broke.
    Gone,
    /// Too late for a page: part of a response with this status is already out.
    Broken(u16),
    /// The client's message breaks a rule; nothing has been answered.
    Refused(Reject),
    /// The edge must say so itself; nothing has been answered.
    Problem(Problem),
}

/// A connection to an instance, for one exchange.
pub(crate) struct Link {
    pub(crate) stream: TcpStream,
    /// It served another request before.
    pub(crate) used: bool,
    pub(crate) lease: Lease,
}

/// Finds connections for one request; remembers what it tried.
pub(crate) struct Search<'a> {
    shared: &'a Shared,
    route: Arc<Route>,
    tried: Vec<Arc<Instance>>,
    left: usize,
    reuse: Reuse,
    last: Option<Problem>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(shared: &'a Shared, route: &Arc<Route>, asked: &Asked) -> Search<'a> {
        let reuse = if asked.replayable() { Reuse::Any } else { Reuse::Fresh };
        let (route, tried) = (route.clone(), Vec::new());
        Search { shared, route, tried, left: TRIES, reuse, last: None }
    }

    /// A connection to an instance not tried before.
    ///
    /// # Errors
    /// None is left: why the last one failed.
    pub(crate) async fn next(&mut self, random: &mut impl FnMut() -> u64) -> Result<Link, Problem> {
        while self.left > 0 {
            let Some(lease) = self.lease(random) else { break };
            self.left -= 1;
            let now = Instant::now();
            if let Some(stream) = lease.pool.take(self.reuse, now) {
                return Ok(Link { stream, used: true, lease });
            }
            match connect(&lease, now + self.shared.limits().connect).await {
                Ok(stream) => return Ok(Link { stream, used: false, lease }),
                Err(why) => {
                    self.last = Some(Problem::Unreachable(lease.name.clone(), why));
                    self.tried.push(Arc::clone(&lease));
                }
            }
        }
        Err(self.last.take().unwrap_or(Problem::NoInstance))
    }

    /// The link failed before any byte of a response, and the request may be sent again: elsewhere only
    /// once, for it may be the request itself that kills instances.
    pub(crate) fn again(&mut self, link: Link, why: Problem) {
        if link.used {
            self.reuse = Reuse::None;
        } else {
            self.tried.push(Arc::clone(&link.lease));
            self.left = self.left.min(1);
        }
        self.last = Some(why);
    }

    /// The route may be older than the table: an instance that began to drain meanwhile gives no lease, and
    /// the table in force then knows its successors.
    fn lease(&mut self, random: &mut impl FnMut() -> u64) -> Option<Lease> {
        for _ in 0..LOOKS {
            if let Some(lease) = self.route.pick(&self.tried, random()) {
                return Some(lease);
            }
            self.route = self.shared.routes.again(&self.route)?;
        }
        None
    }
}

async fn connect(instance: &Instance, until: Instant) -> io::Result<TcpStream> {
    let connecting = tokio::time::timeout_at(until, TcpStream::connect(instance.address));
    let stream = match connecting.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(why)) => {
            instance.refused();
            return Err(why);
        }
        Err(_) => {
            instance.refused();
            return Err(io::ErrorKind::TimedOut.into());
        }
    };
    instance.accepted();
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conn<S> {
    /// Forwards a request and its response.
    pub(crate) async fn exchange(&mut self, request: &mut Request) -> Result<Outcome, Failure> {
        let shared = self.shared.clone();
        let mut search = Search::new(&shared, &request.route, &request.asked);
        loop {
            let mut random = || self.random.next();
            let mut link = search.next(&mut random).await.map_err(Failure::Problem)?;
            match self.attempt(request, &mut link).await {
                Err(Failure::Problem(why @ Problem::Closed)) if request.asked.replayable() => {
                    request.upload.rewind();
                    search.again(link, why);
                }
                Ok((outcome, reusable)) => {
                    if reusable {
                        let Link { stream, lease, .. } = link;
                        lease.pool.give(stream, shared.limits().pool, Instant::now());
                    }
                    return Ok(outcome);
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}
