//! Errors, by what their reader may do about them.

use kernel::{Error, ErrorKind, Name, Text, text};

pub(crate) fn spec(say: Text, hint: Text) -> Error {
    Error::invalid("service.spec", say).hint(hint)
}

pub(crate) fn copy(service: &Name, environment: &Name) -> Error {
    Error::conflict(
        "service.copy",
        text!(
            "{service} is a copy of the environment {environment} and goes with it",
            "{service}은(는) {environment} 환경의 복사본이라 환경과 함께 사라집니다"
        ),
    )
    .hint(text!(
        "`naru environment stop {environment}` stops it",
        "`naru environment stop {environment}`로 환경을 중지하세요"
    ))
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

/// A name that is in use in another place; `None` is production.
pub(crate) fn elsewhere(service: &Name, environment: Option<&Name>) -> Error {
    let say = match environment {
        Some(environment) => text!(
            "{service} is what a copy of a service is called in the environment {environment}",
            "{service}은(는) {environment} 환경에 있는 서비스 복사본의 이름입니다"
        ),
        None => text!(
            "{service} is a service of production",
            "{service}은(는) 운영 중인 서비스의 이름입니다"
        ),
    };
    Error::conflict("service.owned", say)
        .hint(Text::fixed("choose another name", "다른 이름을 고르세요"))
}

pub(crate) fn no_project(name: &Name) -> Error {
    Error::not_found(
        "project.unknown",
        text!("the project {name} is gone", "{name} 프로젝트가 없어졌습니다"),
    )
}

pub(crate) fn unknown_release(name: &str) -> Error {
    let shown = kernel::shown(name);
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
    let shown = kernel::shown(id);
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

pub(crate) fn unknown_change(name: &Name) -> Error {
    Error::not_found("change.unknown", text!("there is no change {name}", "{name} 변경이 없습니다"))
        .hint(Text::fixed(
            "`naru change list` shows them",
            "`naru change list`로 목록을 볼 수 있습니다",
        ))
}

pub(crate) fn pipeline_running(change: &Name) -> Error {
    Error::conflict(
        "change.running",
        text!(
            "the pipeline of {change} has not ended",
            "{change}의 파이프라인이 끝나지 않았습니다"
        ),
    )
    .hint(text!(
        "`naru change show {change}` tells how far it is",
        "`naru change show {change}`로 진행 상황을 볼 수 있습니다"
    ))
}

pub(crate) fn pipeline_failed(change: &Name) -> Error {
    Error::conflict(
        "change.failed",
        text!(
            "the pipeline of {change} did not pass",
            "{change}의 파이프라인이 통과하지 못했습니다"
        ),
    )
    .hint(text!(
        "`naru change show {change}` says why; only what has passed is deployed",
        "까닭은 `naru change show {change}`에 있습니다. 통과한 변경만 배포할 수 있습니다"
    ))
}
