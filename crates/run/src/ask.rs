//! Requests to the scheduler: cancel, play, forget.

use crate::scheduler::Scheduler;
use crate::state::{self, Cancel, HEAD, Head, Open, PLAN, STEP, StepRow};
use crate::turn::{Effect, Turn};
use crate::{Order, RunState, StepState, Superseded, Wait, create, error, facts, group, settle};
use kernel::{Id, Principal, Result, Text};

pub(crate) enum Request {
    Cancel { run: Id, actor: Principal, reason: Text },
    Supersede { run: Id, actor: Principal, reason: Text, what: Superseded },
    Order { key: String, order: Order },
    Play { run: Id, step: String, actor: Principal },
    Forget { run: Id },
}

impl Scheduler {
    pub(crate) async fn answer(&mut self, request: Request, turn: &mut Turn) -> Result<()> {
        match request {
            Request::Cancel { run, actor, reason } => {
                let reason = settle::shorten(reason);
                match self.admit(&run, turn).await?.map(|done| done.state.head.state) {
                    None => self.cancel(&run, actor, reason, turn),
                    Some(RunState::Canceled) => Ok(()),
                    Some(state) => Err(error::finished(state)),
                }
            }
            Request::Supersede { run, actor, reason, what } => {
                match self.admit(&run, turn).await? {
                    Some(_) => Ok(()),
                    None => self.supersede(&run, what, actor, settle::shorten(reason), turn),
                }
            }
            Request::Order { key, order } => {
                group::set(&self.shared.store, &key, order).await?;
                self.queue.set_order(&key, order);
                Ok(())
            }
            Request::Play { run, step, actor } => {
                let done = self.admit(&run, turn).await?;
                self.play(&run, done, &step, actor, turn)
            }
            Request::Forget { run } => match self.admit(&run, turn).await? {
                Some(done) => self.forget(done).await,
                None => Err(error::unfinished()),
            },
        }
    }

    fn cancel(&mut self, id: &Id, actor: Principal, reason: Text, turn: &mut Turn) -> Result<()> {
        let Some(run) = self.runs.get_mut(id) else { return Ok(()) };
        if run.state.head.cancel.is_some() {
            return Ok(());
        }
        turn.tell(Some(facts::cancel_requested(run, actor.clone(), &reason)?));
        for (i, row) in run.state.steps.iter().enumerate() {
            if row.state == StepState::Running {
                turn.effects.push(Effect::Stop(id.clone(), i, reason.clone()));
            }
        }
        run.state.head.cancel = Some(Cancel { actor, reason });
        turn.head(id);
        turn.dirty.insert(id.clone());
        Ok(())
    }

    fn supersede(
        &mut self,
        id: &Id,
        what: Superseded,
        actor: Principal,
        reason: Text,
        turn: &mut Turn,
    ) -> Result<()> {
        let Some(run) = self.runs.get_mut(id) else { return Ok(()) };
        if what == Superseded::Run {
            let started = |row: &StepRow| row.attempt > 0 && row.from.is_none();
            let mut steps = run.plan.steps.iter().zip(&run.state.steps);
            let bound = steps.any(|(step, row)| started(row) && !step.interruptible);
            return if bound { Ok(()) } else { self.cancel(id, actor, reason, turn) };
        }
        let steps = run.plan.steps.iter().zip(run.state.steps.iter_mut()).enumerate();
        for (i, (_, row)) in steps.filter(|(_, (step, _))| step.interruptible) {
            if row.state.is_finished() || row.stop.is_some() {
                continue;
            }
            row.stop = Some(reason.clone());
            if row.state == StepState::Running {
                turn.effects.push(Effect::Stop(id.clone(), i, reason.clone()));
            }
            turn.step(id, i);
        }
        turn.dirty.insert(id.clone());
        Ok(())
    }

    fn play(
        &mut self,
        id: &Id,
        done: Option<Open>,
        step: &str,
        actor: Principal,
        turn: &mut Turn,
    ) -> Result<()> {
        let Some(run) = done.as_ref().or_else(|| self.runs.get(id)) else { return Ok(()) };
        let i = create::position(&run.plan, step)?;
        let Some(row) = run.state.steps.get(i) else { return Ok(()) };
        if row.played.is_some() {
            return Ok(());
        }
        if !matches!(row.state, StepState::Waiting(Wait::Manual | Wait::Delayed)) {
            return Err(error::not_waiting(step, &row.state.text()));
        }
        turn.tell(facts::step_played(run, i, actor.clone())?);
        if let Some(done) = done {
            self.insert(done, turn);
        }
        let row = self.runs.get_mut(id).and_then(|run| run.state.steps.get_mut(i));
        if let Some(row) = row {
            row.played = Some(actor);
        }
        turn.step(id, i);
        turn.dirty.insert(id.clone());
        Ok(())
    }

    async fn forget(&mut self, run: Open) -> Result<()> {
        let head: Head = run.state.head;
        let (id, steps) = (head.id.clone(), run.plan.steps.len());
        let remove = move |tx: &mut store::Tx<'_>| {
            for (space, key) in create::places(&head) {
                tx.delete_row(space, &key)?;
            }
            for i in 0..steps {
                tx.delete_row(STEP, &state::step_key(&head.id, i))?;
            }
            tx.delete_row(PLAN, head.id.as_str())?;
            tx.delete_row(HEAD, head.id.as_str())?;
            Ok(())
        };
        self.shared.store.write(remove).await?;
        self.shared.logs.forget(&id).await;
        Ok(())
    }
}
