//! What a reader of these pages would notice.

use super::{case, cost, coverage, flaky, health, list, run};
use crate::ask::Held;
use crate::ask::cost::{Costs, Share};
use crate::ask::coverage::{Changed, Coverage, FileView, Trend};
use crate::ask::run::{Failed, Findings, Marked, RunCost, RunReport};
use crate::ask::tests::{FlakeView, Health, History, Listed, Point, TestView, Which};
use crate::digest::Failure;
use crate::flake::{Evidence, Flake, Manner, Seen, Standing};
use crate::path::{Task, analyse};
use crate::read::{Finding, Identity, Outcome, Problem, Severity};
use crate::record::{Counts, Entry, Measured, Ratio};
use crate::stats::Slower;
use kernel::{Id, Lang, Name, Text, Time};
use maud::Markup;

use std::collections::BTreeMap;
use web::Reader;
use web::testing::{complaint, words};

mod run_state {
    pub fn failed() -> ::run::RunState {
        ::run::RunState::Failed
    }
}

const NOW: Time = Time(1_764_000_000_000);

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

fn id(n: u128) -> Id {
    Id::new(NOW.0, n)
}

/// The words a reader sees, in both languages; each page sound.
fn drawn(draw: impl Fn(&Reader) -> Markup) -> (String, String) {
    let one = |lang| {
        let r = Reader { lang, now: NOW, who: Some("han".into()), ..Reader::default() };
        let html = draw(&r).into_string();
        assert_eq!(complaint(&html), None, "{html}");
        words(&html)
    };
    (one(Lang::En), one(Lang::Ko))
}

fn identity() -> Identity {
    Identity { class: "tests.cart".into(), name: "test_<add>".into(), ..Identity::default() }
}

fn held(over: bool) -> Held {
    Held { name: name("q"), owner: "han".into(), reason: "races".into(), ends: NOW, over }
}

fn test() -> TestView {
    TestView {
        test: identity().key(),
        id: identity().id(),
        identity: identity(),
        repository: name("web"),
        job: "unit".into(),
        file: Some("tests/cart.py".into()),
        outcome: Some(Outcome::Failed),
        ran: 20,
        failed: 3,
        ms: Some(1_250.0),
        first: NOW,
        seen: NOW,
        quarantine: Some(held(false)),
        slower: Some(Slower { before_ms: 100.0, after_ms: 900.0, before: 8, after: 8 }),
        recent: vec![Outcome::Passed, Outcome::Skipped, Outcome::Flaky, Outcome::Failed],
    }
}

fn entry() -> Entry {
    Entry {
        seq: 7,
        repository: name("web"),
        commit: "0123456789abcdef".into(),
        branch: Some("main".into()),
        default_branch: true,
        run: id(1),
        step: "unit".into(),
        attempt: 2,
        passed: false,
        at: NOW,
        took_ms: 4_000,
        cpu_ms: Some(3_500),
        tests: Counts { passed: 40, failed: 2, skipped: 1, flaky: 1, ms: 3_000 },
        coverage: Some(Ratio { covered: 90, all: 120 }),
        findings: BTreeMap::new(),
        analysed: true,
        problems: 1,
        digest: None,
    }
}

fn flake() -> FlakeView {
    let seen = |attempt| Seen { run: id(1), step: "unit".into(), attempt };
    let evidence = Evidence {
        at: NOW,
        commit: "0123456789abcdef".into(),
        failed: seen(1),
        passed: seen(2),
        among: 1,
    };
    let mut flake = Flake::new(identity(), name("web"), NOW);
    flake.contradicted(evidence);
    (flake.standing, flake.ran, flake.failed, flake.clean) = (Standing::Open, 10, 2, 3);
    FlakeView {
        test: identity().key(),
        id: identity().id(),
        state: "open",
        rate: 0.25,
        manner: Manner::Alone,
        passes_needed: 11,
        quarantine: Some(held(true)),
        flake,
    }
}

fn measured(covered: u64) -> Measured {
    let lines = Ratio { covered, all: 120 };
    Measured {
        commit: "fedcba9876543210".into(),
        run: id(2),
        at: NOW,
        lines,
        branches: lines,
        functions: lines,
    }
}

fn trend() -> Trend {
    Trend {
        repository: name("web"),
        branch: "main".into(),
        points: vec![measured(80), measured(90)],
    }
}

#[test]
fn health_says_what_fails_and_teaches_when_there_is_nothing() {
    let project = name("shop");
    let full = Health {
        newest: vec![entry()],
        open_flakes: 2,
        quarantined: 1,
        slowest: vec![test()],
        slower: vec![test()],
        failing: Listed { items: vec![test()], total: 1 },
    };
    let (en, ko) = drawn(|r| health::draw(r, &project, &full, &[trend()]));
    for said in
        ["Failing now", "tests.cart::test_&lt;add&gt;", "95.35 %", "75.0 %", "100 ms → 900 ms"]
    {
        assert!(en.contains(said), "{said}: {en}");
    }
    assert!(ko.contains("지금 실패하는 테스트") && ko.contains("통과율"), "{ko}");
    let (en, ko) = drawn(|r| health::draw(r, &project, &Health::default(), &[]));
    assert!(en.contains("junit: report.xml") && ko.contains("아직 테스트 보고서가 없습니다"));
    assert!(!en.contains("Slowest"), "{en}");
}

#[test]
fn lists_flakes_and_a_test() {
    let project = name("shop");
    let listed = Listed { items: vec![test()], total: 300 };
    let (en, ko) = drawn(|r| list::draw(r, &project, &Which::default(), &listed));
    assert!(en.contains("1 of 300") && ko.contains("300개 가운데 1개"));
    let asked = Which { words: Some("\"><x".into()), ..Which::default() };
    let (en, _) = drawn(|r| list::draw(r, &project, &asked, &Listed::default()));
    assert!(en.contains("Nothing fits"));
    let (en, ko) = drawn(|r| flaky::draw(r, &project, &[flake()]));
    assert!(
        en.contains("3 of 11 passes in a row")
            && en.contains("25 %")
            && en.contains("fails by itself"),
        "{en}"
    );
    assert!(ko.contains("연속 통과 3/11") && ko.contains("격리 끝남"), "{ko}");
    let (en, _) = drawn(|r| flaky::draw(r, &project, &[]));
    assert!(en.contains("The ledger is empty"));
    let point = |outcome, ms| Point {
        at: NOW,
        outcome,
        ms,
        commit: "0123456789abcdef".into(),
        branch: None,
        run: id(3),
        step: "unit".into(),
        attempt: 1,
    };
    let history = History {
        view: test(),
        points: vec![point(Outcome::Failed, 1_300), point(Outcome::Passed, 1_200)],
        flake: Some(flake()),
    };
    let (en, ko) = drawn(|r| case::draw(r, &project, &history));
    assert!(en.contains("failed 3 of the newest 20 times") && en.contains("unit #2"), "{en}");
    assert!(ko.contains("최근 20번 가운데 3번 실패"), "{ko}");
}

#[test]
fn coverage_and_cost() {
    let project = name("shop");
    let (en, _) = drawn(|r| coverage::draw(r, &project, &[trend()]));
    assert!(en.contains("75.0 %") && en.contains("66.7 %"), "{en}");
    let share = |name: &str, core_s| Share {
        name: name.into(),
        attempts: 3,
        core_s,
        failed_s: core_s / 2.0,
        ..Share::default()
    };
    let costs = Costs {
        weeks: vec![share("2026-11-23", 12.0)],
        jobs: vec![share("web: unit", 12.0)],
        branches: vec![share("web: main", 12.0)],
        total: Share { estimated: 2, ..share("", 12.0) },
    };
    let (en, ko) = drawn(|r| cost::draw(r, &project, 12, &costs));
    assert!(
        en.contains("12 core s") && en.contains("50 %") && ko.contains("12 코어 초"),
        "{en} {ko}"
    );
    let (en, _) = drawn(|r| cost::draw(r, &project, 12, &Costs::default()));
    assert!(en.contains("No job has run yet"));
}

fn report() -> RunReport {
    let failure = Failure {
        identity: identity(),
        test: identity().key(),
        outcome: Outcome::Failed,
        ms: Some(12),
        file: Some("tests/cart.py".into()),
        line: Some(9),
        message: "assert 1 == 2\nmore".into(),
        detail: "Traceback <x>".into(),
        output: "printed".into(),
    };
    let finding = Finding {
        severity: Severity::Blocker,
        tool: "lint".into(),
        rule: "R1".into(),
        message: "bad & worse".into(),
        path: "src/a.c".into(),
        line: 5,
        fingerprint: "1".into(),
        link: Some("https://example.org/R1".into()),
    };
    let tasks = [
        Task { name: "build".into(), needs: vec![], waited: 0, worked: 4_000 },
        Task { name: "unit".into(), needs: vec![0], waited: 500, worked: 20_000 },
    ];
    RunReport {
        run: id(1),
        title: Text::plain("web: main"),
        state: run_state::failed(),
        repository: Some(name("web")),
        commit: Some("0123456789abcdef".into()),
        branch: Some("main".into()),
        jobs: vec![entry()],
        tests: entry().tests,
        failures: vec![Failed {
            step: "unit".into(),
            id: identity().id(),
            failure,
            quarantine: Some(held(false)),
            flaky: Some(("open", 0.25)),
        }],
        more_failures: 3,
        coverage: Some(Coverage {
            repository: name("web"),
            commit: "0123456789abcdef".into(),
            lines: Ratio { covered: 90, all: 120 },
            branches: Ratio::default(),
            functions: Ratio::default(),
            base: Some(measured(96)),
            delta: Some(-5.0),
            files: vec![FileView {
                path: "src/a.c".into(),
                lines: Ratio { covered: 1, all: 4 },
                branches: Ratio::default(),
                functions: Ratio::default(),
                missed: vec![(3, 5)],
            }],
            changed: Some(Changed {
                lines: Ratio { covered: 1, all: 3 },
                missed: BTreeMap::from([("src/a.c".into(), vec![(4, 5)])]),
                partial: false,
            }),
        }),
        findings: Some(Findings {
            counts: BTreeMap::from([(Severity::Blocker, 1)]),
            items: vec![Marked { new: true, finding }],
            new: 1,
            fixed: vec![],
            suppressed: 2,
            base: None,
        }),
        problems: vec![Problem { file: "r.xml".into(), line: 3, say: Text::plain("broken") }],
        components: 0,
        cost: RunCost {
            core_s: 7.5,
            attempts: 2,
            failed_s: 3.5,
            steps: vec![("unit".into(), 7.5)],
            ..RunCost::default()
        },
        path: Some(analyse(&tasks)),
    }
}

#[test]
fn results_of_a_run_begin_with_what_failed() {
    let project = name("shop");
    let (en, ko) = drawn(|r| run::draw(r, &project, &report()));
    for said in [
        "assert 1 == 2",
        "flaky, fails 25 %",
        "quarantine until 2025-11-24, han",
        "tests/cart.py:9",
        "−5.00",
        "src/a.c:4",
        "bad &amp; worse",
        "r.xml:3",
        "41 % shorter if unit took half as long",
        "7.5 core s",
    ] {
        assert!(en.contains(said), "{said}: {en}");
    }
    assert!(en.find("Failed tests").unwrap() < en.find("Changed lines").unwrap());
    assert!(ko.contains("임계 경로") && ko.contains("바뀐 줄"), "{ko}");
    let bare = RunReport {
        tests: Counts::default(),
        failures: vec![],
        more_failures: 0,
        coverage: None,
        findings: None,
        problems: vec![],
        path: None,
        jobs: vec![],
        ..report()
    };
    let (en, _) = drawn(|r| run::draw(r, &project, &bare));
    assert!(en.contains("No test report yet"), "{en}");
}
