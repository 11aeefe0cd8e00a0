//! What to do next for a service, decided from what is wanted and what is there. Pure.
//!
//! One function decides for the steady state and for rollouts: a rollout's steps are what [`next`] does in
//! a world where everything becomes ready.

use crate::measure::Share;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What should be there: `replicas` instances of one release, in the slots from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    pub replicas: u32,
    /// Instances beyond the replicas while releases change.
    pub surge: u32,
    /// Replicas that may be missing while releases change.
    pub unavailable: u32,
}

impl Want {
    pub fn new(replicas: u32, surge: Share, unavailable: Share) -> Want {
        let (surge, unavailable) = (surge.up(replicas), unavailable.down(replicas));
        // Percentages of few replicas can both come to nothing, and then nothing could ever move.
        let surge = if surge == 0 && unavailable == 0 { 1 } else { surge };
        Want { replicas, surge, unavailable }
    }

    /// Ready instances that must not be given up.
    fn floor(self) -> usize {
        self.replicas.saturating_sub(self.unavailable) as usize
    }

    /// The same, for a step.
    pub fn floor_of(self) -> u32 {
        self.replicas.saturating_sub(self.unavailable)
    }

    fn ceiling(self) -> usize {
        self.replicas.saturating_add(self.surge) as usize
    }
}

/// An instance that runs and has not been told to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub id: String,
    /// Of the wanted release.
    pub fresh: bool,
    /// Its release's number: older ones go first.
    pub number: u64,
    pub slot: u32,
    pub ready: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start the wanted release in this slot.
    Start(u32),
    /// Take the instance out, drain it and stop it.
    Stop(String),
}

/// The actions that may be taken at once. None: it is as wanted, or something has to become ready first.
pub(crate) fn next(want: Want, seen: &[Seen]) -> Vec<Action> {
    let keepers = keepers(want, seen);
    let kept = |s: &&Seen| keepers.values().any(|id| *id == s.id);
    let (serving, useless): (Vec<&Seen>, Vec<&Seen>) =
        seen.iter().partition(|s| s.ready || kept(s));
    let mut actions: Vec<Action> = useless.iter().map(|s| Action::Stop(s.id.clone())).collect();

    // What is ready and not wanted goes as far as the floor allows: the oldest first.
    let mut ready = serving.iter().filter(|s| s.ready).count();
    let mut left = serving.len();
    let mut surplus: Vec<&Seen> = serving.into_iter().filter(|s| !kept(s)).collect();
    surplus.sort_by_key(|s| (s.fresh, s.number, Reverse(s.slot)));
    for old in surplus {
        if ready <= want.floor() {
            break;
        }
        ready -= 1;
        left -= 1;
        actions.push(Action::Stop(old.id.clone()));
    }

    let room = want.ceiling().saturating_sub(left);
    let free = (0..want.replicas).filter(|slot| !keepers.contains_key(slot));
    actions.extend(free.take(room).map(Action::Start));
    actions
}

/// One instance of the wanted release for each slot; one that is ready, if there is any.
fn keepers(want: Want, seen: &[Seen]) -> BTreeMap<u32, &str> {
    let mut fresh: Vec<&Seen> = seen.iter().filter(|s| s.fresh && s.slot < want.replicas).collect();
    fresh.sort_by_key(|s| (!s.ready, &s.id));
    let mut keepers = BTreeMap::new();
    for one in fresh {
        keepers.entry(one.slot).or_insert(one.id.as_str());
    }
    keepers
}

/// One step of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Batch {
    /// Start the slots from `from` up to `to` and wait until all are ready.
    Start { from: u32, to: u32 },
    /// Take instances of other releases out until `keep` of them are left.
    Retire { keep: u32 },
}

/// The steps from `old` ready instances of other releases to the wanted release alone.
pub(crate) fn batches(want: Want, old: u32) -> Vec<Batch> {
    let (mut fresh, mut old) = (0_u32, old);
    let mut batches = Vec::new();
    // Each round starts or stops at least one.
    while fresh < want.replicas || old > 0 {
        let seen = ideal(fresh, old);
        let actions = next(want, &seen);
        let starts = actions.iter().filter(|a| matches!(a, Action::Start(_))).count() as u32;
        let stops = actions.len() as u32 - starts;
        if stops > 0 {
            old = old.saturating_sub(stops);
            batches.push(Batch::Retire { keep: old });
        }
        if starts > 0 {
            batches.push(Batch::Start { from: fresh, to: fresh + starts });
            fresh += starts;
        }
        if actions.is_empty() {
            break;
        }
    }
    // What a rollout that was overtaken left behind is not counted in `old`, and goes here.
    if !matches!(batches.last(), Some(Batch::Retire { keep: 0 })) {
        batches.push(Batch::Retire { keep: 0 });
    }
    batches
}

fn ideal(fresh: u32, old: u32) -> Vec<Seen> {
    let one = |fresh: bool| {
        move |slot: u32| Seen {
            id: format!("{fresh}.{slot}"),
            fresh,
            number: u64::from(fresh),
            slot,
            ready: true,
        }
    };
    (0..fresh).map(one(true)).chain((0..old).map(one(false))).collect()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
