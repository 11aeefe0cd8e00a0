//! Runs that begin with what others have done: steps that need not run again.

use crate::state::{Open, StepState};
use crate::{Engine, NewRun, create};
use kernel::{Id, Result};
use std::collections::BTreeSet;
use store::Tx;

impl Engine {
    /// A new run that copies the steps `kept` of the run `from`, as a retry does, though its plan may be
    /// another one. Only what passed there, under the same name in the same place of the plan, is copied;
    /// everything else runs.
    ///
    /// # Errors
    /// As [`Engine::create_in`]; `run.unknown`.
    pub fn continue_in(
        tx: &mut Tx<'_>,
        new: NewRun,
        from: &Id,
        kept: &BTreeSet<String>,
    ) -> Result<Id> {
        let old = Open::get(tx, from)?;
        let steps = old.plan.steps.iter().zip(old.state.steps).enumerate();
        let same = |i: usize, name: &str| new.plan.steps.get(i).is_some_and(|s| s.name == name);
        let rows = steps
            .filter(|(i, (step, row))| {
                row.state == StepState::Passed && kept.contains(&step.name) && same(*i, &step.name)
            })
            .map(|(i, (_, row))| (i, create::copy(row, from)))
            .collect();
        create::insert(tx, new, Some(from.clone()), rows)
    }
}
