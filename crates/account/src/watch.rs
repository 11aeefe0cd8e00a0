//! What is kept in memory of who is there and what has ended, and how it learns of it: from each commit, before
//! the commit's own writer does.

use crate::directory::Directory;
use crate::live::{Ending, Registry};
use crate::record::Record;
use crate::{Credential, Proven};
use kernel::{Event, Principal, Time};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Credentials remembered.
const KNOWN: usize = 8192;
/// A last use is written down at most this often.
const STAMP_EVERY: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Watch {
    pub directory: Directory,
    pub live: Registry,
    pub known: Remembered,
    pub record: Record,
}

impl Watch {
    /// Called with each event in the order of the journal.
    pub fn apply(&self, event: &Event) {
        let barred = self.directory.apply(event);
        let ending = match barred {
            Some(who) => Some(Ending::Principal(who)),
            None => ending(event),
        };
        self.record.note(event);
        if let Some(ending) = ending {
            // What is open first: whoever looks at a credential after this finds it gone, and whoever has looked
            // before finds the ending.
            self.live.end(ending.clone());
            self.known.forget(&ending);
        }
    }

    /// Remembers a credential that was looked up when there were `seen` endings.
    pub fn remember(&self, hash: &str, known: &Known, seen: u64) {
        let mut all = self.known.all();
        if self.live.ended_since(&known.clone().proven(seen)) {
            return;
        }
        if all.len() >= KNOWN {
            all.clear();
        }
        all.insert(hash.to_owned(), known.clone());
    }
}

/// What an event about credentials ends.
fn ending(event: &Event) -> Option<Ending> {
    let data = &event.fact.data;
    let word = |name: &str| data.get(name).and_then(|v| v.as_str()).map(str::to_owned);
    let who = || serde_json::from_value::<Principal>(data.get("principal")?.clone()).ok();
    match event.fact.kind.as_str() {
        "token.revoked" | "token.rotated" | "token.expired" | "session.closed"
        | "session.expired" => Some(Ending::Credential(word("credential")?)),
        "sessions.closed" => Some(Ending::Sessions(who()?, word("except"))),
        "credentials.ended" => Some(Ending::Principal(who()?)),
        _ => None,
    }
}

/// Credentials by the hash of their secret, so that a busy client costs no read.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<HashMap<String, Known>>);

#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub principal: Principal,
    pub credential: Credential,
    seen: Seen,
}

/// When a credential was made and last used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub created: Time,
    pub stamped: Option<Time>,
}

impl Known {
    pub fn new(principal: Principal, credential: Credential, seen: Seen) -> Known {
        Known { principal, credential, seen }
    }

    pub fn proven(self, seen: u64) -> Proven {
        Proven { principal: self.principal, credential: self.credential, seen }
    }

    /// Whether it has an end and was made in the future: the clock was set back, and what was to last a day
    /// would last longer.
    pub fn is_ahead(&self, now: Time, skew: Duration) -> bool {
        self.credential.until.is_some() && self.seen.created > now.plus(skew)
    }
}

impl Remembered {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn recall(&self, hash: &str) -> Option<Known> {
        self.all().get(hash).cloned()
    }

    pub fn drop_hash(&self, hash: &str) {
        self.all().remove(hash);
    }

    /// A session that is used ends later.
    pub fn set_until(&self, hash: &str, until: Time) {
        if let Some(known) = self.all().get_mut(hash) {
            known.credential.until = Some(until);
        }
    }

    /// Whether this use is to be written down: the last one that was is a minute ago.
    pub fn stamp(&self, hash: &str, now: Time) -> bool {
        let mut all = self.all();
        let Some(known) = all.get_mut(hash) else { return true };
        let recent = |at: Time| at <= now && now.since(at) < STAMP_EVERY;
        if known.seen.stamped.is_some_and(recent) {
            return false;
        }
        known.seen.stamped = Some(now);
        true
    }

    fn forget(&self, ending: &Ending) {
        self.all().retain(|_, known| !ending.covers(&known.principal, &known.credential));
    }
}

/// Shared by the handles on the accounts and by the store, which knows nothing of them.
pub(crate) type Shared = Arc<Watch>;
