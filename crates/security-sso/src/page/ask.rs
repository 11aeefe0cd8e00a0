//! What a person is asked on the way to an application: whether they agree, and as whom.

use crate::Sso;
use crate::endpoint::authorize::{SINCE, Wanted, answered};
use crate::kind::SCOPES;
use kernel::Result;
use maud::{Markup, html};
use naru_http::{Access, Call, Response, Route, found};
use std::collections::BTreeSet;
use web::{Page, Reader};

pub(crate) const ROUTES: &[Route] = &[Route::post(
    "/applications/answer",
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
                form.actions method="post" action="/applications/answer" {
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
                form.actions method="post" action="/applications/answer" {
                    input type="hidden" name="request" value=(request);
                    button.button.main name="answer" value="go-on" { (who) }
                    button.button name="answer" value="other" { (r.t("Somebody else", "다른 계정")) }
                }
            }
        }
    };
    framed(call, r.t("Choose an account", "계정 선택"), body)
}

pub(crate) fn framed(call: &Call, title: &str, body: Markup) -> Response {
    let page = Page { title: title.to_owned(), bare: true, ..Page::default() };
    web::page(call, &page, body)
}
