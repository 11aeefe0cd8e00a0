//! What to do next. Pure: no IO, no clock, no memory of its own.

use crate::graph::Graph;
use crate::state::{State, StepRow};
use crate::{Plan, RunState, Step, StepState, Wait, When};
use kernel::{Text, Time, text};
use std::time::Duration;

/// A transition that is due. Starting is not among them: a ready step starts when the queue, which knows
/// all runs, gives it a slot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    /// Nothing but a slot is missing.
    Ready(usize),
    Skip(usize, Text),
    /// Until a time, or until somebody says go.
    Wait(usize, Wait, Option<Time>),
    /// It never ran and never will.
    Cancel(usize),
    /// Its time is over: tell its actor to stop.
    TimeOut(usize),
    /// It runs, and something else has decided that it is to end.
    Stop(usize, Text),
    /// The run moves on.
    Enter(RunState),
    /// The run is finished.
    Finish(RunState, Option<Text>),
}

/// How a step looks to those that need it.
#[derive(Clone, Copy, Default)]
struct Seen {
    state: StepState,
    /// Something it needs, directly or further up, failed.
    failed_above: bool,
    /// Its failure is allowed; while it waits for a go nobody waits for it.
    optional: bool,
}

impl Seen {
    fn settled(self) -> bool {
        self.state.is_finished() || self.passed_by()
    }
    fn passed_by(self) -> bool {
        self.optional && self.state == StepState::Waiting(Wait::Manual)
    }
    fn failed(self) -> bool {
        self.failed_above || matches!(self.state, StepState::Failed | StepState::Canceled)
    }
    fn good(self) -> bool {
        match self.state {
            StepState::Passed | StepState::AllowedFailure => true,
            StepState::Skipped => !self.failed_above,
            _ => self.passed_by(),
        }
    }
}

/// All that is due at `now`. Applying it and asking again at the same time answers nothing.
pub(crate) fn next(plan: &Plan, graph: &Graph, state: &State, now: Time) -> Vec<Command> {
    let mut out = Vec::new();
    let mut seen = vec![Seen::default(); plan.steps.len()];
    let canceled = state.head.cancel.is_some();
    let failed = |row: &StepRow| row.state == StepState::Failed;
    let given_up = plan.fail_fast && state.steps.iter().any(failed);
    for &i in graph.order() {
        let (Some(step), Some(row)) = (plan.steps.get(i), state.steps.get(i)) else { continue };
        let needs: Vec<Seen> =
            graph.needs(i).iter().filter_map(|n| seen.get(*n).copied()).collect();
        let ending = Ending { canceled: canceled || given_up || row.stop.is_some(), given_up };
        let command = decide(i, step, row, &needs, ending, now);
        if let Some(place) = seen.get_mut(i) {
            *place = Seen {
                state: command.as_ref().map_or(row.state, |c| after(c, row.state)),
                failed_above: needs.iter().any(|n| n.failed()),
                optional: step.allow_failure,
            };
        }
        out.extend(command);
    }
    out.extend(conclude(plan, state, &seen));
    out
}

/// What may end a step before its time.
#[derive(Clone, Copy)]
struct Ending {
    canceled: bool,
    /// Another step failed, and the plan says that this ends it all.
    given_up: bool,
}

fn decide(
    i: usize,
    step: &Step,
    row: &StepRow,
    needs: &[Seen],
    ending: Ending,
    now: Time,
) -> Option<Command> {
    let due = row.due.is_some_and(|due| due <= now);
    match row.state {
        StepState::Running => {
            let over = deadline(step, row).is_some_and(|end| end <= now);
            if over {
                return Some(Command::TimeOut(i));
            }
            let stop = ending.given_up && row.stop.is_none();
            stop.then(|| Command::Stop(i, given_up()))
        }
        state if state.is_finished() => None,
        _ if ending.canceled => Some(Command::Cancel(i)),
        StepState::Blocked if needs.iter().all(|n| n.settled()) => {
            Some(open(i, step, row, needs, now))
        }
        StepState::Waiting(Wait::Manual | Wait::Delayed) if row.played.is_some() => {
            Some(Command::Ready(i))
        }
        StepState::Waiting(_) => due.then_some(Command::Ready(i)),
        _ => None,
    }
}

fn given_up() -> Text {
    Text::fixed("another step failed", "다른 단계가 실패했습니다")
}

/// All that it needs is settled.
fn open(i: usize, step: &Step, row: &StepRow, needs: &[Seen], now: Time) -> Command {
    let good = needs.iter().all(|n| n.good());
    match step.when {
        When::Always => Command::Ready(i),
        When::OnFailure if needs.iter().any(|n| n.failed()) => Command::Ready(i),
        When::OnFailure => Command::Skip(
            i,
            Text::fixed("nothing that it watches failed", "지켜보던 단계가 실패하지 않았습니다"),
        ),
        _ if !good => Command::Skip(
            i,
            Text::fixed("a step that it needs failed", "필요한 단계가 실패했습니다"),
        ),
        When::OnSuccess => Command::Ready(i),
        When::Manual if row.played.is_some() => Command::Ready(i),
        When::Manual => Command::Wait(i, Wait::Manual, None),
        When::Delayed(ms) => {
            Command::Wait(i, Wait::Delayed, Some(now.plus(Duration::from_millis(ms))))
        }
    }
}

fn after(command: &Command, before: StepState) -> StepState {
    match command {
        Command::Ready(_) => StepState::Ready,
        Command::Skip(..) => StepState::Skipped,
        Command::Wait(_, wait, _) => StepState::Waiting(*wait),
        Command::Cancel(_) => StepState::Canceled,
        Command::TimeOut(_) | Command::Stop(..) | Command::Enter(_) | Command::Finish(..) => before,
    }
}

fn conclude(plan: &Plan, state: &State, seen: &[Seen]) -> Option<Command> {
    let moving = |s: &Seen| {
        matches!(
            s.state,
            StepState::Ready
                | StepState::Running
                | StepState::Waiting(Wait::Delayed)
                | StepState::Waiting(Wait::Retry)
        )
    };
    let want = if seen.iter().any(moving) {
        if state.head.started.is_some() { RunState::Running } else { RunState::Queued }
    } else if seen.iter().all(|s| s.settled()) {
        verdict(state, seen)
    } else {
        RunState::Waiting
    };
    if want == state.head.state {
        return None;
    }
    if want.is_finished() {
        return Some(Command::Finish(want, why(plan, state, seen)));
    }
    Some(Command::Enter(want))
}

fn verdict(state: &State, seen: &[Seen]) -> RunState {
    if state.head.cancel.is_some() {
        RunState::Canceled
    } else if seen.iter().any(|s| s.state == StepState::Failed) {
        RunState::Failed
    } else if seen.iter().any(|s| s.state == StepState::Canceled) {
        RunState::Canceled
    } else {
        RunState::Passed
    }
}

/// Who canceled it said why; else the first step that failed says it, or one that was canceled.
fn why(plan: &Plan, state: &State, seen: &[Seen]) -> Option<Text> {
    if let Some(cancel) = &state.head.cancel {
        return Some(cancel.reason.clone());
    }
    let Some(first) = seen.iter().position(|s| s.state == StepState::Failed) else {
        return state.steps.iter().find_map(|row| row.stop.clone());
    };
    let name = &plan.steps.get(first)?.name;
    let reason = state.steps.get(first).and_then(|row| row.reason.as_ref());
    Some(match reason {
        Some(Text { en, ko }) => text!("{name} failed: {en}", "{name} 실패: {ko}"),
        None => text!("{name} failed", "{name} 실패"),
    })
}

/// When the step must be looked at again if nothing else happens.
pub(crate) fn deadline(step: &Step, row: &StepRow) -> Option<Time> {
    match row.state {
        StepState::Running if !row.timed_out => {
            Some(row.started?.plus(Duration::from_millis(step.timeout_ms?)))
        }
        StepState::Waiting(_) => row.due,
        _ => None,
    }
}

impl State {
    /// Makes a command true.
    pub fn apply(&mut self, command: &Command, now: Time) {
        match command {
            Command::Enter(state) => {
                self.head.state = *state;
                self.head.finished = None;
                self.head.reason = None;
            }
            Command::Finish(state, reason) => {
                self.head.state = *state;
                self.head.finished = Some(now);
                self.head.reason = reason.clone();
            }
            Command::Ready(i)
            | Command::Skip(i, _)
            | Command::Wait(i, ..)
            | Command::Cancel(i)
            | Command::Stop(i, _)
            | Command::TimeOut(i) => {
                if let Some(row) = self.steps.get_mut(*i) {
                    row.apply(command, now);
                }
            }
        }
    }
}

impl StepRow {
    fn apply(&mut self, command: &Command, now: Time) {
        self.state = after(command, self.state);
        match command {
            Command::Ready(_) => {
                self.ready_at = Some(now);
                self.due = None;
            }
            Command::Wait(_, _, due) => self.due = *due,
            Command::Skip(_, reason) => {
                self.finished = Some(now);
                self.reason = Some(reason.clone());
            }
            Command::Cancel(_) => {
                self.finished = Some(now);
                self.due = None;
                self.reason = self.stop.clone();
            }
            Command::TimeOut(_) => self.timed_out = true,
            Command::Stop(_, why) => self.stop = Some(why.clone()),
            Command::Enter(_) | Command::Finish(..) => {}
        }
    }

    /// A slot was given: a new attempt begins, unless the infrastructure failed during the last.
    pub fn start(&mut self, epoch: u64, now: Time) {
        if self.setbacks == 0 {
            self.attempt += 1;
        }
        self.started = Some(now);
        self.state = StepState::Running;
        self.epoch = epoch;
        self.reason = None;
        self.exit_code = None;
        self.timed_out = false;
    }
}
