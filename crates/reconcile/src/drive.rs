//! The loop: one task that owns the timers and hands keys to workers.

use crate::queue::{Ended, Queue};
use crate::{Next, Options, Reconciler};
use futures_util::FutureExt;
use kernel::{BoxFuture, Clock, Error, Result, Time};
use std::any::Any;
use std::borrow::Borrow;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Feed, Store};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// A sync that takes longer is cancelled and counts as failed.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// How long syncs under way may take to end after the stop.
const GRACE: Duration = Duration::from_secs(5);
/// Events taken in before workers are looked after again.
const EVENTS: usize = 256;

/// A running loop. Dropping it does not end the loop; the stop token does.
pub struct Handle<K> {
    poker: Poker<K>,
    task: JoinHandle<()>,
}

impl<K: Clone + Ord + std::hash::Hash> Handle<K> {
    /// Has the key synced, for a reason that is no event.
    pub fn poke(&self, key: impl Borrow<K>) {
        self.poker.poke(key);
    }

    /// The same, for those who do not own the loop.
    pub fn poker(&self) -> Poker<K> {
        self.poker.clone()
    }

    /// Resolves when the loop has ended: soon after the stop token.
    pub async fn join(self) {
        // Only the runtime's own end cancels it.
        let _ = self.task.await;
    }
}

/// Touches keys of a loop.
pub struct Poker<K>(Arc<Shared<K>>);

impl<K> Clone for Poker<K> {
    fn clone(&self) -> Poker<K> {
        Poker(self.0.clone())
    }
}

impl<K: Clone + Ord + std::hash::Hash> Poker<K> {
    pub fn poke(&self, key: impl Borrow<K>) {
        let now = self.0.clock.now();
        self.0.queue().touch(key.borrow(), now);
        self.0.poked.notify_one();
    }
}

struct Shared<K> {
    queue: Mutex<Queue<K>>,
    poked: Notify,
    clock: Arc<dyn Clock>,
}

impl<K> Shared<K> {
    /// A panic under the lock (in a key's `Ord` or `Hash`) ends the loop's task anyway.
    fn queue(&self) -> MutexGuard<'_, Queue<K>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the loop of `r` on the current runtime. It lists everything, then follows the journal from here.
pub fn spawn<R: Reconciler>(
    store: Store,
    r: R,
    options: Options,
    stop: CancellationToken,
) -> Handle<R::Key> {
    // The place in the journal is taken before the listing starts: what happens in between is seen twice
    // rather than never.
    let feed = store.follow(store.head());
    let shared = Arc::new(Shared {
        queue: Mutex::new(Queue::new(options.backoff)),
        poked: Notify::new(),
        clock: store.clock().clone(),
    });
    let poker = Poker(shared.clone());
    let drive = Drive {
        r: Arc::new(r),
        options: Options { workers: options.workers.max(1), ..options },
        alarm: Alarm::new(shared.clock.clone()),
        feed,
        shared,
        work: JoinSet::new(),
        running: 0,
        listing: Listing::Due(Time::default()),
        list_failures: 0,
        feed_failures: 0,
        feed_paused: None,
    };
    Handle { poker, task: tokio::spawn(drive.run(store, stop)) }
}

struct Drive<R: Reconciler> {
    r: Arc<R>,
    options: Options,
    shared: Arc<Shared<R::Key>>,
    feed: Feed,
    work: JoinSet<Finished<R::Key>>,
    running: usize,
    listing: Listing,
    list_failures: u32,
    feed_failures: u32,
    /// Until when the journal is left alone, after it could not be read.
    feed_paused: Option<Time>,
    alarm: Alarm,
}

enum Listing {
    Due(Time),
    Running,
}

enum Finished<K> {
    Synced(K, Result<Next>),
    Listed(Result<Vec<K>>),
}

impl<R: Reconciler> Drive<R> {
    async fn run(mut self, store: Store, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let now = self.shared.clock.now();
            self.start_due(now);
            self.alarm.set(self.next_alarm());
            let shared = self.shared.clone();
            // Not biased: neither a busy journal nor keys that are always ready may starve the others.
            tokio::select! {
                () = stop.cancelled() => {}
                Some(done) = self.work.join_next(), if !self.work.is_empty() => self.finished(done),
                () = shared.poked.notified() => {}
                () = self.alarm.ring() => {}
                event = self.feed.next(), if self.feed_paused.is_none() => {
                    self.heard(event, &store).await;
                }
            }
        }
        self.wind_down().await;
    }

    /// Hands out work while there are workers.
    fn start_due(&mut self, now: Time) {
        if self.feed_paused.is_some_and(|until| until <= now) {
            self.feed_paused = None;
        }
        if let Listing::Due(at) = self.listing
            && at <= now
        {
            self.listing = Listing::Running;
            let r = self.r.clone();
            self.work
                .spawn(async move { Finished::Listed(guarded(async { r.all().await }).await) });
        }
        while self.running < self.options.workers {
            let Some(key) = self.shared.queue().take(now) else { return };
            self.running += 1;
            let r = self.r.clone();
            self.work.spawn(async move {
                // By the machine's own time: a wall clock that is set forward has not made it slow.
                let sync = guarded(async { r.sync(&key).await });
                let late = |_| Err(Error::internal("sync took too long and was cancelled"));
                let done = tokio::time::timeout(LONGEST, sync).await.unwrap_or_else(late);
                Finished::Synced(key, done)
            });
        }
    }

    fn next_alarm(&self) -> Option<Time> {
        let listing = match self.listing {
            Listing::Due(at) => Some(at),
            Listing::Running => None,
        };
        // With all workers busy, a key that becomes ready has to wait for one of them anyway.
        let free = self.running < self.options.workers;
        let key = if free { self.shared.queue().alarm() } else { None };
        [listing, key, self.feed_paused].into_iter().flatten().min()
    }

    fn finished(&mut self, done: Result<Finished<R::Key>, tokio::task::JoinError>) {
        let now = self.shared.clock.now();
        match done {
            Ok(Finished::Synced(key, result)) => self.synced(&key, result, now),
            Ok(Finished::Listed(result)) => self.listed(result, now),
            // Panics are caught inside, and nothing aborts a worker before the end.
            Err(error) => tracing::error!(name = self.r.name(), %error, "a worker was lost"),
        }
    }

    fn synced(&mut self, key: &R::Key, result: Result<Next>, now: Time) {
        self.running = self.running.saturating_sub(1);
        let mut queue = self.shared.queue();
        let ended = result.as_ref().map_or(Ended::Badly, |next| Ended::Well(*next));
        queue.ended(key, ended, now);
        if let Err(error) = result {
            let (name, failures) = (self.r.name(), queue.failures(key));
            drop(queue);
            tracing::warn!(name, ?key, failures, %error, "sync failed; it will be tried again");
        }
    }

    fn listed(&mut self, result: Result<Vec<R::Key>>, now: Time) {
        let wait = match result {
            Ok(keys) => {
                let mut queue = self.shared.queue();
                keys.iter().for_each(|key| queue.touch(key, now));
                self.list_failures = 0;
                self.options.resync
            }
            Err(error) => {
                self.list_failures = self.list_failures.saturating_add(1);
                tracing::warn!(name = self.r.name(), %error, "listing failed; it will be tried again");
                self.options.backoff.wait(self.list_failures, &self.r.name())
            }
        };
        self.listing = Listing::Due(now.plus(wait));
    }

    /// Takes in an event, and those behind it that are there already.
    async fn heard(&mut self, first: Result<Arc<kernel::Event>>, store: &Store) {
        let mut next = first;
        for _ in 0..EVENTS {
            match next {
                Ok(event) => self.touch_all(&event),
                Err(error) => {
                    tracing::warn!(name = self.r.name(), %error, "the journal cannot be read");
                    self.feed_failures = self.feed_failures.saturating_add(1);
                    let wait = self.options.backoff.wait(self.feed_failures, &self.r.name());
                    self.feed_paused = Some(self.shared.clock.now().plus(wait));
                    return;
                }
            }
            self.feed_failures = 0;
            if self.feed.place() >= store.head() {
                return;
            }
            next = self.feed.next().await;
        }
    }

    fn touch_all(&self, event: &kernel::Event) {
        let now = self.shared.clock.now();
        let keys = std::panic::catch_unwind(AssertUnwindSafe(|| self.r.keys(event)));
        match keys {
            Ok(keys) => {
                let mut queue = self.shared.queue();
                keys.iter().for_each(|key| queue.touch(key, now));
            }
            // The slow listing will find what this event was about.
            Err(panic) => {
                let (name, error) = (self.r.name(), panicked(&*panic));
                tracing::error!(name, seq = event.seq, %error, "an event could not be read");
            }
        }
    }

    async fn wind_down(mut self) {
        let rest = async { while self.work.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, rest).await.is_err() {
            tracing::warn!(name = self.r.name(), "syncs under way were cancelled");
            self.work.shutdown().await;
        }
    }
}

/// A panic becomes an error like any other.
async fn guarded<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let words = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without words");
    Error::internal(format!("panicked: {words}"))
}

/// One sleep at a time, made anew only when its time changes.
struct Alarm {
    clock: Arc<dyn Clock>,
    set: Option<(Time, BoxFuture<'static, ()>)>,
}

impl Alarm {
    fn new(clock: Arc<dyn Clock>) -> Alarm {
        Alarm { clock, set: None }
    }

    fn set(&mut self, at: Option<Time>) {
        if self.set.as_ref().map(|(at, _)| *at) != at {
            self.set = at.map(|at| (at, self.clock.sleep_until(at)));
        }
    }

    /// Never, when none is set. Cancel safe.
    async fn ring(&mut self) {
        match &mut self.set {
            Some((_, sleep)) => sleep.await,
            None => std::future::pending().await,
        }
        self.set = None;
    }
}

#[cfg(test)]
#[path = "drive_tests.rs"]
pub(crate) mod tests;
