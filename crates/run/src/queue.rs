//! Who is next. Pure: an index over the runs in memory, rebuilt from the store at boot.
//!
//! The projects share the machine: each start costs a project some of its turn, the more the lower the
//! run's priority, and whoever has spent the least goes first (start-time fair queueing). Inside a project a
//! point of priority is worth a minute of waiting, so that nothing waits for ever. What a concurrency group
//! still has free is counted from the running steps each time, so that no crash can leak a slot.

use crate::interpret::deadline;
use crate::state::{Open, StepRow};
use crate::{Group, Order, StepState, Wait};
use kernel::{Id, Name, Time};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Milliseconds of waiting that a point of priority is worth.
const POINT: i64 = 60_000;

#[derive(Default)]
pub(crate) struct Queue {
    /// Actions that wait more than they work and take no slot of the machine.
    light: HashSet<&'static str>,
    projects: BTreeMap<Name, Line>,
    running: BTreeMap<(Id, usize), Held>,
    deadlines: BTreeSet<(Time, Id, usize)>,
    /// What whoever started last had spent before: those who come anew begin there.
    spent: u64,
    /// By the group's key.
    crowds: HashMap<String, Crowd>,
    /// Set by somebody, whatever the plans say.
    orders: HashMap<String, Order>,
}

/// What a running step holds.
struct Held {
    /// The group it has a slot of.
    group: Option<String>,
    light: bool,
}

/// What a ready step wants.
struct Wants {
    group: Option<Group>,
    light: bool,
}

/// Those who want a slot of a group.
#[derive(Default)]
struct Crowd {
    ready: BTreeSet<(Id, usize)>,
    /// Ready, or still to become it without anybody's doing.
    coming: BTreeSet<(Id, usize)>,
}

/// The ready steps of a project. An empty line is kept: without what it has spent, a project whose steps
/// come one by one would always be first.
#[derive(Default)]
struct Line {
    spent: u64,
    ready: BTreeMap<Place, Wants>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// When the run came, earlier by its priority.
    came: i64,
    run: Id,
    step: usize,
    /// Of the project's turn.
    cost: u64,
}

impl Queue {
    pub fn new(light: HashSet<&'static str>, orders: HashMap<String, Order>) -> Queue {
        Queue { light, orders, ..Queue::default() }
    }

    /// The order in which a group gives its slots, from now on.
    pub fn set_order(&mut self, key: &str, order: Order) {
        self.orders.insert(key.to_owned(), order);
    }

    /// Takes note of a step as it is now.
    pub fn put(&mut self, run: &Open, i: usize) {
        let (Some(step), Some(row)) = (run.plan.steps.get(i), run.state.steps.get(i)) else {
            return;
        };
        let light = self.light.contains(step.action.uses.as_str());
        match row.state {
            StepState::Ready => {
                let line = self.projects.entry(run.state.head.project.clone()).or_default();
                if line.ready.is_empty() {
                    line.spent = line.spent.max(self.spent);
                }
                line.ready.insert(place(run, i), Wants { group: step.group.clone(), light });
            }
            StepState::Running => {
                let group = step.group.as_ref().map(|g| g.key.clone());
                self.running.insert((run.id().clone(), i), Held { group, light });
            }
            _ => {}
        }
        if let Some(group) = step.group.as_ref().filter(|_| is_coming(row)) {
            let crowd = self.crowds.entry(group.key.clone()).or_default();
            crowd.coming.insert((run.id().clone(), i));
            if row.state == StepState::Ready {
                crowd.ready.insert((run.id().clone(), i));
            }
        }
        if let Some(at) = deadline(step, row) {
            self.deadlines.insert((at, run.id().clone(), i));
        }
    }

    /// Forgets a step. Call it before the step changes, and [`Queue::put`] after.
    pub fn take(&mut self, run: &Open, i: usize) {
        let (Some(step), Some(row)) = (run.plan.steps.get(i), run.state.steps.get(i)) else {
            return;
        };
        match row.state {
            StepState::Ready => {
                if let Some(line) = self.projects.get_mut(&run.state.head.project) {
                    line.ready.remove(&place(run, i));
                }
            }
            StepState::Running => {
                self.running.remove(&(run.id().clone(), i));
            }
            _ => {}
        }
        if let Some(group) = &step.group
            && let Some(crowd) = self.crowds.get_mut(&group.key)
        {
            crowd.coming.remove(&(run.id().clone(), i));
            crowd.ready.remove(&(run.id().clone(), i));
            if crowd.coming.is_empty() {
                self.crowds.remove(&group.key);
            }
        }
        if let Some(at) = deadline(step, row) {
            self.deadlines.remove(&(at, run.id().clone(), i));
        }
    }

    /// The step that starts next, with `slots` of them on the machine. It stays ready until its row says
    /// otherwise.
    pub fn choose(&mut self, slots: usize) -> Option<(Id, usize)> {
        let full = self.running.values().filter(|h| !h.light).count() >= slots;
        let firsts = self.projects.iter().filter(|(_, line)| !line.ready.is_empty());
        let firsts = firsts.filter_map(|(name, line)| {
            let place = self.first_with_room(line, full)?;
            Some((line.spent + place.cost, name, place))
        });
        let (_, name, place) = firsts.min_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)))?;
        let (name, place) = (name.clone(), place.clone());
        if let Some(line) = self.projects.get_mut(&name) {
            self.spent = line.spent;
            line.spent += place.cost;
        }
        Some((place.run, place.step))
    }

    fn first_with_room<'a>(&self, line: &'a Line, machine_full: bool) -> Option<&'a Place> {
        let mut full: HashSet<&str> = HashSet::new();
        let found = line.ready.iter().find(|(place, wants)| match &wants.group {
            _ if machine_full && !wants.light => false,
            None => true,
            Some(group) if full.contains(group.key.as_str()) => false,
            Some(group) => {
                let free = (group.slots as usize).saturating_sub(self.holders(&group.key));
                if free == 0 {
                    full.insert(group.key.as_str());
                }
                free > self.before(group, &place.run, free)
            }
        })?;
        Some(found.0)
    }

    fn holders(&self, key: &str) -> usize {
        self.running.values().filter(|held| held.group.as_deref() == Some(key)).count()
    }

    /// How many steps of other runs have to get a slot of the group before this run may; counted up to
    /// `most`.
    fn before(&self, group: &Group, run: &Id, most: usize) -> usize {
        let Some(crowd) = self.crowds.get(&group.key) else { return 0 };
        let older = |set: &BTreeSet<(Id, usize)>| {
            set.iter().take_while(|(id, _)| id < run).take(most).count()
        };
        let newer = |set: &BTreeSet<(Id, usize)>| {
            set.iter().rev().take_while(|(id, _)| id > run).take(most).count()
        };
        match self.orders.get(&group.key).copied().unwrap_or(group.order) {
            Order::Unordered => 0,
            Order::OldestFirst => older(&crowd.coming),
            Order::NewestFirst => newer(&crowd.coming),
            Order::NewestReadyFirst => newer(&crowd.ready),
        }
    }

    pub fn earliest(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, ..)| *at)
    }

    /// Runs with a step whose time has come.
    pub fn due(&self, now: Time) -> BTreeSet<Id> {
        self.deadlines.iter().take_while(|d| d.0 <= now).map(|d| d.1.clone()).collect()
    }
}

/// Whether the step wants its group's slot now or later, without anybody having to say go.
fn is_coming(row: &StepRow) -> bool {
    match row.state {
        StepState::Blocked | StepState::Ready => true,
        StepState::Waiting(Wait::Delayed | Wait::Retry) => true,
        StepState::Waiting(Wait::Manual) => row.played.is_some(),
        _ => false,
    }
}

fn place(run: &Open, step: usize) -> Place {
    let head = &run.state.head;
    let earlier = i64::from(head.priority).saturating_mul(POINT);
    let came = head.created.millis().saturating_sub(earlier);
    Place { came, run: head.id.clone(), step, cost: cost(head.priority) }
}

/// Against the same project's and others' work of priority zero.
fn cost(priority: i32) -> u64 {
    match priority {
        ..0 => 4,
        0 => 2,
        1.. => 1,
    }
}
