//! What is open, and its end: one registry for requests, streams and connections of every protocol.
//!
//! Whoever serves somebody holds a [`Live`] as long as that lasts, and stops when it [ends](Live::ended). It ends
//! when the principal is disabled or deleted, when the credential is revoked or runs out, when somebody asks
//! for it ([`Registry::end`]), and when what it was let in by does not hold any more ([`Claim`]). The registry hears of all that in the transaction's wake, before its writer does: who
//! got an answer to a revocation knows that nothing of it is open any more.
//!
//! Invariant: no ending is missed between the look at a credential and the entry of what it opened
//! ([`Registry::enter`] looks at what has ended since).

use crate::{Credential, CredentialKind, Proven};
use kernel::{BoxFuture, Clock, Principal, Time};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Endings remembered, for those who looked at a credential just before.
const RECENT: usize = 4096;
/// A clock that is set forward is noticed by those who wait for their end after this.
const LOOK: Duration = Duration::from_secs(2);

/// Decisions remembered of one thing that is open: what decides more than that was decided by the first.
const CLAIMS: usize = 16;

/// Something that was allowed when it was opened, and is asked again while it is.
pub trait Claim: Send + Sync {
    /// Whether it is still allowed.
    fn holds(&self) -> BoxFuture<'_, bool>;
}

/// What ends at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything of somebody.
    Principal(Principal),
    /// Everything that a credential, by its id, has opened.
    Credential(String),
    /// What the sessions of somebody have opened, but for that of this id.
    Sessions(Principal, Option<String>),
}

impl Ending {
    pub(crate) fn covers(&self, principal: &Principal, credential: &Credential) -> bool {
        match self {
            Ending::Principal(who) => who == principal,
            Ending::Credential(id) => !id.is_empty() && *id == credential.id,
            Ending::Sessions(who, kept) => {
                who == principal
                    && credential.kind == CredentialKind::Session
                    && kept.as_ref() != Some(&credential.id)
            }
        }
    }
}

/// Everything that is open.
#[derive(Clone, Default)]
pub(crate) struct Registry(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    /// Endings so far.
    count: u64,
    recent: VecDeque<Ending>,
    next: u64,
    held: HashMap<Principal, HashMap<u64, Held>>,
}

struct Held {
    proven: Proven,
    stop: CancellationToken,
    claims: Vec<Arc<dyn Claim>>,
}

impl Registry {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many endings there were: to be read before a credential is looked up.
    pub fn count(&self) -> u64 {
        self.open().count
    }

    /// Whether the credential may have ended since it was looked up.
    pub fn ended_since(&self, proven: &Proven) -> bool {
        self.open().ended_since(proven)
    }

    /// Enters something that `proven` opens; it is held ended if its end came in between.
    pub fn enter(&self, proven: &Proven, clock: Arc<dyn Clock>) -> Live {
        let stop = CancellationToken::new();
        let mut open = self.open();
        if open.ended_since(proven) {
            stop.cancel();
        }
        let slot = open.next;
        open.next += 1;
        let held = Held { proven: proven.clone(), stop: stop.clone(), claims: Vec::new() };
        open.held.entry(proven.principal.clone()).or_default().insert(slot, held);
        drop(open);
        let place = Place { registry: self.clone(), who: proven.principal.clone(), slot };
        Live { stop, until: proven.credential.until, clock, place: Arc::new(place) }
    }

    /// Ends all that it covers.
    pub fn end(&self, ending: Ending) {
        let mut open = self.open();
        for held in open.held.values().flat_map(HashMap::values) {
            if ending.covers(&held.proven.principal, &held.proven.credential) {
                held.stop.cancel();
            }
        }
        open.count += 1;
        open.recent.push_back(ending);
        if open.recent.len() > RECENT {
            open.recent.pop_front();
        }
    }

    /// Asks everything that is open again, and ends what would not be let in now.
    pub async fn review(&self) {
        let open: Vec<(CancellationToken, Vec<Arc<dyn Claim>>)> = {
            let open = self.open();
            let held = open.held.values().flat_map(HashMap::values);
            let asked = held.filter(|held| !held.claims.is_empty() && !held.stop.is_cancelled());
            asked.map(|held| (held.stop.clone(), held.claims.clone())).collect()
        };
        for (stop, claims) in open {
            for claim in claims {
                if !claim.holds().await {
                    stop.cancel();
                    break;
                }
            }
        }
    }

    fn claim(&self, who: &Principal, slot: u64, claim: Arc<dyn Claim>) {
        let mut open = self.open();
        let held = open.held.get_mut(who).and_then(|all| all.get_mut(&slot));
        if let Some(held) = held.filter(|held| held.claims.len() < CLAIMS) {
            held.claims.push(claim);
        }
    }

    #[cfg(test)]
    fn held(&self, who: &Principal) -> usize {
        self.open().held.get(who).map_or(0, HashMap::len)
    }
}

impl Open {
    fn ended_since(&self, proven: &Proven) -> bool {
        let missed = self.count.saturating_sub(proven.seen);
        // So many that not all are remembered: held ended, and the client asks again.
        let Ok(missed) = usize::try_from(missed) else { return true };
        missed > RECENT
            || self
                .recent
                .iter()
                .rev()
                .take(missed)
                .any(|e| e.covers(&proven.principal, &proven.credential))
    }
}

/// Something that is open. Clones are the same thing, which is closed when the last one is dropped.
#[derive(Clone)]
pub struct Live {
    stop: CancellationToken,
    until: Option<Time>,
    clock: Arc<dyn Clock>,
    place: Arc<Place>,
}

struct Place {
    registry: Registry,
    who: Principal,
    slot: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.registry.open();
        if let Some(all) = open.held.get_mut(&self.who) {
            all.remove(&self.slot);
            if all.is_empty() {
                open.held.remove(&self.who);
            }
        }
    }
}

impl Live {
    /// Whether it has to stop now.
    pub fn has_ended(&self) -> bool {
        self.stop.is_cancelled() || self.until.is_some_and(|at| at <= self.clock.now())
    }

    /// Remembers what it was let in by: it ends when that does not hold any more.
    pub fn claim(&self, claim: Arc<dyn Claim>) {
        self.place.registry.claim(&self.place.who, self.place.slot, claim);
    }

    /// Resolves when it has to stop. Cancel safe; owns what it needs.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let (stop, until, clock) = (self.stop.clone(), self.until, self.clock.clone());
        async move {
            let Some(until) = until else { return stop.cancelled().await };
            tokio::select! {
                () = stop.cancelled() => {}
                () = reached(until, &*clock) => {}
            }
        }
    }
}

/// Resolves when the clock shows `until`, also when it is set forward meanwhile.
async fn reached(until: Time, clock: &dyn Clock) {
    loop {
        let now = clock.now();
        if now >= until {
            return;
        }
        clock.sleep_until(until.min(now.plus(LOOK))).await;
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
