//! Followers of the journal whose work takes its time: in order within a lane, lanes beside one another.

use crate::Backoff;
use kernel::{BoxFuture, Event, Result};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{Feed, Store, Tx};
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Events that are done while the cursor is before them: `<table>/<key>/<seq>`.
const DONE: &str = "reconcile.done";
/// Such rows that are deleted at once.
const PAGE: usize = 1_000;
/// Lanes at a time. When there are as many, the journal waits.
const LANES: usize = 256;
/// Events that wait or are under way.
const WAITING: usize = 4_096;
/// Events of no concern that are passed before the cursor is written for their sake alone.
const PASSED: u64 = 1_024;

/// Who works the events off.
pub trait Worker: Send + Sync + 'static {
    /// For the log: `pushes`.
    fn name(&self) -> &'static str;

    /// Table and key of the row that has its cursor: all events up to this sequence are done.
    fn cursor(&self) -> (&'static str, &'static str);

    /// Events of one lane are worked off in their order, one at a time; a lane that hangs holds up no other.
    /// `None`: the event is of no concern. Called in order, without IO.
    fn lane(&self, event: &Event) -> Option<String>;

    /// Called before an event is begun while others are under way, with all that are new since the last
    /// time, in order: for what work in one lane relies on of earlier events in others. It may be called
    /// again with the same ones.
    ///
    /// # Errors
    /// Whatever went wrong: it is tried again.
    fn ahead<'a>(&'a self, events: &'a [Arc<Event>]) -> BoxFuture<'a, Result<()>> {
        let _ = events;
        Box::pin(std::future::ready(Ok(())))
    }

    /// Works an event off. Ends with [`Turn::once`], whatever came of it; called again after a failure, a
    /// panic or a crash before that.
    ///
    /// # Errors
    /// Whatever went wrong: it is logged and tried again, later and later, and nothing behind it in its lane
    /// is begun before.
    fn work<'a>(&'a self, event: &'a Event, turn: &'a Turn) -> BoxFuture<'a, Result<()>>;
}

/// An event's turn in its lane.
pub struct Turn {
    store: Store,
    cursor: (&'static str, &'static str),
    seq: u64,
    under_way: UnderWay,
}

/// Sequences of events that wait or are worked on.
type UnderWay = Arc<Mutex<BTreeSet<u64>>>;

fn oldest(under_way: &UnderWay) -> Option<u64> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner).first().copied()
}

impl Turn {
    /// Runs `work` in the transaction that marks the event as done; `None`, if it was done before.
    ///
    /// # Errors
    /// Those of `work` and the store's: then nothing has happened.
    pub async fn once<T, F>(&self, work: F) -> Result<Option<T>>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let ((table, key), seq, under_way) = (self.cursor, self.seq, self.under_way.clone());
        let write = move |tx: &mut Tx<'_>| {
            let done = done_key((table, key), seq);
            let before = tx.row::<u64>(table, key)?.is_some_and(|cursor| cursor >= seq);
            if before || tx.row::<()>(DONE, &done)?.is_some() {
                return Ok(None);
            }
            // What is older than everything under way is done: an event leaves that set after its commit.
            if oldest(&under_way).is_none_or(|oldest| oldest >= seq) {
                settle(tx, (table, key), seq)?;
            } else {
                tx.set_row(DONE, &done, &())?;
            }
            work(tx).map(Some)
        };
        self.store.write(write).await
    }
}

fn done_key((table, key): (&str, &str), seq: u64) -> String {
    format!("{table}/{key}/{seq:020}")
}

/// Moves the cursor; what it passes need not be known by itself any more.
fn settle(tx: &mut Tx<'_>, cursor: (&'static str, &'static str), seq: u64) -> Result<()> {
    tx.set_row(cursor.0, cursor.1, &seq)?;
    let (prefix, last) = (format!("{}/{}/", cursor.0, cursor.1), done_key(cursor, seq));
    loop {
        let page = tx.rows::<()>(DONE, &prefix, None, PAGE)?;
        let passed: Vec<&String> = page.iter().map(|(k, ())| k).filter(|k| **k <= last).collect();
        for key in &passed {
            tx.delete_row(DONE, key)?;
        }
        if passed.len() < PAGE {
            return Ok(());
        }
    }
}

/// Has `worker` work the journal off from its first event on, until `stop` or until the store closes. What
/// an event's turn writes happens exactly once.
pub fn lanes<W: Worker>(store: Store, worker: W, stop: CancellationToken) -> JoinHandle<()> {
    let shared = Arc::new(Shared { store, worker });
    tokio::spawn(async move {
        tokio::select! {
            biased;
            // Transactions under way stand or fall without us; the rows tell which.
            () = stop.cancelled() => {}
            () = run(shared) => {}
        }
    })
}

struct Shared<W> {
    store: Store,
    worker: W,
}

async fn run<W: Worker>(shared: Arc<Shared<W>>) {
    let mut failures = 0_u32;
    loop {
        let Err(error) = follow(&shared, &mut failures).await else { return };
        if error.code() == "store.closed" {
            return;
        }
        failures = failures.saturating_add(1);
        let name = shared.worker.name();
        tracing::warn!(name, failures, %error, "following failed; it will be tried again");
        shared.wait(failures).await;
    }
}

async fn follow<W: Worker>(shared: &Arc<Shared<W>>, failures: &mut u32) -> Result<()> {
    let (table, key) = shared.worker.cursor();
    let cursor = shared.store.read(move |v| v.row::<u64>(table, key)).await?.unwrap_or(0);
    let mut feed = shared.store.follow(cursor);
    let mut all = Lanes::new(shared.clone(), cursor);
    let mut written = cursor;
    loop {
        let room = all.has_room();
        tokio::select! {
            biased;
            Some(ended) = all.tasks.join_next_with_id() => all.ended(ended)?,
            event = feed.next(), if room => all.begin(event?).await?,
        }
        *failures = 0;
        if all.lanes.is_empty() && feed.place() - written >= PASSED {
            written = pass(shared, &feed).await?;
        }
    }
}

/// With nothing under way, writes the cursor for the sake of events of no concern.
async fn pass<W: Worker>(shared: &Shared<W>, feed: &Feed) -> Result<u64> {
    let (cursor, place) = (shared.worker.cursor(), feed.place());
    shared.store.write(move |tx| settle(tx, cursor, place)).await?;
    Ok(place)
}

impl<W: Worker> Shared<W> {
    async fn wait(&self, failures: u32) {
        let wait = Backoff::default().wait(failures, &self.worker.name());
        let clock = self.store.clock();
        clock.sleep_until(clock.now().plus(wait)).await;
    }

    /// Until it is done.
    async fn work(
        self: Arc<Self>,
        event: Arc<Event>,
        under_way: UnderWay,
        mut failures: u32,
    ) -> Result<()> {
        let (store, cursor) = (self.store.clone(), self.worker.cursor());
        let turn = Turn { store, cursor, seq: event.seq, under_way };
        loop {
            if failures > 0 {
                self.wait(failures).await;
            }
            match self.worker.work(&event, &turn).await {
                Err(error) if error.code() == "store.closed" => return Err(error),
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let (name, seq) = (self.worker.name(), event.seq);
                    tracing::warn!(name, seq, failures, %error, "an event failed; it will be tried again");
                }
                Ok(()) => return Ok(()),
            }
        }
    }
}

#[derive(Default)]
struct Lane {
    /// The one under way is in front.
    events: VecDeque<Arc<Event>>,
    /// Of the work on that one, in a row.
    panics: u32,
}

struct Lanes<W> {
    shared: Arc<Shared<W>>,
    lanes: HashMap<String, Lane>,
    tasks: JoinSet<Result<()>>,
    names: HashMap<Id, String>,
    /// Not shared with an earlier life of the loop: a write that is left of it must find its own set whole.
    under_way: UnderWay,
    /// What [`Worker::ahead`] was called for last.
    ahead: u64,
}

impl<W: Worker> Lanes<W> {
    fn new(shared: Arc<Shared<W>>, cursor: u64) -> Lanes<W> {
        Lanes {
            shared,
            lanes: HashMap::new(),
            tasks: JoinSet::new(),
            names: HashMap::new(),
            under_way: UnderWay::default(),
            ahead: cursor,
        }
    }

    fn set(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self) -> bool {
        self.set().len() < WAITING && self.lanes.len() < LANES
    }

    async fn begin(&mut self, event: Arc<Event>) -> Result<()> {
        let Some(name) = self.shared.worker.lane(&event) else { return Ok(()) };
        self.set().insert(event.seq);
        if !self.lanes.is_empty() {
            let known = self.lanes.values().flat_map(|lane| &lane.events);
            let known = known.filter(|e| e.seq > self.ahead).cloned();
            let mut new: Vec<Arc<Event>> = known.chain([event.clone()]).collect();
            new.sort_by_key(|e| e.seq);
            self.shared.worker.ahead(&new).await?;
            self.ahead = event.seq;
        }
        let lane = self.lanes.entry(name.clone()).or_default();
        lane.events.push_back(event.clone());
        if lane.events.len() == 1 {
            self.spawn(name, event, 0);
        }
        Ok(())
    }

    fn spawn(&mut self, name: String, event: Arc<Event>, failures: u32) {
        let task =
            self.tasks.spawn(self.shared.clone().work(event, self.under_way.clone(), failures));
        self.names.insert(task.id(), name);
    }

    /// The event in front of a lane is done, or its work has panicked.
    fn ended(
        &mut self,
        ended: std::result::Result<(Id, Result<()>), tokio::task::JoinError>,
    ) -> Result<()> {
        let (id, panicked) = match ended {
            Ok((id, done)) => {
                done?;
                (id, false)
            }
            Err(error) => (error.id(), true),
        };
        let Some(name) = self.names.remove(&id) else { return Ok(()) };
        let Some(lane) = self.lanes.get_mut(&name) else { return Ok(()) };
        if panicked {
            lane.panics = lane.panics.saturating_add(1);
            let worker = self.shared.worker.name();
            tracing::error!(name = worker, lane = name, "work panicked; it will be tried again");
        } else if let Some(done) = lane.events.pop_front() {
            lane.panics = 0;
            let mut set = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            set.remove(&done.seq);
        }
        let panics = lane.panics;
        match lane.events.front().cloned() {
            Some(next) => self.spawn(name, next, panics),
            None => {
                self.lanes.remove(&name);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
