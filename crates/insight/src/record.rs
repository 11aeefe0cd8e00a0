//! What is remembered of a change and of a deployment.

use kernel::journey::{Cause, Commit, Outcome, Verdict};
use kernel::{Id, Name, Principal, Text, Time};
use serde::{Deserialize, Serialize};

/// A commit on its way to production.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub project: Name,
    /// `web-1a2b3c4d5e6f`
    pub name: Name,
    pub repository: Name,
    pub commit: Commit,
    /// Of its first push.
    pub branch: String,
    pub default_branch: bool,
    pub pushed_by: Principal,
    /// First byte of its first push.
    pub received: Time,
    /// The push was durable.
    pub accepted: Time,
    /// The change it travels with: it was pushed below another commit, or was merged by it.
    pub rides: Option<Name>,
    pub pipeline: Option<Pipeline>,
    pub releases: Vec<Release>,
    pub rollouts: Vec<Rollout>,
    pub outcome: Option<Outcome>,
    pub reason: Option<Text>,
    pub finished: Option<Time>,
    pub url: Option<String>,
    /// It served and was rolled back.
    pub undone: Option<Time>,
    /// Its performance beside that of its base: the newest word on each scenario, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub performance: Vec<Performance>,
    /// Sequences of the events this was made from.
    pub events: Vec<u64>,
}

/// What a performance test said of a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Performance {
    pub scenario: String,
    /// The branch it is compared with.
    pub base: String,
    /// `better`, `same`, `worse` or `cannot_tell`.
    pub verdict: String,
    /// The judge's sentence, with its numbers.
    pub say: Text,
    /// The page of the result.
    pub address: String,
    pub run: Id,
    /// The job that measured it.
    pub step: String,
    pub at: Time,
}

impl Change {
    /// Whether this made its job fail, so that the change goes no further.
    pub fn held_by(&self, performance: &Performance) -> bool {
        let ours = |p: &&Pipeline| p.run.as_ref() == Some(&performance.run);
        let steps = self.pipeline.iter().filter(ours).flat_map(|p| &p.steps);
        let newest = steps.filter(|s| s.name == performance.step).max_by_key(|s| s.attempt);
        matches!(performance.verdict.as_str(), "worse" | "cannot_tell")
            && newest.and_then(|s| s.verdict.as_deref()) == Some("failed")
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    pub run: Option<Id>,
    pub jobs: Vec<String>,
    pub created: Time,
    pub finished: Option<Time>,
    pub verdict: Option<Verdict>,
    pub reason: Option<Text>,
    /// Since when only somebody's go is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Time>,
    pub steps: Vec<Step>,
}

/// A step of a run, as its events told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub name: String,
    pub stage: String,
    pub attempt: u32,
    /// When nothing but a free place was missing.
    pub ready: Option<Time>,
    pub started: Option<Time>,
    pub finished: Option<Time>,
    /// `passed`, `failed`, `canceled`, …; `None` while it runs.
    pub verdict: Option<String>,
    pub reason: Option<Text>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Release {
    pub service: Name,
    pub release: Name,
    pub tree: String,
    pub made: Time,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    pub service: Name,
    pub release: Name,
    pub run: Id,
    pub cause: Cause,
    pub previous: Option<Name>,
    pub started: Time,
    pub first_ready: Option<Time>,
    pub finished: Option<Time>,
    pub verdict: Option<Verdict>,
    pub reason: Option<Text>,
    pub steps: Vec<Step>,
}

/// A rollout that ended, as the key metrics see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    pub project: Name,
    pub service: Name,
    pub release: Name,
    pub previous: Option<Name>,
    pub change: Option<Name>,
    pub commit: Option<String>,
    pub cause: Cause,
    pub verdict: Verdict,
    pub finished: Time,
    /// Sequence of `rollout.finished`.
    pub event: u64,
    /// The changes that reached production with it.
    pub carried: Vec<Carried>,
}

/// A change that a deployment brought to production.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    pub change: Name,
    /// As its author's clock said; it survives rebase and cherry-pick, so it can lie.
    pub authored: Time,
    /// When naru saw the first byte of its first push: it cannot lie.
    pub received: Time,
}
