//! Followers of the journal whose effect needs IO before its transaction: files to read, blobs to keep.

use crate::Backoff;
use kernel::{BoxFuture, Error, Event, Result};
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;
use store::{Feed, Store, Tx};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Light effects in one transaction.
const BATCH: usize = 64;
/// Events of no concern that are passed before the cursor is written for their sake alone.
const PASSED: u64 = 1_024;

/// The part of an effect that happens exactly once.
pub type Write = Box<dyn FnOnce(&mut Tx<'_>) -> Result<()> + Send>;

/// What an event asks for.
pub enum Want {
    Nothing,
    /// Known from the event alone: written together with its neighbours.
    Light(Write),
    /// Needs IO first: [`Taker::take`]. What came before is written by then.
    Heavy,
}

/// What came of a heavy event.
pub struct Effect {
    /// Runs in the transaction that moves the cursor.
    pub write: Write,
    /// Kept until that is durable, such as the lease of a blob that the write refers to.
    pub held: Option<Box<dyn Any + Send>>,
}

/// Who takes events in.
pub trait Taker: Send + Sync + 'static {
    /// For the log: `reports`.
    fn name(&self) -> &'static str;

    /// Table and key of the row that has its cursor: the sequence of the last event it is done with.
    fn cursor(&self) -> (&'static str, &'static str);

    /// Called for every event, in order: cheap, and without IO.
    fn want(&self, event: &Event) -> Want;

    /// Called in order, one at a time, and again after a failure or a crash: whatever it writes by itself,
    /// outside of the effect, has to be safe to write again.
    ///
    /// # Errors
    /// Whatever went wrong: it is logged and tried again, later and later, and nothing behind it is taken
    /// before.
    fn take<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<Effect>>;
}

/// How far a taker has come. Clones share it.
#[derive(Clone)]
pub struct Reached(Arc<watch::Sender<u64>>);

impl Default for Reached {
    fn default() -> Reached {
        Reached(Arc::new(watch::Sender::new(0)))
    }
}

impl Reached {
    /// Resolves when the event at this position of the journal has been taken in.
    pub async fn passed(&self, seq: u64) {
        // The sender is ours: it does not go away.
        let _ = self.0.subscribe().wait_for(|at| *at >= seq).await;
    }

    /// Waits a little until all that had happened at this position of the journal is in the answers. Whoever
    /// sees a pipeline end and asks what it came to is answered with that pipeline.
    pub async fn caught_up(&self, seq: u64) {
        const LONGEST: Duration = Duration::from_secs(5);
        // Late is better than not at all: the answer then tells of a moment before.
        let _ = tokio::time::timeout(LONGEST, self.passed(seq)).await;
    }

    fn at(&self, seq: u64) {
        self.0.send_replace(seq);
    }
}

/// Has `taker` take the journal in, from its first event on, until `stop` or until the store closes. The
/// write of each effect happens exactly once, in the transaction that moves the cursor.
pub fn take<T: Taker>(
    store: Store,
    taker: T,
    reached: Reached,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let taking = Taking { store, taker, reached };
    tokio::spawn(async move {
        tokio::select! {
            biased;
            // A transaction under way stands or falls without us; the cursor tells which.
            () = stop.cancelled() => {}
            () = taking.run() => {}
        }
    })
}

struct Taking<T> {
    store: Store,
    taker: T,
    reached: Reached,
}

impl<T: Taker> Taking<T> {
    async fn run(&self) {
        let mut failures = 0_u32;
        loop {
            let Err(error) = self.follow(&mut failures).await else { return };
            if error.code() == "store.closed" {
                return;
            }
            failures = failures.saturating_add(1);
            let name = self.taker.name();
            tracing::warn!(name, failures, %error, "taking events in failed; it will be tried again");
            let wait = Backoff::default().wait(failures, &name);
            let clock = self.store.clock();
            clock.sleep_until(clock.now().plus(wait)).await;
        }
    }

    async fn follow(&self, failures: &mut u32) -> Result<()> {
        let (table, key) = self.taker.cursor();
        let mut cursor = self.store.read(move |v| v.row::<u64>(table, key)).await?.unwrap_or(0);
        let mut feed = self.store.follow(cursor);
        self.reached.at(cursor);
        let mut light: Vec<Write> = Vec::new();
        loop {
            let event = self.next(&mut feed, light.is_empty()).await?;
            let heavy = match event.as_ref().map(|event| self.taker.want(event)) {
                None | Some(Want::Nothing) => None,
                Some(Want::Light(write)) => {
                    light.push(write);
                    None
                }
                Some(Want::Heavy) => event,
            };
            let place = feed.place();
            let end = heavy.is_some() || place >= self.store.head() || light.len() >= BATCH;
            if (end && !light.is_empty()) || place - cursor >= PASSED {
                let before = heavy.as_ref().map_or(place, |event| event.seq - 1);
                self.write(cursor, before, std::mem::take(&mut light)).await?;
                cursor = before;
            }
            if let Some(event) = heavy {
                let Effect { write, held } = self.taker.take(&event).await?;
                self.write(cursor, event.seq, vec![write]).await?;
                drop(held);
                cursor = event.seq;
            }
            if light.is_empty() {
                self.reached.at(place);
                *failures = 0;
            }
        }
    }

    /// The next event. When effects wait to be written, only one that is there already.
    async fn next(&self, feed: &mut Feed, patient: bool) -> Result<Option<Arc<Event>>> {
        if patient || feed.place() < self.store.head() {
            return feed.next().await.map(Some);
        }
        Ok(None)
    }

    async fn write(&self, from: u64, to: u64, writes: Vec<Write>) -> Result<()> {
        let (table, key) = self.taker.cursor();
        let work = move |tx: &mut Tx<'_>| {
            // Someone else with the same cursor has been here: without this both would act.
            if tx.row::<u64>(table, key)?.unwrap_or(0) != from {
                return Err(Error::internal(format!("{table} was moved by another follower")));
            }
            writes.into_iter().try_for_each(|write| write(tx))?;
            tx.set_row(table, key, &to)
        };
        self.store.write(work).await
    }
}

#[cfg(test)]
#[path = "take_tests.rs"]
mod tests;
