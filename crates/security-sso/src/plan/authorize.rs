//! An authorization request: what it asks for, or why not.
//!
//! Until application and address are known to belong together, nobody is sent anywhere: what is wrong then is said on
//! a page of ours. After that, it is said to the application.

use super::params::Params;
use super::{Refusal, pkce, redirect};
use crate::kind::{Application, Grants};
use kernel::Name;
use std::collections::BTreeSet;

/// How the answer gets back (OAuth 2.0 Multiple Response Type Encoding Practices §2.1, Form Post Response Mode 1.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Query,
    FormPost,
}

/// Where the answer goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    pub to: String,
    pub mode: Mode,
    pub state: Option<String>,
}

/// `prompt` (OpenID Connect Core 1.0 §3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    pub none: bool,
    pub login: bool,
    pub consent: bool,
    pub select_account: bool,
}

/// A request that is sound in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub client: Name,
    pub back: Return,
    pub scopes: BTreeSet<String>,
    pub nonce: Option<String>,
    pub challenge: Option<String>,
    pub prompt: Prompt,
    /// Seconds since the person was last asked to prove who they are.
    pub max_age: Option<u64>,
    /// What the person is called, as far as the application knows.
    pub hint: Option<String>,
}

/// Why there is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Said on a page of ours.
    Here(Refusal),
    /// Said to the application.
    Back(Box<Return>, Refusal),
}

/// Who asks: the client that a request names. Read first, for its application has to be looked up.
///
/// # Errors
/// To be said on a page of ours.
pub fn client(params: &Params) -> Result<Name, Refusal> {
    Name::parse(params.need("client_id")?).map_err(|_| unknown())
}

/// For a client that there is not, or that is disabled.
pub fn unknown() -> Refusal {
    Refusal::new(
        "invalid_request",
        "sso.application",
        ("no such application", "그런 애플리케이션이 없습니다"),
    )
}

/// Checks a request of `client`.
///
/// # Errors
/// Where to say what is wrong.
pub fn check(params: &Params, client: &Name, app: &Application) -> Result<Asked, Wrong> {
    let here = |refusal: Refusal| Wrong::Here(refusal.of(client));
    let to = address(params, app).map_err(here)?;
    let state = params.get("state").map(str::to_owned);
    let mode = mode(params);
    let back = Return { to, mode: mode.clone().unwrap_or(Mode::Query), state };
    let no = |refusal: Refusal| Wrong::Back(Box::new(back.clone()), refusal.of(client));
    mode.map_err(no)?;
    kind(params, app).map_err(no)?;
    let challenge = challenge(params, app).map_err(no)?;
    let scopes = scopes(params.get("scope"), app).map_err(no)?;
    let prompt = prompt(params).map_err(no)?;
    let max_age = params.get("max_age").map(str::parse).transpose();
    let max_age = max_age.map_err(|_| {
        no(wrong("sso.max-age", ("max_age is a number of seconds", "max_age는 초 수입니다")))
    })?;
    let text = |name: &str| params.get(name).map(str::to_owned);
    let (nonce, hint) = (text("nonce"), text("login_hint"));
    Ok(Asked { client: client.clone(), back, scopes, nonce, challenge, prompt, max_age, hint })
}

fn wrong(code: &'static str, say: (&'static str, &'static str)) -> Refusal {
    Refusal::new("invalid_request", code, say)
}

fn address(params: &Params, app: &Application) -> Result<String, Refusal> {
    let strange = || {
        wrong(
            "sso.redirect",
            (
                "redirect_uri is not one that the application has registered",
                "애플리케이션에 등록되지 않은 redirect_uri입니다",
            ),
        )
    };
    match (params.get("redirect_uri"), app.redirects.as_slice()) {
        (Some(asked), known) => {
            let fits = known.iter().any(|known| redirect::matches(known, asked));
            fits.then(|| asked.to_owned()).ok_or_else(strange)
        }
        // RFC 6749 §3.1.2.3; OpenID Connect asks for it always.
        (None, [only]) if !is_openid(params) => Ok(only.clone()),
        (None, _) => Err(strange()),
    }
}

fn is_openid(params: &Params) -> bool {
    params.get("scope").is_some_and(|s| s.split(' ').any(|s| s == "openid"))
}

fn mode(params: &Params) -> Result<Mode, Refusal> {
    match params.get("response_mode") {
        None | Some("query") => Ok(Mode::Query),
        Some("form_post") => Ok(Mode::FormPost),
        Some(_) => Err(wrong(
            "sso.response-mode",
            ("response_mode is query or form_post", "response_mode는 query나 form_post입니다"),
        )),
    }
}

fn kind(params: &Params, app: &Application) -> Result<(), Refusal> {
    let no = |error, code, say| Err(Refusal::new(error, code, say));
    if params.get("request").is_some() {
        return no(
            "request_not_supported",
            "sso.request",
            ("request objects are not taken", "request 객체는 받지 않습니다"),
        );
    }
    if params.get("request_uri").is_some() {
        return no(
            "request_uri_not_supported",
            "sso.request",
            ("request_uri is not taken", "request_uri는 받지 않습니다"),
        );
    }
    if params.need("response_type")? != "code" {
        return no(
            "unsupported_response_type",
            "sso.response-type",
            ("response_type is code", "response_type은 code입니다"),
        );
    }
    if !app.grants.contains(&Grants::AuthorizationCode) {
        return no(
            "unauthorized_client",
            "sso.grant",
            ("the application does not use this grant", "애플리케이션에 허용되지 않은 방식입니다"),
        );
    }
    Ok(())
}

fn challenge(params: &Params, app: &Application) -> Result<Option<String>, Refusal> {
    match (params.get("code_challenge"), params.get("code_challenge_method")) {
        (None, None) if !app.needs_pkce() => Ok(None),
        (None, _) => Err(wrong(
            "sso.pkce",
            (
                "PKCE is required: code_challenge is missing",
                "PKCE가 필요합니다. code_challenge가 없습니다",
            ),
        )),
        // What is left out is `plain` (RFC 7636 §4.3), which is no proof to who reads along.
        (Some(_), method) if method != Some("S256") => Err(wrong(
            "sso.pkce-method",
            ("code_challenge_method is S256", "code_challenge_method는 S256입니다"),
        )),
        (Some(challenge), _) if pkce::is_challenge(challenge) => Ok(Some(challenge.to_owned())),
        _ => Err(wrong(
            "sso.pkce",
            (
                "code_challenge is no SHA-256 in base64url",
                "code_challenge가 base64url SHA-256이 아닙니다",
            ),
        )),
    }
}

/// Of what is asked, what the application may ask. Unknown words are passed over (OpenID Connect Core 1.0 §3.1.2.1).
///
/// # Errors
/// `invalid_scope` when nothing is left.
pub fn scopes(asked: Option<&str>, app: &Application) -> Result<BTreeSet<String>, Refusal> {
    let asked = asked.unwrap_or_default();
    let kept: BTreeSet<String> =
        asked.split(' ').filter(|s| app.scopes.contains(*s)).map(str::to_owned).collect();
    if !kept.is_empty() {
        return Ok(kept);
    }
    Err(Refusal::new(
        "invalid_scope",
        "sso.scope",
        ("none of these scopes is the application's", "애플리케이션에 허용된 scope가 없습니다"),
    ))
}

fn prompt(params: &Params) -> Result<Prompt, Refusal> {
    let mut prompt = Prompt::default();
    for word in params.get("prompt").unwrap_or_default().split(' ').filter(|w| !w.is_empty()) {
        match word {
            "none" => prompt.none = true,
            "login" => prompt.login = true,
            "consent" => prompt.consent = true,
            "select_account" => prompt.select_account = true,
            // `create` and what others have thought of.
            _ => {}
        }
    }
    if prompt.none && (prompt.login || prompt.consent || prompt.select_account) {
        return Err(wrong(
            "sso.prompt",
            ("prompt=none goes with nothing else", "prompt=none은 다른 값과 함께 쓸 수 없습니다"),
        ));
    }
    Ok(prompt)
}
