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
use reconcile::Reached;
use store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Opened state; clones share it.
#[derive(Clone)]
pub struct Loads {
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    /// How far the journal has been read.
    read: Reached,
}

impl Loads {
    pub fn open(store: Store, blobs: Blobs) -> Result<Loads> {
        Ok(Loads { store, blobs, read: Reached::default() })
    }

    /// Follows what jobs report, until `stop`.
    pub fn start(&self, stop: CancellationToken) -> JoinHandle<()> {
        reconcile::take(self.store.clone(), self.clone(), self.read.clone(), stop)
    }

    /// Waits a little until all that had happened at this position of the journal is in the answers.
    pub async fn caught_up(&self, seq: u64) {
        self.read.caught_up(seq).await;
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
