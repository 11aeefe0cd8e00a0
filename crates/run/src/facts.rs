//! The events of a run. Their data is small: whoever needs more reads the run.

use crate::show;
use crate::state::{Attempt, Open, RunState, StepRow};
use crate::{Step, create};
use kernel::{Id, Key, Name, NewEvent, Principal, Result, Text, text};
use serde_json::json;

/// Enough of a run to speak of one of its steps.
struct About<'a> {
    run: &'a Open,
    index: usize,
    step: &'a Step,
    row: &'a StepRow,
}

impl<'a> About<'a> {
    fn of(run: &'a Open, i: usize) -> Option<About<'a>> {
        Some(About { run, index: i, step: run.plan.steps.get(i)?, row: run.state.steps.get(i)? })
    }

    fn event(&self, kind: &str, actor: Principal, say: Text) -> Result<NewEvent> {
        let head = &self.run.state.head;
        let data = json!({
            "run": head.id, "kind": head.kind, "step": self.step.name, "stage": self.step.stage,
            "index": self.index, "attempt": self.row.attempt,
        });
        Ok(create::event(head, kind, actor, say)?.data(data))
    }
}

fn engine() -> Principal {
    Principal::part("run")
}

pub(crate) fn step_started(run: &Open, i: usize) -> Result<Option<NewEvent>> {
    let Some(about) = About::of(run, i) else { return Ok(None) };
    let (name, n) = (&about.step.name, about.row.attempt);
    let say = match n {
        0 | 1 => text!("{name} started", "{name} 시작"),
        _ => text!("{name} started, attempt {n}", "{name} 시작 ({n}번째 시도)"),
    };
    about.event("run.step.started", engine(), say).map(Some)
}

/// The step is finished.
pub(crate) fn step_finished(run: &Open, i: usize) -> Result<Option<NewEvent>> {
    let Some(about) = About::of(run, i) else { return Ok(None) };
    let row = about.row;
    let say = show::step_finished(&about.step.name, row);
    let mut event = about.event("run.step.finished", engine(), say)?;
    let class = row.attempts.last().and_then(|a: &Attempt| a.class.as_ref());
    let more = json!({
        "verdict": row.state, "ready_at": row.ready_at, "started": row.started,
        "finished": row.finished, "reason": row.reason, "class": class, "exit_code": row.exit_code,
    });
    if let (Some(data), serde_json::Value::Object(more)) = (event.data.as_object_mut(), more) {
        data.extend(more);
    }
    Ok(Some(event))
}

/// The attempt failed and another one follows.
pub(crate) fn step_retried(run: &Open, i: usize) -> Result<Option<NewEvent>> {
    let Some(about) = About::of(run, i) else { return Ok(None) };
    let name = &about.step.name;
    let say = text!("{name} will be tried again", "{name} 다시 시도 예정");
    let say = show::because(say, about.row.reason.as_ref());
    about.event("run.step.retried", engine(), say).map(Some)
}

pub(crate) fn step_played(run: &Open, i: usize, actor: Principal) -> Result<Option<NewEvent>> {
    let Some(about) = About::of(run, i) else { return Ok(None) };
    let name = &about.step.name;
    let say = text!("{name} was started by hand", "{name} 수동 시작");
    about.event("run.step.played", actor, say).map(Some)
}

pub(crate) fn cancel_requested(run: &Open, actor: Principal, reason: &Text) -> Result<NewEvent> {
    let head = &run.state.head;
    let Text { en: title, ko: title_ko } = &head.title;
    let say = text!("{title} is being canceled", "{title_ko} 취소 중");
    let data = json!({ "run": head.id, "kind": head.kind, "reason": reason });
    Ok(create::event(head, "run.cancel.requested", actor, show::because(say, Some(reason)))?
        .data(data))
}

/// The run entered a state; only waiting and being finished are facts of their own.
pub(crate) fn entered(run: &Open) -> Result<Option<NewEvent>> {
    let head = &run.state.head;
    let (kind, say) = match head.state {
        RunState::Queued | RunState::Running => return Ok(None),
        RunState::Waiting => {
            let Text { en, ko } = &head.title;
            ("run.waiting", text!("{en} waits for a go", "{ko} 수동 시작 대기"))
        }
        _ => ("run.finished", show::run_finished(head)),
    };
    let data = json!({
        "run": head.id, "kind": head.kind, "verdict": head.state.verdict(), "reason": head.reason,
        "created": head.created, "started": head.started, "finished": head.finished,
        "subject": head.subject,
    });
    Ok(Some(create::event(head, kind, engine(), say)?.data(data)))
}

/// The run that an event of creation tells of.
pub(crate) fn created(event: &kernel::Event) -> Option<Id> {
    if event.fact.kind != "run.created" {
        return None;
    }
    let key: &Key = event.fact.subject.as_ref()?;
    let name: &Name = &key.name;
    Id::parse(name.as_str())
}
