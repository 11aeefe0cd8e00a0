//! What a run will do, frozen when it is created.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A graph of steps. Whatever compiled it (a pipeline file, a rollout) is not known behind this.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// The first failure that is not allowed cancels all that is not finished.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fail_fast: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Unique in the plan, for people: `test`, `unit 2/4`.
    pub name: String,
    /// A column of the graph; steps of one stage are drawn together. No meaning for the order.
    #[serde(default)]
    pub stage: String,
    #[serde(default)]
    pub needs: Vec<Need>,
    #[serde(default)]
    pub when: When,
    /// Its failure does not fail the run nor hold up those that need it.
    #[serde(default)]
    pub allow_failure: bool,
    /// Exit codes whose failure is allowed even without `allow_failure`.
    #[serde(default)]
    pub allow_exit_codes: Vec<i32>,
    #[serde(default)]
    pub retry: Retry,
    /// Milliseconds from the attempt's start; then it is canceled and fails.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    #[serde(default)]
    pub group: Option<Group>,
    /// Something newer may end it, see [`crate::Engine::supersede`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interruptible: bool,
    pub action: Action,
}

/// What a step waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    pub step: String,
    /// Hand over its outputs, too.
    #[serde(default)]
    pub outputs: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// All that it needs succeeded, failed as allowed, or were skipped without failing.
    #[default]
    OnSuccess,
    /// At least one that it needs (directly or further up) failed.
    OnFailure,
    /// All that it needs are finished, however.
    Always,
    /// As `OnSuccess`, and then somebody says go. A step that is waiting for that holds up a run only when
    /// its failure would.
    Manual,
    /// As `OnSuccess`, and then this many milliseconds later.
    Delayed(u64),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts after the first.
    pub max: u32,
    /// Milliseconds before the first retry; doubled each time, at most a minute.
    #[serde(default)]
    pub backoff_ms: u64,
    /// Only failures of these classes (an actor's word, such as `script` or `timeout`), or with one of the
    /// exit codes; with neither: any.
    #[serde(default)]
    pub only: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exit_codes: Vec<i32>,
}

/// At most `slots` steps of the same key run at a time, over all runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub key: String,
    pub slots: u32,
    /// Unless somebody has set another one for the group, see [`crate::Engine::set_order`].
    #[serde(default)]
    pub order: Order,
}

/// Which of the steps that want a slot of a group gets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Whichever is ready and comes first in the queue.
    #[default]
    Unordered,
    /// The oldest run's; newer ones wait for it even while it is not ready.
    OldestFirst,
    /// The newest run's; older ones wait for it even while it is not ready.
    NewestFirst,
    /// The newest run's of those that are ready.
    NewestReadyFirst,
}

impl Order {
    pub const ALL: [Order; 4] =
        [Order::Unordered, Order::OldestFirst, Order::NewestFirst, Order::NewestReadyFirst];

    /// As in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Order::Unordered => "unordered",
            Order::OldestFirst => "oldest_first",
            Order::NewestFirst => "newest_first",
            Order::NewestReadyFirst => "newest_ready_first",
        }
    }

    pub fn parse(word: &str) -> Option<Order> {
        Order::ALL.into_iter().find(|order| order.word() == word)
    }
}

/// What to do: the name of a registered actor and its input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Action {
    pub uses: String,
    #[serde(default)]
    pub with: Value,
}
