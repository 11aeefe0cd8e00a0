//! Who may do what.
//!
//! Every request of every protocol is decided by [`Policy`]: whether a principal may do an [`Action`] to a
//! [`Target`]. Roles of projects and of the platform, people's Cedar policies, grants for a time and the rule of
//! the second person come together here and nowhere else. Who somebody is, `account` says.
//!
//! Invariants:
//! - A decision that denies says why, and what one may not even see looks as if it were not there.
//! - `forbid` wins over whatever permits; a policy of a project holds in that project alone.
//! - A token or session never gives more than its owner has.
//! - The index answers what plain Cedar would ([`plain`] is that, for tests and measurements).
//! - A grant that has ended gives nothing, whether or not anybody has written down that it ended.

mod action;
mod ask;
mod check;
mod compile;
mod decide;
mod entities;
mod groups;
mod index;
mod judge;
mod kind;
mod moment;
mod people;
#[doc(hidden)]
pub mod plain;
mod role;
mod scene;
mod schema;
mod target;
mod who_can;
mod world;

pub use action::{Action, Permission, Place};
pub use ask::{Alarm, LONGEST as GRANT_LONGEST, Verb, Wanted};
pub use check::{TestResult, writes};
pub use decide::{Ask, Decision, Denied};
pub use judge::Reason;
pub use kind::{
    Context, Expect, Given, Grant, GrantStatus, KINDS, Member, Phase, PlatformMember,
    PlatformMembers, PlatformPolicy, PolicySpec, PolicyTest, Project, ProjectStatus, TwoPerson,
    TwoPersonRule,
};
pub use people::Via;
pub use role::{PlatformRole, Role, Subject};
pub use schema::{BUILTIN, text as schema};
pub use target::{Sort, Target};
pub use who_can::{Holder, Matrix, MatrixRow};

use account::Accounts;
use kernel::{Event, Principal, Resource, Result};
use people::{Person, Who};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use store::{Feed, Store, View};
use tokio::sync::Mutex;
use world::{Touched, World};

/// A handle; clones share it.
#[derive(Clone)]
pub struct Policy(Arc<Inner>);

struct Inner {
    store: Store,
    accounts: Accounts,
    /// `None`: not read yet.
    world: RwLock<Option<World>>,
    /// Principals worked out, forgotten whenever what they have may have changed.
    known: RwLock<HashMap<Principal, Arc<Who>>>,
    /// Changes of anything that `known` is worked out from.
    changes: AtomicU64,
    /// Where the world stands in the journal; held while it catches up.
    feed: Mutex<Option<Feed>>,
    denied: OnceLock<Arc<dyn Denied>>,
}

/// Principals kept worked out.
const KNOWN: usize = 8192;

impl Policy {
    /// Reads nothing yet: the first decision does, or [`Policy::open`].
    pub fn new(accounts: &Accounts) -> Policy {
        Policy(Arc::new(Inner {
            store: accounts.store().clone(),
            accounts: accounts.clone(),
            world: RwLock::default(),
            known: RwLock::default(),
            changes: AtomicU64::new(0),
            feed: Mutex::default(),
            denied: OnceLock::new(),
        }))
    }

    /// Reads what decisions are made from.
    ///
    /// # Errors
    /// The store's.
    pub async fn open(&self) -> Result<()> {
        self.catch_up().await
    }

    /// Hands every decision that denies to `denied`. A second call changes nothing.
    pub fn on_denied(&self, denied: Arc<dyn Denied>) {
        let _ = self.0.denied.set(denied);
    }

    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Everything that was acknowledged before this call is in the decisions after it.
    async fn catch_up(&self) -> Result<()> {
        let head = self.0.store.head();
        if self.at().is_some_and(|seq| seq >= head) {
            return Ok(());
        }
        let mut place = self.0.feed.lock().await;
        let feed = match &mut *place {
            Some(feed) => feed,
            None => {
                let world = self.0.store.read(move |v| World::load(v, head)).await?;
                *self.0.world.write().unwrap_or_else(PoisonError::into_inner) = Some(world);
                place.insert(self.0.store.follow(head))
            }
        };
        while feed.place() < head {
            let event = feed.next().await?;
            self.take(&event);
        }
        Ok(())
    }

    fn at(&self) -> Option<u64> {
        self.0.world.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|w| w.seq)
    }

    /// Follows the journal until the store closes, so that whoever decides in a transaction of its own finds the
    /// world as it is.
    pub async fn follow(&self) {
        while self.catch_up().await.is_ok() {
            let after = self.at().unwrap_or_default();
            if self.0.store.follow(after).next().await.is_err() {
                break;
            }
        }
    }

    fn take(&self, event: &Event) {
        let mut world = self.0.world.write().unwrap_or_else(PoisonError::into_inner);
        let Some(world) = world.as_mut() else { return };
        world.seq = event.seq;
        let fact = &event.fact;
        let (Some(subject), true) = (&fact.subject, fact.kind.starts_with("resource.")) else {
            return;
        };
        let who = match subject.kind.as_str() {
            "User" => Some(Principal::User(subject.name.clone())),
            "ServiceAccount" => Some(Principal::Service(subject.name.clone())),
            _ => None,
        };
        if let Some(who) = who {
            self.0.changes.fetch_add(1, Ordering::Relaxed);
            self.known().remove(&who);
            return;
        }
        let Ok(resource) = serde_json::from_value::<Resource>(fact.data.clone()) else { return };
        if world.apply(&resource, fact.kind == "resource.deleted") == Touched::People {
            self.0.changes.fetch_add(1, Ordering::Relaxed);
            self.known().clear();
        }
    }

    /// Whether the principal, if it was asked about lately, is an administrator: for what a page tells, not for
    /// decisions.
    pub fn administers(&self, who: &Principal) -> bool {
        let known = self.recall(who);
        known.is_some_and(|who| who.platform(PlatformRole::Administrator).is_some())
    }

    fn recall(&self, principal: &Principal) -> Option<Arc<Who>> {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(principal).cloned()
    }

    fn known(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<Principal, Arc<Who>>> {
        self.0.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `decide` in the world as it is. The lock is held for that long: it does no IO.
    fn in_world<T>(&self, decide: impl FnOnce(&World) -> Result<T>) -> Result<T> {
        let world = self.0.world.read().unwrap_or_else(PoisonError::into_inner);
        decide(world.as_ref().ok_or_else(|| kernel::Error::internal("policies are not read"))?)
    }

    /// As [`Policy::in_world`], for a principal as it is there. One that was worked out before the world moved on is
    /// worked out anew: its numbers in the index would mean other things.
    fn in_world_of<T>(
        &self,
        who: &Who,
        decide: impl FnOnce(&World, &Who) -> Result<T>,
    ) -> Result<T> {
        self.in_world(|world| {
            if who.version == world.version {
                return decide(world, who);
            }
            let groups = match Subject::of(&who.principal) {
                Some(own) => world.groups.of(&own),
                None => who.groups.clone(),
            };
            let person = who.person.clone();
            decide(world, &world.who(&who.principal, groups, person, self.0.store.now()))
        })
    }

    /// The principal with all it has, from memory if it can be.
    async fn who(&self, principal: &Principal) -> Result<Arc<Who>> {
        self.catch_up().await?;
        let now = self.0.store.now();
        if let Some(who) = self.recall(principal).filter(|w| w.fresh(now)) {
            return Ok(who);
        }
        let before = self.0.changes.load(Ordering::Relaxed);
        let wanted = principal.clone();
        let person = match principal {
            Principal::Part(_) | Principal::Anonymous => Person::default(),
            _ => self.0.store.read(move |v| Person::read(v, &wanted)).await?,
        };
        self.in_world(|world| {
            let who = Arc::new(world.who(principal, world.groups_of(principal), person, now));
            // Nothing changes while this lock is held; what changed before it makes this one too old to keep.
            if self.0.changes.load(Ordering::Relaxed) != before {
                return Ok(who);
            }
            let mut known = self.known();
            if known.len() >= KNOWN {
                known.clear();
            }
            known.insert(principal.clone(), who.clone());
            Ok(who)
        })
    }
}

impl Person {
    /// # Errors
    /// The store's.
    pub(crate) fn read(v: &View<'_>, who: &Principal) -> Result<Person> {
        let (kind, name) = match who {
            Principal::User(name) => ("User", name),
            Principal::Service(name) => ("ServiceAccount", name),
            Principal::Run(id) => {
                let id = kernel::Id::parse(id);
                let project = id.map(|id| run::project_of(v, &id)).transpose()?.flatten();
                return Ok(Person { absent: project.is_none(), project, ..Person::default() });
            }
            Principal::Part(_) | Principal::Anonymous => return Ok(Person::default()),
        };
        let key = kernel::Key { kind: kind.into(), project: None, name: name.clone() };
        let Some(found) = v.resource(&key)? else {
            return Ok(Person { absent: true, ..Person::default() });
        };
        let flag = |field: &str| found.spec.get(field).and_then(|v| v.as_bool()).unwrap_or(false);
        let words = |field: &str| {
            let found = found.spec.get(field).and_then(|v| v.as_str());
            found.filter(|w| !w.is_empty()).map(str::to_owned)
        };
        Ok(Person {
            absent: flag("disabled"),
            administrator: kind == "User" && flag("administrator"),
            department: words("department"),
            email: words("email"),
            project: None,
        })
    }
}

#[cfg(test)]
mod tests;
