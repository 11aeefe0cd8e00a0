//! The token endpoint (RFC 6749 §3.2): one grant type each.

use super::discovery::TOKEN;
use super::wire::{self, Fail, Outcome};
use crate::client::Client;
use crate::code::{self, Shown};
use crate::grant::{self, Grant, Issued, Sort};
use crate::kind::Grants;
use crate::plan::params::Params;
use crate::plan::refresh::{self, Turn};
use crate::plan::{Refusal, authorize};
use crate::{PART_NAME, Sso, claims, device};
use kernel::{NewEvent, Principal, text};
use naru_http::{Access, Call, Response, Route};
use serde_json::json;
use std::collections::BTreeSet;
use store::Tx;

/// RFC 8628 §3.4
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

pub(crate) const ROUTES: &[Route] = &[
    Route::post(
        TOKEN,
        Access::CrossSite,
        ("give an application its tokens", "애플리케이션에 토큰 발급"),
        |c| Box::pin(token(c)),
    ),
    Route::options(
        TOKEN,
        Access::CrossSite,
        ("whether other pages may call", "다른 페이지의 호출 허용 여부"),
        |c| Box::pin(wire::preflight(c)),
    ),
];

async fn token(mut call: Call) -> kernel::Result<Response> {
    let sso = call.part::<Sso>()?;
    let outcome = async {
        let form = wire::form(&mut call).await?;
        let client = sso.client(&call, &form).await?;
        Ok::<_, Fail>((form, client))
    };
    let (app, outcome) = match outcome.await {
        Ok((form, client)) => {
            let outcome = give(&sso, &client, &form).await;
            (Some(client.app), outcome.map_err(|fail| named(fail, &client.name)))
        }
        Err(fail) => (None, Err(fail)),
    };
    wire::answer(&call, &sso, "application.token", app.as_ref(), outcome)
}

pub(super) fn named(fail: Fail, client: &kernel::Name) -> Fail {
    match fail {
        Fail::Refused(refusal) => Fail::Refused(refusal.of(client)),
        broken => broken,
    }
}

async fn give(sso: &Sso, client: &Client, form: &Params) -> Outcome {
    let kind = form.need("grant_type")?;
    let needed = match kind {
        "authorization_code" => Grants::AuthorizationCode,
        "refresh_token" => Grants::RefreshToken,
        "client_credentials" => Grants::ClientCredentials,
        DEVICE_CODE => Grants::DeviceCode,
        _ => {
            return Err(Refusal::new(
                "unsupported_grant_type",
                "sso.grant",
                ("this grant_type is not known here", "모르는 grant_type입니다"),
            )
            .into());
        }
    };
    if !client.app.grants.contains(&needed) {
        return Err(Refusal::new(
            "unauthorized_client",
            "sso.grant",
            ("the application does not use this grant", "애플리케이션에 허용되지 않은 방식입니다"),
        )
        .into());
    }
    match needed {
        Grants::AuthorizationCode => by_code(sso, client, form).await,
        Grants::RefreshToken => by_refresh(sso, client, form).await,
        Grants::DeviceCode => by_device(sso, client, form).await,
        Grants::ClientCredentials => by_itself(sso, client, form).await,
    }
}

fn gone() -> Refusal {
    Refusal::new(
        "invalid_grant",
        "sso.person",
        ("the person may not sign in any more", "더는 로그인할 수 없는 사람입니다"),
    )
}

async fn by_code(sso: &Sso, client: &Client, form: &Params) -> Outcome {
    let shown = Shown {
        code: form.need("code")?.to_owned(),
        redirect: form.get("redirect_uri").map(str::to_owned),
        verifier: form.get("code_verifier").map(str::to_owned),
    };
    let words = shown.code.clone();
    if let Some(person) = sso.store().read(move |v| code::person(v, &words)).await? {
        // The code may have been made in the last moment of a session.
        let open = sso.accounts.sessions(&person.who).await?;
        let open = open.iter().any(|session| session.id == person.session);
        if !open || !sso.may(&person.who, &client.app) {
            return Err(gone().into());
        }
    }
    let (name, app) = (client.name.clone(), client.app.clone());
    let work = move |tx: &mut Tx<'_>| code::redeem(tx, &name, &app, &shown);
    let issued = sso.store().write(work).await??;
    complete(sso, client, issued).await
}

/// The answer, with an ID token where it was asked for.
pub(super) async fn complete(sso: &Sso, client: &Client, issued: Issued) -> Outcome {
    let grant = &issued.grant;
    let who = grant.who.as_ref().filter(|_| grant.scopes.contains("openid"));
    let Some(who) = who else { return Ok(claims::answer(&issued, None)) };
    let person = sso.person(who).await?.ok_or_else(gone)?;
    let said = claims::id_token(grant, &client.app, &person, &issued.access);
    let algorithm = client.app.signing.algorithm();
    let id = sso.signer.sign_as(algorithm, "JWT", said, issued.lasts).await?;
    Ok(claims::answer(&issued, Some(id)))
}

async fn by_refresh(sso: &Sso, client: &Client, form: &Params) -> Outcome {
    let words = form.need("refresh_token")?.to_owned();
    let wanted =
        form.get("scope").map(|s| s.split(' ').map(str::to_owned).collect::<BTreeSet<_>>());
    let (name, accounts) = (client.name.clone(), sso.clone());
    let work = move |tx: &mut Tx<'_>| turned(tx, &accounts, &name, &words, wanted.as_ref());
    let issued = sso.store().write(work).await??;
    complete(sso, client, issued).await
}

fn stale(code: &'static str) -> Refusal {
    let say = (
        "the refresh token is not good, or not for this client",
        "이 클라이언트의 갱신 토큰이 아니거나 쓸 수 없습니다",
    );
    Refusal::new("invalid_grant", code, say)
}

/// Turns a refresh token. A refusal is no error: what it ends has to be written.
fn turned(
    tx: &mut Tx<'_>,
    sso: &Sso,
    client: &kernel::Name,
    words: &str,
    wanted: Option<&BTreeSet<String>>,
) -> kernel::Result<Result<Issued, Refusal>> {
    let found = grant::token(tx, words)?.filter(|(token, ..)| token.sort == Sort::Refresh);
    let Some((token, mut grant, app)) = found else { return Ok(Err(stale("sso.refresh"))) };
    if grant.app != *client {
        return Ok(Err(stale("sso.refresh-foreign")));
    }
    let actor = Principal::part(PART_NAME);
    match refresh::turn(token.generation, grant.generation, grant.turned, tx.now()) {
        Turn::Reused => {
            grant::end(tx, &grant, &actor, "refresh-reused")?;
            return Ok(Err(stale("sso.refresh-reused")));
        }
        _ if token.until <= tx.now() => return Ok(Err(stale("sso.refresh-late"))),
        Turn::Again => {}
        Turn::Next => {
            grant.generation += 1;
            grant.turned = tx.now();
        }
    }
    if grant.who.as_ref().is_some_and(|who| !sso.may(who, &app)) {
        grant::end(tx, &grant, &actor, "not-allowed")?;
        return Ok(Err(gone()));
    }
    let scopes = match wanted {
        // Narrower, never wider (RFC 6749 §6).
        Some(wanted) if !wanted.is_subset(&grant.scopes) => {
            let say = ("scope is wider than what was granted", "허락된 것보다 넓은 scope입니다");
            return Ok(Err(Refusal::new("invalid_scope", "sso.scope", say)));
        }
        Some(wanted) => wanted.clone(),
        None => grant.scopes.clone(),
    };
    grant::save(tx, &grant)?;
    tx.append(renewed(&grant))?;
    grant::issue(tx, &grant, &app, scopes, true).map(Ok)
}

fn renewed(grant: &Grant) -> NewEvent {
    let app = &grant.app;
    let who = grant.who.clone().unwrap_or_else(|| Principal::part(PART_NAME));
    let say = text!("{app} renewed its tokens for {who}", "{app}이(가) {who}의 토큰을 갱신");
    let data = json!({ "application": app, "grant": grant.id, "generation": grant.generation });
    let subject = kernel::Key::global::<crate::Application>(app);
    NewEvent::new("application.renewed", who, say).subject(subject).data(data)
}

async fn by_device(sso: &Sso, client: &Client, form: &Params) -> Outcome {
    let words = form.need("device_code")?.to_owned();
    let (name, known) = (client.name.clone(), sso.clone());
    let work =
        move |tx: &mut Tx<'_>| device::redeem(tx, &name, &words, |who, app| known.may(who, app));
    let issued = sso.store().write(work).await??;
    complete(sso, client, issued).await
}

async fn by_itself(sso: &Sso, client: &Client, form: &Params) -> Outcome {
    let mut scopes = match form.get("scope") {
        Some(asked) => authorize::scopes(Some(asked), &client.app)?,
        None => client.app.scopes.clone(),
    };
    // Nobody is signed in: there is nobody to tell of.
    let people = crate::kind::SCOPES.map(|scope| scope.name);
    scopes.retain(|scope| !people.contains(&scope.as_str()));
    let (name, uid, app) = (client.name.clone(), client.uid.clone(), client.app.clone());
    let work = move |tx: &mut Tx<'_>| {
        let grant = Grant {
            id: tx.id()?.to_string(),
            sub: name.to_string(),
            app: name,
            uid,
            who: None,
            session: None,
            scopes: scopes.clone(),
            proved: None,
            how: String::new(),
            nonce: None,
            created: tx.now(),
            generation: 0,
            turned: tx.now(),
        };
        grant::begin(tx, &grant)?;
        grant::issue(tx, &grant, &app, scopes, false)
    };
    let issued = sso.store().write(work).await?;
    Ok(claims::answer(&issued, None))
}
