//! Performance tests: load at a constant arrival rate, results kept per commit, head against base.

use blob::Blobs;
use kernel::Result;
use store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Opened state; clones share it.
#[derive(Clone)]
pub struct Loads {
    #[allow(dead_code)]
    store: Store,
    #[allow(dead_code)]
    blobs: Blobs,
}

impl Loads {
    pub fn open(store: Store, blobs: Blobs) -> Result<Loads> {
        Ok(Loads { store, blobs })
    }

    /// Follows what jobs report, until `stop`.
    pub fn start(&self, stop: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(async move { stop.cancelled().await })
    }
}

pub static PART: part::Part = part::Part {
    name: "delivery-load",
    about: (
        "Performance tests: load at a constant rate, results per commit, verdicts",
        "성능 테스트: 일정한 속도의 부하, 커밋별 결과, 판정",
    ),
    ..part::Part::EMPTY
};
