//! Reports a team reads: what tests, coverage and analyses of each commit came to, and how they change.

mod judge;
pub mod read;

use blob::Blobs;
use kernel::port::Source;
use std::sync::Arc;
use store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Opened state; clones share it.
#[derive(Clone)]
pub struct Reports {
    #[allow(dead_code)]
    store: Store,
    #[allow(dead_code)]
    blobs: Blobs,
    #[allow(dead_code)]
    source: Arc<dyn Source>,
}

impl Reports {
    pub fn open(store: Store, blobs: Blobs, source: Arc<dyn Source>) -> Reports {
        Reports { store, blobs, source }
    }

    /// Follows what jobs report, until `stop`.
    pub fn start(&self, stop: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(async move { stop.cancelled().await })
    }
}

pub static PART: part::Part = part::Part {
    name: "delivery-report",
    about: (
        "Reports: tests, coverage, findings, flakes, cost",
        "보고서: 테스트, 커버리지, 발견 사항, 불안정한 테스트, 비용",
    ),
    ..part::Part::EMPTY
};
