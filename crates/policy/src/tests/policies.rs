//! Policies that people write: taken, refused, tested, confined.

use super::{World, name, user};
use crate::*;
use kernel::{Key, Kind};

fn spec(cedar: &str, tests: &str) -> PolicySpec {
    let tests: Vec<PolicyTest> = serde_json::from_str(tests).unwrap();
    PolicySpec { about: String::new(), cedar: cedar.to_owned(), tests }
}

async fn admit(world: &World, project: Option<&str>, spec: &PolicySpec) -> kernel::Result<()> {
    let kind = if project.is_some() { PolicySpec::KIND } else { PlatformPolicy::KIND };
    let key = Key { kind: kind.into(), project: project.map(name), name: name("freeze") };
    world.policy.admit(&key, &serde_json::to_value(spec).unwrap()).await
}

#[tokio::test]
async fn what_is_wrong_with_a_policy_is_said_with_its_place() {
    let world = World::new().await;
    for (cedar, code, place) in [
        ("permit (principal, action, resource)", "policy.syntax", Some((1, 37))),
        ("permit (\n  principal = User::\"x\", action, resource);", "policy.syntax", Some((2, 3))),
        (
            "permit (principal, action == Action::\"fly\", resource);",
            "policy.invalid",
            Some((1, 30)),
        ),
        (
            "permit (principal, action, resource)\nwhen { resource.owner == principal };",
            "policy.invalid",
            Some((2, 8)),
        ),
        ("permit (principal == ?principal, action, resource);", "policy.template", None),
        ("", "policy.empty", None),
        (
            "permit (principal, action, resource) when { User::\"eve\" in Group::\"x\" };",
            "policy.elsewhere",
            None,
        ),
        (
            "permit (principal, action, resource == Project::\"other\");",
            "policy.beyond-project",
            None,
        ),
        (
            "permit (principal, action, resource in Platform::\"naru\");",
            "policy.beyond-project",
            None,
        ),
        (
            "permit (principal, action, resource == Environment::\"other/production\");",
            "policy.beyond-project",
            None,
        ),
    ] {
        let error = admit(&world, Some("shop"), &spec(cedar, "[]")).await.unwrap_err();
        assert_eq!(error.code(), code, "{cedar}: {error}");
        let found = error.place().map(|p| (p.line, p.column));
        if place.is_some() {
            assert_eq!(found, place, "{cedar}: {error}");
        }
        assert!(error.place().is_none_or(|p| p.file.ends_with(".cedar")), "{error}");
    }
    let (king, nobody) =
        (Key::global::<PlatformMembers>(&name("king")), serde_json::json!({ "members": [] }));
    assert_eq!(world.policy.admit(&king, &nobody).await.unwrap_err().code(), "role.unknown");
}

const FREEZE: &str = r#"
// Nobody deploys to production while the shop is frozen, but those on call.
@id("no-deploys")
forbid (principal, action == Action::"deploy", resource)
when { resource is Environment && resource.name == "production" }
unless { principal in Group::"oncall" };
"#;

#[tokio::test]
async fn a_policy_whose_tests_fail_is_refused_and_names_the_test() {
    let world = World::new().await;
    let good = spec(
        FREEZE,
        r#"[
          {"name": "owners wait", "principal": "user:ada", "action": "deploy", "resource": "environment/production", "expect": "deny"},
          {"principal": "user:ada", "action": "deploy", "resource": "environment/staging", "expect": "allow"},
          {"name": "on call", "principal": "user:x", "groups": ["oncall"], "role": "maintainer", "action": "deploy",
           "resource": "environment/shop/production", "expect": "allow"}
        ]"#,
    );
    admit(&world, Some("shop"), &good).await.unwrap();
    let bad = spec(
        FREEZE,
        r#"[{"name": "owners pass", "principal": "user:ada", "action": "deploy",
             "resource": "environment/production", "expect": "allow"}]"#,
    );
    let error = admit(&world, Some("shop"), &bad).await.unwrap_err();
    assert_eq!(error.code(), "policy.test-failed");
    let words = &error.say().en;
    assert!(words.contains("owners pass") && words.contains("shop/freeze#no-deploys"), "{words}");
    assert!(error.say().ko.contains("owners pass"), "{}", error.say().ko);
}

#[tokio::test]
async fn forbid_wins_and_a_projects_policy_ends_at_its_project() {
    let world = World::new().await;
    world.put(None, "other", &Project::default()).await;
    let all = "permit (principal, action, resource);";
    world.put(Some("shop"), "open", &spec(all, "[]")).await;
    assert_eq!(world.ask("eve", Action::ProjectDelete, "project/shop").await, "");
    assert_eq!(world.ask("eve", Action::ProjectView, "project/other").await, "project.unknown");
    assert_eq!(world.ask("eve", Action::AuditRead, "platform").await, "auth.denied");

    world.put(Some("shop"), "freeze", &spec(FREEZE, "[]")).await;
    let production = "environment/shop/production";
    assert_eq!(world.ask("ada", Action::Deploy, production).await, "auth.denied");
    assert_eq!(world.ask("ada", Action::Deploy, "environment/shop/staging").await, "");
    assert_eq!(world.ask("admin", Action::Deploy, production).await, "", "who answers for all");
    let target = Target::parse(production).unwrap();
    let (who, context) = (user("ada"), Context::default());
    let ask = Ask { who: &who, action: Action::Deploy, target: &target, context: &context };
    let why = world.policy.explain(&ask).await.unwrap();
    assert_eq!(why.because, [Reason::Forbidden { policy: "shop/freeze#no-deploys".into() }]);

    let everywhere =
        PlatformPolicy(spec("forbid (principal, action == Action::\"deploy\", resource);", "[]"));
    world.put(None, "halt", &everywhere).await;
    assert_eq!(world.ask("admin", Action::Deploy, production).await, "auth.denied");
    assert!(
        world
            .policy
            .who_can(Action::Deploy, &target, &Context::default(), 10)
            .await
            .unwrap()
            .0
            .is_empty()
    );
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_any_more_opens_nothing() {
    let world = World::new().await;
    world
        .put(
            Some("shop"),
            "old",
            &spec("permit (principal, action == Action::\"gone\", resource);", "[]"),
        )
        .await;
    assert_eq!(world.ask("ada", Action::ProjectView, "project/shop").await, "project.unknown");
    assert_eq!(world.ask("admin", Action::ProjectAdminister, "project/shop").await, "");
}

#[tokio::test]
async fn the_matrix_shows_members_and_why() {
    let world = World::new().await;
    let matrix = world.policy.matrix(&name("shop")).await.unwrap();
    let rows: Vec<String> = matrix.rows.iter().map(|r| r.who.to_string()).collect();
    assert_eq!(rows, ["user:ada", "user:ben"]);
    let at = matrix.actions.iter().position(|a| *a == Action::Deploy).unwrap();
    assert!(matrix.rows[0].cells[at].allow && !matrix.rows[1].cells[at].allow);
    let role = Reason::Role { role: Role::Owner, project: name("shop"), via: Via::Direct };
    assert_eq!(matrix.rows[0].cells[at].because, [role]);
    assert_eq!(world.policy.matrix(&name("none")).await.unwrap_err().code(), "project.unknown");
    let (holders, more) = world
        .policy
        .who_can(
            Action::ProjectView,
            &Target::parse("project/shop").unwrap(),
            &Context::default(),
            2,
        )
        .await
        .unwrap();
    let names: Vec<String> = holders.iter().map(|h| h.who.to_string()).collect();
    assert_eq!((names, more), (vec!["user:ada".to_owned(), "user:admin".to_owned()], true));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    #[test]
    fn any_text_is_taken_or_refused_with_a_place_in_it(at in 0..FREEZE.len(), cut in 0..12_usize, put in "[a-z{}()\"=;:. \n]{0,6}") {
        let end = (at + cut).min(FREEZE.len());
        let words = format!("{}{put}{}", &FREEZE[..at], &FREEZE[end..]);
        let lines = words.matches('\n').count() + 1;
        if let Err(error) = crate::plain::read(&words) {
            proptest::prop_assert!(error.code().starts_with("policy."), "{error}");
            let line = error.place().map_or(1, |p| p.line as usize);
            proptest::prop_assert!((1..=lines).contains(&line), "{error}");
        }
    }
}
