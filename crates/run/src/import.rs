//! What others have done: steps that need not run again, and whole runs from elsewhere.

use crate::state::{self, Head, Open, PLAN, STEP, StepRow, StepState};
use crate::{Action, Engine, Need, NewRun, Plan, Run, Step, StepView, create, settle};
use kernel::resource::Labels;
use kernel::{Error, Id, Name, Principal, Result, Text, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use store::Tx;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

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

/// A run that has been done elsewhere.
#[derive(Clone, Debug)]
pub struct Import {
    /// Whose it becomes here.
    pub project: Name,
    pub kind: String,
    /// Who brought it.
    pub actor: Principal,
    pub labels: Labels,
    pub run: Run,
}

impl Engine {
    /// Takes in a run that has ended elsewhere, as the run `id`. It is history: none of its steps can run
    /// here, and no event tells of its start or its end, only `run.imported` that it has come.
    ///
    /// # Errors
    /// `run.unfinished`; as [`Engine::create_in`] for a plan that is none.
    pub fn import_in(tx: &mut Tx<'_>, id: &Id, import: Import) -> Result<()> {
        let Import { project, kind, actor, labels, run } = import;
        Name::parse(&kind)?;
        if !run.state.is_finished() {
            return Err(crate::error::unfinished());
        }
        let plan = past(&run);
        plan.check()?;
        let head = Head {
            id: id.clone(),
            kind,
            project,
            change: None,
            title: run.title,
            actor: actor.clone(),
            labels,
            subject: None,
            priority: 0,
            state: run.state,
            reason: run.reason.map(settle::shorten),
            created: run.created,
            started: run.started,
            finished: run.finished,
            cancel: None,
            retry_of: None,
        };
        state::save_head(tx, &head)?;
        tx.set_row(PLAN, id.as_str(), &plan)?;
        for (space, key) in create::places(&head) {
            tx.set_row(space, &key, &())?;
        }
        for (index, step) in run.steps.into_iter().enumerate() {
            tx.set_row(STEP, &state::step_key(id, index), &row(step))?;
        }
        let Text { en, ko } = &head.title;
        let say = text!("{en} came from elsewhere", "{ko} 실행을 밖에서 가져옴");
        let data = json!({ "run": id, "kind": head.kind, "verdict": head.state.verdict() });
        tx.append(create::event(&head, "run.imported", actor, say)?.data(data)).map(drop)
    }

    /// Writes what an attempt of an imported run has printed, in the format of [`kernel::log`], at most
    /// `limit` bytes.
    ///
    /// # Errors
    /// Internal, when it cannot be read or written.
    pub async fn import_log(
        &self,
        id: &Id,
        step: usize,
        attempt: u32,
        log: impl AsyncRead + Unpin,
        limit: u64,
    ) -> Result<()> {
        let path = self.shared.logs.open(id, step, attempt).path().to_owned();
        let mut file = tokio::fs::File::create(path).await.map_err(Error::internal)?;
        tokio::io::copy(&mut log.take(limit), &mut file).await.map_err(Error::internal)?;
        file.flush().await.map_err(Error::internal)
    }
}

impl Engine {
    /// Lets go of the logs of a run that was not taken in after all.
    pub async fn import_dropped(&self, id: &Id) {
        self.shared.logs.forget(id).await;
    }
}

/// The shape of the run's plan, with nothing in it that could be done.
fn past(run: &Run) -> Plan {
    let step = |view: &StepView| Step {
        name: view.name.clone(),
        stage: view.stage.clone(),
        needs: view.needs.iter().map(|n| Need { step: n.clone(), outputs: false }).collect(),
        allow_failure: view.allow_failure,
        action: Action { uses: "elsewhere".to_owned(), with: Value::Null },
        ..Step::default()
    };
    Plan { steps: run.steps.iter().map(step).collect(), fail_fast: false }
}

fn row(step: StepView) -> StepRow {
    let state = if step.state.is_finished() { step.state } else { StepState::Canceled };
    StepRow {
        state,
        attempt: step.attempt,
        ready_at: step.ready_at,
        started: step.started,
        finished: step.finished,
        reason: step.reason.map(settle::shorten),
        exit_code: step.exit_code,
        output: step.output,
        ..StepRow::default()
    }
}
