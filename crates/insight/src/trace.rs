//! Where the time went: a change's way as stages, each waiting or working. Pure.

use crate::record::{Change, Step};
use kernel::journey::{Outcome, Verdict};
use kernel::{Name, Text, Time};
use serde::Serialize;

/// One bar of the waterfall.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// `push`, `plan`, `job`, `release`, `rollout`, `step`.
    pub kind: &'static str,
    /// Its own name, when it has one: a job's, a service's.
    pub name: String,
    pub text: Text,
    /// Begin of its waiting.
    pub start: Time,
    /// End of its waiting, begin of its work.
    pub began: Time,
    /// `None`: under way.
    pub end: Option<Time>,
    pub state: State,
    /// The run it belongs to, to open its log.
    pub run: Option<String>,
    pub reason: Option<Text>,
    /// Drawn below the stage before.
    pub inner: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Running,
    Passed,
    Failed,
    Canceled,
}

/// A change's way, with its sums in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trace {
    pub stages: Vec<Stage>,
    pub total_ms: u64,
    pub waiting_ms: u64,
    pub working_ms: u64,
}

/// The trace of `change` as seen at `now`.
pub fn trace(change: &Change, now: Time) -> Trace {
    let mut stages =
        vec![plain("push", Text::fixed("push", "푸시"), change.received, change.accepted)];
    if let Some(pipeline) = &change.pipeline {
        stages.push(plain("plan", Text::fixed("plan", "계획"), change.accepted, pipeline.created));
        let run = pipeline.run.as_ref().map(ToString::to_string);
        stages.extend(pipeline.steps.iter().map(|s| step("job", s, run.clone(), false)));
    }
    let passed = change.pipeline.as_ref().and_then(|p| p.finished);
    for release in &change.releases {
        let from = passed.unwrap_or(release.made);
        let text = Text::plain(release.release.to_string());
        stages.push(Stage {
            name: release.service.to_string(),
            ..plain("release", text, from, release.made)
        });
    }
    for rollout in &change.rollouts {
        let run = Some(rollout.run.to_string());
        let state = match rollout.verdict {
            None => State::Running,
            Some(Verdict::Passed) => State::Passed,
            Some(Verdict::Failed) => State::Failed,
            Some(Verdict::Canceled) => State::Canceled,
        };
        stages.push(Stage {
            kind: "rollout",
            name: rollout.service.to_string(),
            text: words(&rollout.service, &rollout.release),
            start: rollout.started,
            began: rollout.started,
            end: rollout.finished,
            state,
            run: run.clone(),
            reason: rollout.reason.clone(),
            inner: false,
        });
        stages.extend(rollout.steps.iter().map(|s| step("step", s, run.clone(), true)));
    }
    let end = crate::project::until(change, now);
    let (working, total) = sums(&stages, change.received, end);
    Trace {
        stages,
        total_ms: total,
        waiting_ms: total - working.min(total),
        working_ms: working.min(total),
    }
}

fn words(service: &Name, release: &Name) -> Text {
    kernel::text!("{service} → {release}", "{service} → {release}")
}

fn plain(kind: &'static str, text: Text, start: Time, end: Time) -> Stage {
    Stage {
        kind,
        name: String::new(),
        text,
        start,
        began: start,
        end: Some(end),
        state: State::Passed,
        run: None,
        reason: None,
        inner: false,
    }
}

fn step(kind: &'static str, step: &Step, run: Option<String>, inner: bool) -> Stage {
    let began = step.started.or(step.ready).unwrap_or_default();
    let state = match step.verdict.as_deref() {
        None => State::Running,
        Some("passed") => State::Passed,
        Some("canceled" | "skipped") => State::Canceled,
        Some(_) => State::Failed,
    };
    let again = if step.attempt > 1 { format!(" ({})", step.attempt) } else { String::new() };
    Stage {
        kind,
        name: step.name.clone(),
        text: Text::plain(format!("{}{again}", step.name)),
        start: step.ready.unwrap_or(began).min(began),
        began,
        end: step.finished,
        state,
        run,
        reason: step.reason.clone(),
        inner,
    }
}

/// Milliseconds in which at least one stage worked, and from the first byte to the end.
fn sums(stages: &[Stage], from: Time, to: Time) -> (u64, u64) {
    let mut spans: Vec<(i64, i64)> =
        stages.iter().map(|s| (s.began.0.max(from.0), s.end.unwrap_or(to).0.min(to.0))).collect();
    spans.retain(|(a, b)| b > a);
    spans.sort_unstable();
    let mut worked = 0;
    let mut reached = from.0;
    for (a, b) in spans {
        worked += (b - a.max(reached)).max(0);
        reached = reached.max(b);
    }
    let total = (to.0 - from.0).max(0);
    (worked.unsigned_abs(), total.unsigned_abs())
}

/// Where a change is between the two banks: for its lane.
pub fn place(change: &Change) -> &'static str {
    match (&change.outcome, &change.pipeline) {
        (Some(Outcome::Live), _) => "live",
        _ if !change.rollouts.is_empty() => "rollout",
        _ if !change.releases.is_empty() => "release",
        (_, Some(_)) => "pipeline",
        _ => "push",
    }
}
