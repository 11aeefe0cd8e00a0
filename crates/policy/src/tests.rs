use super::*;
use std::time::Duration;
use store::{Durability, Options, clock::Manual};

async fn open(dir: &std::path::Path) -> (Policy, Manual) {
    let clock = Manual::new(kernel::Time(1_000_000));
    let options = Options {
        clock: std::sync::Arc::new(clock.clone()),
        durability: Durability::Process,
        chaos: None,
    };
    let store = Store::open(&dir.join("naru.db"), options).unwrap();
    (Policy::open(store).await.unwrap(), clock)
}

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

async fn project(policy: &Policy, spec: Project) {
    let spec = serde_json::to_value(spec).unwrap();
    let key = Key::global::<Project>(&name("shop"));
    let put = Put {
        key,
        labels: Default::default(),
        spec,
        expected: None,
        actor: Principal::part("test"),
    };
    policy.store.write(move |tx| tx.put(put)).await.unwrap();
}

#[tokio::test]
async fn a_token_works_until_it_is_revoked_or_expires_and_its_text_is_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (policy, clock) = open(dir.path()).await;
    let admin = Principal::User(name("admin"));
    let hour = Some(Duration::from_secs(3600));
    let text =
        policy.create_token(admin.clone(), name("laptop"), hour, admin.clone()).await.unwrap();
    assert_eq!(policy.authenticate(&text).await.unwrap(), admin);
    let twice =
        policy.create_token(admin.clone(), name("laptop"), None, admin.clone()).await.unwrap_err();
    assert_eq!(twice.code(), "token.exists");

    let database = std::fs::read(dir.path().join("naru.db")).unwrap();
    let wal = std::fs::read(dir.path().join("naru.db-wal")).unwrap();
    let secret = text.as_bytes();
    assert!(![database, wal].iter().any(|b| b.windows(secret.len()).any(|w| w == secret)));

    clock.advance(Duration::from_secs(3601));
    assert_eq!(policy.authenticate(&text).await.unwrap_err().code(), "auth.required");

    let other = policy.create_token(admin.clone(), name("ci"), None, admin.clone()).await.unwrap();
    policy.authenticate(&other).await.unwrap();
    policy.revoke_token(&admin, &name("ci"), admin.clone()).await.unwrap();
    assert_eq!(policy.authenticate(&other).await.unwrap_err().code(), "auth.required");
    for wrong in ["", "naru_", "naru_x", "password", &"naru_".repeat(100)] {
        assert!(policy.authenticate(wrong).await.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_link_signs_in_once() {
    let dir = tempfile::tempdir().unwrap();
    let (policy, clock) = open(dir.path()).await;
    let admin = Principal::User(name("admin"));
    let code = policy.create_link(admin.clone()).await.unwrap();
    let cookie = policy.redeem_link(&code).await.unwrap();
    assert_eq!(policy.session(&cookie).await.unwrap(), admin);
    assert_eq!(policy.redeem_link(&code).await.unwrap_err().code(), "link.spent");
    policy.close_session(&cookie).await.unwrap();
    assert!(policy.session(&cookie).await.is_err());

    let old = policy.create_link(admin).await.unwrap();
    clock.advance(Duration::from_secs(16 * 60));
    assert_eq!(policy.redeem_link(&old).await.unwrap_err().code(), "link.spent");
}

#[tokio::test]
async fn a_stranger_does_not_learn_that_a_project_exists() {
    let dir = tempfile::tempdir().unwrap();
    let (policy, _) = open(dir.path()).await;
    let members = vec![Member { user: name("ada"), role: Role::Viewer }];
    project(&policy, Project { members, ..Project::default() }).await;
    let ask = |who: Principal, wanted: Permission, whose: &'static str| {
        let policy = policy.clone();
        async move { policy.may(&who, wanted, &name(whose)).await.err().map(|e| e.code()) }
    };
    let user = |n: &str| Principal::User(name(n));
    assert_eq!(ask(user("ada"), Permission::View, "shop").await, None);
    assert_eq!(ask(user("ada"), Permission::Change, "shop").await, Some("auth.denied"));
    assert_eq!(ask(user("eve"), Permission::View, "shop").await, Some("project.unknown"));
    assert_eq!(ask(user("eve"), Permission::View, "none").await, Some("project.unknown"));
    assert_eq!(ask(user("admin"), Permission::Administer, "shop").await, None);
    assert_eq!(ask(user("admin"), Permission::View, "none").await, Some("project.unknown"));
    assert_eq!(ask(Principal::Anonymous, Permission::View, "shop").await, Some("auth.required"));
    assert_eq!(policy.visible(&user("ada")).await.unwrap(), [name("shop")]);
    assert!(policy.visible(&user("eve")).await.unwrap().is_empty());
}
