//! Who is next.

use super::interpreter::open;
use super::step;
use crate::queue::Queue;
use crate::state::Open;
use crate::{Group, Step, StepState};
use kernel::Time;
use std::collections::BTreeMap;

/// One slot; each step is over before the next is chosen. The order in which they ran, `run.step`.
fn order(mut runs: Vec<Open>) -> String {
    let mut queue = Queue::default();
    for run in &mut runs {
        for i in 0..run.state.steps.len() {
            run.state.steps[i].state = StepState::Ready;
            queue.put(run, i);
        }
    }
    let mut runs: BTreeMap<_, _> = runs.into_iter().map(|r| (r.id().clone(), r)).collect();
    let mut out = Vec::new();
    while let Some((id, i)) = queue.choose(1) {
        let run = runs.get_mut(&id).unwrap();
        queue.take(run, i);
        run.state.steps[i].start(1, Time(0));
        queue.put(run, i);
        assert_eq!(queue.choose(1), None, "the only slot is taken");
        queue.take(run, i);
        run.state.steps[i].state = StepState::Passed;
        queue.put(run, i);
        out.push(run.plan.steps[i].name.clone());
    }
    out.join(" ")
}

fn steps(names: &str) -> Vec<Step> {
    names.split_whitespace().map(|n| step(n, &[])).collect()
}

#[test]
fn projects_take_turns_whoever_has_more() {
    let runs = vec![
        open("big", 1, 0, steps("b1 b2 b3 b4")),
        open("small", 2, 0, steps("s1")),
        open("middle", 3, 0, steps("m1 m2")),
    ];
    assert_eq!(order(runs), "b1 m1 s1 b2 m2 b3 b4");
}

#[test]
fn inside_a_project_priority_goes_before_age() {
    let runs = vec![
        open("shop", 1, 0, steps("old")),
        open("shop", 2, 0, steps("new")),
        open("shop", 3, 9, steps("urgent")),
    ];
    assert_eq!(order(runs), "urgent old new");
}

#[test]
fn a_full_group_lets_others_pass() {
    let group = |slots| Some(Group { key: "production".into(), slots });
    let grouped = |name: &str| Step { group: group(1), ..step(name, &[]) };
    let mut first = open("shop", 1, 0, vec![grouped("a"), grouped("b"), step("c", &[])]);
    let mut other = open("blog", 2, 0, vec![grouped("d")]);
    let mut queue = Queue::default();
    for run in [&mut first, &mut other] {
        for i in 0..run.state.steps.len() {
            run.state.steps[i].state = StepState::Ready;
            queue.put(run, i);
        }
    }
    queue.take(&first, 0);
    first.state.steps[0].start(1, Time(0));
    queue.put(&first, 0);
    assert_eq!(queue.choose(9), Some((first.id().clone(), 2)), "d and b wait for the group");
    queue.take(&first, 2);
    first.state.steps[2].state = StepState::Passed;
    assert_eq!(queue.choose(9), None);
    queue.take(&first, 0);
    assert!(queue.choose(9).is_some(), "the slot is free when its holder is gone");
}

#[test]
fn nothing_is_left_to_wake_for_when_all_is_over() {
    let limited = Step { timeout_ms: Some(1_000), ..step("a", &[]) };
    let mut run = open("shop", 1, 0, vec![limited]);
    let mut queue = Queue::default();
    run.state.steps[0].start(1, Time(5));
    queue.put(&run, 0);
    assert_eq!((queue.earliest(), queue.due(Time(1_004)).len()), (Some(Time(1_005)), 0));
    assert_eq!(queue.due(Time(1_005)).len(), 1);
    queue.take(&run, 0);
    run.state.steps[0].state = StepState::Passed;
    queue.put(&run, 0);
    assert_eq!(queue.earliest(), None);
}

#[test]
fn what_only_waits_takes_no_slot_of_the_machine() {
    let waiting = |name: &str| {
        let mut step = step(name, &[]);
        step.action.uses = "test.wait".into();
        step
    };
    let builds = open("shop", 1, 0, steps("build more"));
    let rollout = open("blog", 2, 0, vec![waiting("ready")]);
    let mut queue = Queue::new(["test.wait"].into());
    let mut runs = [builds, rollout];
    for run in &mut runs {
        for i in 0..run.state.steps.len() {
            run.state.steps[i].state = StepState::Ready;
            queue.put(run, i);
        }
    }
    queue.take(&runs[0], 0);
    runs[0].state.steps[0].start(1, Time(0));
    queue.put(&runs[0], 0);
    assert_eq!(queue.choose(1), Some((runs[1].id().clone(), 0)), "the build has the only slot");
    queue.take(&runs[1], 0);
    runs[1].state.steps[0].start(1, Time(0));
    queue.put(&runs[1], 0);
    assert_eq!(queue.choose(1), None);
    assert_eq!(
        queue.choose(2),
        Some((runs[0].id().clone(), 1)),
        "the one who waits is not counted"
    );
}
