//! Merge requests: a branch is looked at before it becomes part of another.
//!
//! ```text
//! git.pushed ─► follow ─► merge_request.opened | .updated ─► (pipelines) ─► pipeline.finished ─► follow
//! people     ─► desk   ─► merge_request.approved | .commented | .closed
//!                      ─► branches move ─► git.pushed ─► merge_request.merged
//! ```
//!
//! Invariants:
//! - A number is never used twice in a project.
//! - Whether something can be merged is one pure decision ([`plan`]), the same for pages, commands, the API
//!   and merging by itself.
//! - Merging moves branches by the door that pushes use: protection, event, pipeline and trace are the same.
//! - A merge request is merged when its target has its commits, whoever brought them there; a crash between
//!   the move of the branch and the record of it leaves nothing undone, because the record follows the event.
//! - Nobody's approval of their own work counts, nor that of somebody who has lost the right since.

mod api;
mod cmd;
mod desk;
mod error;
mod follow;
mod kind;
mod look;
mod merge;
mod note;
mod options;
pub mod page;
mod plan;
mod prose;
mod record;
mod sync;
mod talk;
mod view;

pub use kind::{
    Approval, AutoMerge, MergeRequest, MergeRequestStatus, Merged, Pipeline, PipelineState,
    ReviewRules, State,
};
pub use note::{Anchor, Note, Side, Thread};
pub use plan::Blocker;
pub use view::MergeRequestView;

use kernel::port::Branches;
use part::Part;
use policy::Policy;
use std::sync::Arc;
use store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const PART_NAME: &str = "delivery-review";

pub static PART: Part = Part {
    name: PART_NAME,
    about: (
        "merge requests: review, approval and merging of branches",
        "머지 요청: 브랜치의 리뷰, 승인, 병합",
    ),
    kinds: kind::KINDS,
    routes: &part::concat::<{ api::ROUTES.len() + page::ROUTES.len() }>(api::ROUTES, page::ROUTES),
    commands: cmd::COMMANDS,
    ..Part::EMPTY
};

pub struct Options {
    pub store: Store,
    pub policy: Policy,
    pub branches: Arc<dyn Branches>,
}

/// Opened state; clones share it.
#[derive(Clone)]
pub struct Reviews {
    pub(crate) options: Arc<Options>,
}

impl Reviews {
    pub fn new(options: Options) -> Reviews {
        Reviews { options: Arc::new(options) }
    }

    /// Follows pushes and pipelines and merges what waits for them, until `stop`.
    pub fn start(&self, stop: CancellationToken) -> JoinHandle<()> {
        let store = self.options.store.clone();
        let following =
            reconcile::lanes(store.clone(), follow::Follower(self.clone()), stop.clone());
        let loops = reconcile::Options::default();
        let keeping = reconcile::spawn(store, sync::Keeper(self.clone()), loops, stop);
        tokio::spawn(async move {
            keeping.join().await;
            // Only the runtime's own end cancels it.
            let _ = following.await;
        })
    }
}
