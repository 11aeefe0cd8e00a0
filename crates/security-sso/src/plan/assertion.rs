//! `private_key_jwt`: an application proves itself by a statement that it has signed (RFC 7523 §3, OpenID Connect
//! Core 1.0 §9).
//!
//! The algorithm is the key's to say: a token that names another one, `none` or a keyed hash over the public key is
//! refused before anything is computed.

use super::Refusal;
use crate::kind::wrong;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Result, Text, Time};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::Value;

/// The longest assertion, in bytes.
const LONGEST: usize = 16 * 1024;
/// The longest life of an assertion, in seconds: its id is remembered as long.
const LIFE: i64 = 3600;
/// How far clocks may differ, in seconds.
const SKEW: i64 = 30;

/// What a good assertion is good for: once, until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    pub id: String,
    pub until: Time,
}

struct Parts<'a> {
    words: &'a str,
    header: Value,
    claims: Value,
    signature: Vec<u8>,
}

fn split(assertion: &str) -> Option<Parts<'_>> {
    if assertion.len() > LONGEST {
        return None;
    }
    let (words, signature) = assertion.rsplit_once('.')?;
    let (header, claims) = words.split_once('.')?;
    let object = |words: &str| -> Option<Value> {
        let bytes = URL_SAFE_NO_PAD.decode(words).ok()?;
        serde_json::from_slice(&bytes).ok().filter(Value::is_object)
    };
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    Some(Parts { words, header: object(header)?, claims: object(claims)?, signature })
}

/// Who the assertion says it is of; nothing of it is proved.
pub fn issuer(assertion: &str) -> Option<String> {
    split(assertion)?.claims.get("iss")?.as_str().map(str::to_owned)
}

/// Checks an assertion of `client` for one of `audiences`.
///
/// # Errors
/// `invalid_client`, the same whatever is wrong; the code for the journal says what it was.
pub fn check(
    assertion: &str,
    keys: &[Value],
    client: &str,
    audiences: &[String],
    now: Time,
) -> Result<Once, Refusal> {
    let no = |code| Refusal { code, ..super::client::refused() };
    let parts = split(assertion).ok_or_else(|| no("sso.assertion-form"))?;
    let word = |from: &Value, name: &str| from.get(name).and_then(Value::as_str).map(str::to_owned);
    // RFC 7515 §4.1.11: what has to be understood and is not.
    if parts.header.get("crit").is_some() {
        return Err(no("sso.assertion-form"));
    }
    let alg = word(&parts.header, "alg").unwrap_or_default();
    let kid = word(&parts.header, "kid");
    let named =
        |key: &&Value| kid.is_none() || word(key, "kid") == kid || word(key, "kid").is_none();
    let mut signed = keys.iter().filter(named).filter_map(|key| Checker::of(key, &alg));
    if !signed.any(|checker| checker.check(parts.words, &parts.signature)) {
        return Err(no("sso.assertion-signature"));
    }
    let claims = &parts.claims;
    if [word(claims, "iss"), word(claims, "sub")].iter().any(|c| c.as_deref() != Some(client)) {
        return Err(no("sso.assertion-subject"));
    }
    let ours = |value: &Value| value.as_str().is_some_and(|v| audiences.iter().any(|a| a == v));
    let meant = match claims.get("aud") {
        Some(Value::Array(all)) => all.iter().any(ours),
        Some(one) => ours(one),
        None => false,
    };
    if !meant {
        return Err(no("sso.assertion-audience"));
    }
    let second = |name: &str| claims.get(name).and_then(Value::as_f64).map(|s| s as i64);
    let now = now.0.div_euclid(1000);
    let until = second("exp").filter(|exp| (now - SKEW..=now + LIFE).contains(exp));
    let begun = ["nbf", "iat"].iter().all(|name| second(name).is_none_or(|at| at <= now + SKEW));
    let until = until.filter(|_| begun).ok_or_else(|| no("sso.assertion-time"))?;
    let id = word(claims, "jti").filter(|id| (1..=200).contains(&id.len()));
    let id = id.ok_or_else(|| no("sso.assertion-id"))?;
    Ok(Once { id, until: Time((until + SKEW).saturating_mul(1000)) })
}

/// A key, and the one algorithm that it is used with.
enum Checker {
    Rsa(RsaPublicKeyComponents<Vec<u8>>, &'static ring::signature::RsaParameters),
    Other(UnparsedPublicKey<Vec<u8>>),
}

impl Checker {
    /// `None` when the key is not for `alg`, or is none that is known here.
    fn of(key: &Value, alg: &str) -> Option<Checker> {
        let word = |name: &str| key.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(word(name)?).ok();
        if word("alg").is_some_and(|own| own != alg) || word("use").is_some_and(|u| u != "sig") {
            return None;
        }
        let point = |length: usize| -> Option<Vec<u8>> {
            let (x, y) = (bytes("x")?, bytes("y")?);
            let whole = [vec![4], x.clone(), y.clone()].concat();
            (x.len() == length && y.len() == length).then_some(whole)
        };
        Some(match (word("kty")?, word("crv"), alg) {
            ("RSA", _, "RS256" | "PS256") => {
                let (n, e) = (bytes("n")?, bytes("e")?);
                let pss = alg == "PS256";
                let by = if pss { &RSA_PSS_2048_8192_SHA256 } else { &RSA_PKCS1_2048_8192_SHA256 };
                Checker::Rsa(RsaPublicKeyComponents { n, e }, by)
            }
            ("EC", Some("P-256"), "ES256") => {
                Checker::Other(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point(32)?))
            }
            ("EC", Some("P-384"), "ES384") => {
                Checker::Other(UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point(48)?))
            }
            ("OKP", Some("Ed25519"), "EdDSA" | "Ed25519") => {
                Checker::Other(UnparsedPublicKey::new(&ED25519, bytes("x")?))
            }
            _ => return None,
        })
    }

    fn check(&self, words: &str, signature: &[u8]) -> bool {
        match self {
            Checker::Rsa(key, by) => key.verify(by, words.as_bytes(), signature).is_ok(),
            Checker::Other(key) => key.verify(words.as_bytes(), signature).is_ok(),
        }
    }
}

/// Whether keys may be registered: public, and of a sort that is known here.
///
/// # Errors
/// `application.spec`.
pub fn check_keys(keys: &[Value]) -> Result<()> {
    for key in keys {
        if key.get("d").is_some() || key.get("k").is_some() {
            return Err(wrong(Text::fixed(
                "`keys` holds a private key: take its public half, and make a new one, for this one has been seen",
                "`keys`에 비밀 키가 들어 있습니다. 공개 키만 넣고, 드러난 키는 새로 만드세요",
            )));
        }
        let known = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];
        if !known.iter().any(|alg| Checker::of(key, alg).is_some()) {
            return Err(wrong(Text::fixed(
                "a key of `keys` is neither RSA nor P-256, P-384 or Ed25519 for signatures",
                "`keys`의 키는 서명용 RSA, P-256, P-384, Ed25519여야 합니다",
            )));
        }
    }
    Ok(())
}
