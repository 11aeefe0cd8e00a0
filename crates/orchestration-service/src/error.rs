//! Errors, by what their reader may do about them.

use kernel::{Error, ErrorKind, Name, Text, text};

pub(crate) fn spec(say: Text, hint: Text) -> Error {
    Error::invalid("service.spec", say).hint(hint)
}

pub(crate) fn unknown_service(name: &Name) -> Error {
    Error::not_found(
        "service.unknown",
        text!("there is no service {name}", "{name} 서비스가 없습니다"),
    )
    .hint(Text::fixed(
        "`naru service list` shows them",
        "`naru service list`로 목록을 볼 수 있습니다",
    ))
}

pub(crate) fn unknown_release(name: &str) -> Error {
    let shown: String = name.chars().take(80).flat_map(char::escape_default).collect();
    Error::not_found(
        "release.unknown",
        text!(
            "there is no release {shown}, or it is too old to go back to",
            "{shown} 릴리스가 없거나, 되돌아가기에는 너무 오래되었습니다"
        ),
    )
    .hint(Text::fixed(
        "`naru service show` lists the releases that are kept",
        "`naru service show`에서 보관 중인 릴리스를 볼 수 있습니다",
    ))
}

pub(crate) fn nothing_released(name: &Name) -> Error {
    Error::conflict(
        "service.empty",
        text!("{name} has not been released yet", "{name}은(는) 아직 릴리스되지 않았습니다"),
    )
    .hint(Text::fixed("push to the default branch", "기본 브랜치에 푸시하세요"))
}

pub(crate) fn no_earlier(name: &Name) -> Error {
    Error::conflict(
        "rollback.nothing",
        text!(
            "{name} has no earlier release that served",
            "{name}에 이전에 서비스한 릴리스가 없습니다"
        ),
    )
    .hint(Text::fixed(
        "name one: `naru rollback SERVICE RELEASE`",
        "릴리스를 지정하세요: `naru rollback SERVICE RELEASE`",
    ))
}

pub(crate) fn already_serves(release: &Name) -> Error {
    Error::conflict(
        "rollback.current",
        text!("{release} is what serves now", "지금 서비스 중인 릴리스가 {release}입니다"),
    )
}

pub(crate) fn unknown_instance(id: &str) -> Error {
    let shown: String = id.chars().take(160).flat_map(char::escape_default).collect();
    Error::not_found(
        "instance.unknown",
        text!("there is no instance {shown}", "{shown} 인스턴스가 없습니다"),
    )
}

/// The server is not ready for it yet: only at boot.
pub(crate) fn not_started() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "services.starting",
        Text::fixed("naru is still starting", "naru가 아직 시작하는 중입니다"),
    )
}
