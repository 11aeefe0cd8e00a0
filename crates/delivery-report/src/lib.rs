//! Reports a team reads: what tests, coverage and analyses of each commit came to, and how they change.
//!
//! Jobs leave result files; `job.reported` names them. `read` understands them, `fold` keeps a history of each
//! test and the flake ledger, `digest` keeps what a page shows of an attempt, `path` finds what made a pipeline
//! slow. The part never decides by itself whether a job failed: it is asked ([`kernel::port::Verdicts`]), and
//! answers with the quarantines that people wrote.
//!
//! Invariants:
//! - An attempt is folded once, whatever crashes: each test knows the last entry it has taken in.
//! - Files of jobs are distrusted; a broken one is a problem with its line, never an error.
//! - Histories are bounded: at least 500 results a test and branch group, 3,000 entries a repository.
//! - A quarantine ends. One that has ended names its owner.

mod api;
pub mod ask;
mod cmd;
pub mod digest;
pub mod flake;
mod fold;
mod follow;
mod judge;
pub mod kind;
mod page;
pub mod path;
mod paths;
pub mod read;
pub mod record;
pub mod select;
pub mod stats;

use blob::Blobs;
use digest::Digest;
use kernel::port::Source;
use kernel::{Error, Result};
use reconcile::Reached;
use record::Entry;
use std::sync::Arc;
use store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Opened state; clones share it.
#[derive(Clone)]
pub struct Reports {
    store: Store,
    blobs: Blobs,
    source: Arc<dyn Source>,
    folded: Reached,
}

impl Reports {
    pub fn open(store: Store, blobs: Blobs, source: Arc<dyn Source>) -> Reports {
        Reports { store, blobs, source, folded: Reached::default() }
    }

    /// Follows what jobs report, until `stop`.
    pub fn start(&self, stop: CancellationToken) -> JoinHandle<()> {
        reconcile::take(self.store.clone(), self.clone(), self.folded.clone(), stop)
    }

    /// Resolves when the event at this position of the journal has been folded: answers include it then.
    pub async fn folded(&self, seq: u64) {
        self.folded.passed(seq).await;
    }

    /// As [`Reached::caught_up`].
    pub async fn caught_up(&self, seq: u64) {
        self.folded.caught_up(seq).await;
    }

    /// The details of an entry; empty when it left nothing.
    pub async fn digest(&self, entry: &Entry) -> Result<Digest> {
        let Some(hash) = &entry.digest else { return Ok(Digest::default()) };
        let bytes = self.blobs.get(hash, follow::MAX_DIGEST).await?;
        let parse = move || serde_json::from_slice(&bytes).map_err(Error::internal);
        tokio::task::spawn_blocking(parse).await.map_err(Error::internal)?
    }
}

#[cfg(test)]
mod tests;

pub static PART: part::Part = part::Part {
    name: "delivery-report",
    about: (
        "Reports: tests, coverage, findings, flakes, cost",
        "보고서: 테스트, 커버리지, 발견 사항, 불안정한 테스트, 비용",
    ),
    kinds: kind::KINDS,
    routes: &part::concat::<{ api::ROUTES.len() + page::ROUTES.len() }>(api::ROUTES, page::ROUTES),
    commands: cmd::COMMANDS,
    ..part::Part::EMPTY
};
