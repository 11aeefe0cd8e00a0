//! What has happened to a run: its rows in the store and their life in memory.

use crate::graph::Graph;
use crate::{Plan, error};
use kernel::journey::Verdict;
use kernel::resource::Labels;
use kernel::{Id, Key, Name, Principal, Result, Text, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use store::{Tx, View};

/// [`Head`] by run id; its key order is the order of creation.
pub(crate) const HEAD: &str = "run.head";
/// [`Plan`] by run id, never changed.
pub(crate) const PLAN: &str = "run.plan";
/// [`StepRow`] by `<run>/<index, five digits>`; a step to which nothing has happened has no row.
pub(crate) const STEP: &str = "run.step";
/// Unfinished runs, by id: what a boot resumes.
pub(crate) const OPEN: &str = "run.open";
/// Boot generation of the engine that may write, under [`BOOT_KEY`].
pub(crate) const BOOT: &str = "run.boot";
pub(crate) const BOOT_KEY: &str = "boot";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Nothing has started yet.
    Queued,
    Running,
    /// Only somebody's go is missing.
    Waiting,
    Passed,
    Failed,
    Canceled,
}

impl RunState {
    pub fn is_finished(self) -> bool {
        self.verdict().is_some()
    }

    pub fn verdict(self) -> Option<Verdict> {
        match self {
            RunState::Passed => Some(Verdict::Passed),
            RunState::Failed => Some(Verdict::Failed),
            RunState::Canceled => Some(Verdict::Canceled),
            RunState::Queued | RunState::Running | RunState::Waiting => None,
        }
    }

    /// As in JSON.
    pub fn word(self) -> &'static str {
        match self {
            RunState::Queued => "queued",
            RunState::Running => "running",
            RunState::Waiting => "waiting",
            RunState::Passed => "passed",
            RunState::Failed => "failed",
            RunState::Canceled => "canceled",
        }
    }

    pub fn text(self) -> Text {
        match self {
            RunState::Queued => Text::fixed("queued", "대기 중"),
            RunState::Running => Text::fixed("running", "실행 중"),
            RunState::Waiting => Text::fixed("waiting for a go", "수동 시작 대기"),
            RunState::Passed => Text::fixed("passed", "통과"),
            RunState::Failed => Text::fixed("failed", "실패"),
            RunState::Canceled => Text::fixed("canceled", "취소"),
        }
    }
}

/// What a waiting step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Somebody's go.
    Manual,
    /// Its delay.
    Delayed,
    /// The pause before another try.
    Retry,
}

/// In JSON one word: `blocked`, …, `waiting_manual`, `waiting_delayed`, `waiting_retry`, ….
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum StepState {
    /// Something it needs is not finished.
    #[default]
    Blocked,
    /// It waits for a slot.
    Ready,
    Running,
    Waiting(Wait),
    Passed,
    Failed,
    AllowedFailure,
    Skipped,
    Canceled,
}

impl StepState {
    const ALL: [StepState; 11] = [
        StepState::Blocked,
        StepState::Ready,
        StepState::Running,
        StepState::Waiting(Wait::Manual),
        StepState::Waiting(Wait::Delayed),
        StepState::Waiting(Wait::Retry),
        StepState::Passed,
        StepState::Failed,
        StepState::AllowedFailure,
        StepState::Skipped,
        StepState::Canceled,
    ];

    pub fn is_finished(self) -> bool {
        match self {
            StepState::Passed
            | StepState::Failed
            | StepState::AllowedFailure
            | StepState::Skipped
            | StepState::Canceled => true,
            StepState::Blocked | StepState::Ready | StepState::Running | StepState::Waiting(_) => {
                false
            }
        }
    }

    /// As in JSON.
    pub fn word(self) -> &'static str {
        match self {
            StepState::Blocked => "blocked",
            StepState::Ready => "ready",
            StepState::Running => "running",
            StepState::Waiting(Wait::Manual) => "waiting_manual",
            StepState::Waiting(Wait::Delayed) => "waiting_delayed",
            StepState::Waiting(Wait::Retry) => "waiting_retry",
            StepState::Passed => "passed",
            StepState::Failed => "failed",
            StepState::AllowedFailure => "allowed_failure",
            StepState::Skipped => "skipped",
            StepState::Canceled => "canceled",
        }
    }

    pub fn text(self) -> Text {
        match self {
            StepState::Blocked => Text::fixed("blocked by what it needs", "앞 단계 대기"),
            StepState::Ready => Text::fixed("waiting for a slot", "빈자리 대기"),
            StepState::Running => Text::fixed("running", "실행 중"),
            StepState::Waiting(Wait::Manual) => Text::fixed("waiting for a go", "수동 시작 대기"),
            StepState::Waiting(Wait::Delayed) => Text::fixed("delayed", "지연 시작 대기"),
            StepState::Waiting(Wait::Retry) => {
                Text::fixed("waiting to be tried again", "재시도 대기")
            }
            StepState::Passed => Text::fixed("passed", "통과"),
            StepState::Failed => Text::fixed("failed", "실패"),
            StepState::AllowedFailure => Text::fixed("failed as allowed", "실패 허용됨"),
            StepState::Skipped => Text::fixed("skipped", "건너뜀"),
            StepState::Canceled => Text::fixed("canceled", "취소"),
        }
    }
}

impl From<StepState> for &'static str {
    fn from(state: StepState) -> &'static str {
        state.word()
    }
}

impl TryFrom<String> for StepState {
    type Error = String;
    fn try_from(word: String) -> Result<StepState, String> {
        let found = StepState::ALL.into_iter().find(|s| s.word() == word);
        found.ok_or_else(|| format!("no step state {word}"))
    }
}

/// Who ended a run before its time, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cancel {
    pub actor: Principal,
    pub reason: Text,
}

/// A run without its plan and steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub id: Id,
    pub kind: String,
    pub project: Name,
    pub change: Option<Name>,
    pub title: Text,
    pub actor: Principal,
    pub labels: Labels,
    pub subject: Option<Key>,
    pub priority: i32,
    pub state: RunState,
    pub reason: Option<Text>,
    pub created: Time,
    pub started: Option<Time>,
    pub finished: Option<Time>,
    pub cancel: Option<Cancel>,
    pub retry_of: Option<Id>,
}

/// One finished attempt of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1.
    pub attempt: u32,
    pub started: Time,
    pub finished: Time,
    pub state: StepState,
    /// The actor's word for what failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
    /// What a failed one left that another attempt followed, up to 16 KiB of JSON; the last attempt's
    /// output is the step's.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
}

/// What has happened to a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StepRow {
    pub state: StepState,
    /// The attempt under way, or the last one; 0 before the first.
    pub attempt: u32,
    /// Failures of the infrastructure during this attempt.
    pub setbacks: u32,
    /// Of its last start: boot generation, then a count. An outcome that names another one is stale.
    pub epoch: u64,
    /// Who said go.
    pub played: Option<Principal>,
    pub timed_out: bool,
    /// Why this step alone is to end before its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Text>,
    pub ready_at: Option<Time>,
    pub started: Option<Time>,
    pub finished: Option<Time>,
    /// When the wait ends.
    pub due: Option<Time>,
    pub reason: Option<Text>,
    pub exit_code: Option<i32>,
    pub output: Value,
    /// The run that ran it, when it was copied into this one.
    pub from: Option<Id>,
    pub attempts: Vec<Attempt>,
}

/// All that the interpreter looks at, beside the plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub head: Head,
    /// One for each step of the plan.
    pub steps: Vec<StepRow>,
}

/// A run in memory.
#[derive(Clone)]
pub(crate) struct Open {
    pub plan: Arc<Plan>,
    pub graph: Arc<Graph>,
    pub state: State,
}

pub(crate) fn step_key(run: &Id, index: usize) -> String {
    format!("{run}/{index:05}")
}

impl Open {
    /// # Errors
    /// Internal when a row does not read; `None` when there is no such run.
    pub fn load(view: &View<'_>, id: &Id) -> Result<Option<Open>> {
        let Some(head) = view.row::<Head>(HEAD, id.as_str())? else { return Ok(None) };
        let plan = view
            .row::<Plan>(PLAN, id.as_str())?
            .ok_or_else(|| kernel::Error::internal(format!("run {id} has no plan")))?;
        let graph = Graph::of(&plan)?;
        let mut steps = vec![StepRow::default(); plan.steps.len()];
        let rows = view.rows::<StepRow>(STEP, &format!("{id}/"), None, plan.steps.len())?;
        for (key, row) in rows {
            let index = key.rsplit('/').next().and_then(|i| i.parse::<usize>().ok());
            if let Some(place) = index.and_then(|i| steps.get_mut(i)) {
                *place = row;
            }
        }
        Ok(Some(Open { plan: plan.into(), graph: graph.into(), state: State { head, steps } }))
    }

    /// # Errors
    /// `run.unknown`, and as [`Open::load`].
    pub fn get(view: &View<'_>, id: &Id) -> Result<Open> {
        Open::load(view, id)?.ok_or_else(|| error::unknown_run(id.as_str()))
    }

    pub fn id(&self) -> &Id {
        &self.state.head.id
    }
}

/// Writes the head and keeps the index of unfinished runs true.
pub(crate) fn save_head(tx: &mut Tx<'_>, head: &Head) -> Result<()> {
    tx.set_row(HEAD, head.id.as_str(), head)?;
    if head.state.is_finished() {
        tx.delete_row(OPEN, head.id.as_str())?;
    } else {
        tx.set_row(OPEN, head.id.as_str(), &())?;
    }
    Ok(())
}
