//! What goes wrong with sealed values, and what to do about it.

use kernel::{Error, ErrorKind, Name, Text, text};

/// What was stored does not open with the key that sealed it.
pub(crate) fn damaged(what: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        "secret.damaged",
        Text::fixed(
            "a sealed value does not open: it was changed, moved or sealed with another key",
            "봉인된 값이 열리지 않습니다. 바뀌었거나 옮겨졌거나 다른 키로 봉인된 값입니다",
        ),
    )
    .hint(Text::fixed(
        "set the secret again, or restore the data directory together with its key",
        "비밀 값을 다시 설정하거나, 데이터 디렉터리와 키를 함께 복원하세요",
    ))
    .why(format!("it does not fit in {what}"))
}

/// The master key is not there, or is not the one.
pub(crate) fn master_key(say: Text, hint: Text) -> Error {
    Error::new(ErrorKind::Unavailable, "secret.master-key", say).hint(hint)
}

/// Something else keeps the master key than what naru was started with.
pub(crate) fn other_kind(wrapped: &str, given: &str) -> Error {
    master_key(
        text!(
            "the values are sealed with a master key of kind `{wrapped}`, and naru was started with `{given}`",
            "값은 `{wrapped}` 종류의 마스터 키로 봉인되었는데 naru는 `{given}`(으)로 시작했습니다"
        ),
        text!(
            "start naru with `{wrapped}` as before; to move from one to the other, name the old one as the one before",
            "예전처럼 `{wrapped}`(으)로 시작하세요. 옮기려면 예전 것을 이전 마스터 키로 함께 지정하세요"
        ),
    )
}

/// Whoever keeps the master key does not answer.
pub(crate) fn kms(place: &str, why: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "secret.kms",
        text!(
            "the key service {place} does not answer",
            "키 서비스 {place}이(가) 응답하지 않습니다"
        ),
    )
    .hint(Text::fixed(
        "sealed values are opened again as soon as it does",
        "응답하면 곧바로 봉인된 값을 다시 열 수 있습니다",
    ))
    .why(why)
}

/// Nothing can be sealed or opened, and why.
pub(crate) fn locked(why: &Error) -> Error {
    let (en, ko) = (&why.say().en, &why.say().ko);
    let error = Error::new(
        ErrorKind::Unavailable,
        "secret.locked",
        text!("secrets are locked: {en}", "비밀 값이 잠겨 있습니다. {ko}"),
    );
    match why.get_hint() {
        Some(hint) => error.hint(hint.clone()),
        None => error,
    }
    .why(why.get_why().unwrap_or(why.code()))
}

/// A newer key has taken over while something was sealed with the one before: once more.
pub(crate) fn overtaken() -> Error {
    Error::conflict(
        "secret.key-renewed",
        Text::fixed("the keys were renewed in this moment", "지금 막 키가 갱신되었습니다"),
    )
    .hint(Text::fixed("try again", "다시 시도하세요"))
}

pub(crate) fn empty(name: &Name, version: Option<u32>) -> Error {
    match version {
        Some(version) => Error::not_found(
            "secret.empty",
            text!(
                "the secret {name} has no version {version} any more",
                "{name} 비밀 값에 버전 {version}이(가) 없습니다"
            ),
        )
        .hint(text!(
            "`naru secret show {name}` lists its versions",
            "`naru secret show {name}`이 버전을 보여 줍니다"
        )),
        None => Error::not_found(
            "secret.empty",
            text!("the secret {name} has no value", "{name} 비밀 값이 비어 있습니다"),
        )
        .hint(text!(
            "`naru secret set {name}` gives it one",
            "`naru secret set {name}`으로 값을 넣으세요"
        )),
    }
}
