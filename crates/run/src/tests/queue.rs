//! Who is next.

use super::interpreter::open;
use super::step;
use crate::queue::Queue;
use crate::state::Open;
use crate::{Group, Order, Step, StepState};
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
    let group = |slots| Some(Group { key: "production".into(), slots, order: Order::Unordered });
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

/// Runs 1, 2 and 3 of different projects with one step each in the same group, and whether each is ready.
fn crowd(ready: [bool; 3]) -> (Queue, Vec<Open>) {
    let group = Some(Group { key: "production".into(), slots: 1, order: Order::Unordered });
    let project = ["c", "b", "a"];
    let mut queue = Queue::default();
    let mut runs = Vec::new();
    for i in 0..3 {
        let step = Step { group: group.clone(), ..step("deploy", &[]) };
        let mut run = open(project[i], i as u64 + 1, 0, vec![step]);
        if ready[i] {
            run.state.steps[0].state = StepState::Ready;
        }
        queue.put(&run, 0);
        runs.push(run);
    }
    (queue, runs)
}

#[test]
fn a_group_gives_its_slot_in_its_order() {
    use Order::*;
    // Which of the runs, for each order.
    for (ready, order, want) in [
        ([true, true, true], Unordered, Some(2)),
        ([true, true, true], OldestFirst, Some(0)),
        ([true, true, true], NewestFirst, Some(2)),
        ([true, true, true], NewestReadyFirst, Some(2)),
        ([false, true, true], OldestFirst, None),
        ([true, true, false], NewestFirst, None),
        ([true, true, false], NewestReadyFirst, Some(1)),
        ([true, true, false], OldestFirst, Some(0)),
    ] {
        let (mut queue, runs) = crowd(ready);
        queue.set_order("production", order);
        let chosen = queue.choose(9).map(|(id, _)| runs.iter().position(|r| *r.id() == id));
        assert_eq!(chosen.flatten(), want, "{ready:?} {order:?}");
    }
    // Whoever is out of the way holds up nobody.
    let (mut queue, mut runs) = crowd([false, true, true]);
    queue.set_order("production", OldestFirst);
    queue.take(&runs[0], 0);
    runs[0].state.steps[0].state = StepState::Skipped;
    queue.put(&runs[0], 0);
    assert_eq!(queue.choose(9), Some((runs[1].id().clone(), 0)));
}

#[test]
fn steps_of_one_run_do_not_wait_for_each_other_in_an_ordered_group() {
    let group = Some(Group { key: "g".into(), slots: 1, order: Order::OldestFirst });
    let grouped = |name: &str, needs: &[&str]| Step { group: group.clone(), ..step(name, needs) };
    let mut run = open("shop", 1, 0, vec![grouped("last", &["first"]), grouped("first", &[])]);
    run.state.steps[1].state = StepState::Ready;
    let mut queue = Queue::default();
    (0..2).for_each(|i| queue.put(&run, i));
    assert_eq!(queue.choose(1), Some((run.id().clone(), 1)));
}

#[test]
fn priority_shares_between_projects_and_starves_nobody() {
    let mut runs = vec![
        open("nightly", 1, -1, steps("n1 n2 n3 n4")),
        open("web", 2, 0, steps("w1 w2 w3 w4")),
        open("urgent", 3, 1, steps("u1 u2 u3 u4")),
    ];
    assert_eq!(order(runs), "u1 u2 w1 u3 n1 u4 w2 w3 n2 w4 n3 n4");
    // Inside a project an old run goes before a new one that is more important by less than its age.
    runs = vec![
        open("shop", 1, 0, steps("old")),
        open("shop", 2, 5, steps("new")),
        open("shop", 3, 15, steps("urgent")),
    ];
    runs[1].state.head.created = Time(10 * 60_000);
    runs[2].state.head.created = Time(10 * 60_000);
    assert_eq!(order(runs), "urgent old new");
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
    let mut queue = Queue::new(["test.wait"].into(), Default::default());
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
