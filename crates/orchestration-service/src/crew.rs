//! The instances of one service that are there now, and what the edge is told of them.
//!
//! Memory only: what runs is known to the host, what should run to the store. Whoever changes the roll
//! publishes in the same breath, so the edge's set is always that of the instances that are ready and
//! have not been told to go.

use crate::kind::{Condition, InstanceState, InstanceStatus, Release, Service};
use crate::launch::Place;
use crate::plan::Seen;
use crate::state::ServiceKey;
use host::{Exit, Workload};
use kernel::port::{Edge, RouteSet, Upstream};
use kernel::{Name, Text, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How an instance is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Phase {
    Starting,
    Ready,
    /// It was ready and fails its probes.
    Unready(Text),
    /// It did not become ready in time; the last probe's answer.
    Late(Text),
    Ended(Exit),
}

/// One instance.
pub(crate) struct Member {
    pub place: Place,
    /// Its release.
    pub release: Name,
    /// The tree of its release's files.
    pub tree: String,
    pub config: Arc<Service>,
    pub address: Option<SocketAddr>,
    pub workload: Workload,
    pub restarts: u32,
    phase: watch::Sender<(Phase, Time)>,
    leaving: AtomicBool,
}

impl Member {
    pub fn new(
        place: Place,
        name: Name,
        release: &Release,
        workload: Workload,
        restarts: u32,
        (phase, now): (Phase, Time),
    ) -> Member {
        Member {
            place,
            release: name,
            tree: release.tree.clone(),
            config: Arc::new(release.config.clone()),
            address: crate::launch::address(workload.spec()),
            workload,
            restarts,
            phase: watch::Sender::new((phase, now)),
            leaving: AtomicBool::new(false),
        }
    }

    pub fn id(&self) -> &str {
        self.workload.id()
    }

    pub fn phase(&self) -> Phase {
        self.phase.borrow().0.clone()
    }

    pub fn watch(&self) -> watch::Receiver<(Phase, Time)> {
        self.phase.subscribe()
    }

    pub fn leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    pub fn ready(&self) -> bool {
        !self.leaving() && self.phase.borrow().0 == Phase::Ready
    }

    /// It runs, nothing is wrong with it, and it may stay.
    pub fn counts(&self) -> bool {
        !self.leaving() && matches!(self.phase.borrow().0, Phase::Starting | Phase::Ready)
    }

    pub fn status(&self) -> InstanceStatus {
        let (phase, since) = self.phase.borrow().clone();
        let (state, reason) = match phase {
            _ if self.leaving() => (InstanceState::Stopping, None),
            Phase::Starting => (InstanceState::Starting, None),
            Phase::Ready => (InstanceState::Ready, None),
            Phase::Unready(why) | Phase::Late(why) => (InstanceState::Unready, Some(why)),
            Phase::Ended(exit) if exit.reason == host::Reason::Stopped => {
                (InstanceState::Stopped, None)
            }
            Phase::Ended(exit) => (InstanceState::Crashed, Some(exit.text())),
        };
        InstanceStatus { state, restarts: self.restarts, since, reason }
    }
}

/// What went wrong in a slot, and when it may be filled again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    pub fails: u32,
    pub not_before: Time,
}

#[derive(Default)]
struct Roll {
    members: BTreeMap<String, Arc<Member>>,
    troubles: BTreeMap<(u64, u32), Trouble>,
    /// The highest `n` of each slot that was ever used.
    filled: BTreeMap<(u64, u32), u32>,
    /// `None`: nobody has said yet.
    hosts: Option<Vec<String>>,
    withdrawn: bool,
}

pub(crate) struct Crew {
    pub key: ServiceKey,
    /// Held by whoever decides from the state in the store and acts on it.
    pub helm: tokio::sync::Mutex<()>,
    edge: Arc<dyn Edge>,
    roll: Mutex<Roll>,
    changed: watch::Sender<u64>,
}

impl Crew {
    pub fn new(key: ServiceKey, edge: Arc<dyn Edge>) -> Crew {
        Crew {
            key,
            helm: tokio::sync::Mutex::new(()),
            edge,
            roll: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    fn roll(&self) -> MutexGuard<'_, Roll> {
        // Nothing panics while it is held.
        self.roll.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever an instance comes, goes or changes its phase.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub fn members(&self) -> Vec<Arc<Member>> {
        self.roll().members.values().cloned().collect()
    }

    pub fn member(&self, id: &str) -> Option<Arc<Member>> {
        self.roll().members.get(id).cloned()
    }

    /// The newest instance in a slot that has not been told to go.
    pub fn in_slot(&self, number: u64, slot: u32) -> Option<Arc<Member>> {
        let roll = self.roll();
        let here = roll
            .members
            .values()
            .filter(|m| m.place.number == number && m.place.slot == slot && !m.leaving());
        here.max_by_key(|m| m.place.n).cloned()
    }

    pub fn add(&self, member: Arc<Member>) {
        let mut roll = self.roll();
        let place = &member.place;
        let n = roll.filled.entry((place.number, place.slot)).or_default();
        *n = place.n.max(*n);
        roll.members.insert(member.id().to_owned(), member);
        // One that is deleted and comes again is known again.
        roll.withdrawn = false;
        self.publish(&roll);
    }

    pub fn remove(&self, id: &str) {
        let mut roll = self.roll();
        roll.members.remove(id);
        self.publish(&roll);
    }

    /// The place of the next instance in a slot. Places are never used twice.
    pub fn next_place(&self, number: u64, slot: u32) -> Place {
        let mut roll = self.roll();
        let n = roll.filled.entry((number, slot)).or_default();
        *n += 1;
        Place { key: self.key.clone(), number, slot, n: *n }
    }

    /// Remembers that a place has been used.
    pub fn used(&self, place: &Place) {
        let mut roll = self.roll();
        let n = roll.filled.entry((place.number, place.slot)).or_default();
        *n = place.n.max(*n);
    }

    pub fn ports(&self) -> BTreeSet<u16> {
        self.roll().members.values().filter_map(|m| m.address).map(|a| a.port()).collect()
    }

    /// The instance is in another phase from `now` on.
    pub fn enter(&self, member: &Member, phase: Phase, now: Time) {
        let roll = self.roll();
        if member.phase.borrow().0 != phase {
            member.phase.send_replace((phase, now));
            self.publish(&roll);
        }
    }

    /// It gets no new request from here on. False when it was leaving already.
    pub fn leave(&self, member: &Member) -> bool {
        let roll = self.roll();
        let first = !member.leaving.swap(true, Ordering::SeqCst);
        if first {
            self.publish(&roll);
        }
        first
    }

    /// Something went wrong with an instance: its slot is filled again after a pause that grows.
    pub fn trouble(&self, member: &Member, now: Time) {
        let mut roll = self.roll();
        let restart = &member.config.restart;
        let spot = roll.troubles.entry((member.place.number, member.place.slot)).or_default();
        let long_up = now.since(member.workload.started()) >= restart.reset.0;
        spot.fails = if long_up { 1 } else { spot.fails.saturating_add(1) };
        let doubled = 1_u32.checked_shl(spot.fails.saturating_sub(1).min(16)).unwrap_or(u32::MAX);
        spot.not_before = now.plus(restart.first.0.saturating_mul(doubled).min(restart.most.0));
    }

    pub fn trouble_of(&self, number: u64, slot: u32) -> Trouble {
        self.roll().troubles.get(&(number, slot)).cloned().unwrap_or_default()
    }

    /// Forgets the pauses: somebody asked for a restart, or another release serves.
    pub fn forgive(&self) {
        self.roll().troubles.clear();
    }

    pub fn set_hosts(&self, hosts: &[String]) {
        let mut roll = self.roll();
        if roll.hosts.as_deref() != Some(hosts) || roll.withdrawn {
            roll.hosts = Some(hosts.to_vec());
            roll.withdrawn = false;
            self.publish(&roll);
        }
    }

    /// The edge forgets the service.
    pub fn withdraw(&self) {
        let mut roll = self.roll();
        if !roll.withdrawn {
            roll.withdrawn = true;
            self.edge.withdraw(&self.key.project, &self.key.service);
        }
    }

    /// What the planner sees when the release numbered `wanted` is wanted.
    pub fn seen(&self, wanted: u64) -> Vec<Seen> {
        let roll = self.roll();
        let counted = roll.members.values().filter(|m| m.counts());
        counted
            .map(|m| Seen {
                id: m.id().to_owned(),
                fresh: m.place.number == wanted,
                number: m.place.number,
                slot: m.place.slot,
                ready: m.ready(),
            })
            .collect()
    }

    /// Resolves when `done` holds of the crew, or after `limit`; whether it holds.
    pub async fn wait_for(&self, limit: Duration, done: impl Fn(&Crew) -> bool) -> bool {
        let mut changes = self.changes();
        let wait = async {
            while !done(self) {
                changes.borrow_and_update();
                if done(self) || changes.changed().await.is_err() {
                    break;
                }
            }
        };
        tokio::time::timeout(limit, wait).await.is_ok() || done(self)
    }

    /// Under the lock, so that sets reach the edge in the order in which they became true.
    fn publish(&self, roll: &Roll) {
        if !roll.withdrawn {
            let ready = roll.members.values().filter(|m| m.ready());
            let upstream = |m: &Arc<Member>| {
                Some(Upstream { instance: m.id().to_owned(), address: m.address? })
            };
            self.edge.publish(RouteSet {
                project: self.key.project.clone(),
                service: self.key.service.clone(),
                hosts: roll.hosts.clone().unwrap_or_default(),
                upstreams: ready.filter_map(upstream).collect(),
            });
        }
        self.changed.send_modify(|n| *n += 1);
    }

    /// Ready instances of a release, and the service's condition when `wanted` of it should be there.
    pub fn condition(&self, release: &Name, wanted: u32) -> (u32, Condition) {
        let members = self.members();
        let ready = members.iter().filter(|m| m.ready() && m.release == *release).count() as u32;
        let any = members.iter().any(|m| m.ready());
        let condition = match (ready, wanted) {
            (_, 0) => Condition::Idle,
            (ready, wanted) if ready >= wanted => Condition::Healthy,
            (0, _) if !any => Condition::Down,
            _ => Condition::Degraded,
        };
        (ready, condition)
    }
}
