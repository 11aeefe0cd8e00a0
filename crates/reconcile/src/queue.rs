//! Which key is next: pure, without clock and tasks.

use crate::{Backoff, Next};
use kernel::Time;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

/// Every key is in at most one place: ready, running or waiting. A key that is done and has nothing to wait
/// for is forgotten, so the queue is bounded by the keys there are.
pub(crate) struct Queue<K> {
    backoff: Backoff,
    keys: BTreeMap<K, Entry>,
    ready: VecDeque<K>,
    waiting: BTreeSet<(Time, K)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    place: Place,
    /// In a row.
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Ready,
    Running { touched: bool },
    Waiting(Time),
}

/// How a sync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Well(Next),
    Badly,
}

impl<K: Clone + Ord + Hash> Queue<K> {
    pub(crate) fn new(backoff: Backoff) -> Queue<K> {
        Queue { backoff, keys: BTreeMap::new(), ready: VecDeque::new(), waiting: BTreeSet::new() }
    }

    /// The key is to be synced after this.
    pub(crate) fn touch(&mut self, key: &K, now: Time) {
        let Some(entry) = self.keys.get_mut(key) else {
            self.keys.insert(key.clone(), Entry { place: Place::Ready, failures: 0 });
            self.ready.push_back(key.clone());
            return;
        };
        match entry.place {
            Place::Ready => {}
            Place::Running { .. } => entry.place = Place::Running { touched: true },
            // What touches a failing key may be its own failure, written as a status: it is tried soon,
            // but not at once, or it would spin.
            Place::Waiting(at) if entry.failures > 0 => {
                let soon = at.min(now.plus(up(self.backoff.wait(1, key))));
                self.waiting.remove(&(at, key.clone()));
                self.waiting.insert((soon, key.clone()));
                entry.place = Place::Waiting(soon);
            }
            Place::Waiting(at) => {
                self.waiting.remove(&(at, key.clone()));
                entry.place = Place::Ready;
                self.ready.push_back(key.clone());
            }
        }
    }

    /// The next key to sync; it counts as running until [`Queue::ended`].
    pub(crate) fn take(&mut self, now: Time) -> Option<K> {
        while self.waiting.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, key)) = self.waiting.pop_first() else { break };
            if let Some(entry) = self.keys.get_mut(&key) {
                entry.place = Place::Ready;
                self.ready.push_back(key);
            }
        }
        let key = self.ready.pop_front()?;
        if let Some(entry) = self.keys.get_mut(&key) {
            entry.place = Place::Running { touched: false };
        }
        Some(key)
    }

    pub(crate) fn ended(&mut self, key: &K, ended: Ended, now: Time) {
        let Some(entry) = self.keys.get_mut(key) else { return };
        let touched = entry.place == Place::Running { touched: true };
        let wait = match ended {
            Ended::Badly => {
                entry.failures = entry.failures.saturating_add(1);
                Some(self.backoff.wait(entry.failures, key))
            }
            Ended::Well(next) => {
                entry.failures = 0;
                match next {
                    Next::After(wait) if !touched => Some(wait),
                    Next::At(at) if !touched => Some(at.since(now)),
                    _ => None,
                }
            }
        };
        match wait {
            Some(wait) => {
                let at = now.plus(up(wait));
                entry.place = Place::Waiting(at);
                self.waiting.insert((at, key.clone()));
            }
            None if touched => {
                entry.place = Place::Ready;
                self.ready.push_back(key.clone());
            }
            None => {
                self.keys.remove(key);
            }
        }
    }

    pub(crate) fn failures(&self, key: &K) -> u32 {
        self.keys.get(key).map_or(0, |e| e.failures)
    }

    /// When a waiting key becomes ready.
    pub(crate) fn alarm(&self) -> Option<Time> {
        self.waiting.first().map(|(at, _)| *at)
    }
}

/// Whole milliseconds, as times have: rounded up, so that a short wait does not become none.
fn up(wait: Duration) -> Duration {
    Duration::from_millis(wait.as_micros().div_ceil(1000).try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
