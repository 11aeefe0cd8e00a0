//! The index answers what plain Cedar answers: on random worlds, policies and requests.

use super::{name, user};
use crate::plain::{Case, Parts, resource};
use crate::*;
use kernel::{Name, Principal, Time};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const PROJECTS: [&str; 3] = ["shop", "web", "ops"];
const GROUPS: [&str; 4] = ["qa", "dev", "oncall", "all"];
const USERS: [&str; 5] = ["ada", "ben", "cho", "dan", "eve"];
const NOW: i64 = 1_790_000_000_000;

fn one_of<T: Clone + std::fmt::Debug + 'static>(all: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(all.to_vec())
}

fn principal_scope() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("principal".to_owned()),
        3 => one_of(&USERS).prop_map(|u| format!("principal == User::\"{u}\"")),
        4 => one_of(&GROUPS).prop_map(|g| format!("principal in Group::\"{g}\"")),
        1 => Just("principal is User".to_owned()),
        1 => Just("principal is ServiceAccount".to_owned()),
        1 => one_of(&GROUPS).prop_map(|g| format!("principal is User in Group::\"{g}\"")),
        2 => (one_of(&PROJECTS), one_of(&Role::ALL))
            .prop_map(|(p, r)| format!("principal in Role::\"{p}/{}\"", r.name())),
        1 => one_of(&PlatformRole::ALL).prop_map(|r| format!("principal in Role::\"{}\"", r.name())),
    ]
}

/// Actions that are done in projects, so that each policy fits the schema with any target there.
fn action_scope() -> impl Strategy<Value = String> {
    let own: Vec<Action> =
        Action::ALL.into_iter().filter(|a| a.place() == Place::Project).collect();
    prop_oneof![
        4 => one_of(&own).prop_map(|a| format!("action == Action::\"{a}\"")),
        2 => one_of(&["viewer", "developer", "maintainer"])
            .prop_map(|r| format!("action in Action::\"role.{r}\"")),
        1 => (one_of(&own), one_of(&own))
            .prop_map(|(a, b)| format!("action in [Action::\"{a}\", Action::\"{b}\"]")),
    ]
}

fn target_scope(project: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("resource".to_owned()),
        2 => Just(format!("resource in Project::\"{project}\"")),
        1 => Just(format!("resource == Project::\"{project}\"")),
        2 => Just(format!("resource == Environment::\"{project}/production\"")),
        1 => Just("resource is Service".to_owned()),
        1 => Just(format!("resource is Environment in Project::\"{project}\"")),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    let mut all: Vec<String> = [
        "",
        "",
        "when { context has environment && context.environment == \"production\" }",
        "when { context has branch && context.branch like \"release/*\" }",
        "unless { context has protected && context.protected }",
        "when { principal has department && principal.department == \"ops\" }",
        "when { context has address && context.address.isInRange(ip(\"10.0.0.0/8\")) }",
        "when { context.now < datetime(\"2026-10-01T00:00:00Z\") }",
        "when { principal in resource.project.maintainers }",
        "when { resource.name like \"prod*\" } unless { principal in Group::\"oncall\" }",
        "when { resource.project.name == \"shop\" }",
        "when { resource is Environment && action == Action::\"deploy\" }",
        "when { resource.project.viewers in resource.project.viewers && action in Action::\"role.viewer\" }",
        "when { context == context }",
        "when { context.now.toTime() > duration(\"1h\") }",
    ]
    .map(str::to_owned)
    .into();
    // At the very moment, one before it and one after it something else is true.
    let edge = Time(NOW + 1);
    for comparison in ["<", "<=", ">", ">="] {
        all.push(format!("when {{ context.now {comparison} datetime(\"{edge}\") }}"));
    }
    prop::sample::select(all)
}

fn policy() -> impl Strategy<Value = (Option<Name>, String)> {
    let whose = (one_of(&PROJECTS), any::<bool>());
    whose.prop_flat_map(|(project, own)| {
        let effect = prop_oneof![2 => Just("permit"), 1 => Just("forbid")];
        let scope = (principal_scope(), action_scope(), target_scope(project));
        (effect, scope, condition()).prop_map(move |(effect, (p, a, r), when)| {
            let text = format!("{effect} ({p}, {a}, {r}) {when};");
            (own.then(|| name(project)), text)
        })
    })
}

fn person(i: usize) -> Principal {
    match i {
        5 => Principal::Service(name("bot")),
        6 => Principal::part("naru"),
        _ => user(USERS[i % USERS.len()]),
    }
}

fn people() -> impl Strategy<Value = Vec<(Principal, Vec<Name>, bool)>> {
    let groups = prop::sample::subsequence(GROUPS.to_vec(), 0..=GROUPS.len());
    prop::collection::vec((groups, prop::bool::weighted(0.1)), 7).prop_map(|all| {
        let each = all.into_iter().enumerate();
        each.map(|(i, (groups, administrator))| {
            (person(i), groups.into_iter().map(name).collect(), administrator && i < 5)
        })
        .collect()
    })
}

fn member() -> impl Strategy<Value = Member> {
    let subject = prop_oneof![
        one_of(&USERS).prop_map(|u| Subject::User(name(u))),
        one_of(&GROUPS).prop_map(|g| Subject::Group(name(g))),
        Just(Subject::Service(name("bot"))),
    ];
    (subject, one_of(&Role::ALL)).prop_map(|(who, role)| Member::new(&who, role))
}

fn grants() -> impl Strategy<Value = Vec<kernel::Resource>> {
    let give = prop_oneof![
        one_of(&Role::ALL).prop_map(Given::Role),
        one_of(&[Action::Deploy, Action::ProjectChange]).prop_map(Given::Action),
    ];
    let to = prop_oneof![
        one_of(&USERS).prop_map(|u| Subject::User(name(u))),
        one_of(&GROUPS).prop_map(|g| Subject::Group(name(g))),
    ];
    let one = (to, give, one_of(&PROJECTS), -1_i64..3, any::<bool>());
    prop::collection::vec(one, 0..3).prop_map(|all| {
        let each = all.into_iter().enumerate();
        each.map(|(i, (to, give, project, ends, production))| {
            let on = match (give, production) {
                (Given::Action(_), true) => Target::environment(&name(project), "production"),
                _ => Target::project(&name(project)),
            };
            let reason = "because".to_owned();
            let grant = Grant { to, give, on, reason, lasts_s: 60, broken_glass: false };
            let mut made = resource(None, &name(&format!("g{i}")), &grant).unwrap();
            let until = Some(Time(NOW + ends));
            let status = GrantStatus { phase: Phase::Active, until, ..GrantStatus::default() };
            made.status = serde_json::to_value(status).unwrap();
            made
        })
        .collect()
    })
}

fn targets() -> Vec<Target> {
    let each = PROJECTS.iter().flat_map(|p| {
        let p = name(p);
        vec![
            Target::project(&p),
            Target::environment(&p, "production"),
            Target::within(&p, "service", "web"),
            Target::within(&p, "route", "prod-www"),
        ]
    });
    each.chain([Target::platform()]).collect()
}

fn case() -> impl Strategy<Value = Parts> {
    let policies = prop::collection::vec(policy(), 0..18);
    let members = prop::collection::vec(prop::collection::vec(member(), 0..4), PROJECTS.len());
    (policies, members, people(), grants()).prop_map(|(policies, members, people, others)| Parts {
        projects: PROJECTS.iter().map(|p| name(p)).zip(members).collect(),
        people,
        policies: (policies.into_iter().enumerate())
            .map(|(i, (project, text))| (project, name(&format!("p{i}")), text))
            .collect(),
        others,
        targets: targets(),
        now: Time(NOW),
    })
}

fn context() -> impl Strategy<Value = Context> {
    let some = |words: &'static [&'static str]| {
        prop::option::of(prop::sample::select(words).prop_map(str::to_owned))
    };
    let address = prop::option::of(one_of(&["10.1.2.3", "192.0.2.1"]));
    (address, some(&["production", "staging"]), some(&["main", "release/1"]), any::<Option<bool>>())
        .prop_map(|(address, environment, branch, protected)| Context {
            address: address.map(|a| a.parse().unwrap()),
            environment,
            branch,
            protected,
            ..Context::default()
        })
}

/// Worlds and questions asked of each: 10,400 decisions compared.
const CASES: u32 = 26;
const QUESTIONS: usize = 400;

#[test]
fn the_index_answers_what_plain_cedar_answers() {
    let question = (0..7_usize, one_of(&Action::ALL), 0..targets().len(), context(), 0_i64..3);
    let questions = prop::collection::vec(question, QUESTIONS);
    let (asked, allowed) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let compare = |(parts, questions): (Parts, Vec<_>)| {
        let case = Case::new(parts).unwrap();
        for (who, action, target, context, later) in questions {
            // A grant of an action may end between two questions; roles by grants are worked out anew then.
            let now = Time(NOW + later);
            let plain = case.plain(who, action, target, &context, now).unwrap();
            let quick = case.indexed(who, action, target, &context, now).unwrap();
            asked.set(asked.get() + 1);
            allowed.set(allowed.get() + usize::from(quick == Some(true)));
            prop_assert_eq!(quick, plain.as_ref().map(|p| p.0));
            // What is remembered by now comes to the same.
            let again = case.indexed(who, action, target, &context, now).unwrap();
            prop_assert_eq!(again, quick);
            if asked.get() % 4 == 0 {
                let whole = case.explained(who, action, target, &context, now).unwrap();
                prop_assert_eq!(whole, plain);
            }
        }
        Ok(())
    };
    let mut runner = TestRunner::new(config);
    let strategy = (case(), questions);
    runner.run(&strategy, compare).unwrap();
    let (asked, allowed) = (asked.get(), allowed.get());
    assert!(
        asked >= 10_000 && allowed > asked / 10 && allowed < asked * 9 / 10,
        "{allowed}/{asked}"
    );
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<String> =
            self.others.iter().map(|r| format!("{} {}", r.spec, r.status)).collect();
        write!(f, "{:#?} {:#?} {:#?} {all:#?}", self.projects, self.people, self.policies)
    }
}
