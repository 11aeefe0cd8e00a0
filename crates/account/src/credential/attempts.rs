//! How often somebody may try, so that who guesses slows himself down and nobody else.
//!
//! Each try is charged before its work is done, to budgets that belong to the one who tries:
//! - a *device* that has signed in to this account before (it holds a cookie) has a budget of its own, which nobody
//!   else can touch;
//! - any other try is charged to the *pair* of account and source address, and to the *source* over all accounts, so
//!   that one password tried on many accounts slows the address it comes from.
//!
//! An account has no budget that others could empty: many failures from strange addresses only make a strange
//! address wait once, [`PATIENCE`], before its first try. That is the longest that anybody else can hold up the owner.
//!
//! A budget allows some failures at once; after them each failure doubles the wait, up to [`LONGEST`]. Failures are
//! forgotten one by one as time passes. Pure: no clock, no IO. They outlive a restart, because the journal tells of
//! each failure ([`Attempts::recall`]).

use kernel::Time;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// The longest wait between two tries.
pub const LONGEST: Duration = Duration::from_secs(15 * 60);
/// How long a strange address waits before its first try at an account that is being guessed at.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Failures from strange addresses from which on an account counts as being guessed at.
const UNDER_ATTACK: u32 = 20;
/// Budgets remembered.
const MOST: usize = 100_000;

/// Where a try comes from: an IPv4 address, or the /64 network of an IPv6 one, of which one subscriber has all
/// (RFC 6177).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(IpAddr);

impl Source {
    pub fn of(address: IpAddr) -> Source {
        match address.to_canonical() {
            IpAddr::V6(six) => {
                let [a, b, c, d, ..] = six.segments();
                Source(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
            four => Source(four),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V6(six) => write!(f, "{six}/64"),
            IpAddr::V4(four) => write!(f, "{four}"),
        }
    }
}

/// One try at an account, whether or not there is such an account.
#[derive(Clone, Debug)]
pub struct Try {
    /// As typed.
    pub account: String,
    pub source: Source,
    /// The hash of the cookie of a device that belongs to this account.
    pub device: Option<String>,
    /// The owner has signed in from this source before.
    pub familiar: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Budget {
    Device(String),
    Pair(String, Source),
    Source(Source),
    /// Counted only: failures at the account from strange addresses.
    Account(String),
}

impl Budget {
    /// Failures that cost no wait.
    fn free(&self) -> u32 {
        match self {
            Budget::Device(_) => 5,
            Budget::Pair(..) => 3,
            Budget::Source(_) => 20,
            Budget::Account(_) => u32::MAX,
        }
    }

    /// After how long one failure is forgotten.
    fn forgets(&self) -> Duration {
        match self {
            Budget::Pair(..) => Duration::from_secs(30 * 60),
            Budget::Device(_) | Budget::Account(_) => Duration::from_secs(10 * 60),
            Budget::Source(_) => Duration::from_secs(5 * 60),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Tally {
    failures: u32,
    /// Failures were last counted or forgotten.
    at: Time,
    /// No try before this.
    next: Time,
}

impl Tally {
    /// What is left of the failures at `now`. A clock that was set back forgets nothing.
    fn cooled(self, budget: &Budget, now: Time) -> Tally {
        let forgets = budget.forgets();
        let steps = now.since(self.at).as_millis() / forgets.as_millis().max(1);
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        let at = self.at.plus(forgets.saturating_mul(steps.min(self.failures)));
        let at = if steps >= self.failures { now } else { at };
        Tally { failures: self.failures.saturating_sub(steps), at, next: self.next }
    }

    /// A clock that was set back makes nobody wait longer than the longest wait.
    fn wait(self, now: Time) -> Duration {
        self.next.since(now).min(LONGEST)
    }
}

/// The wait after that many failures.
fn delay(failures: u32, free: u32) -> Duration {
    match failures.checked_sub(free) {
        None | Some(0) => Duration::ZERO,
        Some(over) => Duration::from_secs(1 << (over - 1).min(16)).min(LONGEST),
    }
}

/// All budgets.
#[derive(Debug, Default)]
pub struct Attempts {
    tallies: HashMap<Budget, Tally>,
}

impl Attempts {
    /// Charges a try. It is charged as a failure until [`Attempts::passed`] says otherwise, so that a hundred tries at
    /// the same instant are a hundred.
    ///
    /// # Errors
    /// How long to wait; the try is not charged then.
    pub fn admit(&mut self, now: Time, of: &Try) -> Result<(), Duration> {
        let budgets = budgets(of);
        let wait = budgets.iter().map(|b| self.wait(b, now)).max().unwrap_or_default();
        if wait > Duration::ZERO {
            return Err(wait);
        }
        if let Some(pair) = self.impatient(now, of) {
            self.keep(pair, Tally { failures: 2, at: now, next: now.plus(PATIENCE) }, now);
            return Err(PATIENCE);
        }
        for budget in budgets {
            self.charge(budget, now);
        }
        if of.device.is_none() {
            self.count(&of.account, now);
        }
        Ok(())
    }

    /// Counts a failure of earlier, as the journal tells of it: from where, and of which account if there is one of
    /// that name. What is told in order comes to what was counted then, but for devices, whose own budgets start anew.
    pub fn recall(&mut self, at: Time, account: Option<&str>, source: Source) {
        self.charge(Budget::Source(source), at);
        if let Some(account) = account {
            self.charge(Budget::Pair(account.to_owned(), source), at);
            self.count(account, at);
        }
    }

    fn charge(&mut self, budget: Budget, now: Time) {
        let tally = self.tally(&budget, now);
        let failures = tally.failures.saturating_add(1);
        // The wait starts after this failure: the one that uses up what is free makes the next one wait.
        let next = now.plus(delay(failures.saturating_add(1), budget.free()));
        self.keep(budget, Tally { failures, at: tally.at, next }, now);
    }

    fn count(&mut self, account: &str, now: Time) {
        let account = Budget::Account(account.to_owned());
        let tally = self.tally(&account, now);
        let failures = tally.failures.saturating_add(1);
        self.keep(account, Tally { failures, ..tally }, now);
    }

    /// The try was right: what it cost is given back, and its pair or device starts anew. The source keeps its other
    /// failures, because an attacker may have an account of his own.
    pub fn passed(&mut self, now: Time, of: &Try) {
        for budget in budgets(of).into_iter().chain([Budget::Account(of.account.clone())]) {
            let Some(tally) = self.tallies.get(&budget).copied() else { continue };
            match budget {
                Budget::Device(_) | Budget::Pair(..) => {
                    self.tallies.remove(&budget);
                }
                Budget::Account(_) if of.device.is_some() => {}
                Budget::Source(_) | Budget::Account(_) => {
                    let tally = tally.cooled(&budget, now);
                    let failures = tally.failures.saturating_sub(1);
                    let next = match delay(failures.saturating_add(1), budget.free()) {
                        Duration::ZERO => now,
                        _ => tally.next,
                    };
                    self.tallies.insert(budget, Tally { failures, next, ..tally });
                }
            }
        }
    }

    /// The pair of a first try from a strange address at an account that is being guessed at.
    fn impatient(&self, now: Time, of: &Try) -> Option<Budget> {
        let pair = Budget::Pair(of.account.clone(), of.source);
        let strange = of.device.is_none() && !of.familiar && !self.tallies.contains_key(&pair);
        let attacked =
            self.tally(&Budget::Account(of.account.clone()), now).failures >= UNDER_ATTACK;
        (strange && attacked).then_some(pair)
    }

    fn wait(&self, budget: &Budget, now: Time) -> Duration {
        self.tallies.get(budget).map_or(Duration::ZERO, |t| t.wait(now))
    }

    fn tally(&self, budget: &Budget, now: Time) -> Tally {
        let fresh = Tally { failures: 0, at: now, next: now };
        self.tallies.get(budget).map_or(fresh, |t| t.cooled(budget, now))
    }

    fn keep(&mut self, budget: Budget, tally: Tally, now: Time) {
        if self.tallies.len() >= MOST && !self.tallies.contains_key(&budget) {
            self.make_room(now);
        }
        self.tallies.insert(budget, tally);
    }

    /// Forgets what has cooled; if that is not enough, what has been quiet for longest.
    fn make_room(&mut self, now: Time) {
        self.tallies.retain(|b, t| t.cooled(b, now).failures > 0 || t.next > now);
        if self.tallies.len() < MOST {
            return;
        }
        let mut seen: Vec<Time> = self.tallies.values().map(|t| t.at.max(t.next)).collect();
        let tenth = MOST / 10;
        let (_, bound, _) = seen.select_nth_unstable(tenth);
        let bound = *bound;
        let mut gone = 0;
        self.tallies.retain(|_, t| {
            let goes = gone < tenth && t.at.max(t.next) <= bound;
            gone += usize::from(goes);
            !goes
        });
    }
}

fn budgets(of: &Try) -> Vec<Budget> {
    match &of.device {
        Some(device) => vec![Budget::Device(device.clone())],
        None => vec![Budget::Pair(of.account.clone(), of.source), Budget::Source(of.source)],
    }
}

#[cfg(test)]
#[path = "attempts_tests.rs"]
mod tests;
