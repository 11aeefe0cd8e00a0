//! One event into one change. Pure.

use crate::record::{Change, Performance, Pipeline, Release, Rollout, Step};
use kernel::journey::{
    Fact, LoadVerdict, Outcome, PipelineCreated, PipelineFinished, ReleaseMade, ReleaseSkipped,
    RolloutFinished, RolloutStarted, Verdict,
};
use kernel::{Event, Text, Time};
use serde::Deserialize;

/// How a change ended, decided by the event just folded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct End {
    pub outcome: Outcome,
    pub reason: Option<Text>,
}

/// The data of the run engine's step events, as far as a trace needs it.
#[derive(Deserialize)]
struct StepFact {
    run: String,
    step: String,
    #[serde(default)]
    stage: String,
    #[serde(default)]
    attempt: u32,
    #[serde(default)]
    ready_at: Option<Time>,
    #[serde(default)]
    started: Option<Time>,
    #[serde(default)]
    finished: Option<Time>,
    #[serde(default)]
    verdict: Option<String>,
    #[serde(default)]
    reason: Option<Text>,
}

/// Scenarios of performance tests that one change tells of.
const SCENARIOS: usize = 64;
/// Events kept by sequence: enough to explain a change, bounded for one with endless retries.
const EVENTS: usize = 2000;

/// Takes the event in and says whether it ended the change's way.
pub(crate) fn fold(change: &mut Change, event: &Event) -> Option<End> {
    if change.events.len() < EVENTS {
        change.events.push(event.seq);
    }
    if aside(event) {
        return None;
    }
    if let Some(fact) = PipelineCreated::of(event) {
        created(change, event.time, fact);
        return None;
    }
    if let Some(fact) = PipelineFinished::of(event) {
        return pipeline_finished(change, event.time, fact);
    }
    if let Some(fact) = ReleaseMade::of(event) {
        released(change, event.time, fact);
        return None;
    }
    if let Some(fact) = ReleaseSkipped::of(event) {
        let failed = fact.verdict == Verdict::Failed;
        let outcome = match failed {
            true => Outcome::Failed,
            // It was run again, and what it would release serves already.
            false if !change.releases.is_empty() && arrived(change) => Outcome::Live,
            false => Outcome::Passed,
        };
        return Some(End { outcome, reason: Some(fact.reason) });
    }
    if let Some(fact) = RolloutStarted::of(event) {
        rolling(change, event.time, fact);
        return None;
    }
    if let Some(fact) = RolloutFinished::of(event) {
        return rolled(change, event.time, fact);
    }
    if let Some(fact) = LoadVerdict::of(event) {
        performed(change, event, fact);
        return None;
    }
    if event.fact.kind.starts_with("run.step.") {
        step(change, event);
    }
    if event.fact.kind == "run.waiting" {
        wait(change, event);
    }
    None
}

/// Whether it tells of a copy of a service for an environment, which is no part of the way to production.
pub(crate) fn aside(event: &Event) -> bool {
    let kind = &event.fact.kind;
    (kind.starts_with("release.") || kind.starts_with("rollout."))
        && event.fact.data.get("environment").is_some_and(|e| !e.is_null())
}

/// A later word on a scenario takes the place of the earlier one.
fn performed(change: &mut Change, event: &Event, fact: LoadVerdict) {
    let all = &mut change.performance;
    all.retain(|p| p.scenario != fact.scenario || p.step != fact.step);
    if all.len() >= SCENARIOS {
        return;
    }
    all.push(Performance {
        scenario: fact.scenario,
        base: fact.base,
        verdict: fact.verdict,
        say: event.fact.say.clone(),
        address: fact.address,
        run: fact.run,
        step: fact.step,
        at: event.time,
    });
    all.sort_by(|a, b| (&a.scenario, &a.step).cmp(&(&b.scenario, &b.step)));
}

/// The pipeline goes on when somebody says so.
fn wait(change: &mut Change, event: &Event) {
    let run = event.fact.data.get("run").and_then(|r| r.as_str());
    let ours = |p: &&mut Pipeline| p.run.as_ref().map(kernel::Id::as_str) == run;
    if let Some(pipeline) = change.pipeline.as_mut().filter(ours) {
        pipeline.waiting = Some(event.time);
    }
}

fn created(change: &mut Change, time: Time, fact: PipelineCreated) {
    // A pipeline that is run again opens the change again.
    change.outcome = None;
    change.finished = None;
    change.reason = None;
    change.pipeline = Some(Pipeline {
        run: Some(fact.run),
        jobs: fact.jobs,
        created: time,
        finished: None,
        verdict: None,
        reason: None,
        waiting: None,
        steps: Vec::new(),
    });
}

fn pipeline_finished(change: &mut Change, time: Time, fact: PipelineFinished) -> Option<End> {
    let pipeline = change.pipeline.get_or_insert_with(|| Pipeline {
        run: None,
        jobs: Vec::new(),
        created: time,
        finished: None,
        verdict: None,
        reason: None,
        waiting: None,
        steps: Vec::new(),
    });
    pipeline.waiting = None;
    pipeline.finished = Some(time);
    pipeline.verdict = Some(fact.verdict);
    pipeline.reason = fact.reason.clone();
    match fact.verdict {
        // What comes of it is the release's to say.
        Verdict::Passed => None,
        Verdict::Failed => Some(End { outcome: Outcome::Failed, reason: fact.reason }),
        Verdict::Canceled => Some(End { outcome: Outcome::Canceled, reason: fact.reason }),
    }
}

fn released(change: &mut Change, time: Time, fact: ReleaseMade) {
    if change.releases.iter().any(|r| r.release == fact.release) {
        return;
    }
    // It may have come to an end before: held back, and now deployed by hand.
    change.outcome = None;
    change.finished = None;
    change.reason = None;
    // All releases of a commit are made in one transaction, before any of their rollouts can end.
    let ReleaseMade { service, release, tree, .. } = fact;
    change.releases.push(Release { service, release, tree, made: time });
}

fn rolling(change: &mut Change, time: Time, fact: RolloutStarted) {
    change.rollouts.push(Rollout {
        service: fact.service,
        release: fact.release,
        run: fact.run,
        cause: fact.cause,
        previous: fact.previous,
        started: time,
        first_ready: None,
        finished: None,
        verdict: None,
        reason: None,
        steps: Vec::new(),
    });
}

fn rolled(change: &mut Change, time: Time, fact: RolloutFinished) -> Option<End> {
    let rollout = change.rollouts.iter_mut().find(|r| r.run == fact.run)?;
    rollout.finished = Some(time);
    rollout.verdict = Some(fact.verdict);
    rollout.reason = fact.reason.clone();
    rollout.first_ready = fact.first_ready;
    if fact.cause != kernel::journey::Cause::Change {
        return None;
    }
    match fact.verdict {
        Verdict::Failed => Some(End { outcome: Outcome::Failed, reason: fact.reason }),
        Verdict::Canceled => Some(End { outcome: Outcome::Superseded, reason: fact.reason }),
        Verdict::Passed if arrived(change) => Some(End { outcome: Outcome::Live, reason: None }),
        Verdict::Passed => None,
    }
}

/// Whether every service that this change releases serves it. A release that was made again counts for the
/// one before.
fn arrived(change: &Change) -> bool {
    let again = |i: usize, release: &Release| {
        change.releases.iter().skip(i + 1).any(|later| later.service == release.service)
    };
    change.releases.iter().enumerate().all(|(i, release)| {
        let passed =
            |r: &&Rollout| r.release == release.release && r.verdict == Some(Verdict::Passed);
        again(i, release) || change.rollouts.iter().any(|r| passed(&r))
    })
}

fn step(change: &mut Change, event: &Event) {
    let Ok(fact) = StepFact::deserialize(&event.fact.data) else { return };
    let ours = |id: &kernel::Id| id.as_str() == fact.run;
    let steps = match change.pipeline.as_mut() {
        Some(p) if p.run.as_ref().is_some_and(ours) => {
            p.waiting = None;
            &mut p.steps
        }
        _ => match change.rollouts.iter_mut().find(|r| ours(&r.run)) {
            Some(rollout) => &mut rollout.steps,
            None => return,
        },
    };
    let found = steps.iter_mut().find(|s| s.name == fact.step && s.attempt == fact.attempt);
    let finishes = event.fact.kind == "run.step.finished";
    match found {
        Some(step) => {
            step.ready = fact.ready_at.or(step.ready);
            step.started = fact.started.or(step.started);
            if finishes {
                step.finished = fact.finished.or(Some(event.time));
                step.verdict = fact.verdict;
                step.reason = fact.reason;
            }
        }
        None => steps.push(Step {
            name: fact.step,
            stage: fact.stage,
            attempt: fact.attempt,
            ready: fact.ready_at,
            started: fact.started.or_else(|| (!finishes).then_some(event.time)),
            finished: fact.finished.or_else(|| finishes.then_some(event.time)),
            verdict: fact.verdict,
            reason: fact.reason,
        }),
    }
}
