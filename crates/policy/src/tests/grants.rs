//! Rights for a time: asked for, approved by somebody else, over by themselves.

use super::{World, name, user};
use crate::*;
use kernel::Name;
use std::sync::Arc;
use std::time::Duration;
use store::{Durability, Options, Store, clock::Manual};

const HOUR: Duration = Duration::from_secs(3600);

fn wanted(give: Given, on: &str) -> Wanted {
    let on = Target::parse(on).unwrap();
    Wanted { give, on, reason: "the shop is down".into(), lasts: HOUR, to: None }
}

impl World {
    async fn request(&self, who: &str, give: Given, on: &str) -> kernel::Result<Name> {
        Ok(self.policy.request(&user(who), wanted(give, on)).await?.key.name)
    }

    async fn settle(&self, who: &str, id: &Name, verb: Verb) -> &'static str {
        let done = self.policy.decide_request(&user(who), id, verb, "").await;
        done.err().map_or("", |e| e.code())
    }

    async fn told(&self, kind: &'static str) -> usize {
        let filter = store::Filter { kind: Some(kind.into()), ..Default::default() };
        let read = move |v: &View<'_>| v.events(0, 100, &filter);
        self.policy.store().read(read).await.unwrap().len()
    }
}

#[tokio::test]
async fn a_grant_is_approved_by_somebody_else_and_ends_by_itself() {
    let world = World::new().await;
    let shop = "project/shop";
    let id = world.request("ben", Given::Role(Role::Maintainer), shop).await.unwrap();
    assert_eq!(world.ask("ben", Action::Deploy, shop).await, "auth.denied", "asking gives nothing");
    assert_eq!(world.settle("ben", &id, Verb::Approve).await, "access.own");
    assert_eq!(world.settle("eve", &id, Verb::Approve).await, "access.unknown");
    assert_eq!(world.settle("ada", &id, Verb::Approve).await, "");
    assert_eq!(world.settle("ada", &id, Verb::Approve).await, "access.decided");
    assert_eq!(world.ask("ben", Action::Deploy, shop).await, "");
    world.clock.advance(HOUR - Duration::from_millis(1));
    assert_eq!(world.ask("ben", Action::Deploy, shop).await, "");
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.ask("ben", Action::Deploy, shop).await, "auth.denied", "no loop has run");
    assert_eq!(world.told("access.expired").await, 0);
    assert_eq!(world.policy.expire().await.unwrap(), None);
    assert_eq!((world.told("access.expired").await, world.told("access.approved").await), (1, 1));
    world.policy.expire().await.unwrap();
    assert_eq!(world.told("access.expired").await, 1, "told once");
}

#[tokio::test]
async fn grants_of_actions_hold_where_they_were_given_and_are_revoked_at_once() {
    let world = World::new().await;
    let production = "environment/shop/production";
    let id = world.request("ben", Given::Action(Action::Deploy), production).await.unwrap();
    let twice = world.request("ben", Given::Action(Action::Deploy), production).await;
    assert_eq!(twice.unwrap_err().code(), "access.asked");
    assert_eq!(world.settle("ada", &id, Verb::Approve).await, "");
    assert_eq!(world.ask("ben", Action::Deploy, production).await, "");
    assert_eq!(world.ask("ben", Action::Deploy, "environment/shop/staging").await, "auth.denied");
    assert_eq!(world.ask("ben", Action::SecretRead, production).await, "auth.denied");
    assert_eq!(world.settle("eve", &id, Verb::Revoke).await, "access.unknown");
    assert_eq!(world.settle("ben", &id, Verb::Revoke).await, "", "of one's own");
    assert_eq!(world.ask("ben", Action::Deploy, production).await, "auth.denied");
}

#[tokio::test]
async fn nobody_hands_out_more_than_they_have() {
    let world = World::new().await;
    let may =
        "permit (principal == User::\"ben\", action == Action::\"access.approve\", resource);";
    let spec = PolicySpec { cedar: may.into(), ..PolicySpec::default() };
    world.put(Some("shop"), "ben-approves", &spec).await;
    let owner = world.request("eve", Given::Role(Role::Owner), "project/shop").await.unwrap();
    let viewer = world.request("eve", Given::Role(Role::Viewer), "project/shop").await.unwrap();
    assert_eq!(world.settle("ben", &owner, Verb::Approve).await, "auth.denied");
    assert_eq!(world.settle("ben", &viewer, Verb::Approve).await, "");
    assert_eq!(world.ask("eve", Action::ProjectView, "project/shop").await, "");
    let platform = world
        .request("eve", Given::PlatformRole(PlatformRole::Operator), "platform")
        .await
        .unwrap();
    assert_eq!(world.settle("ada", &platform, Verb::Approve).await, "access.unknown");
    assert_eq!(world.settle("admin", &platform, Verb::Deny).await, "");
    for (give, on) in [
        (Given::Role(Role::Owner), "platform"),
        (Given::PlatformRole(PlatformRole::Auditor), "project/shop"),
        (Given::Action(Action::AuditRead), "project/shop"),
    ] {
        assert_eq!(world.request("eve", give, on).await.unwrap_err().code(), "access.give");
    }
    let asked = world.request("eve", Given::Role(Role::Viewer), "project/none").await;
    assert!(asked.is_ok(), "whoever asks does not learn whether there is such a project");
}

#[tokio::test]
async fn a_second_person_is_asked_by_rule() {
    let world = World::new().await;
    let rule = TwoPerson { action: Action::Deploy, environments: vec!["prod*".into()] };
    let members =
        vec![Member::user(name("ada"), Role::Owner), Member::user(name("ben"), Role::Maintainer)];
    world
        .put(None, "shop", &Project { members, two_person: vec![rule], ..Project::default() })
        .await;
    let production = "environment/shop/production";
    assert_eq!(world.ask("ben", Action::Deploy, "environment/shop/staging").await, "");
    assert_eq!(world.ask("ben", Action::Deploy, production).await, "auth.second-person");
    assert_eq!(world.ask("ada", Action::Deploy, production).await, "auth.second-person");
    let id = world.request("ben", Given::SecondPerson(Action::Deploy), production).await.unwrap();
    assert_eq!(world.settle("ben", &id, Verb::Approve).await, "access.own");
    assert_eq!(world.settle("ada", &id, Verb::Approve).await, "");
    assert_eq!(world.ask("ben", Action::Deploy, production).await, "");
    assert_eq!(
        world.ask("ada", Action::Deploy, production).await,
        "auth.second-person",
        "not hers"
    );
    world.clock.advance(HOUR);
    assert_eq!(world.ask("ben", Action::Deploy, production).await, "auth.second-person");

    let everywhere = TwoPersonRule {
        action: Action::ProjectDelete,
        projects: vec!["sh*".into()],
        environments: Vec::new(),
    };
    world.put(None, "deletions", &everywhere).await;
    assert_eq!(
        world.ask("admin", Action::ProjectDelete, "project/shop").await,
        "auth.second-person"
    );
}

#[tokio::test]
async fn broken_glass_works_at_once_rings_and_ends() {
    let world = World::new().await;
    let take = |who: &'static str, on: &'static str, give: Given| {
        let policy = world.policy.clone();
        async move { policy.break_glass(&user(who), wanted(give, on)).await }
    };
    let denied = take("ben", "project/shop", Given::Role(Role::Owner)).await.unwrap_err();
    assert_eq!(denied.code(), "auth.denied");
    let member = PlatformMember { user: Some(name("ben")), group: None, service: None };
    world.put(None, "operator", &PlatformMembers { members: vec![member] }).await;
    take("ben", "project/shop", Given::Role(Role::Owner)).await.unwrap();
    assert_eq!(world.ask("ben", Action::SecretRead, "secret/shop/db").await, "");
    let alarms = world.policy.alarms();
    assert_eq!((alarms.len(), alarms[0].who.to_string().as_str()), (1, "user:ben"));
    assert_eq!(world.told("access.broken-glass").await, 1);
    world.clock.advance(HOUR);
    assert!(world.policy.alarms().is_empty());
    assert_eq!(world.ask("ben", Action::SecretRead, "secret/shop/db").await, "auth.denied");
    let long = Wanted { lasts: HOUR * 5, ..wanted(Given::Role(Role::Owner), "project/shop") };
    let error = world.policy.break_glass(&user("ben"), long).await.unwrap_err();
    assert_eq!(error.code(), "access.lasts");
}

#[tokio::test]
async fn a_clock_that_is_set_back_revives_no_grant_that_was_over() {
    let world = World::new().await;
    let id = world.request("ben", Given::Role(Role::Maintainer), "project/shop").await.unwrap();
    world.settle("ada", &id, Verb::Approve).await;
    assert_eq!(world.ask("ben", Action::Deploy, "project/shop").await, "");
    world.clock.advance(HOUR);
    world.policy.expire().await.unwrap();
    let World { policy, _dir: dir, .. } = world;
    drop(policy);
    let clock = Manual::new(kernel::Time(1_000_000));
    let options =
        Options { clock: Arc::new(clock.clone()), durability: Durability::Process, chaos: None };
    let store = Store::open(&dir.path().join("naru.db"), options).unwrap();
    let policy = Policy::new(&Accounts::open(store).await.unwrap());
    let world = World { policy, clock, _dir: dir };
    assert_eq!(world.ask("ben", Action::Deploy, "project/shop").await, "auth.denied");
}
