//! The main job with a crash at every store write, simulated.
//!
//! The platform runs inside this process, in a runtime of its own, on a store that dies at its k-th commit,
//! either before that is durable or after it and before anyone hears. Then the runtime is torn down with
//! all its tasks, as a process that dies takes them along; the parents of workloads are processes of their
//! own and live on. The platform is opened again on the same data, and the developer goes on as developers
//! do: what git has not been told of is pushed again, the rest is waited for. What came of it must be what
//! comes of the same journey without a crash.
//!
//! Every k of the journey is taken, and both moments. Every third history dies a second time while it
//! recovers, at a commit that comes from `SEED` and k. `NARU_CRASH=after:17` plays one history alone.

mod developer;
mod examine;
mod life;

use developer::{Changes, Developer};
use examine::Outcome;
use life::{Data, Life};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use store::{Chaos, Moment};

const SEED: u64 = 7;

/// Where a history crashes.
#[derive(Clone, Copy)]
struct Crash {
    at: u64,
    moment: Moment,
}

impl Crash {
    /// The second crash of this history, while it recovers.
    fn again(self) -> Option<Crash> {
        if !self.at.is_multiple_of(3) {
            return None;
        }
        let mixed = (SEED ^ self.at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let moment = if self.moment == Moment::After { Moment::Before } else { Moment::After };
        Some(Crash { at: 1 + mixed % 24, moment })
    }

    fn chaos(self) -> Arc<Chaos> {
        Arc::new(Chaos::new(self.at, self.moment))
    }

    fn name(self) -> String {
        let moment = if self.moment == Moment::After { "after" } else { "before" };
        format!("{moment}:{}", self.at)
    }
}

/// A finished history: how many commits its last life made, whether it died before, and what is left.
struct History {
    commits: u64,
    died: bool,
    outcome: Outcome,
}

impl History {
    fn play(changes: &Changes, crash: Option<Crash>) -> History {
        let data = Data::new();
        let mut developer = Developer::new(changes);
        let mut crashes = crash.into_iter().chain(crash.and_then(Crash::again));
        let mut died = false;
        loop {
            let crash = crashes.next();
            let Ok(life) = Life::begin(&data, crash) else {
                died = true;
                continue;
            };
            let arrived = developer.go_on(&life).is_ok();
            died |= life.chaos.crashed();
            if arrived && crash.is_none() {
                let (commits, outcome) = (life.chaos.seen(), life.examine(&data, changes));
                life.stop(&data);
                return History { commits, died, outcome };
            }
            // A history that ended before its crash dies now.
            life.kill(&data);
            developer.hear_out();
        }
    }
}

/// Plays every history, a few at a time, and returns how many died, and what went wrong.
fn play_all(changes: &Changes, crashes: Vec<Crash>, wanted: &Outcome) -> (usize, Vec<String>) {
    let players = std::thread::available_parallelism().map_or(2, usize::from) + 1;
    let (queue, results) = (Mutex::new(crashes.into_iter()), Mutex::new((0, Vec::new())));
    let play = || {
        loop {
            let Some(crash) = queue.lock().unwrap().next() else { return };
            let one = || History::play(changes, Some(crash));
            let played = catch_unwind(AssertUnwindSafe(one));
            let mut results = results.lock().unwrap();
            match wrong(played, wanted) {
                Ok(died) => results.0 += usize::from(died),
                Err(why) => results.1.push(format!("{}: {why}", crash.name())),
            }
        }
    };
    std::thread::scope(|scope| (0..players).for_each(|_| drop(scope.spawn(play))));
    results.into_inner().unwrap()
}

/// Whether the history died, when it ended as wanted; else how it differs, or what it fell over.
fn wrong(played: std::thread::Result<History>, wanted: &Outcome) -> Result<bool, String> {
    match played {
        Ok(history) if history.outcome == *wanted => Ok(history.died),
        Ok(history) => {
            let other = history.outcome.symmetric_difference(wanted);
            Err(other.map(String::as_str).collect::<Vec<_>>().join("\n  "))
        }
        Err(why) => {
            let words = why.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| why.downcast_ref::<&str>().copied());
            Err(words.unwrap_or("a panic without words").to_owned())
        }
    }
}

/// Every commit of the journey and both moments, or the one that `NARU_CRASH` names.
fn crashes(commits: u64) -> Vec<Crash> {
    let both = |at| [Moment::Before, Moment::After].map(|moment| Crash { at, moment });
    let all = (1..=commits).flat_map(both);
    match std::env::var("NARU_CRASH") {
        Ok(one) => all.filter(|crash| crash.name() == one).collect(),
        Err(_) => all.collect(),
    }
}

#[test]
fn a_crash_at_any_write_changes_nothing() {
    let changes = Changes::new();
    let calm = History::play(&changes, None);
    assert!(calm.commits > 40, "only {} commits in a whole journey", calm.commits);
    let crashes = crashes(calm.commits);
    let histories = crashes.len();
    let (died, wrong) = play_all(&changes, crashes, &calm.outcome);
    assert!(wrong.is_empty(), "seed {SEED}; {} of {histories}:\n{}", wrong.len(), wrong.join("\n"));
    // The number of commits varies a little: the last few crashes may come too late.
    assert!(died * 10 > histories * 9, "only {died} of {histories} histories died");
}
