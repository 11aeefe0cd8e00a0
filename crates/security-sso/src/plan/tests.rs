//! Tables and properties of what is decided of requests.

use super::authorize::{self, Asked, Mode, Prompt, Return, Wrong};
use super::device::{self, Poll, Said};
use super::params::{Params, query};
use super::refresh::{self, GRACE, Turn};
use super::step::{self, Standing, Step};
use super::{assertion, client, pkce, redirect};
use crate::kind::{Application, Grants, Proof};
use kernel::{Kind, Name, Time};
use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

fn app() -> Application {
    let redirects = vec!["https://wiki.example.com/back".into(), "http://127.0.0.1/cb".into()];
    Application { redirects, ..Application::default() }
}

fn good() -> Vec<(&'static str, &'static str)> {
    vec![
        ("client_id", "wiki"),
        ("response_type", "code"),
        ("redirect_uri", "https://wiki.example.com/back"),
        ("scope", "openid profile unheard-of"),
        ("state", "s p&="),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

fn ask(app: &Application, change: &[(&'static str, &'static str)]) -> Result<Asked, Wrong> {
    let mut all: Vec<_> =
        good().into_iter().filter(|(k, _)| change.iter().all(|(name, _)| name != k)).collect();
    all.extend(change);
    authorize::check(&Params::read(&query(all)).unwrap(), &name("wiki"), app)
}

/// The error and its code, and whether it goes back to the application.
fn outcome(asked: Result<Asked, Wrong>) -> (&'static str, &'static str, bool) {
    match asked {
        Ok(_) => ("", "", true),
        Err(Wrong::Here(refusal)) => (refusal.error, refusal.code, false),
        Err(Wrong::Back(_, refusal)) => (refusal.error, refusal.code, true),
    }
}

#[test]
fn what_an_application_may_ask() {
    let asked =
        ask(&app(), &[("nonce", "n"), ("max_age", "60"), ("prompt", "login consent")]).unwrap();
    assert_eq!(asked.scopes.iter().map(String::as_str).collect::<Vec<_>>(), ["openid", "profile"]);
    assert_eq!((asked.max_age, asked.nonce.as_deref()), (Some(60), Some("n")));
    assert!(asked.prompt.login && asked.prompt.consent && !asked.prompt.none);
    let want = Return {
        to: "https://wiki.example.com/back".into(),
        mode: Mode::Query,
        state: Some("s p&=".into()),
    };
    assert_eq!(asked.back, want);
    assert_eq!(
        ask(&app(), &[("redirect_uri", "http://127.0.0.1:9001/cb")]).unwrap().back.to,
        "http://127.0.0.1:9001/cb"
    );
    assert_eq!(ask(&app(), &[("response_mode", "form_post")]).unwrap().back.mode, Mode::FormPost);
}

#[test]
fn what_is_wrong_is_said_where_it_may_be_said() {
    for (change, error, code, back) in [
        (
            &[("redirect_uri", "https://evil.example/back")][..],
            "invalid_request",
            "sso.redirect",
            false,
        ),
        (
            &[("redirect_uri", "https://wiki.example.com/back/")],
            "invalid_request",
            "sso.redirect",
            false,
        ),
        (
            &[("redirect_uri", "https://wiki.example.com/back?x=1")],
            "invalid_request",
            "sso.redirect",
            false,
        ),
        (&[("redirect_uri", "")], "invalid_request", "sso.redirect", false),
        (&[("response_type", "token")], "unsupported_response_type", "sso.response-type", true),
        (&[("response_type", "")], "invalid_request", "sso.missing", true),
        (&[("response_mode", "fragment")], "invalid_request", "sso.response-mode", true),
        (&[("request", "x.y.z")], "request_not_supported", "sso.request", true),
        (&[("request_uri", "https://x")], "request_uri_not_supported", "sso.request", true),
        (&[("code_challenge", "")], "invalid_request", "sso.pkce", true),
        (
            &[("code_challenge", ""), ("code_challenge_method", "")],
            "invalid_request",
            "sso.pkce",
            true,
        ),
        (&[("code_challenge", "short")], "invalid_request", "sso.pkce", true),
        (&[("code_challenge_method", "plain")], "invalid_request", "sso.pkce-method", true),
        (&[("code_challenge_method", "")], "invalid_request", "sso.pkce-method", true),
        (&[("scope", "root everything")], "invalid_scope", "sso.scope", true),
        (&[("prompt", "none login")], "invalid_request", "sso.prompt", true),
        (&[("max_age", "soon")], "invalid_request", "sso.max-age", true),
    ] {
        assert_eq!(outcome(ask(&app(), change)), (error, code, back), "{change:?}");
    }
    let without = Application { grants: [Grants::ClientCredentials].into(), ..app() };
    assert_eq!(outcome(ask(&without, &[])).0, "unauthorized_client");
}

#[test]
fn a_public_client_needs_pkce_whatever_it_says() {
    let bare = &[("code_challenge", ""), ("code_challenge_method", "")];
    let lax = Application { pkce: false, ..app() };
    assert_eq!(outcome(ask(&lax, bare)).0, "");
    let public = Application { proof: Proof::Nothing, ..lax };
    assert_eq!(outcome(ask(&public, bare)).1, "sso.pkce");
}

#[test]
fn pkce_proves_and_is_not_taken_away() {
    assert!(pkce::is_challenge(CHALLENGE) && !pkce::is_challenge(VERIFIER.get(1..).unwrap()));
    for (challenge, verifier, want) in [
        (Some(CHALLENGE), Some(VERIFIER), pkce::Proved::Yes),
        (Some(CHALLENGE), Some("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXX"), pkce::Proved::No),
        // The challenge itself: what `plain` would take.
        (Some(CHALLENGE), Some(CHALLENGE), pkce::Proved::No),
        (Some(CHALLENGE), None, pkce::Proved::No),
        (None, Some(VERIFIER), pkce::Proved::Downgraded),
        (None, None, pkce::Proved::Yes),
    ] {
        assert_eq!(pkce::check(challenge, verifier), want, "{challenge:?} {verifier:?}");
    }
}

#[test]
fn addresses_are_the_same_letter_for_letter_but_for_the_port_of_this_machine() {
    for (known, asked, want) in [
        ("https://a.example/cb", "https://a.example/cb", true),
        ("https://a.example/cb", "https://a.example:443/cb", false),
        ("https://a.example/cb", "https://A.example/cb", false),
        ("https://a.example/cb", "https://a.example/cb#x", false),
        ("https://a.example/cb", "https://a.example/cb/../x", false),
        ("https://a.example/cb", "https://a.example.evil.example/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", true),
        ("http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb", true),
        ("http://[::1]/cb", "http://[::1]:51004/cb", true),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/other", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:99999/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:80@evil.example/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb", false),
        ("http://127.0.0.1/cb", "https://127.0.0.1:5/cb", false),
        ("http://localhost/cb", "http://localhost:5/cb", false),
        ("com.example.app:/cb", "com.example.app:/cb", true),
    ] {
        assert_eq!(redirect::matches(known, asked), want, "{known} {asked}");
    }
}

#[test]
fn which_addresses_may_be_registered() {
    for (address, public, want) in [
        ("https://a.example/cb?x=1", false, true),
        ("http://localhost:3000/cb", false, true),
        ("http://web.shop.localhost:8081/cb", false, true),
        ("http://[::1]/cb", false, true),
        ("http://a.example/cb", false, false),
        ("https://a.example/*", false, false),
        ("https://a.example/cb#x", false, false),
        ("https://me:pw@a.example/cb", false, false),
        ("https://a.example/c b", false, false),
        ("https://a.example/\r\nLocation:x", false, false),
        ("javascript:alert(1)", true, false),
        ("data:text/html,x", true, false),
        ("com.example.app:/cb", true, true),
        ("com.example.app:/cb", false, false),
        ("//a.example/cb", true, false),
        ("/cb", false, false),
        ("https:///cb", false, false),
        ("https://a.example:x/cb", false, false),
    ] {
        assert_eq!(redirect::check(address, public).is_ok(), want, "{address}");
    }
    assert!(redirect::check_origin("https://a.example").is_ok());
    assert!(redirect::check_origin("https://a.example/").is_err());
}

#[test]
fn parameters_are_there_once_decoded_and_bounded() {
    let long = format!("state={}", "x".repeat(5000));
    let many = (0..65).map(|n| format!("a{n}=1")).collect::<Vec<_>>().join("&");
    for (words, code) in [
        ("a=1&a=2", "sso.duplicate"),
        ("client_id=a&client%5Fid=b", "sso.duplicate"),
        (long.as_str(), "sso.too-long"),
        (many.as_str(), "sso.too-many"),
        ("a=%zz", "sso.encoding"),
        ("a=%ff", "sso.encoding"),
        ("a=%0d%0aSet-Cookie", "sso.encoding"),
        ("a=%4", "sso.encoding"),
    ] {
        assert_eq!(Params::read(words).unwrap_err().code, code, "{words:.40}");
    }
    let read = Params::read("a=1+2%263&empty=&resource=x&resource=y").unwrap();
    assert_eq!((read.get("a"), read.get("empty")), (Some("1 2&3"), None));
}

fn standing(proved: i64) -> Standing {
    Standing { proved: Time(proved * 1000), allowed: true, agreed: None }
}

#[test]
fn steps_on_the_way_to_a_code() {
    let asked = |prompt: Prompt, max_age| Asked { prompt, max_age, ..ask(&app(), &[]).unwrap() };
    let (plain, now) = (Prompt::default(), Time(10_000_000));
    let none = Prompt { none: true, ..plain };
    let login = Prompt { login: true, ..plain };
    let refused = |step| match step {
        Step::Refuse(refusal) => refusal.error,
        _ => "",
    };
    let here = standing(9_000);
    assert_eq!(step::next(&asked(plain, None), None, None, now), Step::SignIn);
    assert_eq!(refused(step::next(&asked(none, None), None, None, now)), "login_required");
    assert_eq!(step::next(&asked(plain, None), Some(&here), None, now), Step::Grant);
    assert_eq!(step::next(&asked(login, None), Some(&here), None, now), Step::Again);
    assert_eq!(step::next(&asked(plain, Some(999)), Some(&here), None, now), Step::Again);
    assert_eq!(step::next(&asked(plain, Some(1000)), Some(&here), None, now), Step::Grant);
    assert_eq!(
        refused(step::next(&asked(none, Some(1)), Some(&here), None, now)),
        "login_required"
    );
    // What was asked for here is satisfied by a proof since then, and by no other.
    assert_eq!(
        step::next(&asked(plain, Some(0)), Some(&standing(9_990)), Some(9_990), now),
        Step::Grant
    );
    assert_eq!(step::next(&asked(plain, None), Some(&here), Some(9_990), now), Step::Again);
    assert_eq!(
        step::next(&asked(plain, Some(1)), Some(&here), Some(1), now),
        Step::Again,
        "too long ago"
    );
    let out = Standing { allowed: false, ..standing(9_000) };
    assert_eq!(refused(step::next(&asked(plain, None), Some(&out), None, now)), "access_denied");
    let asks = Standing { agreed: Some(BTreeSet::new()), ..standing(9_000) };
    assert_eq!(step::next(&asked(plain, None), Some(&asks), None, now), Step::Agree);
    assert_eq!(refused(step::next(&asked(none, None), Some(&asks), None, now)), "consent_required");
    let agreed = ask(&app(), &[]).unwrap().scopes;
    let agreed = Standing { agreed: Some(agreed), ..standing(9_000) };
    assert_eq!(step::next(&asked(none, None), Some(&agreed), None, now), Step::Grant);
    let consent = Prompt { consent: true, ..plain };
    assert_eq!(step::next(&asked(consent, None), Some(&agreed), None, now), Step::Agree);
}

#[test]
fn refresh_tokens_turn_race_and_give_thieves_away() {
    let (turned, soon) = (Time(100_000), Time(100_000).plus(GRACE));
    for (shown, present, now, want) in [
        (3, 3, soon, Turn::Next),
        (2, 3, soon, Turn::Again),
        (2, 3, Time(soon.0 + 1), Turn::Reused),
        (2, 3, Time(99_999), Turn::Reused),
        (1, 3, turned, Turn::Reused),
        (4, 3, turned, Turn::Reused),
    ] {
        assert_eq!(refresh::turn(shown, present, turned, now), want, "{shown} {present} {now:?}");
    }
}

#[test]
fn devices_wait_are_slowed_and_run_out() {
    let (until, wait) = (Time(600_000), Duration::from_secs(5));
    for (said, last, now, want) in [
        (Said::Nothing, None, 1, Poll::Pending),
        (Said::Nothing, Some(1_000), 5_999, Poll::SlowDown),
        (Said::Nothing, Some(1_000), 6_000, Poll::Pending),
        (Said::Yes, Some(1_000), 1_001, Poll::Granted),
        (Said::No, None, 1, Poll::Denied),
        (Said::Yes, None, 600_000, Poll::Expired),
    ] {
        assert_eq!(device::poll(said, last.map(Time), wait, until, Time(now)), want);
    }
    assert_eq!(device::typed(" bcdf-ghjk ").as_deref(), Some("BCDFGHJK"));
    assert_eq!((device::typed("BCDFGHJ"), device::typed("ABCDFGHJ")), (None, None));
    assert_eq!(device::shown("BCDFGHJK"), "BCDF-GHJK");
    assert_eq!(device::code(&[255; 64]), None, "no letter more often than another");
}

#[test]
fn an_application_proves_itself_in_one_way_and_in_its_own() {
    let form = |words: &str| Params::read(words).unwrap();
    // `wiki:a+b%` as RFC 6749 §2.3.1 encodes it.
    let basic = "Basic d2lraTphJTJCYiUyNQ==";
    let shown = client::presented(Some(basic), &form("")).unwrap();
    assert!(matches!(shown.shown, client::Shown::Secret(s) if s.reveal() == "a+b%"));
    for (header, words, error) in [
        (Some(basic), "client_secret=x", "invalid_request"),
        (None, "client_id=wiki&client_secret=x&client_assertion=y", "invalid_request"),
        (Some(basic), "client_id=other", "invalid_client"),
        (Some("Bearer x"), "", "invalid_client"),
        (None, "", "invalid_client"),
        (None, "client_id=wiki&client_assertion=a.b.c", "invalid_client"),
    ] {
        assert_eq!(client::presented(header, &form(words)).unwrap_err().error, error, "{words}");
    }
    let (secret, nothing) = (client::Shown::Secret("x".to_owned().into()), client::Shown::Nothing);
    assert!(
        client::fits(Proof::Secret, &secret).is_ok()
            && client::fits(Proof::Nothing, &nothing).is_ok()
    );
    assert!(client::fits(Proof::Secret, &nothing).is_err(), "nobody gets away with nothing");
    assert!(
        client::fits(Proof::Key, &secret).is_err()
            && client::fits(Proof::Nothing, &secret).is_err()
    );
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn signed_statements_of_applications_and_forgeries_of_them() {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    let x = encode(pair.public_key());
    let keys = [json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "one" })];
    let sign = |header: Value, claims: &Value| {
        let words = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = encode(pair.sign(words.as_bytes()));
        format!("{words}.{signature}")
    };
    let header = json!({ "alg": "EdDSA", "kid": "one" });
    let good = json!({ "iss": "api", "sub": "api", "aud": "https://naru", "exp": 1060, "iat": 1000, "jti": "j" });
    let ours = ["https://naru".to_owned()];
    let check = |token: &str| assertion::check(token, &keys, "api", &ours, Time(1_000_000));
    let once = check(&sign(header.clone(), &good)).unwrap();
    assert_eq!((once.id.as_str(), once.until), ("j", Time(1_090_000)));
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        check(&sign(header.clone(), &claims)).map_err(|refusal| refusal.code)
    };
    assert!(with("aud", json!(["x", "https://naru"])).is_ok());
    for (name, value, code) in [
        ("iss", json!("other"), "sso.assertion-subject"),
        ("sub", json!("admin"), "sso.assertion-subject"),
        ("aud", json!("https://elsewhere"), "sso.assertion-audience"),
        ("aud", Value::Null, "sso.assertion-audience"),
        ("exp", json!(900), "sso.assertion-time"),
        ("exp", json!(1_000_000), "sso.assertion-time"),
        ("exp", Value::Null, "sso.assertion-time"),
        ("nbf", json!(2000), "sso.assertion-time"),
        ("jti", Value::Null, "sso.assertion-id"),
    ] {
        assert_eq!(with(name, value), Err(code), "{name}");
    }
    let forged = |header: Value| check(&sign(header, &good)).map_err(|refusal| refusal.code);
    for header in [
        json!({ "alg": "none" }),
        json!({ "alg": "HS256", "kid": "one" }),
        json!({ "alg": "RS256", "kid": "one" }),
        json!({ "alg": "EdDSA", "kid": "two" }),
    ] {
        assert_eq!(forged(header), Err("sso.assertion-signature"));
    }
    assert_eq!(forged(json!({ "alg": "EdDSA", "crit": ["b64"] })), Err("sso.assertion-form"));
    let real = sign(header.clone(), &good);
    let bare = real.rsplit_once('.').unwrap().0;
    assert!(check(&format!("{bare}.")).is_err() && check("a.b.c").is_err() && check("").is_err());
    // The public key as the secret of a keyed hash.
    let words =
        format!("{}.{}", encode(json!({ "alg": "HS256" }).to_string()), encode(good.to_string()));
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, x.as_bytes());
    let tag = encode(ring::hmac::sign(&secret, words.as_bytes()));
    assert!(check(&format!("{words}.{tag}")).is_err());
}

#[test]
fn an_application_that_makes_no_sense_is_refused() {
    assert!(app().check().is_ok());
    let wrong = [
        Application::default(),
        Application { redirects: vec!["http://a.example/cb".into()], ..app() },
        Application { proof: Proof::Key, ..app() },
        Application { keys: json!({ "keys": [] }), ..app() },
        Application { proof: Proof::Nothing, grants: [Grants::ClientCredentials].into(), ..app() },
        Application { access_lasts: "2d".into(), ..app() },
        Application { refresh_lasts: "long".into(), ..app() },
        Application { title: "a\nb".into(), ..app() },
        Application { scopes: ["a b".to_owned()].into(), ..app() },
        Application { back_channel_logout: Some("file:///etc/passwd".into()), ..app() },
    ];
    for spec in wrong {
        assert!(spec.check().is_err(), "{spec:?}");
    }
    let private = json!({ "kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA" });
    assert!(assertion::check_keys(&[private]).is_err(), "a private key is none of ours");
}

proptest! {
    #[test]
    fn nobody_is_sent_where_the_application_has_not_registered(asked in "\\PC{0,60}", at in 0..3_usize) {
        let app = app();
        let tried = match at {
            0 => asked.clone(),
            1 => format!("https://wiki.example.com/back{asked}"),
            _ => format!("http://127.0.0.1{asked}/cb"),
        };
        let mut all = good();
        all.retain(|(name, _)| *name != "redirect_uri");
        all.push(("redirect_uri", &tried));
        if let Ok(params) = Params::read(&query(all)) {
            let to = match authorize::check(&params, &name("wiki"), &app) {
                Ok(asked) => Some(asked.back.to),
                Err(Wrong::Back(back, _)) => Some(back.to),
                Err(Wrong::Here(_)) => None,
            };
            if let Some(to) = to {
                let near = to.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.strip_suffix("/cb"));
                let near = near.is_some_and(|port| port.parse::<u16>().is_ok());
                prop_assert!(near || app.redirects.contains(&to), "{to}");
            }
        }
    }

    #[test]
    fn parameters_come_back_as_they_went(pairs in proptest::collection::btree_map("[a-z]{1,8}", "[^\\p{Cc}]{1,40}", 0..10)) {
        let words = query(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        let read = Params::read(&words).unwrap();
        for (name, value) in &pairs {
            prop_assert_eq!(read.get(name), Some(value.as_str()));
        }
        prop_assert_eq!(Params::read(&read.query_without(&[])).unwrap(), read);
    }

    #[test]
    fn of_a_stolen_refresh_token_one_side_is_noticed(first in 0_u64..3, late in 11_000_i64..1_000_000) {
        // The thief turns it, then the owner, later than a race takes: whoever comes second ends the family.
        let present = first + 1;
        let turn = refresh::turn(first, present, Time(0), Time(late));
        prop_assert_eq!(turn, Turn::Reused);
    }
}
