//! Performance tests: load at a constant arrival rate, results kept per commit, head against base.
//!
//! The generator and the judge are the engine `load`; here are its commands, and what a team keeps of it. Jobs
//! leave result files (`load_performance`); `follow` reads them, keeps a row for each scenario, and says how it
//! compares with the base branch on the same class of machine.
//!
//! Invariants:
//! - A result is kept once, whatever crashes: its row, its verdict and the cursor are one transaction.
//! - Results of different classes of machines are never compared.
//! - Histories are bounded: [`record::KEPT`] results a scenario.
//! - Files of jobs are distrusted: one that cannot be read is passed over with a line in the log.

mod api;
mod cmd;
mod follow;
mod page;
pub mod record;

use blob::Blobs;
use kernel::Result;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Opened state; clones share it.
#[derive(Clone)]
pub struct Loads {
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    /// How far the journal has been read.
    pub(crate) read: Arc<watch::Sender<u64>>,
}

impl Loads {
    pub fn open(store: Store, blobs: Blobs) -> Result<Loads> {
        Ok(Loads { store, blobs, read: Arc::new(watch::Sender::new(0)) })
    }

    /// Follows what jobs report, until `stop`.
    pub fn start(&self, stop: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(follow::run(self.clone(), stop))
    }

    /// Waits a little until all that had happened at this position of the journal is in the answers.
    pub async fn caught_up(&self, seq: u64) {
        const LONGEST: Duration = Duration::from_secs(5);
        let mut read = self.read.subscribe();
        // Late is better than not at all: the answer then tells of a moment before.
        let _ = tokio::time::timeout(LONGEST, read.wait_for(|at| *at >= seq)).await;
    }
}

#[cfg(test)]
mod tests;

pub static PART: part::Part = part::Part {
    name: "delivery-load",
    about: (
        "Performance tests: load at a constant rate, results per commit, verdicts",
        "성능 테스트: 일정한 속도의 부하, 커밋별 결과, 판정",
    ),
    routes: &part::concat::<{ api::ROUTES.len() + page::ROUTES.len() }>(api::ROUTES, page::ROUTES),
    commands: cmd::COMMANDS,
    ..part::Part::EMPTY
};
