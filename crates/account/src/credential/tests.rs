//! Sign-ins from the first step to the session.

use super::*;
use crate::{Accounts, Signer, User};
use kernel::{Error, Key, Name, Principal, Time};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use store::{Durability, Options, Put, Store, clock::Manual};
use testkit::{Authenticator, totp};

const PASSWORD: &str = "otter lantern gravel mint";
const HOST: &str = "localhost:8080";

struct World {
    accounts: Accounts,
    clock: Manual,
    _dir: tempfile::TempDir,
}

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

fn at(address: &str) -> Visitor {
    let address: IpAddr = address.parse().unwrap();
    Visitor { address, browser: "Firefox".into(), device: None, session: None }
}

fn home() -> Visitor {
    at("192.0.2.1")
}

async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let clock = Manual::new(Time(1_764_000_000_000));
    let options =
        Options { clock: Arc::new(clock.clone()), durability: Durability::Process, chaos: None };
    let store = Store::open(&dir.path().join("naru.db"), options).unwrap();
    let accounts = Accounts::open(store).await.unwrap();
    let keys = dir.path().join("keys.json");
    accounts.trust(Signer::open(&keys, "http://x", Arc::new(clock.clone())).unwrap());
    let world = World { accounts, clock, _dir: dir };
    world.put::<User>("han", json!({ "title": "Han" })).await;
    world
        .accounts
        .set_password(&name("han"), PASSWORD.into(), Principal::part("test"))
        .await
        .unwrap();
    world
}

impl World {
    async fn put<K: kernel::Kind>(&self, named: &str, spec: Value) {
        let key = Key::global::<K>(&name(named));
        let put = Put {
            key,
            labels: Default::default(),
            spec,
            expected: None,
            actor: Principal::part("test"),
        };
        self.accounts.store().write(move |tx| tx.put(put)).await.unwrap();
    }

    async fn try_password(&self, who: &str, password: &str, from: &Visitor) -> Result<Step, Error> {
        self.accounts.sign_in(who, password.into(), from).await
    }

    async fn open(&self, from: &Visitor) -> Opened {
        match self.try_password("han", PASSWORD, from).await.unwrap() {
            Step::Open(opened) => opened,
            other => panic!("{other:?}"),
        }
    }

    async fn half(&self, from: &Visitor) -> Half {
        match self.try_password("han", PASSWORD, from).await.unwrap() {
            Step::Second(half) | Step::Enrol(half) => half,
            other => panic!("{other:?}"),
        }
    }

    fn code(&self, secret: &str) -> String {
        totp(secret, self.accounts.store().now().0 / 1000)
    }

    /// The secret of the app, and recovery codes.
    async fn enrol(&self) -> (String, Vec<String>) {
        let han = name("han");
        let begun = self.accounts.begin_totp(&han, "localhost").unwrap();
        let digits = self.code(&begun.secret);
        let codes = self.accounts.finish_totp(&han, &begun.code, &digits).await.unwrap();
        self.clock.advance(Duration::from_secs(30));
        (begun.secret, codes)
    }

    async fn passkey(&self) -> Authenticator {
        let han = name("han");
        let (code, question) = self.accounts.begin_passkey(&han, "phone", HOST).await.unwrap();
        assert_eq!(question["publicKey"]["authenticatorSelection"]["residentKey"], "required");
        let (key, answer) = Authenticator::create(&question, "http://localhost:8080");
        self.accounts.finish_passkey(&han, &code, answer, HOST).await.unwrap();
        key
    }

    async fn show(&self, key: &mut Authenticator) -> Result<Opened, Error> {
        let (code, question) = self.accounts.ask_passkey(&home(), HOST).unwrap();
        let answer = key.show(&question);
        self.accounts.sign_in_by_passkey(&code, answer, &home(), HOST).await
    }

    async fn is_fresh(&self, cookie: &str) -> bool {
        let proven = self.accounts.session(cookie, &home().peer()).await.unwrap();
        proven.credential.is_fresh(self.accounts.store().now())
    }

    async fn events(&self) -> Vec<kernel::Event> {
        self.accounts.store().read(|v| v.events(0, 1000, &Default::default())).await.unwrap()
    }
}

#[tokio::test]
async fn a_password_opens_a_session_and_the_device_is_known_from_then_on() {
    let world = world().await;
    let opened = world.open(&home()).await;
    assert_eq!(opened.who, Principal::User(name("han")));
    assert!(world.is_fresh(&opened.session).await);
    world.clock.advance(FRESH);
    assert!(!world.is_fresh(&opened.session).await);
    let again = Visitor { device: opened.device.clone(), ..home() };
    assert!(opened.device.is_some());
    assert!(world.open(&again).await.device.is_none());
    assert_ne!(world.open(&again).await.session, opened.session, "always a new secret");
}

#[tokio::test]
async fn an_unknown_user_a_wrong_password_and_a_disabled_account_are_one_answer_and_one_work() {
    let world = world().await;
    world.put::<User>("nopass", json!({})).await;
    world.accounts.warm().await.unwrap();
    let mut seen = Vec::new();
    for (who, password, from) in [
        ("han", "wrong password here", "192.0.2.11"),
        ("nobody", PASSWORD, "192.0.2.12"),
        ("nopass", PASSWORD, "192.0.2.13"),
        ("Not A Name!", PASSWORD, "192.0.2.14"),
        ("", "", "192.0.2.15"),
    ] {
        let (hashes, events) = (world.accounts.hashes_done(), world.events().await.len());
        let error = world.try_password(who, password, &at(from)).await.unwrap_err();
        let work = (world.accounts.hashes_done() - hashes, world.events().await.len() - events);
        assert_eq!(work, (1, 1), "{who}");
        seen.push(error.to_string());
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
    let journal = serde_json::to_string(&world.events().await).unwrap();
    assert!(!journal.contains("nobody") && !journal.contains("Not A Name"), "it may be a password");
}

#[tokio::test]
async fn the_second_factor_is_asked_for_and_each_code_works_once() {
    let world = world().await;
    let (secret, _) = world.enrol().await;
    let half = world.half(&home()).await;
    assert_eq!(half.need, Need::Second { totp: true, passkey: false, recovery: true });
    assert!(
        world.accounts.session(&half.code, &Default::default()).await.is_err(),
        "half-open is not open"
    );
    let digits = world.code(&secret);
    let second = |code: String, digits: String| {
        let accounts = world.accounts.clone();
        async move { accounts.second(&code, Proof::Totp(digits), &home(), HOST).await }
    };
    let opened = second(half.code.clone(), digits.clone()).await.unwrap();
    assert!(world.accounts.session(&opened.session, &Default::default()).await.is_ok());
    assert_eq!(second(half.code, digits.clone()).await.unwrap_err().code(), "sign-in.late");
    let half = world.half(&home()).await;
    assert_eq!(second(half.code, digits).await.unwrap_err().code(), "totp.wrong", "replayed");
    let rows = std::fs::read(world._dir.path().join("naru.db-wal")).unwrap();
    let plain = secret.replace(' ', "");
    assert!(!rows.windows(plain.len()).any(|w| w == plain.as_bytes()), "sealed in the store");
}

#[tokio::test]
async fn a_recovery_code_takes_its_place_once() {
    let world = world().await;
    let (_, codes) = world.enrol().await;
    assert_eq!(codes.len(), 10);
    for (round, want) in [(0, true), (1, false)] {
        let half = world.half(&home()).await;
        let proof = Proof::Recovery(codes[4].to_uppercase());
        let done = world.accounts.second(&half.code, proof, &home(), HOST).await;
        assert_eq!(done.is_ok(), want, "{round}");
    }
    assert_eq!(world.accounts.factors(&name("han")).await.unwrap().recovery, 9);
    let new = world.accounts.renew_recovery(&name("han"), Principal::part("test")).await.unwrap();
    assert!(new.len() == 10 && !new.contains(&codes[5]));
}

#[tokio::test]
async fn wrong_codes_start_the_sign_in_over_and_slow_it_down() {
    let world = world().await;
    world.enrol().await;
    let half = world.half(&home()).await;
    let mut answers = Vec::new();
    for _ in 0..6 {
        let wrong = Proof::Totp("000000".into());
        let error = world.accounts.second(&half.code, wrong, &home(), HOST).await.unwrap_err();
        answers.push(error.code());
        world.clock.advance(Duration::from_secs(5));
    }
    assert_eq!(answers[..5], ["totp.wrong"; 5]);
    assert_eq!(answers[5], "sign-in.late");
    let half = world.half(&home()).await;
    world.clock.advance(Duration::from_secs(5 * 60));
    let late = Proof::Totp("000000".into());
    let error = world.accounts.second(&half.code, late, &home(), HOST).await.unwrap_err();
    assert_eq!(error.code(), "sign-in.late");
}

#[tokio::test]
async fn guessing_slows_the_guesser_and_the_owner_comes_in() {
    let world = world().await;
    let known = Visitor { device: world.open(&home()).await.device, ..home() };
    for n in 0..40 {
        let from = at(&format!("198.51.100.{n}"));
        let _ = world.try_password("han", "not this one, surely", &from).await;
    }
    let mut slowed = 0;
    for _ in 0..10 {
        let error = world.try_password("han", "guess and guess", &home()).await.unwrap_err();
        slowed += u32::from(error.code() == "sign-in.slow");
    }
    assert!(slowed >= 6, "{slowed}");
    world.open(&known).await;
    let stranger = world.try_password("han", PASSWORD, &at("203.0.113.5")).await.unwrap_err();
    assert_eq!((stranger.code(), stranger.kind().status()), ("sign-in.slow", 429));
    world.clock.advance(PATIENCE);
    world.open(&at("203.0.113.5")).await;
}

#[tokio::test]
async fn a_passkey_signs_in_alone_and_counts_its_uses() {
    let world = world().await;
    let mut key = world.passkey().await;
    let opened = world.show(&mut key).await.unwrap();
    assert_eq!(opened.who, Principal::User(name("han")));
    let view = world.accounts.factors(&name("han")).await.unwrap();
    assert!(view.passkeys[0].last_used.is_some() && view.passkeys[0].host == "localhost");
    key.counter = 0;
    assert_eq!(world.show(&mut key).await.unwrap_err().code(), "passkey.refused", "a copy");
    key.counter = 10;
    world.show(&mut key).await.unwrap();
}

#[tokio::test]
async fn what_a_passkey_must_not_do() {
    let world = world().await;
    let mut key = world.passkey().await;
    key.origin = "https://naru.evil.example".into();
    assert_eq!(world.show(&mut key).await.unwrap_err().code(), "passkey.refused", "another page");
    key.origin = "http://localhost:8080".into();
    key.verified = false;
    assert_eq!(world.show(&mut key).await.unwrap_err().code(), "passkey.refused", "no PIN");
    key.verified = true;
    let (code, question) = world.accounts.ask_passkey(&home(), HOST).unwrap();
    let answer = key.show(&question);
    let sign = |code: String, answer: Value| {
        let accounts = world.accounts.clone();
        async move { accounts.sign_in_by_passkey(&code, answer, &home(), HOST).await }
    };
    sign(code.clone(), answer.clone()).await.unwrap();
    assert_eq!(sign(code, answer.clone()).await.unwrap_err().code(), "sign-in.late", "replayed");
    let (other, _) = world.accounts.ask_passkey(&home(), HOST).unwrap();
    assert_eq!(
        sign(other, answer).await.unwrap_err().code(),
        "passkey.refused",
        "another question"
    );
    world.put::<User>("han", json!({ "title": "Han", "disabled": true })).await;
    assert_eq!(world.show(&mut key).await.unwrap_err().code(), "passkey.refused", "disabled");
    let password = world.try_password("han", PASSWORD, &home()).await.unwrap_err();
    assert_eq!(password.code(), "sign-in.wrong", "disabled");
    assert!(world.accounts.begin_passkey(&name("han"), "x", "127.0.0.1:8080").await.is_err());
}

#[tokio::test]
async fn a_rule_makes_everybody_set_up_a_second_factor_and_keeps_it() {
    let world = world().await;
    world.put::<SignInRules>("default", json!({ "require_second_factor": "everybody" })).await;
    let half = world.half(&home()).await;
    assert_eq!(half.need, Need::Enrol);
    let wrong = Proof::Recovery("x".into());
    assert!(world.accounts.second(&half.code, wrong, &home(), HOST).await.is_err());
    let begun = world.accounts.enrol_half(&half.code, "localhost").unwrap();
    let digits = world.code(&begun.secret);
    let (opened, codes) =
        world.accounts.finish_enrol(&half.code, &begun.code, &digits, &home()).await.unwrap();
    assert!(
        world.accounts.session(&opened.session, &Default::default()).await.is_ok()
            && codes.len() == 10
    );
    let kept = world.accounts.remove_totp(&name("han"), Principal::part("test")).await;
    assert_eq!(kept.unwrap_err().code(), "credential.required");
}

#[tokio::test]
async fn an_invitation_sets_a_password_once_and_ends() {
    let world = world().await;
    world.put::<User>("dalia", json!({ "title": "Dalia" })).await;
    let dalia = name("dalia");
    let (old, _) = world.accounts.invite(&dalia, Principal::part("test")).await.unwrap();
    let (code, _) = world.accounts.invite(&dalia, Principal::part("test")).await.unwrap();
    assert_eq!(world.accounts.invitation(&old).await.unwrap_err().code(), "invitation.spent");
    assert_eq!(world.accounts.invitation(&code).await.unwrap().title, "Dalia");
    let short = world.accounts.accept(&code, "short".into(), &home()).await.unwrap_err();
    assert_eq!(short.code(), "password.short");
    let step = world.accounts.accept(&code, PASSWORD.into(), &home()).await.unwrap();
    assert!(matches!(step, Step::Open(opened) if opened.who == Principal::User(dalia.clone())));
    let spent = world.accounts.accept(&code, PASSWORD.into(), &home()).await.unwrap_err();
    assert_eq!(spent.code(), "invitation.spent");
    let (late, until) = world.accounts.invite(&dalia, Principal::part("test")).await.unwrap();
    world.clock.advance(until.since(world.accounts.store().now()));
    assert_eq!(world.accounts.invitation(&late).await.unwrap_err().code(), "invitation.spent");
}

#[tokio::test]
async fn who_comes_back_under_the_same_name_inherits_nothing() {
    let world = world().await;
    let mut key = world.passkey().await;
    let han = Key::global::<User>(&name("han"));
    world
        .accounts
        .store()
        .write(move |tx| tx.delete(&han, None, Principal::part("test")))
        .await
        .unwrap();
    world.put::<User>("han", json!({ "title": "Another Han" })).await;
    assert_eq!(
        world.try_password("han", PASSWORD, &home()).await.unwrap_err().code(),
        "sign-in.wrong"
    );
    assert!(world.show(&mut key).await.is_err());
}

#[tokio::test]
async fn proving_again_makes_a_session_fresh() {
    let world = world().await;
    let opened = world.open(&home()).await;
    world.clock.advance(FRESH);
    let again = |proof| {
        let (accounts, cookie) = (world.accounts.clone(), opened.session.clone());
        async move { accounts.prove_again(&name("han"), &cookie, proof, &home(), HOST).await }
    };
    assert!(again(Proof::Password("wrong".into())).await.is_err());
    assert!(!world.is_fresh(&opened.session).await);
    let renewed = again(Proof::Password(PASSWORD.into())).await.unwrap();
    assert!(world.is_fresh(&renewed).await);
    // Who had the old cookie has nothing.
    assert!(world.accounts.session(&opened.session, &home().peer()).await.is_err());
}

#[tokio::test]
async fn what_was_sealed_with_a_lost_key_says_so() {
    let world = world().await;
    let (secret, codes) = world.enrol().await;
    let store = world.accounts.store().clone();
    let reopened = Accounts::open(store).await.unwrap();
    let keys = world._dir.path().join("other-keys.json");
    reopened.trust(Signer::open(&keys, "http://x", Arc::new(world.clock.clone())).unwrap());
    let half = || async {
        match reopened.sign_in("han", PASSWORD.into(), &home()).await.unwrap() {
            Step::Second(half) => half.code,
            other => panic!("{other:?}"),
        }
    };
    let digits = Proof::Totp(world.code(&secret));
    let lost = reopened.second(&half().await, digits, &home(), HOST).await.unwrap_err();
    assert_eq!(lost.code(), "credential.sealed");
    let paper = Proof::Recovery(codes[0].clone());
    assert!(reopened.second(&half().await, paper, &home(), HOST).await.is_ok());
}

#[tokio::test]
async fn who_guesses_gets_no_new_tries_by_a_restart_and_others_are_not_held_up() {
    let world = world().await;
    let origin = kernel::Origin { address: Some("198.51.100.7".into()), ..Default::default() };
    let guess = |accounts: Accounts| async move {
        let stranger = at("198.51.100.7");
        let tried = accounts.sign_in("han", "not this one at all".into(), &stranger).await;
        tried.unwrap_err().code()
    };
    for _ in 0..3 {
        let accounts = world.accounts.clone();
        store::origin::scope(origin.clone(), async {
            assert_eq!(guess(accounts).await, "sign-in.wrong")
        })
        .await;
    }
    assert_eq!(guess(world.accounts.clone()).await, "sign-in.slow");
    let again = Accounts::open(world.accounts.store().clone()).await.unwrap();
    assert_eq!(guess(again.clone()).await, "sign-in.slow", "the journal remembers");
    assert!(again.sign_in("han", PASSWORD.into(), &home()).await.is_ok(), "han himself comes in");
    world.clock.advance(Duration::from_secs(3600));
    let later = Accounts::open(world.accounts.store().clone()).await.unwrap();
    assert_eq!(guess(later).await, "sign-in.wrong", "an hour later it is forgotten");
}
