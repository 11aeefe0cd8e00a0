mod equal;
mod grants;
mod policies;

use super::*;
use kernel::{Key, Kind, Name, Principal};
use store::{Durability, Options, Put, Store, clock::Manual};

pub(crate) struct World {
    pub policy: Policy,
    pub clock: Manual,
    _dir: tempfile::TempDir,
}

pub(crate) fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

pub(crate) fn user(words: &str) -> Principal {
    Principal::User(name(words))
}

impl World {
    /// Users ada, ben, eve and the administrator; ada owns the project shop, ben views it.
    pub async fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let clock = Manual::new(kernel::Time(1_000_000));
        let options = Options {
            clock: std::sync::Arc::new(clock.clone()),
            durability: Durability::Process,
            chaos: None,
        };
        let store = Store::open(&dir.path().join("naru.db"), options).unwrap();
        let world =
            World { policy: Policy::new(&Accounts::open(store).await.unwrap()), clock, _dir: dir };
        for who in ["ada", "ben", "eve"] {
            world.put(None, who, &serde_json::from_str::<account::User>("{}").unwrap()).await;
        }
        let members =
            vec![Member::user(name("ada"), Role::Owner), Member::user(name("ben"), Role::Viewer)];
        world.put(None, "shop", &Project { members, ..Project::default() }).await;
        world
    }

    pub async fn put<K: Kind>(&self, project: Option<&str>, named: &str, spec: &K) {
        let key = Key { kind: K::KIND.into(), project: project.map(name), name: name(named) };
        let spec = serde_json::to_value(spec).unwrap();
        let (labels, actor) = (Default::default(), Principal::part("test"));
        let put = Put { key, labels, spec, expected: None, actor };
        self.policy.store().write(move |tx| tx.put(put)).await.unwrap();
    }

    /// The code of the refusal; empty when it is allowed.
    pub async fn ask(&self, who: &str, action: Action, target: &str) -> &'static str {
        let target = Target::parse(target).unwrap();
        let answer = self.policy.may_do(&user(who), action, &target).await;
        answer.err().map_or("", |e| e.code())
    }
}

#[tokio::test]
async fn a_stranger_does_not_learn_that_a_project_exists() {
    let world = World::new().await;
    let ask = |who: &'static str, wanted: Permission, whose: &'static str| {
        let policy = world.policy.clone();
        async move { policy.may(&user(who), wanted, &name(whose)).await.err().map(|e| e.code()) }
    };
    assert_eq!(ask("ben", Permission::View, "shop").await, None);
    assert_eq!(ask("ben", Permission::Change, "shop").await, Some("auth.denied"));
    assert_eq!(ask("eve", Permission::View, "shop").await, Some("project.unknown"));
    assert_eq!(ask("eve", Permission::View, "none").await, Some("project.unknown"));
    assert_eq!(ask("nobody", Permission::View, "shop").await, Some("project.unknown"));
    assert_eq!(ask("admin", Permission::Administer, "shop").await, None);
    assert_eq!(ask("admin", Permission::View, "none").await, Some("project.unknown"));
    let anonymous = world.policy.may(&Principal::Anonymous, Permission::View, &name("shop")).await;
    assert_eq!(anonymous.unwrap_err().code(), "auth.required");
    assert_eq!(world.policy.visible(&user("ben")).await.unwrap(), [name("shop")]);
    assert!(world.policy.visible(&user("eve")).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_written_is_in_the_next_decision_in_and_out_of_transactions() {
    let world = World::new().await;
    let allows = |who: &'static str| {
        let policy = world.policy.clone();
        async move {
            let (asked, shop) = (policy.clone(), name("shop"));
            let read = move |v: &View<'_>| asked.allows(v, &user(who), Permission::Change, &shop);
            policy.store().read(read).await.unwrap()
        }
    };
    assert!(allows("ada").await && !allows("ben").await, "before anybody asked");
    for role in [Role::Developer, Role::Viewer, Role::Maintainer] {
        let members = vec![Member::user(name("ben"), role)];
        world.put(None, "shop", &Project { members, ..Project::default() }).await;
        let want = role >= Role::Developer;
        assert_eq!(allows("ben").await, want, "{role:?}");
        assert_eq!(world.ask("ben", Action::ProjectChange, "project/shop").await.is_empty(), want);
        assert!(!allows("ada").await);
    }
    let key = Key::global::<Project>(&name("shop"));
    world.policy.store().write(move |tx| tx.delete(&key, None, user("admin"))).await.unwrap();
    assert_eq!(world.ask("ben", Action::ProjectView, "project/shop").await, "project.unknown");
    assert!(!allows("ben").await);
}

#[tokio::test]
async fn roles_of_the_platform_reach_into_every_project() {
    let world = World::new().await;
    for (role, who) in [("operator", "ben"), ("auditor", "eve")] {
        let member = PlatformMember { user: Some(name(who)), group: None, service: None };
        world.put(None, role, &PlatformMembers { members: vec![member] }).await;
    }
    for (who, action, target, want) in [
        ("ben", Action::Deploy, "project/shop", ""),
        ("ben", Action::ProjectChange, "project/shop", "auth.denied"),
        ("ben", Action::AuditRead, "platform", "auth.denied"),
        ("ben", Action::PlatformOperate, "platform", ""),
        ("eve", Action::ProjectView, "project/shop", ""),
        ("eve", Action::Deploy, "project/shop", "auth.denied"),
        ("eve", Action::AuditRead, "platform", ""),
        ("ada", Action::ProjectCreate, "platform", ""),
        ("ada", Action::PlatformView, "platform", "auth.denied"),
        ("ada", Action::AuditRead, "project/shop", "action.elsewhere"),
    ] {
        assert_eq!(world.ask(who, action, target).await, want, "{who} {action} {target}");
    }
}

#[tokio::test]
async fn members_of_groups_in_groups_have_their_role_until_they_leave() {
    use account::{Group, Member as Of};
    let world = World::new().await;
    let group = |members| Group { members, ..Group::default() };
    world.put(None, "qa", &group(vec![Of::User(name("eve"))])).await;
    world.put(None, "all", &group(vec![Of::Group(name("qa"))])).await;
    let members = vec![Member::new(&Subject::Group(name("all")), Role::Developer)];
    world.put(None, "shop", &Project { members, ..Project::default() }).await;
    assert_eq!(world.ask("eve", Action::ProjectChange, "project/shop").await, "");
    assert_eq!(world.ask("ben", Action::ProjectView, "project/shop").await, "project.unknown");
    let (who, context) = (user("eve"), Context::default());
    let target = Target::project(&name("shop"));
    let ask = Ask { who: &who, action: Action::ProjectChange, target: &target, context: &context };
    let why = world.policy.explain(&ask).await.unwrap();
    assert_eq!(why.text().en, "developer of project shop, through group all");
    world.put(None, "qa", &group(Vec::new())).await;
    assert_eq!(world.ask("eve", Action::ProjectView, "project/shop").await, "project.unknown");
}

struct Heard(std::sync::Mutex<Vec<String>>);

impl Denied for Heard {
    fn denied(&self, ask: &Ask<'_>, decision: &Decision) {
        let line = format!("{} {} {} {}", ask.who, ask.action, ask.target, decision.text().en);
        self.0.lock().unwrap().push(line);
    }
}

#[tokio::test]
async fn every_denial_is_told_once() {
    let world = World::new().await;
    let heard = Arc::new(Heard(std::sync::Mutex::default()));
    world.policy.on_denied(heard.clone());
    world.ask("ada", Action::Deploy, "project/shop").await;
    world.ask("ben", Action::Deploy, "service/shop/web").await;
    world.policy.can(&user("ben"), Action::Deploy, &Target::project(&name("shop"))).await;
    let lines = heard.0.lock().unwrap().clone();
    assert_eq!(lines, ["user:ben deploy service/shop/web nothing permits it"]);
}
