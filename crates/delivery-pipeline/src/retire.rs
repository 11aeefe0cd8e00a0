//! Old runs are forgotten: what this part keeps beside a run goes with it.

use crate::create::{NUMBERED, REPORTS};
use crate::work::Work;
use crate::{KIND, Pipelines, SHARED, owner};
use kernel::{Error, Id, Result, Text};
use run::{Engine, Plan, Run, RunState};
use std::collections::BTreeSet;
use store::Tx;

/// Who needs which [`SHARED`] variables: `<key>/<run>`. A retry has the variables of the run before it.
const USERS: &str = "delivery-pipeline.shared-by";

impl Pipelines {
    /// Lets go of everything this part keeps of a finished run: its artifacts, its report, and its variables
    /// unless a retry still needs them; all or nothing of it. Of artifacts that would have expired later
    /// only a small row stays until then. The caller then calls [`Engine::forget`]: in this order, because
    /// what is to go is read from the run, and calling it again after a crash between the two does no harm.
    /// Runs of other kinds are none of this part's business and are left alone.
    ///
    /// # Errors
    /// `run.unfinished`.
    pub async fn forget(&self, run: &Id) -> Result<()> {
        let run = run.clone();
        self.0.store.write(move |tx| forget(tx, &run)).await
    }
}

fn forget(tx: &mut Tx<'_>, id: &Id) -> Result<()> {
    let run = Engine::show_in(tx, id)?;
    if let Some(run) = &run {
        if run.kind != KIND {
            return Ok(());
        }
        check_over(run)?;
        for key in shared(&run.plan) {
            disuse(tx, &key, id)?;
        }
    }
    if let Some(number) = run.as_ref().and_then(|run| run.labels.get("number")) {
        tx.delete_row(NUMBERED, number)?;
    }
    crate::trigger::forget(tx, id)?;
    crate::handed::forget(tx, id, run.as_ref())?;
    crate::job::times::forget(tx, id)?;
    blob::release_all(tx, &owner(id))?;
    tx.delete_row(REPORTS, id.as_str()).map(drop)
}

fn check_over(run: &Run) -> Result<()> {
    match run.state {
        RunState::Passed | RunState::Failed | RunState::Canceled => Ok(()),
        RunState::Queued | RunState::Running | RunState::Waiting => Err(Error::conflict(
            "run.unfinished",
            Text::fixed("the run has not finished yet", "실행이 아직 끝나지 않았습니다"),
        )),
    }
}

/// The keys of the variables that a plan's jobs will ask for: as a rule, one.
fn shared(plan: &Plan) -> BTreeSet<String> {
    let works = plan.steps.iter().filter_map(|s| {
        let work: Work = serde_json::from_value(s.action.with.clone()).ok()?;
        Some(work.shared)
    });
    works.collect()
}

/// Notes that a run needs the variables.
pub fn use_shared(tx: &mut Tx<'_>, plan: &Plan, run: &Id) -> Result<()> {
    shared(plan).iter().try_for_each(|key| tx.set_row(USERS, &format!("{key}/{run}"), &()))
}

fn disuse(tx: &mut Tx<'_>, key: &str, run: &Id) -> Result<()> {
    tx.delete_row(USERS, &format!("{key}/{run}"))?;
    if tx.rows::<()>(USERS, &format!("{key}/"), None, 1)?.is_empty() {
        tx.delete_row(SHARED, key)?;
    }
    Ok(())
}
