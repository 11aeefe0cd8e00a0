//! What a person is asked on the way to an application: whether they agree, and as whom.

use crate::Application;
use crate::Sso;
use crate::device::Device;
use crate::endpoint::authorize::{SINCE, Wanted, answered};
use crate::kind::SCOPES;
use http::StatusCode;
use kernel::{Error, Result};
use maud::{Markup, html};
use naru_http::{Access, Call, Response, Route, found};
use std::collections::BTreeSet;
use web::widget::{self, State};
use web::{Page, Reader};

pub(crate) const ROUTES: &[Route] = &[Route::post(
    "/application-answer",
    Access::SignedIn,
    ("answer an application's request", "애플리케이션의 요청에 답하기"),
    |c| Box::pin(answer(c)),
)];

async fn answer(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let sso = call.part::<Sso>()?;
    let request = form.get("request").map(String::as_str).unwrap_or_default().to_owned();
    match form.get("answer").map(String::as_str) {
        Some("agree") => answered(&call, &sso, &request, true).await,
        Some("other") => {
            if let Some(cookie) = naru_http::front::cookie::session(&call) {
                sso.accounts.close_session(cookie).await?;
            }
            let mut response = found(&format!(
                "/sign-in?back={}",
                web::segment(&format!("/oauth/authorize?{request}"))
            ))?;
            let end = naru_http::front::cookie::end(&call)?;
            response.headers_mut().append(http::header::SET_COOKIE, end);
            Ok(response)
        }
        Some("go-on") => found(&format!("/oauth/authorize?{request}")),
        _ => answered(&call, &sso, &request, false).await,
    }
}

/// Asks whether an application may have what it asks for.
pub(crate) fn consent(call: &Call, wanted: &Wanted) -> Response {
    let r = Reader::of(call);
    let name = &wanted.asked.client;
    let shown = wanted.app.shown(name);
    // What was asked of the person until here is done.
    let request = wanted.params.query_without(&["prompt"]);
    let who = r.who.clone().unwrap_or_default();
    let body = html! {
        section.sign {
            div.part {
                h1 { (match r.lang { kernel::Lang::Ko => format!("{shown}에 로그인"), _ => format!("Sign in to {shown}") }) }
                p.soft { (r.t("You are signed in here as ", "현재 로그인한 계정: ")) strong { (who) } }
                (gives(&r, &wanted.asked.scopes))
                p.soft { (r.t("You come back to ", "돌아갈 곳: ")) code { (crate::plan::redirect::origin(&wanted.asked.back.to).unwrap_or_else(|| wanted.asked.back.to.clone())) } }
                form.actions method="post" action="/application-answer" {
                    input type="hidden" name="request" value=(request);
                    button.button.main name="answer" value="agree" { (r.t("Agree", "동의")) }
                    button.button name="answer" value="decline" { (r.t("Decline", "거절")) }
                }
            }
        }
    };
    framed(call, r.t("Sign in to an application", "애플리케이션에 로그인"), body)
}

/// What scopes give, in words.
pub(crate) fn gives(r: &Reader, scopes: &BTreeSet<String>) -> Markup {
    let known = |scope: &&crate::kind::Scope| scopes.contains(scope.name);
    let others = scopes.iter().filter(|s| SCOPES.iter().all(|known| known.name != **s));
    html! {
        p { (r.t("It will be able to:", "허용되는 것:")) }
        ul {
            @for scope in SCOPES.iter().filter(known) { li { (r.t(scope.gives.0, scope.gives.1)) } }
            @for other in others { li { code { (other) } } }
        }
    }
}

/// Asks as whom to go on.
pub(crate) fn account(call: &Call, wanted: &Wanted) -> Response {
    let r = Reader::of(call);
    let who = r.who.clone().unwrap_or_default();
    let request = wanted.params.query_without(&["prompt", SINCE]);
    let shown = wanted.app.shown(&wanted.asked.client);
    let body = html! {
        section.sign {
            div.part {
                h1 { (r.t("Go on as whom?", "어느 계정으로 계속할까요?")) }
                p.soft { (shown) }
                form.actions method="post" action="/application-answer" {
                    input type="hidden" name="request" value=(request);
                    button.button.main name="answer" value="go-on" { (who) }
                    button.button name="answer" value="other" { (r.t("Somebody else", "다른 계정")) }
                }
            }
        }
    };
    framed(call, r.t("Choose an account", "계정 선택"), body)
}

/// Asks for the code that a device shows.
pub(crate) fn device_code(call: &Call, action: &str, wrong: Option<&Error>) -> Response {
    let r = Reader { address: action.to_owned(), ..Reader::of(call) };
    let body = html! {
        section.sign {
            @if let Some(error) = wrong {
                (widget::flash(State::Failed, error.say().get(r.lang), error.get_hint().map(|h| h.get(r.lang))))
            }
            div.part {
                h1 { (r.t("Let a device sign in", "장치 로그인 허용")) }
                form method="get" action=(action) {
                    label for="user_code" { (r.t("The code that the device shows", "장치에 나타난 코드")) }
                    input #user_code type="text" name="user_code" required autofocus autocomplete="off" autocapitalize="characters"
                        spellcheck="false" maxlength="12" placeholder="BCDF-GHJK";
                    button.button.main { (r.t("Go on", "계속")) }
                }
            }
        }
    };
    let mut response = framed(call, r.t("Let a device sign in", "장치 로그인 허용"), body);
    if let Some(status) = wrong.and_then(|e| StatusCode::from_u16(e.kind().status()).ok()) {
        *response.status_mut() = status;
    }
    response
}

/// Asks whether a device may sign in. Whoever has got a link instead of a device is warned.
pub(crate) fn device(call: &Call, action: &str, device: &Device, app: &Application) -> Response {
    let r = Reader::of(call);
    let code = crate::plan::device::shown(&device.code);
    let body = html! {
        section.sign {
            div.part {
                h1 { (app.shown(&device.app)) }
                p.soft { (r.t("A device asks to sign in as ", "장치가 이 계정으로 로그인하려 합니다: ")) strong { (r.who.clone().unwrap_or_default()) } }
                p { (r.t("It has to show this code:", "장치에 이 코드가 보여야 합니다:")) " " code { (code) } }
                (gives(&r, &device.scopes))
                (widget::flash(State::Waiting, r.t(
                    "Go on only if the device is in front of you: whoever sent you a code or a link would be signed in as you",
                    "장치가 눈앞에 있을 때만 계속하세요. 코드나 링크를 보낸 사람이 내 계정으로 로그인될 수 있습니다",
                ), None))
                form.actions method="post" action=(action) {
                    input type="hidden" name="user_code" value=(code);
                    button.button.main name="answer" value="agree" { (r.t("Let it in", "허용")) }
                    button.button name="answer" value="decline" { (r.t("Decline", "거절")) }
                }
            }
        }
    };
    framed(call, r.t("Let a device sign in", "장치 로그인 허용"), body)
}

pub(crate) fn device_done(call: &Call, agrees: bool) -> Response {
    let r = Reader { address: "/device".into(), ..Reader::of(call) };
    let (state, words) = match agrees {
        true => (
            State::Passed,
            r.t(
                "The device is signed in: look there",
                "장치가 로그인되었습니다. 장치를 확인하세요",
            ),
        ),
        false => (
            State::Canceled,
            r.t("Declined: the device stays outside", "거절했습니다. 장치는 로그인되지 않습니다"),
        ),
    };
    let body = html! { section.sign { (widget::flash(state, words, None)) } };
    framed(call, r.t("Let a device sign in", "장치 로그인 허용"), body)
}

/// Asks whether to sign out: an application wishes it.
pub(crate) fn sign_out(
    call: &Call,
    action: &str,
    request: &str,
    application: Option<&str>,
) -> Response {
    let r = Reader::of(call);
    let body = html! {
        section.sign {
            div.part {
                h1 { (r.t("Sign out here, too?", "여기서도 로그아웃할까요?")) }
                @if let Some(application) = application {
                    p.soft { (r.t("You have signed out of ", "로그아웃한 곳: ")) strong { (application) } }
                }
                form.actions method="post" action=(action) {
                    input type="hidden" name="request" value=(request);
                    button.button.main { (r.t("Sign out", "로그아웃")) }
                    a.button href="/" { (r.t("Stay", "그대로 두기")) }
                }
            }
        }
    };
    framed(call, r.t("Sign out", "로그아웃"), body)
}

pub(crate) fn framed(call: &Call, title: &str, body: Markup) -> Response {
    let page = Page { title: title.to_owned(), bare: true, ..Page::default() };
    web::page(call, &page, body)
}
