//! The second step of a sign-in, the one by which a first second factor is set up, and proving it once more.

use super::page::{framed, passkey, said};
use super::{field, is_answer, reader};
use crate::{door, qr, shown};
use account::credential::{Enrolment, Need, Proof, available};
use kernel::{Error, Name, Principal, Result};
use maud::{Markup, html};
use naru_http::front::cookie;
use naru_http::{Call, Response, found};
use std::collections::BTreeMap;
use web::{Reader, back};

/// The code of the half-open sign-in.
fn code(call: &Call) -> String {
    call.cookie(door::HALF).unwrap_or("").to_owned()
}

fn to(call: &Call) -> String {
    back(&call.query("back").unwrap_or_default()).to_owned()
}

pub(super) async fn show(call: Call) -> Result<Response> {
    let half = match call.site.accounts.half(&code(&call)) {
        Ok(half) => half,
        // Too late: start over, and not with an error page.
        Err(_) => return found(&format!("/sign-in?back={}", web::segment(&to(&call)))),
    };
    Ok(page(&call, half.need, &to(&call), None))
}

fn page(call: &Call, need: Need, to: &str, wrong: Option<&Error>) -> Response {
    let r = reader(call, format!("/sign-in/second?back={}", web::segment(to)));
    let Need::Second { totp, passkey, recovery } = need else {
        return framed(call, "naru", html! {}, wrong);
    };
    let passkey = passkey && available(door::host(call));
    let body = draw(&r, &Ways { totp, passkey, recovery, password: false }, "second", to, wrong);
    framed(call, r.t("Second step", "두 번째 단계"), body, wrong)
}

/// The ways that are open to somebody who has to prove something.
pub(crate) struct Ways {
    pub totp: bool,
    pub passkey: bool,
    pub recovery: bool,
    pub password: bool,
}

/// The form of the second step, or of `again`.
pub(crate) fn draw(r: &Reader, ways: &Ways, step: &str, to: &str, wrong: Option<&Error>) -> Markup {
    let action = format!("/sign-in/{step}");
    let title = match step {
        "again" => r.t("Is it still you?", "본인이 맞나요?"),
        _ => r.t("One more step", "한 단계 더"),
    };
    html! {
        section.sign {
            @if let Some(error) = wrong { (said(r, error)) }
            div.part {
                h1 { (title) }
                @if step == "again" {
                    p.soft { (r.t(
                        "What you are about to do needs a fresh proof; it counts for fifteen minutes",
                        "이 작업에는 본인 확인이 한 번 더 필요합니다. 15분 동안 유효합니다",
                    )) }
                }
                @if ways.password {
                    form method="post" action=(action) {
                        input type="hidden" name="back" value=(to);
                        label for="password" { (r.t("Password", "비밀번호")) }
                        input #password type="password" name="password" required autofocus autocomplete="current-password";
                        button.button.main { (r.t("Confirm", "확인")) }
                    }
                }
                @if ways.totp {
                    form method="post" action=(action) {
                        input type="hidden" name="back" value=(to);
                        label for="code" { (r.t("Code of the authenticator app", "인증 앱의 코드")) }
                        input #code type="text" name="code" required autofocus[!ways.password] inputmode="numeric" autocomplete="one-time-code"
                            pattern="[0-9 ]{6,8}" maxlength="8" placeholder="123 456";
                        button.button.main { (r.t("Confirm", "확인")) }
                    }
                }
                @if ways.passkey { (passkey(r, step, to)) }
            }
            @if ways.recovery {
                details.part.fold open[wrong.is_some_and(|e| e.code() == "recovery.wrong")] {
                    summary { (r.t("The phone is gone: use a recovery code", "휴대전화가 없다면: 복구 코드 쓰기")) }
                    form method="post" action=(action) {
                        input type="hidden" name="back" value=(to);
                        label for="recovery" { (r.t("Recovery code", "복구 코드")) }
                        input #recovery type="text" name="recovery" required autocomplete="off" spellcheck="false" maxlength="40"
                            placeholder="xxxx-xxxx-xxxx-xxxx";
                        button.button { (r.t("Confirm", "확인")) }
                    }
                }
            }
            @if !(ways.password || ways.totp || ways.passkey || ways.recovery) {
                div.part { p.soft { (r.t(
                    "You have neither password nor passkey yet. A new one-time link (`naru sign-in`) counts as a proof",
                    "아직 비밀번호도 패스키도 없습니다. 새 일회용 링크(`naru sign-in`)로 다시 로그인하면 됩니다",
                )) } }
            }
        }
    }
}

pub(super) async fn answer(mut call: Call) -> Result<Response> {
    door::from_here(&call)?;
    let form = call.form().await?;
    let (code, to) = (code(&call), back(field(&form, "back")).to_owned());
    let (visitor, host) = (door::visitor(&call), door::host(&call).to_owned());
    let need = match call.site.accounts.half(&code) {
        Ok(half) => half.need,
        Err(_) => return found(&format!("/sign-in?back={}", web::segment(&to))),
    };
    match call.site.accounts.second(&code, proof(&form), &visitor, &host).await {
        Ok(opened) => door::enter(&call, &opened, &to),
        Err(error) if is_answer(&error) => Ok(page(&call, need, &to, Some(&error))),
        Err(error) => Err(error),
    }
}

fn proof(form: &BTreeMap<String, String>) -> Proof {
    match (form.get("password"), field(form, "recovery")) {
        (Some(password), _) => Proof::Password(password.clone()),
        (None, "") => Proof::Totp(field(form, "code").to_owned()),
        (None, words) => Proof::Recovery(words.to_owned()),
    }
}

pub(super) async fn show_enrol(call: Call) -> Result<Response> {
    let host = door::host(&call).to_owned();
    match call.site.accounts.enrol_half(&code(&call), &host) {
        Ok(enrolment) => Ok(enrol_page(&call, &enrolment, &to(&call), None)),
        Err(_) => found(&format!("/sign-in?back={}", web::segment(&to(&call)))),
    }
}

fn enrol_page(call: &Call, enrolment: &Enrolment, to: &str, wrong: Option<&Error>) -> Response {
    let r = reader(call, format!("/sign-in/enrol?back={}", web::segment(to)));
    let body = html! {
        section.sign {
            @if let Some(error) = wrong { (said(&r, error)) }
            div.part {
                h1 { (r.t("Set up a second factor", "두 번째 인증 수단 등록")) }
                p.soft { (r.t(
                    "This naru asks everybody in your position for one",
                    "이 naru는 두 번째 인증 수단을 요구합니다",
                )) }
                (enrol_form(&r, enrolment, "/sign-in/enrol", to))
            }
        }
    };
    framed(call, r.t("Second factor", "두 번째 인증"), body, wrong)
}

/// The picture for the app, the secret for typing, and the field for its first code.
pub(crate) fn enrol_form(r: &Reader, enrolment: &Enrolment, action: &str, to: &str) -> Markup {
    html! {
        (qr::draw(r, &enrolment.uri))
        p.soft { (r.t("Scan it with an authenticator app, or type this in:", "인증 앱으로 찍거나 아래 글자를 입력하세요:")) }
        code.secret-words { (enrolment.secret) }
        form method="post" action=(action) {
            input type="hidden" name="back" value=(to);
            input type="hidden" name="enrolment" value=(enrolment.code);
            label for="code" { (r.t("The code that it shows then", "앱에 나타난 코드")) }
            input #code type="text" name="code" required autofocus inputmode="numeric" autocomplete="one-time-code"
                pattern="[0-9 ]{6,8}" maxlength="8" placeholder="123 456";
            button.button.main { (r.t("Confirm", "확인")) }
        }
    }
}

pub(super) async fn enrol(mut call: Call) -> Result<Response> {
    door::from_here(&call)?;
    let form = call.form().await?;
    let (code, to) = (code(&call), back(field(&form, "back")).to_owned());
    let (visitor, host) = (door::visitor(&call), door::host(&call).to_owned());
    let (enrolment, digits) = (field(&form, "enrolment"), field(&form, "code"));
    let accounts = &call.site.accounts;
    match accounts.finish_enrol(&code, enrolment, digits, &visitor).await {
        Ok((opened, codes)) => {
            let r = reader(&call, "/account".into());
            let title = r.t("Recovery codes", "복구 코드");
            let body =
                html! { section.sign { (shown::recovery(&r, &codes)) (shown::onward(&r, &to)) } };
            let mut response = framed(&call, title, body, None);
            door::carry(&call, &mut response, &opened)?;
            Ok(response)
        }
        Err(error) if is_answer(&error) => match accounts.enrolment(enrolment, &host) {
            Ok(shown) => Ok(enrol_page(&call, &shown, &to, Some(&error))),
            Err(_) => found(&format!("/sign-in/enrol?back={}", web::segment(&to))),
        },
        Err(_) => found(&format!("/sign-in?back={}", web::segment(&to))),
    }
}

/// The person who is signed in.
///
/// # Errors
/// `auth.person`, when it is not one.
pub(crate) fn person(call: &Call) -> Result<Name> {
    match &call.who {
        Principal::User(name) => Ok(name.clone()),
        _ => Err(Error::forbidden(
            "auth.person",
            kernel::Text::fixed("only people have this", "사람 계정에만 있는 기능입니다"),
        )),
    }
}

async fn again_page(call: &Call, to: &str, wrong: Option<&Error>) -> Result<Response> {
    let r = reader(call, format!("/sign-in/again?back={}", web::segment(to)));
    let held = call.site.accounts.factors(&person(call)?).await?;
    let ways = Ways {
        totp: held.totp.is_some(),
        passkey: !held.passkeys.is_empty() && available(door::host(call)),
        recovery: false,
        password: held.password.is_some(),
    };
    let body = draw(&r, &ways, "again", to, wrong);
    Ok(framed(call, r.t("Is it still you?", "본인이 맞나요?"), body, wrong))
}

pub(super) async fn show_again(call: Call) -> Result<Response> {
    again_page(&call, &to(&call), None).await
}

pub(super) async fn again(mut call: Call) -> Result<Response> {
    door::from_here(&call)?;
    let form = call.form().await?;
    let (user, to) = (person(&call)?, back(field(&form, "back")).to_owned());
    let (visitor, host) = (door::visitor(&call), door::host(&call).to_owned());
    let session = cookie::session(&call).unwrap_or("").to_owned();
    let accounts = &call.site.accounts;
    match accounts.prove_again(&user, &session, proof(&form), &visitor, &host).await {
        Ok(renewed) => {
            let mut response = found(&to)?;
            door::renew(&call, &mut response, &renewed)?;
            Ok(response)
        }
        Err(error) if is_answer(&error) => again_page(&call, &to, Some(&error)).await,
        Err(error) => Err(error),
    }
}
