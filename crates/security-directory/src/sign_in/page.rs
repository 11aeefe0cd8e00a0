//! The sign-in page.

use super::{field, reader};
use crate::door;
use account::credential::available;
use http::StatusCode;
use kernel::Error;
use maud::{Markup, html};
use naru_http::{Call, Response};
use std::collections::BTreeMap;
use web::widget::{self, State};
use web::{Page, Reader};

/// What went wrong, and what was typed.
pub(super) type Wrong<'a> = Option<(&'a Error, &'a BTreeMap<String, String>)>;

pub(super) fn answer(call: &Call, back: &str, wrong: Wrong<'_>) -> Response {
    let r = reader(call, format!("/sign-in?back={}", web::segment(back)));
    let typed = wrong.map_or("", |(_, form)| field(form, "name"));
    let body = draw(&r, back, typed, wrong.map(|w| w.0), available(door::host(call)));
    framed(call, r.t("Sign in", "로그인"), body, wrong.map(|w| w.0))
}

/// A page with the status of what went wrong.
pub(crate) fn framed(call: &Call, title: &str, body: Markup, wrong: Option<&Error>) -> Response {
    let page = Page { title: title.to_owned(), bare: true, ..Page::default() };
    let mut response = web::page(call, &page, body);
    if let Some(error) = wrong {
        let status = StatusCode::from_u16(error.kind().status());
        *response.status_mut() = status.unwrap_or(StatusCode::BAD_REQUEST);
    }
    response
}

pub(crate) fn said(r: &Reader, error: &Error) -> Markup {
    let hint = error.get_hint().map(|h| h.get(r.lang));
    widget::flash(State::Failed, error.say().get(r.lang), hint)
}

pub(crate) fn draw(
    r: &Reader,
    back: &str,
    typed: &str,
    wrong: Option<&Error>,
    passkeys: bool,
) -> Markup {
    html! {
        section.sign {
            (crossing())
            @if let Some(error) = wrong { (said(r, error)) }
            div.part {
                h1 { (r.t("Come aboard", "나루에 오르세요")) }
                form method="post" action="/sign-in" {
                    input type="hidden" name="back" value=(back);
                    label for="name" { (r.t("Name", "이름")) }
                    input #name type="text" name="name" value=(typed) required autofocus[typed.is_empty()] autocomplete="username webauthn"
                        autocapitalize="none" spellcheck="false" maxlength="64";
                    label for="password" { (r.t("Password", "비밀번호")) }
                    input #password type="password" name="password" required autofocus[!typed.is_empty()] autocomplete="current-password";
                    button.button.main { (r.t("Sign in", "로그인")) }
                }
                @if passkeys { (passkey(r, "sign-in", back)) }
            }
            details.part.fold open[wrong.is_some_and(|e| e.code() == "token.wrong")] {
                summary { (r.t("With an access token", "접근 토큰으로")) }
                form method="post" action="/sign-in" {
                    input type="hidden" name="back" value=(back);
                    label for="token" { (r.t("Access token", "접근 토큰")) }
                    input #token type="password" name="token" required autocomplete="off" placeholder="naru_…" spellcheck="false";
                    button.button { (r.t("Sign in", "로그인")) }
                }
            }
            (help(r))
        }
    }
}

fn help(r: &Reader) -> Markup {
    html! {
        details.part.fold {
            summary { (r.t("The first time, or when nothing works", "처음이거나 다른 방법이 없다면")) }
            p.soft { (r.t(
                "Somebody who runs this naru invites you with a link. On the machine that runs naru this prints a link that signs you in once:",
                "naru 관리자에게 초대 링크를 받으세요. naru가 실행되는 기계에서 아래 명령을 쓰면 한 번 쓸 수 있는 로그인 링크가 나옵니다:",
            )) }
            (widget::copyable(r, "naru sign-in"))
            p.soft {
                code { "naru up" }
                (r.t(" prints one, too, when it is ready.", "도 준비가 되면 링크를 보여 줍니다."))
            }
        }
    }
}

/// A button that asks the browser for a passkey; `passkey.js` shows it where there are any.
pub(crate) fn passkey(r: &Reader, purpose: &str, back: &str) -> Markup {
    html! {
        div.passkey hidden data-passkey=(purpose) data-back=(back)
            data-refused=(r.t("The browser showed no passkey", "브라우저가 패스키를 보여 주지 않았습니다")) {
            button.button type="button" { (r.t("Use a passkey", "패스키 쓰기")) }
            p.passkey-said role="alert" hidden {}
        }
    }
}

/// The picture of the house: a ferry between two banks.
pub(super) fn crossing() -> Markup {
    html! {
        svg.sign-art viewBox="0 0 430 110" aria-hidden="true" {
            path.bank d="M0 66c30-3 44-16 78-19 8 0 14 2 20 5v58H0ZM430 66c-30-3-44-16-78-19-8 0-14 2-20 5v58h98Z" {}
            path.pier d="M84 56h34M346 56h-34" {}
            path.water d="M92 78c14 0 14-6 28-6s14 6 28 6 14-6 28-6 14 6 28 6 14-6 28-6 14 6 28 6 14-6 28-6 14 6 28 6 14-6 22-6v38H92Z" {}
            g {
                path.sail d="M212 18v38h-27c12-9 21-22 27-38ZM218 26c8 7 14 17 18 30h-18Z" {}
                path.hull d="M172 60h86c-3 11-9 17-18 20h-50c-9-3-15-9-18-20Z" {}
            }
        }
    }
}
