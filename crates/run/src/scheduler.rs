//! The loop that moves all runs: take in what happened, decide, commit, act.
//!
//! It is the only writer of the state of runs that exist. Many transitions that are ready together share
//! one transaction. When a commit fails, the runs it touched are read again and what happened is taken in
//! again, so that memory never runs ahead of the store.

use crate::ask::Request;
use crate::interpret::{self, Command};
use crate::perform::UnderWay;
use crate::queue::Queue;
use crate::settle::{self, Settled};
use crate::state::{BOOT, BOOT_KEY, OPEN, Open, RunState};
use crate::turn::{Effect, Turn};
use crate::{
    Outcome, StepState,
    engine::{Actors, Shared},
    facts,
};
use kernel::{Error, Id, Result, Time};
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Messages taken in by one turn.
const BATCH: usize = 512;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Open runs read at a time when resuming.
const PAGE: usize = 256;

pub(crate) type Reply = oneshot::Sender<Result<()>>;
type Asked = (Request, Reply);

pub(crate) enum Message {
    Happened(Fact),
    Ask(Request, Reply),
}

/// What happened, kept until the commit that tells of it.
pub(crate) enum Fact {
    Created(Id),
    Ended { run: Id, step: usize, epoch: u64, outcome: Outcome },
}

pub(crate) async fn serve(shared: Arc<Shared>, mut inbox: mpsc::Receiver<Message>, actors: Actors) {
    let logs = shared.logs.clone();
    let mut watch = JoinSet::new();
    watch.spawn(watch_created(shared.clone(), shared.store.head()));
    let mut scheduler = Scheduler::new(shared, actors);
    scheduler.serve(&mut inbox).await;
    // Dropping an actor's future lets go of its workload.
    scheduler.tasks.shutdown().await;
    logs.end_all();
}

/// Wakes the scheduler for runs that were created in anybody's transaction.
async fn watch_created(shared: Arc<Shared>, mut after: u64) {
    loop {
        let mut feed = shared.store.follow(after);
        while let Ok(event) = feed.next().await {
            let Some(run) = facts::created(&event) else { continue };
            if shared.messages.send(Message::Happened(Fact::Created(run))).await.is_err() {
                return;
            }
        }
        after = feed.place();
        let clock = shared.store.clock();
        clock.sleep_until(clock.now().plus(FIRST_PAUSE)).await;
    }
}

pub(crate) struct Scheduler {
    pub(crate) shared: Arc<Shared>,
    pub(crate) actors: Actors,
    boot: u64,
    starts: u64,
    pub(crate) runs: BTreeMap<Id, Open>,
    pub(crate) queue: Queue,
    pub(crate) under_way: HashMap<(Id, usize), UnderWay>,
    pub(crate) tasks: JoinSet<()>,
    /// Not committed yet.
    facts: Vec<Fact>,
    /// Changed in memory by a turn whose commit failed.
    stale: BTreeSet<Id>,
}

impl Scheduler {
    fn new(shared: Arc<Shared>, actors: Actors) -> Scheduler {
        Scheduler {
            queue: Queue::new(light(&actors), HashMap::new()),
            shared,
            actors,
            boot: 0,
            starts: 0,
            runs: BTreeMap::new(),
            under_way: HashMap::new(),
            tasks: JoinSet::new(),
            facts: Vec::new(),
            stale: BTreeSet::new(),
        }
    }

    /// Until drained, or until the store is gone.
    async fn serve(&mut self, inbox: &mut mpsc::Receiver<Message>) {
        let stop = self.shared.stop.clone();
        let mut pause = FIRST_PAUSE;
        let mut resumed = false;
        loop {
            let asks = if resumed && self.stale.is_empty() {
                self.receive(inbox).await
            } else {
                Vec::new()
            };
            let last = stop.is_cancelled();
            let result = if resumed { self.turn(asks).await } else { self.resume().await };
            match result {
                Ok(()) => {
                    resumed = true;
                    pause = FIRST_PAUSE;
                }
                Err(e) if matches!(e.code(), "store.closed" | "run.fenced") => return,
                Err(error) => {
                    tracing::error!(%error, "runs stand still until the store writes again");
                    let clock = self.shared.store.clock();
                    tokio::select! {
                        () = clock.sleep_until(clock.now().plus(pause)) => {}
                        () = stop.cancelled() => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            if last {
                return;
            }
        }
    }

    /// Waits for messages, the earliest deadline or the end.
    async fn receive(&mut self, inbox: &mut mpsc::Receiver<Message>) -> Vec<Asked> {
        let clock = self.shared.store.clock();
        let deadline = self.queue.earliest().map(|at| clock.sleep_until(at));
        let deadline = async {
            match deadline {
                Some(deadline) => deadline.await,
                None => std::future::pending().await,
            }
        };
        let mut messages = Vec::new();
        tokio::select! {
            biased;
            _ = inbox.recv_many(&mut messages, BATCH) => {}
            () = deadline => {}
            () = self.shared.stop.cancelled() => {}
        }
        let mut asks = Vec::new();
        for message in messages {
            match message {
                Message::Happened(fact) => self.facts.push(fact),
                Message::Ask(request, reply) => asks.push((request, reply)),
            }
        }
        asks
    }

    /// Takes the runs over from whatever engine wrote them last, and takes up what was under way.
    async fn resume(&mut self) -> Result<()> {
        let boot = self.shared.store.write(|tx| {
            let boot = tx.row::<u64>(BOOT, BOOT_KEY)?.unwrap_or(0) + 1;
            tx.set_row(BOOT, BOOT_KEY, &boot)?;
            Ok(boot)
        });
        self.boot = boot.await?;
        // A resumption that failed half way has left something.
        self.runs.clear();
        let orders = self.shared.store.read(crate::group::orders).await?;
        self.queue = Queue::new(light(&self.actors), orders);
        self.stale.clear();
        let mut turn = Turn::new(self.now());
        let mut after: Option<String> = None;
        loop {
            let from = after.take();
            let read =
                move |v: &store::View<'_>| v.rows::<IgnoredAny>(OPEN, "", from.as_deref(), PAGE);
            let page = self.shared.store.read(read).await?;
            for id in page.iter().filter_map(|(key, _)| Id::parse(key)) {
                self.admit_or_log(&id, &mut turn).await;
                self.take_up(&id, &mut turn);
            }
            match page.into_iter().next_back() {
                Some((last, _)) => after = Some(last),
                None => break,
            }
        }
        self.finish_turn(turn).await
    }

    /// Steps recorded as running are performed again: same attempt, same key, new epoch.
    fn take_up(&mut self, id: &Id, turn: &mut Turn) {
        let Some(run) = self.runs.get_mut(id) else { return };
        for (i, row) in run.state.steps.iter_mut().enumerate() {
            if row.state != StepState::Running {
                continue;
            }
            self.starts += 1;
            row.epoch = epoch(self.boot, self.starts);
            turn.step(id, i);
            turn.effects.push(Effect::Perform(id.clone(), i));
        }
    }

    fn now(&self) -> Time {
        self.shared.store.now()
    }

    async fn turn(&mut self, asks: Vec<Asked>) -> Result<()> {
        while self.tasks.try_join_next().is_some() {}
        let mut turn = Turn::new(self.now());
        self.reload(&mut turn).await?;
        for fact in std::mem::take(&mut self.facts) {
            self.take_in(&fact, &mut turn).await;
            self.facts.push(fact);
        }
        for (request, reply) in asks {
            let answer = self.answer(request, &mut turn).await;
            turn.answers.push((reply, answer));
        }
        turn.dirty.extend(self.queue.due(turn.now));
        self.finish_turn(turn).await
    }

    async fn finish_turn(&mut self, mut turn: Turn) -> Result<()> {
        let decided = self.interpret(&mut turn).and_then(|()| self.dispatch(&mut turn));
        let committed = match decided {
            Ok(()) => turn.commit(&self.shared.store, self.boot, &self.runs).await,
            Err(error) => Err(error),
        };
        for (reply, answer) in turn.answers.drain(..) {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(answer.and(committed.clone()));
        }
        if let Err(error) = committed {
            self.stale.extend(turn.touched());
            return Err(error);
        }
        self.facts.clear();
        for effect in std::mem::take(&mut turn.effects) {
            self.act(effect);
        }
        for id in turn.heads() {
            if self.runs.get(id).is_some_and(|run| run.state.head.state.is_finished()) {
                self.runs.remove(id);
            }
        }
        Ok(())
    }

    /// Reads again what a failed turn has changed in memory.
    async fn reload(&mut self, turn: &mut Turn) -> Result<()> {
        while let Some(id) = self.stale.first().cloned() {
            let wanted = id.clone();
            let found = self.shared.store.read(move |v| Open::load(v, &wanted)).await?;
            self.drop_run(&id);
            if let Some(run) = found.filter(|run| !run.state.head.state.is_finished()) {
                self.insert(run, turn);
            }
            self.stale.remove(&id);
        }
        Ok(())
    }

    fn drop_run(&mut self, id: &Id) {
        if let Some(run) = self.runs.remove(id) {
            (0..run.state.steps.len()).for_each(|i| self.queue.take(&run, i));
        }
    }

    pub(crate) fn insert(&mut self, run: Open, turn: &mut Turn) {
        (0..run.state.steps.len()).for_each(|i| self.queue.put(&run, i));
        turn.dirty.insert(run.id().clone());
        self.runs.insert(run.id().clone(), run);
    }

    /// Brings an unfinished run into memory. A finished one comes back instead.
    pub(crate) async fn admit(&mut self, id: &Id, turn: &mut Turn) -> Result<Option<Open>> {
        if self.runs.contains_key(id) {
            return Ok(None);
        }
        let wanted = id.clone();
        let run = self.shared.store.read(move |v| Open::get(v, &wanted)).await?;
        if run.state.head.state.is_finished() {
            return Ok(Some(run));
        }
        self.insert(run, turn);
        Ok(None)
    }

    /// One run that does not read must not stop the others; it stays open for the next boot.
    async fn admit_or_log(&mut self, id: &Id, turn: &mut Turn) {
        if let Err(error) = self.admit(id, turn).await {
            tracing::error!(run = %id, %error, "a run cannot be read");
        }
    }

    async fn take_in(&mut self, fact: &Fact, turn: &mut Turn) {
        match fact {
            Fact::Created(id) => self.admit_or_log(id, turn).await,
            Fact::Ended { run, step, epoch, outcome } => {
                if let Err(error) = self.ended(run, *step, *epoch, outcome, turn) {
                    tracing::error!(%run, step, %error, "an outcome cannot be told");
                }
            }
        }
    }

    fn ended(
        &mut self,
        id: &Id,
        i: usize,
        epoch: u64,
        outcome: &Outcome,
        turn: &mut Turn,
    ) -> Result<()> {
        let Some(run) = self.runs.get_mut(id) else { return Ok(()) };
        let Some(row) = run.state.steps.get(i) else { return Ok(()) };
        if row.state != StepState::Running || row.epoch != epoch {
            tracing::warn!(run = %id, step = i, epoch, "a stale outcome was refused");
            return Ok(());
        }
        self.queue.take(run, i);
        let stopped = run.state.steps.get(i).is_some_and(|row| row.stop.is_some());
        let canceled = run.state.head.cancel.is_some() || stopped;
        let plan = run.plan.clone();
        let settled = match (plan.steps.get(i), run.state.steps.get_mut(i)) {
            (Some(step), Some(row)) => {
                settle::settle(step, row, canceled, outcome.clone(), turn.now)
            }
            _ => None,
        };
        self.queue.put(run, i);
        let Some(settled) = settled else { return Ok(()) };
        turn.step(id, i);
        turn.dirty.insert(id.clone());
        let attempt = run.state.steps.get(i).map_or(0, |row| row.attempt);
        match settled {
            Settled::Finished => turn.tell(facts::step_finished(run, i)?),
            Settled::Retried => turn.tell(facts::step_retried(run, i)?),
            Settled::SetBack => return Ok(()),
        }
        let over = settled == Settled::Finished;
        turn.effects.push(Effect::EndLog(id.clone(), i, attempt, over));
        Ok(())
    }

    fn interpret(&mut self, turn: &mut Turn) -> Result<()> {
        for id in turn.dirty.clone() {
            let Some(run) = self.runs.get_mut(&id) else { continue };
            for command in interpret::next(&run.plan, &run.graph, &run.state, turn.now) {
                carry_out(&mut self.queue, run, &command, turn)?;
            }
        }
        Ok(())
    }

    /// Gives free slots to ready steps.
    fn dispatch(&mut self, turn: &mut Turn) -> Result<()> {
        while !self.shared.stop.is_cancelled()
            && let Some((id, i)) = self.queue.choose(self.shared.slots)
        {
            let Some(run) = self.runs.get_mut(&id) else {
                return Err(Error::internal(format!("run {id} is queued and unknown")));
            };
            self.starts += 1;
            let epoch = epoch(self.boot, self.starts);
            self.queue.take(run, i);
            if let Some(row) = run.state.steps.get_mut(i) {
                row.start(epoch, turn.now);
            }
            self.queue.put(run, i);
            if run.state.head.started.is_none() {
                run.state.head.started = Some(turn.now);
                run.state.head.state = RunState::Running;
                turn.head(&id);
            }
            turn.tell(facts::step_started(run, i)?);
            turn.step(&id, i);
            turn.effects.push(Effect::Perform(id, i));
        }
        Ok(())
    }
}

/// Unique over all boots.
fn epoch(boot: u64, start: u64) -> u64 {
    boot << 32 | (start & 0xffff_ffff)
}

/// Makes a command true in memory and notes what must be written, told and done for it.
fn carry_out(queue: &mut Queue, run: &mut Open, command: &Command, turn: &mut Turn) -> Result<()> {
    let id = run.id().clone();
    let i = match command {
        Command::Enter(_) | Command::Finish(..) => {
            run.state.apply(command, turn.now);
            turn.head(&id);
            turn.tell(facts::entered(run)?);
            return Ok(());
        }
        Command::Ready(i)
        | Command::Skip(i, _)
        | Command::Wait(i, ..)
        | Command::Cancel(i)
        | Command::Stop(i, _)
        | Command::TimeOut(i) => *i,
    };
    queue.take(run, i);
    run.state.apply(command, turn.now);
    queue.put(run, i);
    turn.step(&id, i);
    match command {
        Command::TimeOut(_) => {
            let limit = run.plan.steps.get(i).and_then(|step| step.timeout_ms);
            let why = settle::overtime(limit.unwrap_or(0));
            turn.effects.push(Effect::Stop(id, i, why));
        }
        Command::Stop(_, why) => turn.effects.push(Effect::Stop(id, i, why.clone())),
        Command::Skip(..) | Command::Cancel(_) => {
            if run.state.steps.get(i).is_some_and(|row| row.attempt > 0) {
                turn.tell(facts::step_finished(run, i)?);
            }
            turn.effects.push(Effect::EndLog(id, i, 0, true));
        }
        _ => {}
    }
    Ok(())
}

fn light(actors: &Actors) -> HashSet<&'static str> {
    actors.values().filter(|a| a.light()).map(|a| a.uses()).collect()
}
