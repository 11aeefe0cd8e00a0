//! Errors, by what their reader may do about them.

use crate::kind::WORDS;
use crate::plan::Blocker;
use kernel::{Error, Text, text};

pub(crate) fn unknown(number: &str) -> Error {
    let shown = kernel::shown(number);
    Error::not_found(
        "merge-request.unknown",
        text!("there is no merge request {shown}", "{shown}번 머지 요청이 없습니다"),
    )
    .hint(Text::fixed(
        "`naru merge-request list --all` shows them",
        "`naru merge-request list --all`로 목록을 볼 수 있습니다",
    ))
}

pub(crate) fn branch(name: &str) -> Error {
    let shown = kernel::shown(name);
    Error::not_found(
        "branch.unknown",
        text!("there is no branch “{shown}”", "“{shown}” 브랜치가 없습니다"),
    )
    .hint(Text::fixed("push it first", "먼저 푸시하세요"))
}

pub(crate) fn same(branch: &str) -> Error {
    let shown = kernel::shown(branch);
    Error::invalid(
        "merge-request.same",
        text!(
            "{shown} cannot be merged into itself",
            "{shown} 브랜치를 자기 자신에 병합할 수 없습니다"
        ),
    )
    .hint(Text::fixed("name another target", "다른 대상 브랜치를 쓰세요"))
}

pub(crate) fn there(number: u64) -> Error {
    Error::conflict(
        "merge-request.exists",
        text!(
            "merge request !{number} is open for these branches already",
            "이 브랜치들에는 이미 열린 머지 요청 !{number}이 있습니다"
        ),
    )
    .hint(text!("`naru merge-request show {number}`", "`naru merge-request show {number}`"))
}

pub(crate) fn over(number: u64, state: crate::State) -> Error {
    let Text { en, ko } = state.text();
    Error::conflict(
        "merge-request.over",
        text!("merge request !{number} is {en}", "머지 요청 !{number}: {ko}"),
    )
}

pub(crate) fn not_closed(number: u64) -> Error {
    Error::conflict(
        "merge-request.not-closed",
        text!("merge request !{number} is not closed", "머지 요청 !{number}은 닫혀 있지 않습니다"),
    )
}

/// All that is in the way, and what to do about the first.
pub(crate) fn blocked(number: u64, blockers: &[Blocker]) -> Error {
    let join = |pick: fn(&Text) -> &str| {
        let words: Vec<String> = blockers.iter().map(|b| pick(&b.text()).to_owned()).collect();
        words.join("; ")
    };
    let (en, ko) = (join(|t| &t.en), join(|t| &t.ko));
    let error = Error::conflict(
        "merge-request.blocked",
        text!("!{number} cannot be merged: {en}", "!{number}을 병합할 수 없습니다: {ko}"),
    );
    match blockers.first() {
        Some(first) => error.hint(first.todo()),
        None => error,
    }
}

pub(crate) fn long() -> Error {
    Error::invalid(
        "merge-request.long",
        text!("that is longer than {WORDS} bytes", "{WORDS}바이트보다 깁니다"),
    )
}

pub(crate) fn empty() -> Error {
    Error::invalid("comment.empty", Text::fixed("the comment is empty", "댓글이 비어 있습니다"))
}

pub(crate) fn full() -> Error {
    Error::conflict(
        "comment.full",
        Text::fixed("there are too many comments already", "댓글이 너무 많아 더 달 수 없습니다"),
    )
}

pub(crate) fn own() -> Error {
    Error::conflict(
        "merge-request.own",
        Text::fixed("nobody approves their own work", "자신의 작업은 승인할 수 없습니다"),
    )
    .hint(Text::fixed("ask somebody else", "다른 사람에게 부탁하세요"))
}

pub(crate) fn no_person() -> Error {
    Error::forbidden(
        "merge-request.person",
        Text::fixed("only people approve", "승인은 사람만 할 수 있습니다"),
    )
}

pub(crate) fn no_thread() -> Error {
    Error::not_found(
        "thread.unknown",
        Text::fixed("there is no such thread", "그런 스레드가 없습니다"),
    )
}

pub(crate) fn no_line() -> Error {
    Error::invalid(
        "comment.line",
        Text::fixed("that line is not part of the diff", "그 줄은 변경 사항에 없습니다"),
    )
    .hint(Text::fixed(
        "name a file, a line and a side (`old` or `new`) that `diff` shows",
        "`diff`에 보이는 파일, 줄, 쪽(`old`, `new`)을 쓰세요",
    ))
}
