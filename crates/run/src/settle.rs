//! What an attempt's outcome makes of its step. Pure.

use crate::state::{Attempt, StepRow};
use crate::{EXCUSED, Outcome, Step, StepState, Wait};
use kernel::{Text, Time, text};
use serde_json::Value;
use std::time::Duration;

/// Largest output kept in a row, in bytes of JSON.
const MAX_OUTPUT: usize = 64 * 1024;
/// Largest output kept of an attempt that another one follows: there may be a hundred of them.
const MAX_EARLIER: usize = 16 * 1024;
/// Longest sentence kept of an actor's reason, in characters.
const MAX_SAY: usize = 1_000;
const MAX_CLASS: usize = 64;
/// Infrastructure failures of one attempt before it counts as failed.
pub(crate) const MAX_SETBACKS: u32 = 20;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What became of the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Finished,
    /// The attempt failed; another follows.
    Retried,
    /// The infrastructure failed; the same attempt goes on after a pause.
    SetBack,
}

struct Failure {
    class: String,
    exit_code: Option<i32>,
    say: Text,
    output: Value,
}

/// Writes the outcome of the attempt under way into its row. `None`: there is nothing to record.
pub(crate) fn settle(
    step: &Step,
    row: &mut StepRow,
    canceled: bool,
    outcome: Outcome,
    now: Time,
) -> Option<Settled> {
    let failure = match outcome {
        Outcome::LetGo => return None,
        _ if row.timed_out => timeout(step),
        Outcome::Done(output) => match size(&output) {
            size if size <= MAX_OUTPUT => {
                row.output = output;
                return Some(finish(row, StepState::Passed, None, now));
            }
            size => oversized(size),
        },
        _ if canceled => {
            row.reason = row.stop.clone();
            return Some(finish(row, StepState::Canceled, None, now));
        }
        Outcome::Infrastructure { say } if row.setbacks < MAX_SETBACKS => {
            return Some(set_back(row, say, now));
        }
        Outcome::Infrastructure { say } => {
            Failure { class: "infrastructure".into(), exit_code: None, say, output: Value::Null }
        }
        Outcome::Failed { class, exit_code, say, output } => {
            let output = if size(&output) <= MAX_OUTPUT { output } else { Value::Null };
            let class = class.chars().take(MAX_CLASS).collect();
            Failure { class, exit_code, say, output }
        }
    };
    Some(fail(step, row, canceled, failure, now))
}

fn fail(step: &Step, row: &mut StepRow, canceled: bool, failure: Failure, now: Time) -> Settled {
    let retry = &step.retry;
    let any = retry.only.is_empty() && retry.exit_codes.is_empty();
    let wanted = any
        || retry.only.contains(&failure.class)
        || failure.exit_code.is_some_and(|code| retry.exit_codes.contains(&code));
    let excused = failure.class == EXCUSED;
    let again = wanted && !excused && row.attempt <= retry.max && !canceled;
    let by_code = failure.exit_code.is_some_and(|code| step.allow_exit_codes.contains(&code));
    let allowed = excused || by_code;
    row.output = failure.output;
    row.exit_code = failure.exit_code;
    row.reason = Some(shorten(failure.say));
    let state = match (again, allowed || step.allow_failure) {
        (false, true) => StepState::AllowedFailure,
        _ => StepState::Failed,
    };
    let settled = finish(row, state, Some(failure.class), now);
    if !again {
        return settled;
    }
    row.finished = None;
    if let Some(attempt) = row.attempts.last_mut().filter(|_| size(&row.output) <= MAX_EARLIER) {
        attempt.output = row.output.clone();
    }
    pause(row, doubled(retry.backoff_ms, row.attempt.saturating_sub(1)), now);
    Settled::Retried
}

fn finish(row: &mut StepRow, state: StepState, class: Option<String>, now: Time) -> Settled {
    row.attempts.push(Attempt {
        attempt: row.attempt,
        started: row.started.unwrap_or(now),
        finished: now,
        state,
        class,
        exit_code: row.exit_code,
        reason: row.reason.clone(),
        output: Value::Null,
    });
    row.state = state;
    row.finished = Some(now);
    row.setbacks = 0;
    Settled::Finished
}

fn set_back(row: &mut StepRow, say: Text, now: Time) -> Settled {
    pause(row, doubled(1_000, row.setbacks), now);
    row.setbacks += 1;
    row.reason = Some(shorten(say));
    Settled::SetBack
}

fn pause(row: &mut StepRow, length: Duration, now: Time) {
    row.state = StepState::Waiting(Wait::Retry);
    row.due = Some(now.plus(length));
}

fn doubled(first_ms: u64, times: u32) -> Duration {
    let ms = first_ms.saturating_mul(1_u64.checked_shl(times.min(32)).unwrap_or(u64::MAX));
    Duration::from_millis(ms).min(LONGEST_PAUSE)
}

fn timeout(step: &Step) -> Failure {
    let say = overtime(step.timeout_ms.unwrap_or(0));
    Failure { class: "timeout".into(), exit_code: None, say, output: Value::Null }
}

/// Why a step was stopped when its time was over.
pub(crate) fn overtime(limit_ms: u64) -> Text {
    let limit = crate::show::duration(Duration::from_millis(limit_ms));
    let (en, ko) = (limit.en, limit.ko);
    text!("it ran longer than {en}", "제한 시간({ko})을 넘겼습니다")
}

fn oversized(size: usize) -> Failure {
    let say = text!(
        "its output has {size} bytes, the limit is {MAX_OUTPUT}: put large results into artifacts",
        "출력이 {size}바이트로 제한 {MAX_OUTPUT}바이트를 넘었습니다. 큰 결과는 아티팩트에 넣으세요"
    );
    Failure { class: "output".into(), exit_code: None, say, output: Value::Null }
}

fn size(value: &Value) -> usize {
    if value.is_null() { 0 } else { value.to_string().len() }
}

pub(crate) fn shorten(say: Text) -> Text {
    let short = |words: &str| words.chars().take(MAX_SAY).collect::<String>();
    if say.en.len() <= MAX_SAY && say.ko.len() <= MAX_SAY {
        return say;
    }
    Text::new(short(&say.en), short(&say.ko))
}
