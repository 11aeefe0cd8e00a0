use super::*;
use kernel::{Key, Name, Principal};
use store::{Durability, Options, Put, clock::Manual};

async fn open(dir: &std::path::Path) -> (Policy, Manual) {
    let clock = Manual::new(kernel::Time(1_000_000));
    let options = Options {
        clock: std::sync::Arc::new(clock.clone()),
        durability: Durability::Process,
        chaos: None,
    };
    let store = Store::open(&dir.join("naru.db"), options).unwrap();
    (Policy::new(&Accounts::open(store).await.unwrap()), clock)
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
async fn a_stranger_does_not_learn_that_a_project_exists() {
    let dir = tempfile::tempdir().unwrap();
    let (policy, _) = open(dir.path()).await;
    let members = vec![Member::user(name("ada"), Role::Viewer)];
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
