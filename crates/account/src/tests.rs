use super::*;
use std::time::Duration;
use store::{Durability, Options, clock::Manual};

async fn open(dir: &std::path::Path) -> (Accounts, Manual) {
    let clock = Manual::new(kernel::Time(1_000_000));
    let options = Options {
        clock: std::sync::Arc::new(clock.clone()),
        durability: Durability::Process,
        chaos: None,
    };
    let store = Store::open(&dir.join("naru.db"), options).unwrap();
    (Accounts::open(store).await.unwrap(), clock)
}

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

#[tokio::test]
async fn a_token_works_until_it_is_revoked_or_expires_and_its_text_is_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (accounts, clock) = open(dir.path()).await;
    let admin = Principal::User(name("admin"));
    let hour = Some(Duration::from_secs(3600));
    let text =
        accounts.create_token(admin.clone(), name("laptop"), hour, admin.clone()).await.unwrap();
    assert_eq!(accounts.authenticate(&text, &Peer::default()).await.unwrap().principal, admin);
    let twice = accounts
        .create_token(admin.clone(), name("laptop"), None, admin.clone())
        .await
        .unwrap_err();
    assert_eq!(twice.code(), "token.exists");

    let database = std::fs::read(dir.path().join("naru.db")).unwrap();
    let wal = std::fs::read(dir.path().join("naru.db-wal")).unwrap();
    let secret = text.as_bytes();
    assert!(![database, wal].iter().any(|b| b.windows(secret.len()).any(|w| w == secret)));

    clock.advance(Duration::from_secs(3601));
    assert_eq!(
        accounts.authenticate(&text, &Peer::default()).await.unwrap_err().code(),
        "auth.required"
    );

    let other =
        accounts.create_token(admin.clone(), name("ci"), None, admin.clone()).await.unwrap();
    accounts.authenticate(&other, &Peer::default()).await.unwrap();
    accounts.revoke_token(&admin, &name("ci"), admin.clone()).await.unwrap();
    assert_eq!(
        accounts.authenticate(&other, &Peer::default()).await.unwrap_err().code(),
        "auth.required"
    );
    for wrong in ["", "naru_", "naru_x", "password", &"naru_".repeat(100)] {
        assert!(accounts.authenticate(wrong, &Peer::default()).await.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_link_signs_in_once() {
    let dir = tempfile::tempdir().unwrap();
    let (accounts, clock) = open(dir.path()).await;
    let admin = Principal::User(name("admin"));
    let code = accounts.create_link(admin.clone()).await.unwrap();
    let who = accounts.redeem_link(&code).await.unwrap();
    let cookie = accounts.create_session(who).await.unwrap();
    assert_eq!(accounts.session(&cookie, &Peer::default()).await.unwrap().principal, admin);
    assert_eq!(accounts.redeem_link(&code).await.unwrap_err().code(), "link.spent");
    accounts.close_session(&cookie).await.unwrap();
    assert!(accounts.session(&cookie, &Peer::default()).await.is_err());

    let old = accounts.create_link(admin).await.unwrap();
    clock.advance(Duration::from_secs(16 * 60));
    assert_eq!(accounts.redeem_link(&old).await.unwrap_err().code(), "link.spent");
}
