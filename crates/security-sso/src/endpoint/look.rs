//! Looking at tokens, and ending them: userinfo (OpenID Connect Core 1.0 §5.3), introspection (RFC 7662),
//! revocation (RFC 7009).

use super::discovery::{INTROSPECT, REVOKE, USERINFO};
use super::token::named;
use super::wire::{self, Fail, Outcome};
use crate::client::Client;
use crate::grant::{self, Grant, Sort, Token};
use crate::kind::Application;
use crate::plan::Refusal;
use crate::plan::client::refused;
use crate::plan::params::Params;
use crate::{PART_NAME, Sso, claims};
use http::{HeaderValue, StatusCode, header};
use kernel::Principal;
use naru_http::{Access, Call, Response, Route, json, json_status};
use serde_json::{Value, json};
use store::Tx;

const PREFLIGHT: (&str, &str) = ("whether other pages may call", "다른 페이지의 호출 허용 여부");

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        USERINFO,
        Access::CrossSite,
        ("who an access token is of", "접근 토큰의 주인"),
        |c| Box::pin(userinfo(c)),
    ),
    Route::post(
        USERINFO,
        Access::CrossSite,
        ("who an access token is of", "접근 토큰의 주인"),
        |c| Box::pin(userinfo(c)),
    ),
    Route::options(USERINFO, Access::CrossSite, PREFLIGHT, |c| Box::pin(wire::preflight(c))),
    Route::post(REVOKE, Access::CrossSite, ("end a token", "토큰 폐기"), |c| {
        Box::pin(revoke(c))
    }),
    Route::options(REVOKE, Access::CrossSite, PREFLIGHT, |c| Box::pin(wire::preflight(c))),
    Route::post(
        INTROSPECT,
        Access::CrossSite,
        (
            "whether a token is good, for the APIs that get it",
            "토큰이 유효한지, 그 토큰을 받는 API를 위해",
        ),
        |c| Box::pin(introspect(c)),
    ),
];

impl Sso {
    /// A token that is good now, with its grant and application.
    async fn live(&self, words: &str) -> kernel::Result<Option<(Token, Grant, Application)>> {
        let words = words.to_owned();
        let found = self.store().read(move |v| grant::token(v, &words)).await?;
        let now = self.store().now();
        Ok(found.filter(|(token, grant, app)| {
            // A clock that was set back makes nothing last longer.
            let begun = token.made.0 <= now.0.saturating_add(300_000);
            token.until > now
                && begun
                && (token.sort == Sort::Access || token.generation >= grant.generation)
                && grant.who.as_ref().is_none_or(|who| self.may(who, app))
        }))
    }
}

async fn userinfo(mut call: Call) -> kernel::Result<Response> {
    let sso = call.part::<Sso>()?;
    let bearer = call.header(header::AUTHORIZATION.as_str()).and_then(|words| {
        let (scheme, token) = words.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    let token = match bearer {
        Some(token) => Some(token),
        // RFC 6750 §2.2; never in the query, which ends up in logs.
        None if call.method == http::Method::POST => match wire::form(&mut call).await {
            Ok(form) => form.get("access_token").map(str::to_owned),
            Err(_) => None,
        },
        None => None,
    };
    let Some(token) = token else { return challenge(None) };
    let found = sso.live(&token).await?.filter(|(token, ..)| token.sort == Sort::Access);
    let person = match &found {
        Some((_, Grant { who: Some(who), .. }, _)) => sso.person(who).await?,
        _ => None,
    };
    let (Some((token, grant, app)), Some(person)) = (found, person) else {
        let no = Refusal::new(
            "invalid_token",
            "sso.token",
            ("the access token is not good", "쓸 수 없는 접근 토큰입니다"),
        );
        sso.refused(&Principal::Anonymous, "application.userinfo", &no);
        return challenge(Some(("invalid_token", StatusCode::UNAUTHORIZED)));
    };
    if !token.scopes.contains("openid") {
        return challenge(Some(("insufficient_scope", StatusCode::FORBIDDEN)));
    }
    let mut said = claims::of(&person, &token.scopes);
    said.insert("sub".into(), json!(grant.sub));
    let mut response = json(&Value::Object(said))?;
    wire::open_to(&call, &mut response, |origin| wire::is_of(&app, origin));
    Ok(response)
}

/// RFC 6750 §3
fn challenge(error: Option<(&str, StatusCode)>) -> kernel::Result<Response> {
    let (words, status) = match error {
        None => ("Bearer realm=\"naru\"".to_owned(), StatusCode::UNAUTHORIZED),
        Some((error, status)) => (format!("Bearer realm=\"naru\", error=\"{error}\""), status),
    };
    let body = error.map_or(json!({}), |(error, _)| json!({ "error": error }));
    let mut response = json_status(status, &body)?;
    let words = HeaderValue::from_str(&words).map_err(kernel::Error::internal)?;
    response.headers_mut().insert(header::WWW_AUTHENTICATE, words);
    // Whoever has no good token learns nothing from it, so that any page may read why.
    let any = HeaderValue::from_static("*");
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    Ok(response)
}

async fn asked(call: &mut Call, sso: &Sso) -> Result<(Params, Client), Fail> {
    let form = wire::form(call).await?;
    let client = sso.client(call, &form).await?;
    Ok((form, client))
}

async fn revoke(mut call: Call) -> kernel::Result<Response> {
    let sso = call.part::<Sso>()?;
    let (app, outcome) = match asked(&mut call, &sso).await {
        Ok((form, client)) => {
            let outcome = ended(&sso, &client, &form).await;
            (Some(client.app), outcome.map_err(|fail| named(fail, &client.name)))
        }
        Err(fail) => (None, Err(fail)),
    };
    wire::answer(&call, &sso, "application.revoke", app.as_ref(), outcome)
}

/// One that is not there has ended already, and another client's stays: the answer is the same (RFC 7009 §2.2).
async fn ended(sso: &Sso, client: &Client, form: &Params) -> Outcome {
    let words = form.need("token")?.to_owned();
    let name = client.name.clone();
    let work = move |tx: &mut Tx<'_>| {
        let found = grant::token(tx, &words)?.filter(|(_, grant, _)| grant.app == name);
        let Some((token, grant, _)) = found else { return Ok(()) };
        let actor = Principal::part(PART_NAME);
        match token.sort {
            Sort::Refresh => grant::end(tx, &grant, &actor, "revoked"),
            Sort::Access => grant::end_token(tx, &words, &grant, &actor),
        }
    };
    sso.store().write(work).await?;
    Ok(json!({}))
}

async fn introspect(mut call: Call) -> kernel::Result<Response> {
    let sso = call.part::<Sso>()?;
    let outcome = match asked(&mut call, &sso).await {
        Ok((form, client)) => {
            shown(&sso, &client, &form).await.map_err(|fail| named(fail, &client.name))
        }
        Err(fail) => Err(fail),
    };
    wire::answer(&call, &sso, "application.introspect", None, outcome)
}

async fn shown(sso: &Sso, client: &Client, form: &Params) -> Outcome {
    // Whoever finds a token could else ask what it is good for.
    if client.app.is_public() {
        return Err(refused().into());
    }
    let found = sso.live(form.need("token")?).await?;
    let meant = |grant: &Grant, app: &Application| {
        grant.app == client.name || app.audience.contains(&client.name)
    };
    let Some((token, grant, app)) = found.filter(|(_, grant, app)| meant(grant, app)) else {
        return Ok(json!({ "active": false }));
    };
    let second = |time: kernel::Time| time.0.div_euclid(1000);
    let scopes: Vec<&str> = token.scopes.iter().map(String::as_str).collect();
    let audience: Vec<&kernel::Name> = [&grant.app].into_iter().chain(&app.audience).collect();
    let mut said = json!({
        "active": true, "iss": sso.issuer(), "client_id": grant.app, "sub": grant.sub, "aud": audience,
        "scope": scopes.join(" "), "iat": second(token.made), "exp": second(token.until),
        "token_type": if token.sort == Sort::Access { "Bearer" } else { "refresh_token" },
    });
    if let (Some(Principal::User(name)), Some(said)) = (&grant.who, said.as_object_mut()) {
        said.insert("username".into(), json!(name));
    }
    Ok(said)
}
