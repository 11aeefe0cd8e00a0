//! Environments: a place of its own for what a branch came to, with a URL, a time to live and a stop action.

use blob::Blobs;
use kernel::Result;
use kernel::port::Edge;
use run::Engine;
use std::path::PathBuf;
use std::sync::Arc;
use store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub struct Options {
    pub store: Store,
    pub blobs: Blobs,
    pub engine: Engine,
    pub edge: Arc<dyn Edge>,
    /// `<data>/sites`
    pub dir: PathBuf,
}

/// Opened state; clones share it.
#[derive(Clone)]
pub struct Environments {
    #[allow(dead_code)]
    options: Arc<Options>,
}

impl Environments {
    pub fn open(options: Options) -> Result<Environments> {
        Ok(Environments { options: Arc::new(options) })
    }

    /// Follows deployments and ends what is over, until `stop`.
    pub fn start(&self, stop: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(async move { stop.cancelled().await })
    }
}

pub static PART: part::Part = part::Part {
    name: "delivery-environment",
    about: (
        "Environments of branches, with URL, time to live and stop",
        "브랜치별 환경: URL, 수명, 정지",
    ),
    ..part::Part::EMPTY
};
