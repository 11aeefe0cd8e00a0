//! The pure half: tables, and random plans against a simple model.

use super::step;
use crate::graph::Graph;
use crate::interpret::{self, Command, deadline};
use crate::settle::settle;
use crate::state::{Cancel, Head, Open, State, StepRow};
use crate::*;
use kernel::{Id, Name, Principal, Text, Time};
use proptest::prelude::*;
use serde_json::Value;

pub(super) fn open(project: &str, id: u64, priority: i32, steps: Vec<Step>) -> Open {
    let plan = Plan { steps, ..Plan::default() };
    let graph = Graph::of(&plan).unwrap();
    let head = Head {
        id: Id::new(id as i64, 0),
        kind: "pipeline".into(),
        project: Name::parse(project).unwrap(),
        change: None,
        title: Text::plain("a run"),
        actor: Principal::Anonymous,
        labels: Default::default(),
        subject: None,
        priority,
        state: RunState::Queued,
        reason: None,
        created: Time(0),
        started: None,
        finished: None,
        cancel: None,
        retry_of: None,
    };
    let steps = vec![StepRow::default(); plan.steps.len()];
    Open { plan: plan.into(), graph: graph.into(), state: State { head, steps } }
}

/// Plays a run without an engine: `fails(step, attempt)` is its world, `pick` the order in which things
/// happen.
struct Play<'a> {
    run: Open,
    now: Time,
    fails: &'a dyn Fn(usize, u32) -> bool,
    pick: &'a mut dyn FnMut(usize) -> usize,
    started: Vec<(usize, u32)>,
    /// Canceled when this many things have happened.
    cancel_at: Option<usize>,
}

impl Play<'_> {
    fn interpret(&mut self) {
        for command in interpret::next(&self.run.plan, &self.run.graph, &self.run.state, self.now) {
            if let Command::Ready(i) | Command::Skip(i, _) | Command::Wait(i, ..) = &command {
                assert!(!self.run.state.steps[*i].state.is_finished(), "finished is final");
            }
            self.run.state.apply(&command, self.now);
        }
        let again = interpret::next(&self.run.plan, &self.run.graph, &self.run.state, self.now);
        assert_eq!(again, [], "one pass says all");
    }

    fn start(&mut self, i: usize) {
        for need in self.run.graph.needs(i) {
            let (row, plan) = (&self.run.state.steps[*need], &self.run.plan.steps[*need]);
            let passed_by = plan.allow_failure && row.state == StepState::Waiting(Wait::Manual);
            assert!(row.state.is_finished() || passed_by, "no step starts before its needs");
        }
        assert_eq!(self.run.state.head.cancel, None, "a canceled run starts nothing");
        self.run.state.head.started.get_or_insert(self.now);
        self.run.state.steps[i].start(1, self.now);
        self.started.push((i, self.run.state.steps[i].attempt));
    }

    fn end(&mut self, i: usize) {
        let row = &mut self.run.state.steps[i];
        let outcome = if (self.fails)(i, row.attempt) {
            Outcome::failed("script", Text::plain("no"))
        } else {
            Outcome::Done(Value::Null)
        };
        let canceled = self.run.state.head.cancel.is_some();
        settle(&self.run.plan.steps[i], row, canceled, outcome, self.now);
    }

    /// Until nothing moves any more; manual steps that hold up the run are played.
    fn finish(&mut self) {
        self.interpret();
        for happened in 0..10_000 {
            if self.cancel_at == Some(happened) && !self.run.state.head.state.is_finished() {
                let reason = Text::plain("enough");
                self.run.state.head.cancel = Some(Cancel { actor: Principal::Anonymous, reason });
                self.interpret();
            }
            let steps = &self.run.state.steps;
            let moving: Vec<usize> = (0..steps.len())
                .filter(|i| matches!(steps[*i].state, StepState::Ready | StepState::Running))
                .collect();
            let due = self.run.plan.steps.iter().zip(steps).filter_map(|(s, r)| deadline(s, r));
            if !moving.is_empty() {
                let i = moving[(self.pick)(moving.len())];
                match steps[i].state {
                    StepState::Ready => self.start(i),
                    _ => self.end(i),
                }
            } else if let Some(due) = due.min() {
                self.now = due;
            } else if self.run.state.head.state == RunState::Waiting {
                for (row, plan) in self.run.state.steps.iter_mut().zip(&self.run.plan.steps) {
                    if row.state == StepState::Waiting(Wait::Manual) && !plan.allow_failure {
                        row.played = Some(Principal::Anonymous);
                    }
                }
            } else {
                return;
            }
            self.interpret();
        }
        panic!("the plan does not end");
    }
}

fn play(steps: Vec<Step>, fails: &dyn Fn(usize, u32) -> bool) -> Open {
    let run = open("shop", 1, 0, steps);
    let mut play =
        Play { run, now: Time(0), fails, pick: &mut |_| 0, started: Vec::new(), cancel_at: None };
    play.finish();
    play.run
}

fn words(run: &Open) -> String {
    let states: Vec<&str> = run.state.steps.iter().map(|s| s.state.word()).collect();
    format!("{} = {}", states.join(" "), run.state.head.state.word())
}

/// A step written as `name<need,need !flag`: flags are `fails`, `allowed`, `on_failure`, `always`,
/// `manual`, `delayed`.
fn read(line: &str) -> (Vec<Step>, Vec<bool>) {
    let mut fails = Vec::new();
    let parse = |words: &str| {
        let mut words = words.split_whitespace();
        let (name, needs) = words.next().unwrap().split_once('<').unwrap();
        let needs: Vec<&str> = needs.split(',').filter(|n| !n.is_empty()).collect();
        let mut step = step(name, &needs);
        let mut fail = false;
        for flag in words {
            match flag {
                "fails" => fail = true,
                "allowed" => step.allow_failure = true,
                "on_failure" => step.when = When::OnFailure,
                "always" => step.when = When::Always,
                "manual" => step.when = When::Manual,
                "delayed" => step.when = When::Delayed(5_000),
                flag => panic!("{flag}"),
            }
        }
        fails.push(fail);
        step
    };
    let steps = line.split(';').map(parse).collect();
    (steps, fails)
}

#[test]
fn how_steps_follow_each_other() {
    for (plan, want) in [
        ("a<; b<a", "passed passed = passed"),
        ("a< fails; b<a", "failed skipped = failed"),
        ("a< fails allowed; b<a", "allowed_failure passed = passed"),
        ("a< fails; b<a on_failure", "failed passed = failed"),
        ("a<; b<a on_failure; c<b", "passed skipped passed = passed"),
        ("a< fails; b<a; c<b on_failure", "failed skipped passed = failed"),
        ("a< fails; b<a; c<b always", "failed skipped passed = failed"),
        ("a< fails; b<a always; c<b", "failed passed passed = failed"),
        ("a< fails; b<a always; c<b on_failure", "failed passed passed = failed"),
        ("a< on_failure; b<", "skipped passed = passed"),
        ("a<; b<a delayed; c<b", "passed passed passed = passed"),
        ("a<; b<a manual; c<b", "passed passed passed = passed"),
        ("a<; b<a manual allowed; c<b", "passed waiting_manual passed = passed"),
        ("a< fails; b<a manual; c<b", "failed skipped skipped = failed"),
    ] {
        let (steps, fails) = read(plan);
        assert_eq!(words(&play(steps, &|i, _| fails[i])), want, "{plan}");
    }
    assert_eq!(words(&play(Vec::new(), &|_, _| false)), " = passed");
}

#[test]
fn retries_have_pauses_and_a_class() {
    let flaky = |only: &[&str]| {
        let only = only.iter().map(|w| (*w).to_owned()).collect();
        Step {
            retry: Retry { max: 2, backoff_ms: 1_000, only, ..Retry::default() },
            ..step("a", &[])
        }
    };
    let run = play(vec![flaky(&[])], &|_, attempt| attempt < 3);
    assert_eq!(words(&run), "passed = passed");
    let starts: Vec<i64> = run.state.steps[0].attempts.iter().map(|a| a.started.0).collect();
    assert_eq!(starts, [0, 1_000, 3_000]);
    let run = play(vec![flaky(&["timeout"])], &|_, attempt| attempt < 3);
    assert_eq!((words(&run).as_str(), run.state.steps[0].attempt), ("failed = failed", 1));
}

#[test]
fn an_allowed_exit_code_is_an_allowed_failure() {
    let plan = Step { allow_exit_codes: vec![137], ..step("a", &[]) };
    for (code, want) in [(137, StepState::AllowedFailure), (1, StepState::Failed)] {
        let mut row = StepRow { state: StepState::Running, attempt: 1, ..StepRow::default() };
        let outcome = Outcome::Failed {
            class: "script".into(),
            exit_code: Some(code),
            say: Text::plain("no"),
            output: Value::Null,
        };
        settle(&plan, &mut row, false, outcome, Time(0));
        assert_eq!(row.state, want);
    }
}

#[test]
fn exit_codes_are_a_reason_to_try_again_beside_the_classes() {
    let ends = |only: &[&str], exit_codes: &[i32], code: i32| {
        let only = only.iter().map(|w| (*w).to_owned()).collect();
        let retry = Retry { max: 1, only, exit_codes: exit_codes.to_vec(), ..Retry::default() };
        let plan = Step { retry, ..step("a", &[]) };
        let mut row = StepRow { state: StepState::Running, attempt: 1, ..StepRow::default() };
        let (class, say) = ("script".into(), Text::plain("no"));
        let outcome = Outcome::Failed { class, exit_code: Some(code), say, output: Value::Null };
        settle(&plan, &mut row, false, outcome, Time(0));
        row.state
    };
    let again = StepState::Waiting(Wait::Retry);
    assert_eq!(ends(&[], &[], 1), again);
    assert_eq!(ends(&[], &[137], 137), again);
    assert_eq!(ends(&[], &[137], 1), StepState::Failed);
    assert_eq!(ends(&["script"], &[137], 1), again);
    assert_eq!(ends(&["timeout"], &[137], 137), again);
    assert_eq!(ends(&["timeout"], &[137], 1), StepState::Failed);
}

#[test]
fn an_excused_failure_is_allowed_and_not_tried_again() {
    let retry = Retry { max: 2, ..Retry::default() };
    let plan = Step { retry, ..step("a", &[]) };
    let mut row = StepRow { state: StepState::Running, attempt: 1, ..StepRow::default() };
    let outcome = Outcome::failed(crate::EXCUSED, Text::plain("known"));
    settle(&plan, &mut row, false, outcome, Time(0));
    assert_eq!((row.state, row.attempt), (StepState::AllowedFailure, 1));
}

#[test]
fn the_infrastructure_fails_at_most_twenty_times() {
    let plan = step("a", &[]);
    let mut row = StepRow::default();
    for _ in 0..=crate::settle::MAX_SETBACKS {
        row.start(1, Time(0));
        let say = Text::plain("no disk");
        settle(&plan, &mut row, false, Outcome::Infrastructure { say }, Time(0));
    }
    assert_eq!((row.state, row.attempt, row.attempts.len()), (StepState::Failed, 1, 1));
    assert_eq!(row.attempts[0].class.as_deref(), Some("infrastructure"));
}

#[test]
fn a_plan_that_cannot_run_is_refused_by_name() {
    let bad = |steps: Vec<Step>| {
        let error = Plan { steps, ..Plan::default() }.check().unwrap_err();
        format!("{} {}", error.code(), error.say().en)
    };
    assert_eq!(
        bad(vec![step("a", &["c"]), step("b", &["a"]), step("c", &["b"]), step("d", &["a"])]),
        "plan.cycle these steps need each other: a → c → b → a"
    );
    assert_eq!(bad(vec![step("a", &["a"])]), "plan.cycle these steps need each other: a → a");
    assert_eq!(
        bad(vec![step("a", &[]), step("a", &[])]),
        "plan.duplicate two steps are called “a”"
    );
    assert_eq!(bad(vec![step("a", &["z"])]), "plan.need “a” needs “z”, which is not in the plan");
    assert!(bad(vec![step("", &[])]).starts_with("plan.name"));
    let many = (0..5_001).map(|i| step(&format!("s{i}"), &[])).collect();
    assert!(bad(many).starts_with("plan.too_large"));
}

/// The same semantics said in the simplest way: one look at each step, its needs decided before it.
fn model(steps: &[Step], fails: &[u32]) -> Vec<StepState> {
    let mut out: Vec<StepState> = Vec::new();
    let mut trouble: Vec<bool> = Vec::new();
    for (step, fails) in steps.iter().zip(fails) {
        let needs: Vec<usize> = step
            .needs
            .iter()
            .map(|n| steps.iter().position(|s| s.name == n.step).unwrap())
            .collect();
        let failed = |n: &usize| out[*n] == StepState::Failed || trouble[*n];
        let good = |n: &usize| match out[*n] {
            StepState::Failed => false,
            StepState::Skipped => !trouble[*n],
            _ => true,
        };
        let runs = match step.when {
            When::Always => true,
            When::OnFailure => needs.iter().any(failed),
            _ => needs.iter().all(good),
        };
        let state = match (runs, step.when) {
            (false, _) => StepState::Skipped,
            (true, When::Manual) if step.allow_failure => StepState::Waiting(Wait::Manual),
            (true, _) if *fails <= step.retry.max => StepState::Passed,
            (true, _) if step.allow_failure => StepState::AllowedFailure,
            (true, _) => StepState::Failed,
        };
        trouble.push(needs.iter().any(failed));
        out.push(state);
    }
    out
}

prop_compose! {
    pub(super) fn any_step(i: usize)(
        needs in prop::collection::btree_set(0..i.max(1), 0..=i.min(3)),
        when in prop_oneof![
            5 => Just(When::OnSuccess), 2 => Just(When::OnFailure), 2 => Just(When::Always),
            1 => Just(When::Manual), 1 => Just(When::Delayed(500)),
        ],
        allow_failure in prop::bool::weighted(0.25),
        max in 0_u32..3,
        backoff_ms in prop_oneof![Just(0_u64), Just(100)],
        group in prop::option::weighted(0.3, prop_oneof![Just("x"), Just("y")]),
    ) -> Step {
        let needs: Vec<String> = needs.iter().filter(|n| **n < i).map(|n| format!("s{n}")).collect();
        let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
        Step {
            when,
            allow_failure,
            retry: Retry { max, backoff_ms, ..Retry::default() },
            group: group.map(|key| Group { key: key.to_owned(), slots: 1, order: crate::Order::Unordered }),
            ..step(&format!("s{i}"), &needs)
        }
    }
}

pub(super) fn any_plan(most: usize) -> impl Strategy<Value = (Vec<Step>, Vec<u32>)> {
    (1..=most).prop_flat_map(plan_of)
}

/// A plan of `n` steps, and how many attempts of each fail.
pub(super) fn plan_of(n: usize) -> impl Strategy<Value = (Vec<Step>, Vec<u32>)> {
    let steps: Vec<_> = (0..n).map(any_step).collect();
    (steps, prop::collection::vec(prop_oneof![3 => Just(0_u32), 2 => 1_u32..4], n))
}

proptest! {
    #[test]
    fn every_plan_ends_as_the_model_says(
        (steps, fails) in any_plan(12),
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..64),
    ) {
        let want = model(&steps, &fails);
        let mut turn = 0;
        let mut pick = |n: usize| { turn += 1; order[turn % order.len()].index(n) };
        let fails = |i: usize, attempt: u32| attempt <= fails[i];
        let run = open("shop", 1, 0, steps);
        let mut play = Play { run, now: Time(0), fails: &fails, pick: &mut pick, started: Vec::new(), cancel_at: None };
        play.finish();
        let got: Vec<StepState> = play.run.state.steps.iter().map(|s| s.state).collect();
        prop_assert_eq!(&got, &want);
        let failed = want.contains(&StepState::Failed);
        let state = if failed { RunState::Failed } else { RunState::Passed };
        prop_assert_eq!(play.run.state.head.state, state);
        let mut once = play.started.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), play.started.len(), "no attempt starts twice");
    }

    #[test]
    fn a_canceled_run_ends_and_starts_nothing_more(
        (steps, fails) in any_plan(8),
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..32),
        cancel_at in 0_usize..12,
    ) {
        let mut turn = 0;
        let mut pick = |n: usize| { turn += 1; order[turn % order.len()].index(n) };
        let fails = |i: usize, attempt: u32| attempt <= fails[i];
        let run = open("shop", 1, 0, steps);
        let mut play = Play { run, now: Time(0), fails: &fails, pick: &mut pick, started: Vec::new(), cancel_at: Some(cancel_at) };
        play.finish();
        let head = &play.run.state.head;
        prop_assert_eq!(head.cancel.is_some(), head.state == RunState::Canceled);
        if head.cancel.is_some() {
            prop_assert!(play.run.state.steps.iter().all(|s| s.state.is_finished()));
        }
    }

    #[test]
    fn state_words_round_trip(i in 0_usize..11) {
        let words = ["blocked", "ready", "running", "waiting_manual", "waiting_delayed",
            "waiting_retry", "passed", "failed", "allowed_failure", "skipped", "canceled"];
        let state = StepState::try_from(words[i].to_owned()).unwrap();
        prop_assert_eq!(serde_json::to_value(state).unwrap(), serde_json::json!(words[i]));
    }
}
