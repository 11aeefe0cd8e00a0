//! What is known of one instance: how busy it is, whether it may be used, its kept connections.

use crate::link::Pool;
use kernel::Text;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Refused connections in a row before an instance is left alone for a while.
const EJECT_AFTER: u32 = 3;
const EJECT_FIRST: Duration = Duration::from_millis(250);
/// Doublings of [`EJECT_FIRST`]: at most 16 s.
const EJECT_DOUBLINGS: u32 = 6;

/// One instance as pages and `naru route list` show it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpstreamView {
    pub instance: String,
    pub address: SocketAddr,
    /// Requests under way, upgraded connections among them.
    pub in_flight: usize,
    pub requests: u64,
    pub state: UpstreamState,
}

/// Whether an instance gets requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamState {
    Serving,
    /// Refused connections of late; the edge prefers others.
    Ejected,
    /// Will stop: it ends what it has and gets nothing new.
    Draining,
}

impl UpstreamState {
    pub fn text(self) -> Text {
        match self {
            UpstreamState::Serving => Text::fixed("serving", "서비스 중"),
            UpstreamState::Ejected => Text::fixed("refuses connections", "연결 거부 중"),
            UpstreamState::Draining => Text::fixed("draining", "비우는 중"),
        }
    }
}

/// An instance. It outlives its place in the table for as long as a request uses it.
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) pool: Pool,
    in_flight: AtomicUsize,
    requests: AtomicU64,
    /// Gets no further request. Set before a drain looks at `in_flight`; see [`Instance::lease`].
    gone: AtomicBool,
    quiet: Notify,
    retired: Notify,
    refusals: AtomicU32,
    /// Milliseconds after `born`.
    ejected_until: AtomicU64,
    born: Instant,
}

impl Instance {
    pub(crate) fn new(name: String, address: SocketAddr) -> Instance {
        Instance {
            name,
            address,
            pool: Pool::default(),
            in_flight: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            gone: AtomicBool::new(false),
            quiet: Notify::new(),
            retired: Notify::new(),
            refusals: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            born: Instant::now(),
        }
    }

    /// A right to send one request. Counting first and looking at `gone` second, while a drain writes `gone`
    /// first and reads the count second, means that one of the two always sees the other.
    pub(crate) fn lease(self: &Arc<Instance>) -> Option<Lease> {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let lease = Lease(self.clone());
        if self.gone.load(Ordering::SeqCst) {
            return None;
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        Some(lease)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// No further request; the kept connections close.
    pub(crate) fn retire(&self) {
        self.gone.store(true, Ordering::SeqCst);
        self.pool.close();
        self.retired.notify_waiters();
    }

    /// Resolves when the instance gets no further request: long connections should come to an end.
    pub(crate) async fn retired(&self) {
        loop {
            let mut changed = std::pin::pin!(self.retired.notified());
            changed.as_mut().enable();
            if self.is_gone() {
                return;
            }
            changed.await;
        }
    }

    /// Published (again).
    pub(crate) fn welcome(&self) {
        self.pool.open();
        self.gone.store(false, Ordering::SeqCst);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Resolves when no request uses the instance.
    pub(crate) async fn quiet(&self) {
        loop {
            let mut changed = std::pin::pin!(self.quiet.notified());
            changed.as_mut().enable();
            if self.in_flight() == 0 {
                return;
            }
            changed.await;
        }
    }

    fn age(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn ejected(&self) -> bool {
        match self.ejected_until.load(Ordering::Relaxed) {
            0 => false,
            until => self.age() < until,
        }
    }

    /// It did not take a connection. Ejection grows while it goes on, and ends by time alone.
    pub(crate) fn refused(&self) {
        let times = self.refusals.fetch_add(1, Ordering::Relaxed) + 1;
        if times >= EJECT_AFTER {
            let pause = EJECT_FIRST * (1 << (times - EJECT_AFTER).min(EJECT_DOUBLINGS));
            let until = self.age() + pause.as_millis() as u64;
            self.ejected_until.store(until, Ordering::Relaxed);
        }
    }

    pub(crate) fn accepted(&self) {
        if self.refusals.load(Ordering::Relaxed) != 0 {
            self.refusals.store(0, Ordering::Relaxed);
            self.ejected_until.store(0, Ordering::Relaxed);
        }
    }

    fn state(&self) -> UpstreamState {
        match (self.is_gone(), self.ejected()) {
            (true, _) => UpstreamState::Draining,
            (false, true) => UpstreamState::Ejected,
            (false, false) => UpstreamState::Serving,
        }
    }

    pub(crate) fn view(&self) -> UpstreamView {
        UpstreamView {
            instance: self.name.clone(),
            address: self.address,
            in_flight: self.in_flight(),
            requests: self.requests.load(Ordering::Relaxed),
            state: self.state(),
        }
    }
}

/// Held from before a request's first byte to after its last.
pub(crate) struct Lease(Arc<Instance>);

impl std::ops::Deref for Lease {
    type Target = Arc<Instance>;
    fn deref(&self) -> &Arc<Instance> {
        &self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let last = self.0.in_flight.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && self.0.is_gone() {
            self.0.quiet.notify_waiters();
        }
    }
}
