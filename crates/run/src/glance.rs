//! Small looks at a run, for whoever must decide quickly.

use crate::state::{HEAD, Head, STEP, StepRow, StepState, step_key};
use kernel::{Id, Name, Result};
use store::View;

/// The project of a run; `None` when there is no such run.
///
/// # Errors
/// The store's.
pub fn project_of(view: &View<'_>, run: &Id) -> Result<Option<Name>> {
    Ok(view.row::<Head>(HEAD, run.as_str())?.map(|head| head.project))
}

/// Whether this attempt of the step at that place of the plan runs now.
///
/// # Errors
/// The store's.
pub fn is_running(view: &View<'_>, run: &Id, index: usize, attempt: u32) -> Result<bool> {
    let row = view.row::<StepRow>(STEP, &step_key(run, index))?;
    Ok(row.is_some_and(|row| row.state == StepState::Running && row.attempt == attempt))
}
