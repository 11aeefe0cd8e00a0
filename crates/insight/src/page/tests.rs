//! What a reader of these pages would notice.

use super::crossing::Serving;
use super::home::Home;
use super::{change, home, metrics};
use crate::dora;
use crate::record::{Carried, Change, Deployment, Performance, Pipeline, Release, Rollout, Step};
use kernel::journey::{Cause, Commit, Outcome, Verdict};
use kernel::{Id, Key, Lang, Name, Principal, Resource, Text, Time};
use maud::Markup;
use serde_json::json;
use web::Reader;
use web::testing::{complaint, words};

const NOW: Time = Time(1_764_000_000_000);

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

fn ago(ms: i64) -> Time {
    Time(NOW.0 - ms)
}

fn reader(lang: Lang) -> Reader {
    Reader { lang, now: NOW, who: Some("han".into()), ..Reader::default() }
}

/// The markup in both languages, each sound.
fn drawn(draw: impl Fn(&Reader) -> Markup) -> (String, String) {
    let one = |lang| {
        let html = draw(&reader(lang)).into_string();
        assert_eq!(complaint(&html), None, "{html}");
        html
    };
    (one(Lang::En), one(Lang::Ko))
}

/// Just pushed.
fn pushed(n: u8) -> Change {
    let id = format!("{n:040x}");
    Change {
        project: name("shop"),
        name: name(&format!("web-{}", &id[..12])),
        repository: name("web"),
        commit: Commit {
            id,
            parents: vec![],
            author: "Han <b>".into(),
            email: "han@example.org".into(),
            authored: ago(60_000),
            committed: ago(60_000),
            subject: format!("change {n} & more"),
            message: String::new(),
        },
        branch: "main".into(),
        default_branch: true,
        pushed_by: Principal::User(name("han")),
        received: ago(10_000),
        accepted: ago(9_900),
        rides: None,
        pipeline: None,
        releases: vec![],
        rollouts: vec![],
        outcome: None,
        reason: None,
        finished: None,
        url: None,
        undone: None,
        performance: vec![],
        events: vec![],
    }
}

fn id(n: u128) -> Id {
    Id::new(NOW.0, n)
}

fn step(step: &str, verdict: Option<&str>) -> Step {
    Step {
        name: step.into(),
        stage: "test".into(),
        attempt: 1,
        ready: Some(ago(9_800)),
        started: Some(ago(9_700)),
        finished: verdict.map(|_| ago(8_000)),
        verdict: verdict.map(str::to_owned),
        reason: None,
    }
}

fn in_pipeline(n: u8, verdict: Option<Verdict>, steps: Vec<Step>) -> Change {
    let pipeline = Pipeline {
        run: Some(id(n.into())),
        jobs: vec![],
        created: ago(9_850),
        finished: verdict.map(|_| ago(7_000)),
        verdict,
        reason: None,
        waiting: None,
        steps,
    };
    Change { pipeline: Some(pipeline), ..pushed(n) }
}

fn rolled_out(n: u8, verdict: Verdict) -> Change {
    let release = name(&format!("web-{n}"));
    let rollout = Rollout {
        service: name("web"),
        release: release.clone(),
        run: id(100),
        cause: Cause::Change,
        previous: Some(name("web-1")),
        started: ago(6_900),
        first_ready: Some(ago(6_500)),
        finished: Some(ago(6_000)),
        verdict: Some(verdict),
        reason: None,
        steps: vec![],
    };
    let made = Release { service: name("web"), release, tree: "t".into(), made: ago(6_950) };
    let live = verdict == Verdict::Passed;
    Change {
        releases: vec![made],
        rollouts: vec![rollout],
        outcome: Some(if live { Outcome::Live } else { Outcome::Failed }),
        reason: (!live).then(|| Text::fixed("nobody became healthy", "정상이 된 것이 없습니다")),
        finished: Some(ago(6_000)),
        url: Some("http://web.shop.localhost:8000".into()),
        ..in_pipeline(n, Some(Verdict::Passed), vec![step("test", Some("passed"))])
    }
}

fn service(release: &str) -> Resource {
    Resource {
        key: Key { kind: "Service".into(), project: Some(name("shop")), name: name("web") },
        uid: id(1),
        revision: 1,
        generation: 1,
        labels: Default::default(),
        created: NOW,
        updated: NOW,
        spec: json!({}),
        status: json!({ "condition": "healthy", "release": release, "instances": "2/2" }),
    }
}

fn project(changes: Vec<Change>) -> Home {
    Home {
        project: name("shop"),
        url: "http://127.0.0.1:8080".into(),
        changes,
        older: None,
        first: true,
        services: vec![service("web-3")],
        repositories: vec![name("web")],
        metrics: vec![],
    }
}

#[test]
fn an_empty_project_teaches_the_first_push() {
    let home = Home { services: vec![], ..project(vec![]) };
    let (en, ko) = drawn(|r| home::draw(r, &home));
    assert!(words(&en).contains("git remote add naru http://127.0.0.1:8080/shop/web.git"), "{en}");
    assert!(words(&ko).contains("git push naru main"));
}

#[test]
fn each_change_is_a_crossing_that_says_how_far_it_came() {
    let rides = Change { rides: Some(name("web-000000000003")), ..pushed(9) };
    let home = project(vec![
        in_pipeline(5, None, vec![step("test", None)]),
        rides,
        rolled_out(4, Verdict::Failed),
        rolled_out(3, Verdict::Passed),
        rolled_out(2, Verdict::Passed),
    ]);
    let (en, ko) = drawn(|r| home::draw(r, &home));
    let rows: Vec<String> = en.split("<li class=\"crossing\"").skip(1).map(words).collect();
    for (row, seen) in rows.iter().zip(["on its way", "rides along", "failed", "live", "replaced"])
    {
        assert!(row.contains(seen), "{seen}: {row}");
    }
    assert!(rows[2].contains("nobody became healthy"));
    assert!(rows[0].contains("change 5 &amp; more"), "{}", rows[0]);
    assert!(words(&ko).contains("정상이 된 것이 없습니다"));
    assert_eq!(en.matches("class=\"ferry\"").count(), 1, "one is on the water");
}

#[test]
fn copies_of_environments_are_not_among_the_services() {
    let mut copy = service("web-3");
    copy.key.name = name("web-qa");
    copy.status["environment"] = json!("qa");
    let home = Home { services: vec![service("web-3"), copy], ..project(vec![pushed(1)]) };
    let (en, _) = drawn(|r| home::draw(r, &home));
    assert!(en.contains("/services/web\"") && !en.contains("/services/web-qa"), "{en}");
}

#[test]
fn a_failed_rollout_says_why_and_what_goes_on_serving() {
    let failed = rolled_out(4, Verdict::Failed);
    let serving = Serving::of(&[service("web-1")]);
    let (en, ko) = drawn(|r| change::draw(r, &failed, &serving));
    assert!(words(&en).contains("nobody became healthy web-1 goes on serving"), "{}", words(&en));
    assert!(words(&ko).contains("web-1이(가) 계속 운영됩니다"));
    assert!(words(&en).contains("Pipeline") && words(&en).contains("Rollout web-4"));
}

#[test]
fn the_log_of_the_step_that_matters_is_followed() {
    let serving = Serving::of(&[]);
    let allowed = step("lint", Some("allowed_failure"));
    let going = in_pipeline(5, None, vec![allowed.clone(), step("unit 1/2", None)]);
    let (en, _) = drawn(|r| change::draw(r, &going, &serving));
    assert!(en.contains("/steps/unit%201%2F2/log?follow=true\""), "{en}");
    let failed = in_pipeline(6, Some(Verdict::Failed), vec![step("unit", Some("failed")), allowed]);
    let failed = Change { outcome: Some(Outcome::Failed), finished: Some(ago(7_000)), ..failed };
    let (en, _) = drawn(|r| change::draw(r, &failed, &serving));
    assert!(en.contains("/steps/unit/log?follow=true\""), "not the one whose failure is allowed");
    assert_eq!(en.matches("wf-row wf-step is-warned").count(), 1);
}

#[test]
fn metrics_are_drawn_with_their_definitions_and_too_few_are_called_so() {
    let deployment = |n: u64| Deployment {
        project: name("shop"),
        service: name("web"),
        release: name(&format!("web-{n}")),
        previous: None,
        change: Some(name(&format!("web-{n:012}"))),
        commit: Some(format!("{n:040}")),
        cause: Cause::Change,
        verdict: Verdict::Passed,
        finished: ago(n as i64 * 3_600_000),
        event: n,
        carried: vec![Carried {
            change: name(&format!("web-{n:012}")),
            authored: ago(n as i64 * 3_600_000 + 60_000),
            received: ago(n as i64 * 3_600_000 + 9_000),
        }],
    };
    let all: Vec<Deployment> = (1..=3).rev().map(deployment).collect();
    let metrics = dora::metrics(&all, NOW, 30);
    let (en, ko) = drawn(|r| metrics::draw(r, &name("shop"), 30, &metrics));
    let seen = words(&en);
    assert!(seen.contains("n = 3: fewer than 5 say little"), "{seen}");
    assert!(seen.contains("9.0 s") && seen.contains("from authoring: 1 m 00 s"), "{seen}");
    assert_eq!(en.matches("class=\"plot-good\"").count(), 3);
    assert!(seen.contains("Deployment rework rate : deployments that followed a rollback"));
    assert!(words(&ko).contains("측정이 곧 개선은 아닙니다"));
    let (none, _) = drawn(|r| metrics::draw(r, &name("shop"), 30, &[]));
    assert!(words(&none).contains("git push naru main"));
}

#[test]
fn a_change_that_waits_for_a_person_says_so_and_leads_to_the_step() {
    let mut held = in_pipeline(5, None, vec![step("build", Some("passed"))]);
    held.pipeline.as_mut().unwrap().waiting = Some(ago(5_000));
    let (en, ko) = drawn(|r| change::draw(r, &held, &Serving::of(&[])));
    assert!(words(&en).contains("waits for a go") && words(&ko).contains("시작 대기"));
    assert!(en.contains(&format!("href=\"/projects/shop/runs/{}\">To the step", id(5))), "{en}");
    let home = project(vec![held.clone()]);
    let (en, _) = drawn(|r| home::draw(r, &home));
    assert!(en.contains("stop is-waiting"), "the ferry is held");
}

#[test]
fn a_change_tells_of_its_performance_and_of_the_gate_that_held_it() {
    let said = |verdict: &str, step: &str| Performance {
        scenario: format!("{step} <checkout>"),
        base: "main".into(),
        verdict: verdict.into(),
        say: Text::fixed("p95 +18.2 %", "p95 18.2 % 증가"),
        address: format!("/projects/shop/load/web/{step}/7"),
        run: id(6),
        step: step.into(),
        at: NOW,
    };
    let steps = vec![step("gate", Some("failed")), step("look", Some("passed"))];
    let mut change = in_pipeline(6, Some(Verdict::Failed), steps);
    let (none, _) = drawn(|r| change::draw(r, &change, &Serving::of(&[])));
    assert!(!words(&none).contains("Performance"));
    change.performance = vec![said("worse", "gate"), said("worse", "look")];
    let (en, ko) = drawn(|r| change::draw(r, &change, &Serving::of(&[])));
    let seen = words(&en);
    assert!(seen.contains("Performance beside its base"), "{seen}");
    assert!(seen.contains("p95 +18.2 % the gate failed the job gate"), "{seen}");
    assert!(seen.contains("p95 +18.2 % look") && !seen.contains("the job look"), "{seen}");
    assert!(en.contains("href=\"/projects/shop/load/web/gate/7\""), "{en}");
    assert!(words(&ko).contains("p95 18.2 % 증가 게이트가 gate 작업을 실패시킴"), "{}", words(&ko));
}
