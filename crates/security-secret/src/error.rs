//! What goes wrong with secrets of projects.

use kernel::{Error, Name, Text, text};

/// Not there, and not for whoever asks, look alike: names cannot be guessed.
pub(crate) fn unknown(words: &str) -> Error {
    let shown = kernel::shown(words);
    Error::not_found(
        "secret.unknown",
        text!("there is no secret {shown} here", "여기에는 {shown} 비밀 값이 없습니다"),
    )
    .hint(text!(
        "`naru secret list` shows the project's; its environments and whether it is for protected branches only count, too",
        "`naru secret list`로 프로젝트의 비밀 값을 보세요. 환경과 보호 브랜치 조건도 맞아야 합니다"
    ))
}

/// The way to accounts that are still out.
pub(crate) fn needed(name: &Name) -> Error {
    Error::conflict(
        "secret.needed",
        text!(
            "accounts that were made with {name} are still to be taken back",
            "{name}(으)로 만든 계정을 아직 회수하지 못했습니다"
        ),
    )
    .hint(Text::fixed(
        "end them with `naru lease revoke` and wait until `naru lease list` has none",
        "`naru lease revoke`로 끝내고 `naru lease list`가 빌 때까지 기다리세요",
    ))
}

pub(crate) fn lends(name: &Name) -> Error {
    value(text!(
        "{name} lends accounts and has no value of its own",
        "{name}은(는) 계정을 빌려주며 자기 값이 없습니다"
    ))
}

pub(crate) fn value(say: Text) -> Error {
    Error::invalid("secret.value", say)
}

pub(crate) fn too_many(most: usize) -> Error {
    Error::conflict(
        "secret.too-many",
        text!(
            "the project has {most} secrets already",
            "프로젝트에 이미 비밀 값이 {most}개 있습니다"
        ),
    )
    .hint(Text::fixed("remove those that nobody uses", "쓰지 않는 것을 지우세요"))
}
