//! Following the journal: the recent past from memory, the rest from disk, the future by waking.

use crate::{Filter, Store};
use kernel::{Event, Result};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use tokio::sync::watch;

/// Events kept in memory, so that a follower that keeps up never touches the disk.
const RECENT: usize = 2048;
const PAGE: usize = 256;

pub(crate) struct Hub {
    recent: RwLock<VecDeque<Arc<Event>>>,
    head: watch::Sender<u64>,
    /// Where each follower is.
    places: Mutex<Vec<Weak<AtomicU64>>>,
    observers: RwLock<Vec<Observer>>,
}

/// See [`Store::observe`].
pub(crate) type Observer = Box<dyn Fn(&Event) + Send + Sync>;

impl Hub {
    pub(crate) fn new(head: u64) -> Hub {
        Hub {
            recent: RwLock::default(),
            head: watch::Sender::new(head),
            places: Mutex::default(),
            observers: RwLock::default(),
        }
    }

    pub(crate) fn head(&self) -> u64 {
        *self.head.borrow()
    }

    /// Called by the writer after its commit, in order.
    pub(crate) fn publish(&self, events: Vec<Arc<Event>>) {
        let Some(last) = events.last().map(|e| e.seq) else { return };
        self.show(&events);
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        recent.extend(events);
        let surplus = recent.len().saturating_sub(RECENT);
        recent.drain(..surplus);
        drop(recent);
        self.head.send_replace(last);
    }

    fn enter(&self, place: &Arc<AtomicU64>) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|p| p.strong_count() > 0);
        places.push(Arc::downgrade(place));
    }

    /// What every follower has been given; `u64::MAX` without any.
    pub(crate) fn slowest(&self) -> u64 {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let read = places.iter().filter_map(Weak::upgrade).map(|p| p.load(Ordering::Relaxed));
        read.min().unwrap_or(u64::MAX)
    }

    pub(crate) fn observe(&self, observer: Observer) {
        self.observers.write().unwrap_or_else(PoisonError::into_inner).push(observer);
    }

    fn show(&self, events: &[Arc<Event>]) {
        let observers = self.observers.read().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            for observer in observers.iter() {
                // The writer outlives an observer's fault.
                let seen = catch_unwind(AssertUnwindSafe(|| observer(event)));
                if seen.is_err() {
                    tracing::error!(seq = event.seq, "an observer of the journal panicked");
                }
            }
        }
    }

    fn recent(&self, seq: u64) -> Option<Arc<Event>> {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        let first = recent.front()?.seq;
        let offset = usize::try_from(seq.checked_sub(first)?).ok()?;
        recent.get(offset).cloned()
    }
}

/// A follower's place in the journal. Nothing is skipped and nothing comes twice, however slow it is.
pub struct Feed {
    store: Store,
    head: watch::Receiver<u64>,
    after: u64,
    /// The same, for others to see.
    place: Arc<AtomicU64>,
    page: VecDeque<Arc<Event>>,
}

impl Feed {
    pub(crate) fn new(store: Store, after: u64) -> Feed {
        let head = store.shared.feed.head.subscribe();
        let place = Arc::new(AtomicU64::new(after));
        store.shared.feed.enter(&place);
        Feed { store, head, after, place, page: VecDeque::new() }
    }

    /// The sequence of the last event given out.
    pub fn place(&self) -> u64 {
        self.after
    }

    /// The next event; waits for it. Cancel safe.
    ///
    /// # Errors
    /// Internal when the journal cannot be read, `store.closed` when the store has gone.
    pub async fn next(&mut self) -> Result<Arc<Event>> {
        loop {
            if let Some(event) = self.page.pop_front() {
                self.after = event.seq;
                self.place.store(event.seq, Ordering::Relaxed);
                return Ok(event);
            }
            let wanted = self.after + 1;
            self.head.wait_for(|head| *head >= wanted).await.map_err(|_| crate::closed())?;
            match self.store.shared.feed.recent(wanted) {
                Some(event) => self.page.push_back(event),
                None => {
                    let after = self.after;
                    let read = move |v: &crate::View<'_>| v.events(after, PAGE, &Filter::default());
                    let page = self.store.read(read).await?;
                    self.page.extend(page.into_iter().map(Arc::new));
                }
            }
        }
    }
}
