//! Who does the work of a step: the port between the engine and the parts.

use crate::StepLog;
use kernel::{BoxFuture, Id, Name, Text};
use serde_json::Value;
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

/// Does what steps ask for whose `action.uses` is its name.
///
/// A step is at-least-once: after a crash the same task (same `key`, same `attempt`) comes again, and an
/// actor that finds its workload of that name still there waits for it instead of starting another.
pub trait Actor: Send + Sync {
    /// The word in [`crate::Action::uses`].
    fn uses(&self) -> &'static str;

    /// Whether its steps wait more than they work (for a health check, for a drain). Those take no slot of
    /// the machine, so that a rollout never stands behind somebody's builds.
    fn light(&self) -> bool {
        false
    }

    /// Works until done. A panic is a failure of class `internal`. When `task.cancel` fires it has two
    /// minutes to end; then the engine drops the future.
    fn act(&self, task: Task) -> BoxFuture<'static, Outcome>;
}

/// One attempt of one step.
#[derive(Clone, Debug)]
pub struct Task {
    pub run: Id,
    pub project: Name,
    pub change: Option<Name>,
    pub step: String,
    /// From 1. Stays the same when the step is taken up again after a crash or an infrastructure failure.
    pub attempt: u32,
    pub with: Value,
    /// Of the steps it needs with `outputs: true`, by their names, as far as they passed.
    pub outputs: BTreeMap<String, Value>,
    pub log: StepLog,
    /// Fires when the run is canceled or the step's time is over.
    pub cancel: CancellationToken,
    /// `<run>-<step index>`, the idempotency key: stable over re-execution. With `attempt` it names the
    /// workload.
    pub key: String,
}

/// The class of a failure that does not count, whatever the plan says: the actor has found that what failed
/// is known and excused. It is not tried again.
pub const EXCUSED: &str = "excused";

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It succeeded. An output of more than 64 KiB as JSON is a failure of class `output`: put large
    /// things into the blob store and hand over their hash.
    Done(serde_json::Value),
    /// It failed by its own fault. `class` is a word for [`crate::Retry::only`], such as `script`.
    Failed { class: String, exit_code: Option<i32>, say: Text, output: Value },
    /// It is not the step's fault (a quota, a network): tried again without using up an attempt, with
    /// growing pauses, at most twenty times.
    Infrastructure { say: Text },
    /// The program is shutting down: nothing is recorded, the step is taken up after the restart.
    LetGo,
}

impl Outcome {
    /// A failure without an exit code and without an output.
    pub fn failed(class: &str, say: Text) -> Outcome {
        Outcome::Failed { class: class.to_owned(), exit_code: None, say, output: Value::Null }
    }
}
