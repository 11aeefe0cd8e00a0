//! Crashes on purpose, for simulations.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// Where in a commit the store dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The transaction is lost; its caller never hears.
    Before,
    /// The transaction is durable; its caller never hears.
    After,
}

/// Kills the store at one commit, counted from 1. Every call after that answers `store.closed`, as it
/// would for a process that is gone; opening the same file again is the restart. With chaos set, each
/// write commits alone, so that counting is exact.
#[derive(Debug)]
pub struct Chaos {
    at: u64,
    moment: Moment,
    seen: AtomicU64,
    dead: watch::Sender<bool>,
}

impl Chaos {
    pub fn new(at: u64, moment: Moment) -> Chaos {
        Chaos { at, moment, seen: AtomicU64::new(0), dead: watch::Sender::new(false) }
    }

    /// How many commits were reached: a run that ends with fewer than `at` never crashed.
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::SeqCst)
    }

    pub fn crashed(&self) -> bool {
        self.seen() >= self.at
    }

    /// Resolves once the store has died, for whoever plays the process around it. Cancel safe.
    pub async fn died(&self) {
        // The sender lives in `self`.
        let _ = self.dead.subscribe().wait_for(|dead| *dead).await;
    }

    pub(crate) fn die(&self) {
        self.dead.send_replace(true);
    }

    pub(crate) fn next(&self) -> Option<Moment> {
        let n = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
        (n == self.at).then_some(self.moment)
    }
}
