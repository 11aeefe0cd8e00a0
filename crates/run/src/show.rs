//! A run as people and programs see it, and the sentences about it.

use crate::state::{Head, Open, RunState, StepRow, StepState};
use crate::{Attempt, Plan, Step};
use kernel::resource::Labels;
use kernel::{Id, Key, Name, Principal, Text, Time, text, time};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// The whole of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: Id,
    pub kind: String,
    pub project: Name,
    pub change: Option<Name>,
    pub title: Text,
    /// Who created it.
    pub actor: Principal,
    pub state: RunState,
    pub reason: Option<Text>,
    pub created: Time,
    pub started: Option<Time>,
    pub finished: Option<Time>,
    /// Who canceled it.
    pub canceled_by: Option<Principal>,
    /// The run whose passed steps were copied into this one.
    pub retry_of: Option<Id>,
    pub priority: i32,
    /// In the order of the plan.
    pub steps: Vec<StepView>,
    pub labels: Labels,
    pub subject: Option<Key>,
    pub plan: Plan,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepView {
    /// Its place in the plan; names its log files.
    pub index: usize,
    pub name: String,
    pub stage: String,
    /// Names of the steps it waits for.
    pub needs: Vec<String>,
    pub state: StepState,
    /// The attempt under way or the last one; 0 before the first.
    pub attempt: u32,
    /// When only a slot was missing.
    pub ready_at: Option<Time>,
    pub started: Option<Time>,
    pub finished: Option<Time>,
    /// When a delay or a pause before a retry ends.
    pub due: Option<Time>,
    pub reason: Option<Text>,
    pub exit_code: Option<i32>,
    pub output: Value,
    pub allow_failure: bool,
    /// Who started it by hand.
    pub played_by: Option<Principal>,
    /// It passed in an earlier run, of which this one is a retry.
    pub copied: bool,
    /// Finished attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

impl Run {
    pub(crate) fn of(open: Open) -> Run {
        let steps = open.plan.steps.iter().zip(open.state.steps).enumerate();
        let steps = steps.map(|(i, (step, row))| StepView::of(i, step, row)).collect();
        let plan = std::sync::Arc::unwrap_or_clone(open.plan);
        Run { steps, ..Run::of_head(open.state.head, plan) }
    }

    /// Without steps.
    pub(crate) fn of_head(head: Head, plan: Plan) -> Run {
        Run {
            id: head.id,
            kind: head.kind,
            project: head.project,
            change: head.change,
            title: head.title,
            actor: head.actor,
            state: head.state,
            reason: head.reason,
            created: head.created,
            started: head.started,
            finished: head.finished,
            canceled_by: head.cancel.map(|c| c.actor),
            retry_of: head.retry_of,
            priority: head.priority,
            steps: Vec::new(),
            labels: head.labels,
            subject: head.subject,
            plan,
        }
    }

    pub fn step(&self, name: &str) -> Option<&StepView> {
        self.steps.iter().find(|s| s.name == name)
    }
}

impl StepView {
    pub(crate) fn of(index: usize, step: &Step, row: StepRow) -> StepView {
        StepView {
            index,
            name: step.name.clone(),
            stage: step.stage.clone(),
            needs: step.needs.iter().map(|n| n.step.clone()).collect(),
            state: row.state,
            attempt: row.attempt,
            ready_at: row.ready_at,
            started: row.started,
            finished: row.finished,
            due: row.due,
            reason: row.reason,
            exit_code: row.exit_code,
            output: row.output,
            allow_failure: step.allow_failure,
            played_by: row.played,
            copied: row.from.is_some(),
            attempts: row.attempts,
        }
    }
}

/// A length of time for a sentence: `1.2 s`, `1.2초`.
pub(crate) fn duration(d: Duration) -> Text {
    let (ms, s) = (d.as_millis(), d.as_secs());
    let ko = match ms {
        0..1_000 => format!("{ms}밀리초"),
        1_000..60_000 => format!("{:.1}초", d.as_secs_f64()),
        60_000..3_600_000 => format!("{}분 {:02}초", s / 60, s % 60),
        3_600_000..172_800_000 => format!("{}시간 {:02}분", s / 3600, s / 60 % 60),
        _ => format!("{}일 {:02}시간", s / 86_400, s / 3600 % 24),
    };
    Text::new(time::show_duration(d), ko)
}

/// `test passed in 1.2 s`, `test 통과 (1.2초)`; a failure adds its reason.
pub(crate) fn step_finished(name: &str, row: &StepRow) -> Text {
    let took = match (row.started, row.finished) {
        (Some(started), Some(finished)) => duration(finished.since(started)),
        _ => duration(Duration::ZERO),
    };
    let state = row.state.text();
    let (en, ko, long, long_ko) = (state.en, state.ko, took.en, took.ko);
    let say = if row.state == StepState::Failed || row.state == StepState::AllowedFailure {
        text!("{name} {en} after {long}", "{name} {ko} ({long_ko})")
    } else {
        text!("{name} {en} in {long}", "{name} {ko} ({long_ko})")
    };
    because(say, row.reason.as_ref())
}

/// `shop pipeline passed in 3 m 05 s`
pub(crate) fn run_finished(head: &Head) -> Text {
    let took = head.finished.unwrap_or(head.created).since(head.started.unwrap_or(head.created));
    let (state, took) = (head.state.text(), duration(took));
    let Text { en: title, ko: title_ko } = &head.title;
    let (en, ko, long, long_ko) = (state.en, state.ko, took.en, took.ko);
    let say = text!("{title}: {en} after {long}", "{title_ko}: {ko} ({long_ko})");
    because(say, head.reason.as_ref())
}

pub(crate) fn because(say: Text, reason: Option<&Text>) -> Text {
    let Some(reason) = reason else { return say };
    Text::new(format!("{}: {}", say.en, reason.en), format!("{}: {}", say.ko, reason.ko))
}
