//! Signing out at an application's wish (OpenID Connect RP-Initiated Logout 1.0).
//!
//! A session ends without a question only when the application shows an ID token of that very session; else anybody's
//! page could sign people out.

use super::discovery::END_SESSION;
use super::leave;
use super::wire;
use crate::kind::Application;
use crate::plan::Refusal;
use crate::plan::params::{Params, query};
use crate::plan::redirect;
use crate::{Sso, grant, page};
use kernel::{Error, Name, Principal, Result};
use naru_http::front::cookie;
use naru_http::{Access, Call, Response, Route, found};
use serde_json::Value;

const CONFIRM: &str = "/application-sign-out";

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        END_SESSION,
        Access::CrossSite,
        ("page: sign out at an application's wish", "페이지: 애플리케이션의 로그아웃 요청"),
        |c| Box::pin(asked(c)),
    ),
    Route::post(
        END_SESSION,
        Access::CrossSite,
        ("sign out at an application's wish", "애플리케이션의 로그아웃 요청"),
        |c| Box::pin(posted(c)),
    ),
    Route::post(
        CONFIRM,
        Access::SignedIn,
        ("sign out, and go back to the application", "로그아웃하고 애플리케이션으로 돌아가기"),
        |c| Box::pin(confirmed(c)),
    ),
];

/// A request to sign out, as far as it is sound.
#[derive(Default)]
struct Wanted {
    application: Option<(Name, Application)>,
    /// Where to go then.
    to: Option<String>,
    /// The session that the application knows, by a token of ours.
    session: Option<String>,
}

async fn asked(call: Call) -> Result<Response> {
    let query = call.query_string().to_owned();
    let sso = call.part::<Sso>()?;
    let wanted = match Params::read(&query) {
        Ok(params) => read(&sso, &params).await?,
        Err(refusal) => Err(refusal),
    };
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(refusal) => {
            sso.refused(&call.who, "application.end-session", &refusal);
            return Err(Error::invalid(refusal.code, refusal.say));
        }
    };
    if matches!(call.who, Principal::Anonymous) {
        return gone(&call, &wanted);
    }
    // By what the token says, and not by who sends the browser here.
    if wanted.session.as_deref() == Some(call.credential.id.as_str()) {
        return sign_out(&call, &sso, &wanted).await;
    }
    let shown = wanted.application.as_ref().map(|(name, app)| app.shown(name).to_owned());
    Ok(page::ask::sign_out(&call, CONFIRM, &query, shown.as_deref()))
}

/// As with the authorization endpoint: the cookie comes with a query.
async fn posted(mut call: Call) -> Result<Response> {
    match wire::form(&mut call).await {
        Ok(form) => found(&format!("{END_SESSION}?{}", form.query_without(&[]))),
        Err(wire::Fail::Broken(error)) => Err(error),
        Err(wire::Fail::Refused(refusal)) => Err(Error::invalid(refusal.code, refusal.say)),
    }
}

async fn confirmed(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let sso = call.part::<Sso>()?;
    let request = form.get("request").map(String::as_str).unwrap_or_default();
    let params = Params::read(request).unwrap_or_default();
    let wanted = read(&sso, &params).await?.unwrap_or_default();
    sign_out(&call, &sso, &wanted).await
}

async fn read(sso: &Sso, params: &Params) -> Result<std::result::Result<Wanted, Refusal>> {
    let wrong = |code, say| Refusal::new("invalid_request", code, say);
    let hint = match params.get("id_token_hint") {
        None => None,
        Some(token) => match sso.signer.read(token) {
            Some((_, claims)) => Some(claims),
            None => {
                let say = ("id_token_hint is not ours", "여기서 발급한 id_token_hint가 아닙니다");
                return Ok(Err(wrong("sso.hint", say)));
            }
        },
    };
    let word = |name: &str| hint.as_ref().and_then(|c| c.get(name)).and_then(Value::as_str);
    let client = match (word("aud"), params.get("client_id")) {
        (Some(hinted), Some(named)) if hinted != named => {
            let say =
                ("id_token_hint is another client's", "다른 클라이언트의 id_token_hint입니다");
            return Ok(Err(wrong("sso.hint", say)));
        }
        (hinted, named) => hinted.or(named),
    };
    let application = match client.and_then(|words| Name::parse(words).ok()) {
        None => None,
        Some(name) => {
            let wanted = name.clone();
            let found = sso.store().read(move |v| grant::application(v, &wanted)).await?;
            found.map(|(_, app)| (name, app))
        }
    };
    let to = match (params.get("post_logout_redirect_uri"), &application) {
        (None, _) => None,
        (Some(to), Some((_, app)))
            if app.logout_redirects.iter().any(|known| redirect::matches(known, to)) =>
        {
            let state = params.get("state").map(|state| query([("state", state)]));
            Some(state.map_or_else(|| to.to_owned(), |state| redirect::with_query(to, &state)))
        }
        _ => {
            let say = (
                "post_logout_redirect_uri is not one that the application has registered",
                "애플리케이션에 등록되지 않은 post_logout_redirect_uri입니다",
            );
            return Ok(Err(wrong("sso.redirect", say)));
        }
    };
    let session = application.as_ref().and(word("sid")).map(str::to_owned);
    Ok(Ok(Wanted { application, to, session }))
}

async fn sign_out(call: &Call, sso: &Sso, wanted: &Wanted) -> Result<Response> {
    if let Some(cookie) = cookie::session(call) {
        sso.accounts.close_session(cookie).await?;
    }
    let mut response = gone(call, wanted)?;
    response.headers_mut().append(http::header::SET_COOKIE, cookie::end(call)?);
    Ok(response)
}

fn gone(call: &Call, wanted: &Wanted) -> Result<Response> {
    match &wanted.to {
        Some(to) => leave::go(call, to),
        None => found("/sign-in"),
    }
}
