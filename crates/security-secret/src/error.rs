//! What goes wrong with secrets of projects.

use kernel::{Error, Text, text};

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
