//! What can be wrong with a request to the engine.

use crate::RunState;
use kernel::{Error, ErrorKind, Text, text};

pub(crate) fn unknown_run(id: &str) -> Error {
    let shown = kernel::shown(id);
    Error::not_found("run.unknown", text!("there is no run {shown}", "{shown} 실행이 없습니다"))
        .hint(Text::fixed(
            "list the project's runs to find its id",
            "프로젝트의 실행 목록에서 id를 찾아보세요",
        ))
}

pub(crate) fn unknown_step(name: &str) -> Error {
    let shown = kernel::shown(name);
    Error::not_found(
        "step.unknown",
        text!("this run has no step “{shown}”", "이 실행에 “{shown}” 단계가 없습니다"),
    )
}

pub(crate) fn not_waiting(step: &str, state: &Text) -> Error {
    let (en, ko) = (&state.en, &state.ko);
    Error::conflict(
        "step.not_waiting",
        Text::new(
            format!("{step} does not wait to be started by hand: it is {en}"),
            format!("{step} 단계는 수동 시작을 기다리고 있지 않습니다. 지금 상태: {ko}"),
        ),
    )
    .hint(Text::fixed("to run it again, retry it", "다시 실행하려면 재시도하세요"))
}

pub(crate) fn finished(state: RunState) -> Error {
    let state = state.text();
    let (en, ko) = (state.en, state.ko);
    Error::conflict(
        "run.finished",
        text!("the run has already finished: {en}", "실행이 이미 끝났습니다: {ko}"),
    )
}

pub(crate) fn unfinished() -> Error {
    Error::conflict(
        "run.unfinished",
        Text::fixed("the run has not finished yet", "실행이 아직 끝나지 않았습니다"),
    )
    .hint(Text::fixed("wait for it, or cancel it first", "끝날 때까지 기다리거나 먼저 취소하세요"))
}

pub(crate) fn nothing_to_retry() -> Error {
    Error::conflict(
        "run.nothing_to_retry",
        Text::fixed("every step of this run passed", "이 실행의 모든 단계가 통과했습니다"),
    )
    .hint(Text::fixed(
        "name a step to run it and what depends on it again",
        "단계를 지정하면 그 단계와 뒤따르는 단계를 다시 실행합니다",
    ))
}

/// Another engine has opened the same store; this one may no longer write.
pub(crate) fn fenced() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "run.fenced",
        Text::fixed(
            "another naru has taken over the runs of this data directory",
            "다른 naru가 이 데이터 디렉터리의 실행을 넘겨받았습니다",
        ),
    )
}

pub(crate) fn stopped() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "run.stopped",
        Text::fixed("the run engine is shutting down", "실행 엔진이 종료되는 중입니다"),
    )
}

pub(crate) fn busy() -> Error {
    Error::new(
        ErrorKind::Busy,
        "run.busy",
        Text::fixed(
            "the run engine did not answer in time",
            "실행 엔진이 제때 응답하지 않았습니다",
        ),
    )
    .hint(Text::fixed("try again in a moment", "잠시 뒤 다시 시도하세요"))
}
