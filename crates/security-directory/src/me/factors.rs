//! Password, authenticator app, passkeys, recovery codes.

use super::{framed, person, principal};
use crate::sign_in::invitation::twice;
use crate::sign_in::second::enrol_form;
use crate::sign_in::{field, page};
use crate::{door, fresh, shown};
use account::credential::{Enrolment, FactorsView, available};
use kernel::{Error, Result};
use maud::{Markup, html};
use naru_http::{Call, Response, found, json};
use serde::Deserialize;
use serde_json::{Value, json};
use web::Reader;
use web::widget::{self, State, Tone};

const HERE: &str = "/account/sign-in";

pub(super) async fn show(call: Call) -> Result<Response> {
    drawn(&call, None, None).await
}

async fn drawn(call: &Call, wrong: Option<&Error>, codes: Option<&[String]>) -> Result<Response> {
    let held = call.site.accounts.factors(&person(call)?).await?;
    let shortest = call.site.accounts.sign_in_rules().await?.shortest_password;
    let passkeys = available(door::host(call));
    Ok(framed(call, HERE, wrong, |r| {
        html! {
            @if let Some(codes) = codes { @if !codes.is_empty() { (shown::recovery(r, codes)) } }
            (draw(r, &held, shortest, passkeys))
        }
    }))
}

/// Shows what went wrong on the page itself, when that is for its reader.
async fn said(call: &Call, outcome: Result<()>) -> Result<Response> {
    match outcome {
        Ok(()) => found(HERE),
        Err(error) if error.kind().status() < 500 => drawn(call, Some(&error), None).await,
        Err(error) => Err(error),
    }
}

pub(crate) fn draw(r: &Reader, held: &FactorsView, shortest: u32, passkeys: bool) -> Markup {
    html! {
        (widget::section("password", r.t("Password", "비밀번호"), since(r, held.password), password(r, held, shortest)))
        (widget::section("app", r.t("Authenticator app", "인증 앱"), since(r, held.totp), app(r, held)))
        (widget::section("passkeys", r.t("Passkeys", "패스키"), html! {}, keys(r, held, passkeys)))
        (widget::section("recovery", r.t("Recovery codes", "복구 코드"), html! {}, recovery(r, held)))
    }
}

fn since(r: &Reader, at: Option<kernel::Time>) -> Markup {
    html! {
        @match at {
            Some(at) => { (widget::badge(r, State::Passed, Some(r.t("set", "설정됨")))) span.faint { (widget::ago(r, at)) } }
            None => (widget::badge(r, State::Idle, Some(r.t("not set", "없음")))),
        }
    }
}

fn password(r: &Reader, held: &FactorsView, shortest: u32) -> Markup {
    html! {
        form.part-in.entries method="post" action="/account/password" {
            div.entry {
                label for="new" { (r.t("New password", "새 비밀번호")) }
                input #new type="password" name="password" required autocomplete="new-password" minlength=(shortest);
            }
            div.entry {
                label for="again" { (r.t("Once more", "한 번 더")) }
                input #again type="password" name="again" required autocomplete="new-password";
            }
            div.entry-wide {
                button.button.main { @if held.password.is_some() { (r.t("Change", "변경")) } @else { (r.t("Set", "설정")) } }
                span.faint { " " (r.t("ends your other sessions", "다른 세션을 모두 종료합니다")) }
            }
        }
    }
}

fn app(r: &Reader, held: &FactorsView) -> Markup {
    html! {
        div.part-in {
            @if held.totp.is_some() {
                (widget::post("/account/totp/remove", &[], html! { (r.t("Remove", "삭제")) }, Tone::Danger))
            } @else {
                p.soft { (r.t("An app on your phone shows a new code every thirty seconds", "휴대전화의 앱이 30초마다 새 코드를 보여 줍니다")) }
                p.actions { (widget::link_button("/account/totp", r.t("Set up", "등록"), Tone::Main)) }
            }
        }
    }
}

fn keys(r: &Reader, held: &FactorsView, available: bool) -> Markup {
    let heads = vec![
        ("grow", r.t("Name", "이름").to_owned()),
        ("wide", r.t("Host", "호스트").to_owned()),
        ("wide", r.t("Added", "추가한 때").to_owned()),
        ("", r.t("Last used", "마지막 사용").to_owned()),
        ("num", String::new()),
    ];
    let row = |p: &account::credential::PasskeyView| {
        let remove = widget::post(
            "/account/passkeys/remove",
            &[("id", &p.id)],
            html! { (r.t("Remove", "삭제")) },
            Tone::Danger,
        );
        let cells = vec![
            html! { strong { (p.name) } },
            html! { (p.host) },
            widget::ago(r, p.added),
            widget::ago_or_dash(r, p.last_used),
            remove,
        ];
        (None, cells)
    };
    html! {
        @if !held.passkeys.is_empty() {
            (widget::table(&widget::Table { heads, rows: held.passkeys.iter().map(row).collect() }))
        }
        div.part-in {
            p.soft { (r.t(
                "A passkey signs you in with a finger, a face or a PIN, and needs no password",
                "패스키는 지문, 얼굴, PIN으로 로그인하며 비밀번호가 필요 없습니다",
            )) }
            @if available {
                div.filter hidden data-passkey="add" data-refused=(r.t("The browser made no passkey", "브라우저가 패스키를 만들지 않았습니다")) {
                    label for="passkey-name" { (r.t("Name", "이름")) }
                    input #passkey-name type="text" maxlength="60" placeholder=(r.t("phone", "휴대전화"));
                    button.button type="button" { (r.t("Add a passkey", "패스키 추가")) }
                    p.passkey-said role="alert" hidden {}
                }
            } @else {
                p.soft { (r.t(
                    "Browsers offer them on https and on localhost, not at a bare address",
                    "브라우저는 https와 localhost에서만 패스키를 지원합니다. 숫자 주소에서는 쓸 수 없습니다",
                )) }
            }
        }
    }
}

fn recovery(r: &Reader, held: &FactorsView) -> Markup {
    html! {
        div.part-in {
            p.soft {
                (r.t("Left: ", "남은 코드: ")) strong { (held.recovery) }
                @if held.recovery == 0 && held.second() {
                    " · " (r.t("without one a lost phone locks you out", "휴대전화를 잃어버리면 로그인할 수 없게 됩니다"))
                }
            }
            @if held.second() {
                (widget::post("/account/recovery", &[], html! { (r.t("Make ten new ones", "새로 열 개 만들기")) }, Tone::Plain))
            }
        }
    }
}

pub(super) async fn set_password(mut call: Call) -> Result<Response> {
    if let Some(detour) = fresh::detour(&call, HERE) {
        return detour;
    }
    let form = call.form().await?;
    let user = person(&call)?;
    let new = form.get("password").cloned().unwrap_or_default();
    let outcome = if form.get("again") == Some(&new) {
        call.site.accounts.set_password(&user, new, call.who.clone()).await
    } else {
        Err(twice())
    };
    if outcome.is_ok() {
        super::sessions::end_others(&call).await?;
    }
    said(&call, outcome).await
}

pub(super) async fn show_totp(call: Call) -> Result<Response> {
    if let Some(detour) = fresh::detour(&call, "/account/totp") {
        return detour;
    }
    let enrolment = call.site.accounts.begin_totp(&person(&call)?, door::host(&call))?;
    Ok(totp_page(&call, &enrolment, None))
}

fn totp_page(call: &Call, enrolment: &Enrolment, wrong: Option<&Error>) -> Response {
    let r = crate::sign_in::reader(call, "/account/totp".into());
    let body = html! {
        section.sign {
            @if let Some(error) = wrong { (page::said(&r, error)) }
            div.part {
                h1 { (r.t("Authenticator app", "인증 앱")) }
                (enrol_form(&r, enrolment, "/account/totp", HERE))
            }
        }
    };
    page::framed(call, r.t("Authenticator app", "인증 앱"), body, wrong)
}

pub(super) async fn finish_totp(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let (code, digits) = (field(&form, "enrolment").to_owned(), field(&form, "code").to_owned());
    let (user, host) = (person(&call)?, door::host(&call).to_owned());
    let accounts = &call.site.accounts;
    match accounts.finish_totp(&user, &code, &digits).await {
        Ok(codes) if codes.is_empty() => found(HERE),
        Ok(codes) => drawn(&call, None, Some(&codes)).await,
        Err(error) => match accounts.enrolment(&code, &host) {
            Ok(enrolment) => Ok(totp_page(&call, &enrolment, Some(&error))),
            Err(_) => found("/account/totp"),
        },
    }
}

pub(super) async fn remove_totp(call: Call) -> Result<Response> {
    if let Some(detour) = fresh::detour(&call, HERE) {
        return detour;
    }
    let user = person(&call)?;
    let outcome = call.site.accounts.remove_totp(&user, principal(&user)).await;
    said(&call, outcome).await
}

pub(super) async fn renew(call: Call) -> Result<Response> {
    if let Some(detour) = fresh::detour(&call, HERE) {
        return detour;
    }
    let user = person(&call)?;
    let codes = call.site.accounts.renew_recovery(&user, principal(&user)).await?;
    drawn(&call, None, Some(&codes)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    #[serde(default)]
    name: String,
}

pub(super) async fn question(mut call: Call) -> Result<Response> {
    fresh::needed(&call)?;
    let named: Named = call.json().await?;
    let (user, host) = (person(&call)?, door::host(&call).to_owned());
    let (code, question) = call.site.accounts.begin_passkey(&user, &named.name, &host).await?;
    json(&json!({ "code": code, "question": question }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    code: String,
    answer: Value,
}

pub(super) async fn answer(mut call: Call) -> Result<Response> {
    let given: Answer = call.json().await?;
    let (user, host) = (person(&call)?, door::host(&call).to_owned());
    let accounts = &call.site.accounts;
    accounts.finish_passkey(&user, &given.code, given.answer, &host).await?;
    json(&json!({ "to": HERE }))
}

pub(super) async fn remove_passkey(mut call: Call) -> Result<Response> {
    if let Some(detour) = fresh::detour(&call, HERE) {
        return detour;
    }
    let form = call.form().await?;
    let user = person(&call)?;
    let id = field(&form, "id");
    let outcome = call.site.accounts.remove_passkey(&user, id, principal(&user)).await;
    said(&call, outcome).await
}
