//! Errors, by what their reader may do about them.

use kernel::{Error, Name, Text, text};

pub(crate) fn unknown(name: &Name) -> Error {
    Error::not_found(
        "environment.unknown",
        text!("there is no environment {name}", "{name} 환경이 없습니다"),
    )
    .hint(Text::fixed(
        "`naru environment list` shows them",
        "`naru environment list`로 목록을 볼 수 있습니다",
    ))
}

pub(crate) fn no_site(repository: &Name) -> Error {
    Error::not_found(
        "site.unknown",
        text!(
            "the repository {repository} has no web site",
            "{repository} 저장소에는 웹 사이트가 없습니다"
        ),
    )
}

/// Production is not ended from here.
pub(crate) fn production(name: &Name) -> Error {
    Error::conflict(
        "environment.production",
        text!(
            "{name} is production: it tells of what the services of the default branch do",
            "{name}은(는) 운영 환경입니다. 기본 브랜치의 서비스 상태를 보여 줍니다"
        ),
    )
    .hint(Text::fixed(
        "`naru delete service NAME` ends a service",
        "서비스를 끝내려면 `naru delete service 이름`",
    ))
}

pub(crate) fn open(name: &Name) -> Error {
    Error::conflict(
        "environment.open",
        text!("{name} has not been stopped", "{name}이(가) 정지되지 않았습니다"),
    )
    .hint(text!("`naru environment stop {name}` first", "먼저 `naru environment stop {name}`"))
}

pub(crate) fn stopped(name: &Name) -> Error {
    Error::conflict(
        "environment.stopped",
        text!("{name} is stopped", "{name}은(는) 정지되어 있습니다"),
    )
    .hint(Text::fixed(
        "run its deploying job again to open it",
        "배포 작업을 다시 실행하면 열립니다",
    ))
}

pub(crate) fn length(words: &str) -> Error {
    let shown = kernel::shown(words);
    Error::invalid(
        "environment.length",
        text!("“{shown}” is not a length of time", "“{shown}”은(는) 기간이 아닙니다"),
    )
    .hint(Text::fixed(
        "write it as `2h` or `3 days`, at most a year",
        "`2h`, `3 days`처럼 쓰세요. 최대 1년입니다",
    ))
}
