//! Who is next. Pure: an index over the runs in memory, rebuilt from the store at boot.
//!
//! The projects take turns; inside a project the higher priority goes first, then the older run. What a
//! concurrency group still has free is counted from the running steps each time, so that no crash can leak
//! a slot.

use crate::interpret::deadline;
use crate::state::Open;
use crate::{Group, StepState};
use kernel::{Id, Name, Time};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};

#[derive(Default)]
pub(crate) struct Queue {
    /// Actions that wait more than they work and take no slot of the machine.
    light: HashSet<&'static str>,
    projects: BTreeMap<Name, Line>,
    running: BTreeMap<(Id, usize), Held>,
    deadlines: BTreeSet<(Time, Id, usize)>,
    turn: u64,
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

/// The ready steps of a project. An empty line is kept: without its last turn, a project whose steps come
/// one by one would always be first.
#[derive(Default)]
struct Line {
    served: u64,
    ready: BTreeMap<Place, Wants>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    priority: Reverse<i32>,
    run: Id,
    step: usize,
}

impl Queue {
    pub fn new(light: HashSet<&'static str>) -> Queue {
        Queue { light, ..Queue::default() }
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
                line.ready.insert(place(run, i), Wants { group: step.group.clone(), light });
            }
            StepState::Running => {
                let group = step.group.as_ref().map(|g| g.key.clone());
                self.running.insert((run.id().clone(), i), Held { group, light });
            }
            _ => {}
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
        if let Some(at) = deadline(step, row) {
            self.deadlines.remove(&(at, run.id().clone(), i));
        }
    }

    /// The step that starts next, with `slots` of them on the machine. It stays ready until its row says
    /// otherwise.
    pub fn choose(&mut self, slots: usize) -> Option<(Id, usize)> {
        let full = self.running.values().filter(|h| !h.light).count() >= slots;
        let mut lines: Vec<(u64, &Name)> = self
            .projects
            .iter()
            .filter(|(_, line)| !line.ready.is_empty())
            .map(|(name, line)| (line.served, name))
            .collect();
        lines.sort_unstable();
        let (name, place) = lines.into_iter().find_map(|(_, name)| {
            Some((name.clone(), self.first_with_room(self.projects.get(name)?, full)?))
        })?;
        self.turn += 1;
        if let Some(line) = self.projects.get_mut(&name) {
            line.served = self.turn;
        }
        Some((place.run, place.step))
    }

    fn first_with_room(&self, line: &Line, machine_full: bool) -> Option<Place> {
        let mut full: HashSet<&str> = HashSet::new();
        let found = line.ready.iter().find(|(_, wants)| match &wants.group {
            _ if machine_full && !wants.light => false,
            None => true,
            Some(group) if full.contains(group.key.as_str()) => false,
            Some(group) => {
                let room = self.holders(&group.key) < group.slots as usize;
                if !room {
                    full.insert(group.key.as_str());
                }
                room
            }
        })?;
        Some(found.0.clone())
    }

    fn holders(&self, key: &str) -> usize {
        self.running.values().filter(|held| held.group.as_deref() == Some(key)).count()
    }

    pub fn earliest(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, ..)| *at)
    }

    /// Runs with a step whose time has come.
    pub fn due(&self, now: Time) -> BTreeSet<Id> {
        self.deadlines.iter().take_while(|d| d.0 <= now).map(|d| d.1.clone()).collect()
    }
}

fn place(run: &Open, step: usize) -> Place {
    let head = &run.state.head;
    Place { priority: Reverse(head.priority), run: head.id.clone(), step }
}
