//! Devices: where they ask for a code (RFC 8628 §3.1), and where a person answers (§3.3).

use super::authorize::person;
use super::discovery::DEVICE;
use super::token::named;
use super::wire::{self, Fail, Outcome};
use crate::client::Client;
use crate::kind::Grants;
use crate::plan::params::Params;
use crate::plan::{Refusal, authorize, device as plan};
use crate::{Sso, device, page};
use kernel::{Error, Result, Text};
use naru_http::{Access, Call, Response, Route, found};
use serde_json::json;
use store::Tx;

const PAGE: &str = "/device";

pub(crate) const ROUTES: &[Route] = &[
    Route::post(
        DEVICE,
        Access::CrossSite,
        ("a code for a device without a keyboard", "키보드 없는 장치의 코드"),
        |c| Box::pin(begin(c)),
    ),
    Route::get(
        PAGE,
        Access::Public,
        ("page: let a device sign in", "페이지: 장치 로그인 허용"),
        |c| Box::pin(show(c)),
    ),
    Route::post(
        PAGE,
        Access::SignedIn,
        ("let a device sign in, or not", "장치 로그인 허용 또는 거절"),
        |c| Box::pin(answer(c)),
    ),
];

async fn begin(mut call: Call) -> Result<Response> {
    let sso = call.part::<Sso>()?;
    let outcome = async {
        let form = wire::form(&mut call).await?;
        let client = sso.client(&call, &form).await?;
        codes(&sso, &client, &form).await.map_err(|fail| named(fail, &client.name))
    };
    let outcome = outcome.await;
    wire::answer(&call, &sso, "application.device", None, outcome)
}

async fn codes(sso: &Sso, client: &Client, form: &Params) -> Outcome {
    if !client.app.grants.contains(&Grants::DeviceCode) {
        return Err(Fail::Refused(Refusal::new(
            "unauthorized_client",
            "sso.grant",
            ("the application does not use this grant", "애플리케이션에 허용되지 않은 방식입니다"),
        )));
    }
    let scopes = match form.get("scope") {
        Some(asked) => authorize::scopes(Some(asked), &client.app)?,
        None => client.app.scopes.clone(),
    };
    let mut random = [0_u8; 64];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut random)
        .map_err(|_| Error::internal("the system has no randomness"))?;
    let (name, uid) = (client.name.clone(), client.uid.clone());
    let work = move |tx: &mut Tx<'_>| device::begin(tx, name, uid, scopes, &random);
    let (words, code) = sso.store().write(work).await?;
    let (page, code) = (format!("{}{PAGE}", sso.issuer()), plan::shown(&code));
    Ok(json!({
        "device_code": words,
        "user_code": code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={code}"),
        "expires_in": plan::LASTS.as_secs(),
        "interval": plan::INTERVAL.as_secs(),
    }))
}

async fn show(call: Call) -> Result<Response> {
    let sso = call.part::<Sso>()?;
    if person(&call, &sso).await?.is_none() {
        let here = call.uri.path_and_query().map_or(PAGE, |p| p.as_str());
        return found(&format!("/sign-in?back={}", web::segment(here)));
    }
    let Some(words) = call.query("user_code") else {
        return Ok(page::ask::device_code(&call, PAGE, None));
    };
    match look(&call, &sso, &words).await {
        Ok((device, app)) => Ok(page::ask::device(&call, PAGE, &device, &app)),
        Err(error) => Ok(page::ask::device_code(&call, PAGE, Some(&error))),
    }
}

/// The device that waits for what a person typed. Wrong codes are counted.
async fn look(call: &Call, sso: &Sso, words: &str) -> Result<(device::Device, crate::Application)> {
    sso.guesses.admit(&call.who, sso.store().now())?;
    let code = plan::typed(words);
    let found = match code {
        Some(code) => sso.store().read(move |v| device::waiting(v, &code)).await?,
        None => None,
    };
    found.ok_or_else(|| {
        sso.guesses.wrong(&call.who, sso.store().now());
        let say = ("no device waits for this code", "이 코드를 기다리는 장치가 없습니다");
        sso.refused(
            &call.who,
            "application.device",
            &Refusal::new("invalid_grant", "sso.device-code", say),
        );
        device::unknown()
    })
}

async fn answer(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let sso = call.part::<Sso>()?;
    let words = form.get("user_code").map(String::as_str).unwrap_or_default();
    let agrees = form.get("answer").is_some_and(|a| a == "agree");
    let Some(person) = person(&call, &sso).await? else {
        return found(&format!("/sign-in?back={PAGE}"));
    };
    let (_, app) = look(&call, &sso, words).await?;
    if agrees && !sso.may(&person.who, &app) {
        let say = Text::fixed(
            "you may not sign in to this application",
            "이 애플리케이션에 로그인할 수 없습니다",
        );
        return Err(Error::forbidden("sso.group", say));
    }
    let code = plan::typed(words).ok_or_else(device::unknown)?;
    sso.store().write(move |tx| device::settle(tx, &code, person, agrees)).await?;
    Ok(page::ask::device_done(&call, agrees))
}
