//! Followers of the journal whose effect happens exactly once.

use crate::Backoff;
use kernel::{Error, Event, Result};
use std::sync::Arc;
use store::{Feed, Filter, Store, Tx, View};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The rows with each follower's cursor: the sequence of the last event it is done with.
const CURSORS: &str = "reconcile.cursor";
/// Events in one transaction.
const BATCH: usize = 64;
/// Events of no concern that are passed before the cursor is written for their sake alone.
const PASSED: u64 = 1024;

/// Calls `handle` for every event of the journal, from its very first, in order. `handle` runs inside the
/// transaction that moves the cursor `name`: what it writes there happens exactly once, whatever crashes.
/// An event whose handler fails is tried again, later and later, and none behind it is handled before.
///
/// The task ends with `stop`, or when a write finds the store closed.
pub fn follow<F>(
    store: Store,
    name: &'static str,
    handle: F,
    stop: CancellationToken,
) -> JoinHandle<()>
where
    F: Fn(&Event, &mut Tx<'_>) -> Result<()> + Send + Sync + 'static,
{
    follow_some(store, name, Filter::default(), handle, stop)
}

/// As [`follow`], for the events that match. Those that do not cost no transaction.
pub fn follow_some<F>(
    store: Store,
    name: &'static str,
    filter: Filter,
    handle: F,
    stop: CancellationToken,
) -> JoinHandle<()>
where
    F: Fn(&Event, &mut Tx<'_>) -> Result<()> + Send + Sync + 'static,
{
    spawn(store, name, Wanted::Filter(filter), handle, stop)
}

/// As [`follow_some`], for the events of some kinds, in the order in which they happened.
pub fn follow_kinds<F>(
    store: Store,
    name: &'static str,
    kinds: &'static [&'static str],
    handle: F,
    stop: CancellationToken,
) -> JoinHandle<()>
where
    F: Fn(&Event, &mut Tx<'_>) -> Result<()> + Send + Sync + 'static,
{
    spawn(store, name, Wanted::Kinds(kinds), handle, stop)
}

fn spawn<F>(
    store: Store,
    name: &'static str,
    wanted: Wanted,
    handle: F,
    stop: CancellationToken,
) -> JoinHandle<()>
where
    F: Fn(&Event, &mut Tx<'_>) -> Result<()> + Send + Sync + 'static,
{
    let follower = Follower { store, name, wanted, handle: Arc::new(handle) };
    tokio::spawn(async move {
        tokio::select! {
            biased;
            // A transaction under way stands or falls without us; the cursor tells which.
            () = stop.cancelled() => {}
            () = follower.run() => {}
        }
    })
}

/// What every follower is done with: the lowest cursor that is written down, or `u64::MAX` without any.
///
/// # Errors
/// The store's.
pub fn slowest(view: &View<'_>) -> Result<u64> {
    let cursors = view.rows::<u64>(CURSORS, "", None, 10_000)?;
    Ok(cursors.into_iter().map(|(_, cursor)| cursor).min().unwrap_or(u64::MAX))
}

struct Follower<F> {
    store: Store,
    name: &'static str,
    wanted: Wanted,
    handle: Arc<F>,
}

/// Which events are handled.
enum Wanted {
    Filter(Filter),
    Kinds(&'static [&'static str]),
}

impl Wanted {
    fn matches(&self, event: &Event) -> bool {
        match self {
            Wanted::Filter(filter) => filter.matches(event),
            Wanted::Kinds(kinds) => kinds.contains(&event.fact.kind.as_str()),
        }
    }
}

/// Where the follower is.
struct Place {
    feed: Feed,
    /// As written.
    cursor: u64,
    /// Falls to one after a failure, so that what is in front of the bad event gets through.
    most: usize,
}

impl<F> Follower<F>
where
    F: Fn(&Event, &mut Tx<'_>) -> Result<()> + Send + Sync + 'static,
{
    async fn run(&self) {
        let (mut failures, mut most) = (0_u32, BATCH);
        loop {
            let error = match self.open(most).await {
                Ok(mut place) => loop {
                    match self.advance(&mut place).await {
                        Ok(()) => failures = 0,
                        Err(error) => break error,
                    }
                },
                Err(error) => error,
            };
            if error.code() == "store.closed" {
                return;
            }
            (failures, most) = (failures.saturating_add(1), 1);
            tracing::warn!(name = self.name, failures, %error, "following failed; it will be tried again");
            let wait = Backoff::default().wait(failures, &self.name);
            let clock = self.store.clock();
            clock.sleep_until(clock.now().plus(wait)).await;
        }
    }

    async fn open(&self, most: usize) -> Result<Place> {
        let name = self.name;
        let cursor = self.store.read(move |v| v.row::<u64>(CURSORS, name)).await?.unwrap_or(0);
        Ok(Place { feed: self.store.follow(cursor), cursor, most })
    }

    /// Waits for events, and handles them together.
    async fn advance(&self, place: &mut Place) -> Result<()> {
        let batch = self.gather(place).await?;
        let (name, from, to) = (self.name, place.cursor, place.feed.place());
        if batch.is_empty() && to - from < PASSED {
            return Ok(());
        }
        let handle = self.handle.clone();
        let work = move |tx: &mut Tx<'_>| {
            // Someone else with the same name has been here: without this both would act.
            if tx.row::<u64>(CURSORS, name)?.unwrap_or(0) != from {
                return Err(Error::internal(format!(
                    "cursor {name} was moved by another follower"
                )));
            }
            batch.iter().try_for_each(|event| handle(event, tx))?;
            tx.set_row(CURSORS, name, &to)
        };
        self.store.write(work).await?;
        place.cursor = to;
        place.most = (place.most * 2).min(BATCH);
        Ok(())
    }

    /// What is there of the journal, up to the batch's size, less what does not match. Waits only for the
    /// first.
    async fn gather(&self, place: &mut Place) -> Result<Vec<Arc<Event>>> {
        let mut batch = Vec::new();
        for taken in 0.. {
            let event = place.feed.next().await?;
            if self.wanted.matches(&event) {
                batch.push(event);
            }
            let caught_up = place.feed.place() >= self.store.head();
            if batch.len() >= place.most || caught_up || taken >= PASSED {
                break;
            }
        }
        Ok(batch)
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
