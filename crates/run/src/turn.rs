//! What one turn of the scheduler changes: gathered, written in one transaction, and only then acted on.

use crate::error;
use crate::scheduler::Reply;
use crate::state::{self, BOOT, BOOT_KEY, Head, Open, STEP, StepRow};
use kernel::{Id, NewEvent, Result, Text, Time};
use std::collections::{BTreeMap, BTreeSet};
use store::Store;

/// An act that waits for the commit.
pub(crate) enum Effect {
    /// Hand the step to its actor.
    Perform(Id, usize),
    /// Tell the step's actor to stop, and its log why.
    Stop(Id, usize, Text),
    /// The followers of its log need not wait for this attempt (or, with `true`, for any) any more.
    EndLog(Id, usize, u32, bool),
}

pub(crate) struct Turn {
    pub now: Time,
    /// Runs to interpret.
    pub dirty: BTreeSet<Id>,
    rows: BTreeSet<(Id, usize)>,
    heads: BTreeSet<Id>,
    events: Vec<NewEvent>,
    pub effects: Vec<Effect>,
    pub answers: Vec<(Reply, Result<()>)>,
}

impl Turn {
    pub fn new(now: Time) -> Turn {
        Turn {
            now,
            dirty: BTreeSet::new(),
            rows: BTreeSet::new(),
            heads: BTreeSet::new(),
            events: Vec::new(),
            effects: Vec::new(),
            answers: Vec::new(),
        }
    }

    pub fn step(&mut self, run: &Id, i: usize) {
        self.rows.insert((run.clone(), i));
    }

    pub fn head(&mut self, run: &Id) {
        self.heads.insert(run.clone());
    }

    pub fn tell(&mut self, event: impl IntoIterator<Item = NewEvent>) {
        self.events.extend(event);
    }

    /// Runs that differ in memory from the store until the commit.
    pub fn touched(&self) -> BTreeSet<Id> {
        let rows = self.rows.iter().map(|(run, _)| run);
        rows.chain(&self.heads).chain(&self.dirty).cloned().collect()
    }

    /// Runs whose heads changed.
    pub fn heads(&self) -> &BTreeSet<Id> {
        &self.heads
    }

    /// Writes all of it in one transaction, unless another engine has taken over.
    ///
    /// # Errors
    /// `run.fenced`, and the store's.
    pub async fn commit(
        &mut self,
        store: &Store,
        boot: u64,
        runs: &BTreeMap<Id, Open>,
    ) -> Result<()> {
        let events = std::mem::take(&mut self.events);
        let heads: Vec<Head> =
            self.heads.iter().filter_map(|id| Some(runs.get(id)?.state.head.clone())).collect();
        let rows: Vec<(String, StepRow)> = self
            .rows
            .iter()
            .filter_map(|(id, i)| {
                let row = runs.get(id)?.state.steps.get(*i)?;
                Some((state::step_key(id, *i), row.clone()))
            })
            .collect();
        if events.is_empty() && heads.is_empty() && rows.is_empty() {
            return Ok(());
        }
        store
            .write(move |tx| {
                if tx.row::<u64>(BOOT, BOOT_KEY)? != Some(boot) {
                    return Err(error::fenced());
                }
                rows.iter().try_for_each(|(key, row)| tx.set_row(STEP, key, row))?;
                heads.iter().try_for_each(|head| state::save_head(tx, head))?;
                events.into_iter().try_for_each(|event| tx.append(event).map(drop))
            })
            .await
    }
}
