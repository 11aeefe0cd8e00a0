//! Why a request, or a decision about one, is not taken.

use super::PENDING;
use kernel::{Error, Name, Text, text};

pub(super) fn unknown(id: &Name) -> Error {
    Error::not_found(
        "access.unknown",
        text!("there is no access request {id}", "{id} 권한 요청이 없습니다"),
    )
    .hint(Text::fixed("`naru access list` shows them", "`naru access list`로 확인하세요"))
}

pub(super) fn decided(id: &Name) -> Error {
    Error::conflict(
        "access.decided",
        text!("{id} is not open any more", "{id}은(는) 이미 끝났습니다"),
    )
}

pub(super) fn not_oneself() -> Error {
    Error::forbidden(
        "access.own",
        Text::fixed(
            "somebody else has to approve this: a person who neither asked nor gains",
            "요청하지도, 권한을 얻지도 않는 다른 사람이 승인해야 합니다",
        ),
    )
}

pub(super) fn not_given() -> Error {
    Error::invalid(
        "access.give",
        Text::fixed("that cannot be given there", "그곳에 줄 수 없는 권한입니다"),
    )
    .hint(Text::fixed(
        "roles of projects are given on project/NAME, roles of the platform on platform, actions on what they are done to",
        "프로젝트 역할은 project/NAME에, 플랫폼 역할은 platform에, 동작은 그 대상에 줍니다",
    ))
}

pub(super) fn asked() -> Error {
    Error::conflict(
        "access.asked",
        Text::fixed("that has been asked for already", "이미 요청한 권한입니다"),
    )
    .hint(Text::fixed("`naru access list` shows it", "`naru access list`로 확인하세요"))
}

pub(super) fn too_many() -> Error {
    Error::conflict(
        "access.too-many",
        text!(
            "{PENDING} requests of yours are undecided",
            "결정되지 않은 요청이 {PENDING}개 있습니다"
        ),
    )
    .hint(Text::fixed("revoke those you do not need", "필요 없는 요청은 취소하세요"))
}
