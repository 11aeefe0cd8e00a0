//! What made a pipeline as long as it was: the chain of steps that nothing could have overtaken, and what the
//! whole would have taken if one thing had been different. Pure.
//!
//! The model is one a reader can follow with a pencil: a step starts when all it needs are finished and it has
//! waited as long as it really did; it ends when it has worked as long as it really did. With that alone the
//! model gives the measured length; a question changes one number or one arrow and asks again.

use crate::record::job_of;
use kernel::{Text, text};
use run::{Run, StepView};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Answers that are worth reading.
const ANSWERS: usize = 5;
/// Percent below which an answer is not.
const LEAST: f64 = 1.0;

/// One step, as the model sees it. Times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    pub name: String,
    /// Places of the steps it waits for.
    pub needs: Vec<usize>,
    /// From the end of the last of them to its own start.
    pub waited: u64,
    pub worked: u64,
}

/// A step of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub step: String,
    /// From the run's beginning.
    pub start_ms: u64,
    pub waited_ms: u64,
    pub worked_ms: u64,
}

/// What would be different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Change {
    /// The job works half as long, or is split into two parts.
    Half { job: String },
    /// `step` does not wait for `need`.
    Apart { step: String, need: String },
    /// Nothing waits for a slot, nor for a go.
    NoWaiting,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    #[serde(flatten)]
    pub change: Change,
    pub total_ms: u64,
    /// Of the length that was.
    pub percent: f64,
    pub say: Text,
}

/// The chain and the answers, best first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Path {
    pub total_ms: u64,
    /// Of the chain.
    pub waited_ms: u64,
    pub worked_ms: u64,
    pub chain: Vec<Link>,
    pub answers: Vec<Answer>,
}

/// The steps of a run that has begun; what is not finished counts until now.
pub fn tasks(run: &Run, now: kernel::Time) -> Vec<Task> {
    let places: BTreeMap<&str, usize> =
        run.steps.iter().enumerate().map(|(i, s)| (s.name.as_str(), i)).collect();
    let begin = run.started.unwrap_or(run.created);
    let start = |s: &StepView| match s.attempts.first() {
        Some(first) if !s.copied => Some(first.started),
        _ => s.started.filter(|_| !s.copied),
    };
    let end = |s: &StepView| if s.copied { begin } else { s.finished.unwrap_or(begin) };
    let task = |s: &StepView| {
        let needs: Vec<usize> =
            s.needs.iter().filter_map(|n| places.get(n.as_str()).copied()).collect();
        let before = needs.iter().filter_map(|i| run.steps.get(*i)).map(end).max().unwrap_or(begin);
        let before = before.max(begin);
        let (waited, worked) = match start(s) {
            Some(start) => {
                let end = s.finished.unwrap_or(now);
                (start.since(before), end.since(start.max(before)))
            }
            None => Default::default(),
        };
        let ms = |d: std::time::Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        Task { name: s.name.clone(), needs, waited: ms(waited), worked: ms(worked) }
    };
    run.steps.iter().map(task).collect()
}

/// When each step starts and ends, from the beginning on.
fn schedule(tasks: &[Task]) -> Vec<(u64, u64)> {
    let mut done: Vec<Option<(u64, u64)>> = vec![None; tasks.len()];
    // A plan has no cycles; if one had, its steps would stay where they are.
    for _ in 0..tasks.len() {
        let mut moved = false;
        for (i, task) in tasks.iter().enumerate() {
            if done.get(i).is_none_or(Option::is_some) {
                continue;
            }
            let ends: Option<Vec<u64>> =
                task.needs.iter().map(|n| done.get(*n).copied().flatten().map(|d| d.1)).collect();
            let Some(ends) = ends else { continue };
            let start = ends.into_iter().max().unwrap_or(0).saturating_add(task.waited);
            if let Some(place) = done.get_mut(i) {
                *place = Some((start, start.saturating_add(task.worked)));
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    done.into_iter().map(Option::unwrap_or_default).collect()
}

fn length(tasks: &[Task]) -> u64 {
    schedule(tasks).iter().map(|t| t.1).max().unwrap_or(0)
}

/// How long it takes with so many slots and no other waiting: whoever is ready first starts first, and of
/// those the one that is first in the plan.
pub fn with_slots(tasks: &[Task], slots: usize) -> u64 {
    let mut free = vec![0_u64; slots.clamp(1, 10_000)];
    let mut ends: Vec<Option<u64>> = vec![None; tasks.len()];
    for _ in 0..tasks.len() {
        let ready = |(i, task): (usize, &Task)| {
            if ends.get(i).copied().flatten().is_some() {
                return None;
            }
            let before: Option<Vec<u64>> =
                task.needs.iter().map(|n| ends.get(*n).copied().flatten()).collect();
            Some((before?.into_iter().max().unwrap_or(0), i))
        };
        let Some((at, i)) = tasks.iter().enumerate().filter_map(ready).min() else { break };
        let Some(slot) = free.iter_mut().min() else { break };
        let end = at.max(*slot).saturating_add(tasks.get(i).map_or(0, |t| t.worked));
        *slot = end;
        if let Some(place) = ends.get_mut(i) {
            *place = Some(end);
        }
    }
    ends.into_iter().flatten().max().unwrap_or(0)
}

/// The chain, and what would have made the whole shorter.
pub fn analyse(tasks: &[Task]) -> Path {
    let times = schedule(tasks);
    let total_ms = times.iter().map(|t| t.1).max().unwrap_or(0);
    let chain = chain(tasks, &times);
    let links: Vec<Link> = chain.iter().filter_map(|i| link(tasks, &times, *i)).collect();
    let sum = |pick: fn(&Link) -> u64| links.iter().map(pick).sum();
    Path {
        total_ms,
        waited_ms: sum(|l| l.waited_ms),
        worked_ms: sum(|l| l.worked_ms),
        answers: answers(tasks, &chain, total_ms),
        chain: links,
    }
}

fn link(tasks: &[Task], times: &[(u64, u64)], i: usize) -> Option<Link> {
    let (task, time) = (tasks.get(i)?, times.get(i)?);
    let (waited_ms, worked_ms) = (task.waited, task.worked);
    Some(Link { step: task.name.clone(), start_ms: time.0, waited_ms, worked_ms })
}

/// From the step that ended last back to the one before which there is nothing, then turned around.
fn chain(tasks: &[Task], times: &[(u64, u64)]) -> Vec<usize> {
    let end = |i: &usize| times.get(*i).map_or(0, |t| t.1);
    let mut at = (0..tasks.len()).rev().max_by_key(end);
    let mut out = Vec::new();
    while let Some(i) = at.filter(|_| out.len() < tasks.len()) {
        out.push(i);
        at = tasks.get(i).and_then(|t| t.needs.iter().copied().max_by_key(end));
    }
    // Steps that took no time say nothing.
    out.retain(|i| tasks.get(*i).is_some_and(|t| t.waited + t.worked > 0));
    out.reverse();
    out
}

fn answers(tasks: &[Task], chain: &[usize], total: u64) -> Vec<Answer> {
    let on_chain: BTreeSet<usize> = chain.iter().copied().collect();
    let job = |i: &usize| tasks.get(*i).map(|t| job_of(&t.name).to_owned());
    let jobs: BTreeSet<String> = chain.iter().filter_map(job).collect();
    let mut out: Vec<Answer> = Vec::new();
    for job in jobs {
        let halved: Vec<Task> = tasks
            .iter()
            .map(|t| {
                let ours = job_of(&t.name) == job;
                Task { worked: if ours { t.worked / 2 } else { t.worked }, ..t.clone() }
            })
            .collect();
        out.extend(answer(Change::Half { job }, length(&halved), total));
    }
    for i in chain {
        let Some(task) = tasks.get(*i) else { continue };
        for need in task.needs.iter().filter(|n| on_chain.contains(n)) {
            let mut apart = tasks.to_vec();
            if let Some(task) = apart.get_mut(*i) {
                task.needs.retain(|n| n != need);
            }
            let need = tasks.get(*need).map(|t| t.name.clone()).unwrap_or_default();
            let change = Change::Apart { step: task.name.clone(), need };
            out.extend(answer(change, length(&apart), total));
        }
    }
    let prompt: Vec<Task> = tasks.iter().map(|t| Task { waited: 0, ..t.clone() }).collect();
    out.extend(answer(Change::NoWaiting, length(&prompt), total));
    out.sort_by_key(|a| a.total_ms);
    out.truncate(ANSWERS);
    out
}

fn answer(change: Change, total_ms: u64, was: u64) -> Option<Answer> {
    let percent = was.saturating_sub(total_ms) as f64 * 100.0 / was.max(1) as f64;
    if percent < LEAST {
        return None;
    }
    let n = format!("{percent:.0}");
    let say = match &change {
        Change::Half { job } => text!(
            "{n} % shorter if {job} took half as long, or ran in two parts",
            "{job}이(가) 절반만 걸리거나 둘로 나뉘면 {n} % 짧아집니다"
        ),
        Change::Apart { step, need } => text!(
            "{n} % shorter if {step} did not need {need}",
            "{step}이(가) {need}을(를) 기다리지 않으면 {n} % 짧아집니다"
        ),
        Change::NoWaiting => text!(
            "{n} % shorter if no step waited for a slot or a go",
            "빈자리나 승인을 기다리지 않으면 {n} % 짧아집니다"
        ),
    };
    Some(Answer { change, total_ms, percent, say })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn task(name: &str, needs: &[usize], waited: u64, worked: u64) -> Task {
        Task { name: name.into(), needs: needs.to_vec(), waited, worked }
    }

    #[test]
    fn the_chain_and_what_would_shorten_it() {
        // build 60 → unit 300 → deploy 40; lint 30 beside.
        let tasks = [
            task("build", &[], 0, 60),
            task("lint", &[], 0, 30),
            task("unit", &[0], 20, 300),
            task("deploy", &[1, 2], 0, 40),
        ];
        let path = analyse(&tasks);
        assert_eq!(path.total_ms, 420);
        let steps: Vec<&str> = path.chain.iter().map(|l| l.step.as_str()).collect();
        assert_eq!(steps, ["build", "unit", "deploy"]);
        assert_eq!((path.waited_ms, path.worked_ms), (20, 400));
        // 60 + 20 + 150 + 40 = 270, 36 % less.
        let best = &path.answers[0];
        assert_eq!(
            (best.total_ms, best.change.clone()),
            (270, Change::Half { job: "unit".into() })
        );
        assert_eq!(best.say.en, "36 % shorter if unit took half as long, or ran in two parts");
        // Without its need unit ends at 320, and deploy at 360.
        let apart = Change::Apart { step: "unit".into(), need: "build".into() };
        assert!(path.answers.iter().any(|a| a.change == apart && a.total_ms == 360), "{path:?}");
    }

    #[test]
    fn parts_of_a_job_are_halved_together() {
        let tasks = [task("unit 1/2", &[], 0, 100), task("unit 2/2", &[], 0, 90)];
        let path = analyse(&tasks);
        assert_eq!(path.answers[0].total_ms, 50);
    }

    #[test]
    fn slots_make_a_queue() {
        let tasks = [task("a", &[], 0, 10), task("b", &[], 0, 10), task("c", &[], 0, 10)];
        let with = |n| with_slots(&tasks, n);
        assert_eq!((with(1), with(2), with(3), with(100)), (30, 20, 10, 10));
    }

    proptest! {
        #[test]
        fn the_chain_is_as_long_as_the_whole(
            steps in prop::collection::vec((0_u64..50, 0_u64..500, prop::collection::vec(any::<prop::sample::Index>(), 0..3)), 1..25)
        ) {
            let tasks: Vec<Task> = steps.iter().enumerate().map(|(i, (waited, worked, needs))| {
                let needs = if i == 0 { vec![] } else { needs.iter().map(|n| n.index(i)).collect() };
                task(&format!("s{i}"), &needs, *waited, *worked)
            }).collect();
            let path = analyse(&tasks);
            prop_assert_eq!(path.waited_ms + path.worked_ms, path.total_ms);
            prop_assert!(path.answers.iter().all(|a| a.total_ms < path.total_ms));
            prop_assert!(with_slots(&tasks, 1) >= with_slots(&tasks, 2));
            let sum: u64 = tasks.iter().map(|t| t.worked).sum();
            prop_assert_eq!(with_slots(&tasks, 1), sum);
        }
    }
}
