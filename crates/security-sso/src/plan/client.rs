//! How an application shows who it is (RFC 6749 §2.3, OpenID Connect Core 1.0 §9).

use super::Refusal;
use super::params::{Params, decode};
use crate::kind::Proof;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::{Name, SecretText};

/// `client_assertion_type` of RFC 7523 §2.2.
pub const BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What was shown.
#[derive(Clone, Debug)]
pub enum Shown {
    Secret(SecretText),
    Assertion(String),
    Nothing,
}

/// Who an application says it is, and what it shows for it.
#[derive(Clone, Debug)]
pub struct Presented {
    pub client: Name,
    pub shown: Shown,
}

fn unknown() -> Refusal {
    Refusal::new(
        "invalid_client",
        "sso.client",
        (
            "the client is not known or has not proved itself",
            "모르는 클라이언트이거나 증명이 맞지 않습니다",
        ),
    )
}

/// Reads it out of the header `Authorization` and the form. One way at a time.
///
/// # Errors
/// `invalid_client` when it says nobody, `invalid_request` when it uses two ways.
pub fn presented(authorization: Option<&str>, form: &Params) -> Result<Presented, Refusal> {
    let basic = authorization.map(basic).transpose()?;
    let (secret, assertion) = (form.get("client_secret"), form.get("client_assertion"));
    let ways = [basic.is_some(), secret.is_some(), assertion.is_some()];
    if ways.into_iter().filter(|used| *used).count() > 1 {
        return Err(Refusal::new(
            "invalid_request",
            "sso.client-twice",
            (
                "the client authenticates in more than one way",
                "클라이언트가 두 가지 방법으로 인증했습니다",
            ),
        ));
    }
    let named = form.get("client_id");
    let (client, shown) = match (basic, secret, assertion) {
        // A public client that knows Basic alone has an empty secret.
        (Some((id, secret)), ..) if secret.is_empty() => (id, Shown::Nothing),
        (Some((id, secret)), ..) => (id, Shown::Secret(SecretText::new(secret))),
        (_, Some(secret), _) => (
            named.unwrap_or_default().to_owned(),
            Shown::Secret(SecretText::new(secret.to_owned())),
        ),
        (.., Some(assertion)) => {
            if form.get("client_assertion_type") != Some(BEARER) {
                return Err(unknown());
            }
            let id = super::assertion::issuer(assertion).ok_or_else(unknown)?;
            (id, Shown::Assertion(assertion.to_owned()))
        }
        _ => (named.unwrap_or_default().to_owned(), Shown::Nothing),
    };
    if named.is_some_and(|named| named != client) {
        return Err(unknown());
    }
    let client = Name::parse(&client).map_err(|_| unknown())?;
    Ok(Presented { client, shown })
}

/// RFC 6749 §2.3.1: name and secret are form-encoded within Basic.
fn basic(header: &str) -> Result<(String, String), Refusal> {
    let (scheme, rest) = header.split_once(' ').ok_or_else(unknown)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(unknown());
    }
    let pair = STANDARD.decode(rest.trim()).ok().and_then(|b| String::from_utf8(b).ok());
    let pair = pair.ok_or_else(unknown)?;
    let (id, secret) = pair.split_once(':').ok_or_else(unknown)?;
    Ok((decode(id).map_err(|_| unknown())?, decode(secret).map_err(|_| unknown())?))
}

/// Whether what was shown is of the sort that the application proves itself by. A secret in the clear is no key, and
/// nobody gets away with nothing.
///
/// # Errors
/// `invalid_client`.
pub fn fits(proof: Proof, shown: &Shown) -> Result<(), Refusal> {
    let fine = matches!(
        (proof, shown),
        (Proof::Secret, Shown::Secret(_))
            | (Proof::Key, Shown::Assertion(_))
            | (Proof::Nothing, Shown::Nothing)
    );
    if fine { Ok(()) } else { Err(unknown()) }
}

/// The answer to whatever is wrong with a client: always the same words.
pub fn refused() -> Refusal {
    unknown()
}
