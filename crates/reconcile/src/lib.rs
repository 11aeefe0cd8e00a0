//! Level-triggered loops over resources, and exactly-once followers of the journal.
//!
//! A [`Reconciler`] makes the world match what is wanted, one key at a time. Events only say *which* keys
//! to look at; what to do is decided from what is there. So an event that comes twice, late or together
//! with others changes nothing, and a slow full listing finds what was missed.
//!
//! Invariants:
//! - A key is never synced by two workers at once; touched while being synced, it is synced once more.
//! - A key that was touched is synced after that: no touch is lost, however it falls.
//! - A key that fails waits longer each time, and holds up no other.
//! - Nothing to do means no timer but the slow listing's.
//!
//! [`follow`] is for projections and outboxes: each event's effect happens exactly once, in the transaction
//! that moves the follower's cursor. [`take()`] is the same for effects that need IO before it, and
//! [`lanes()`] for work that takes its time and must not hold up everybody else's.

mod backoff;
mod drive;
mod follow;
mod lanes;
mod queue;
mod take;

pub use backoff::Backoff;
pub use drive::{Handle, Poker, spawn};
pub use follow::{follow, follow_kinds, follow_some, slowest};
pub use lanes::{Turn, Worker, lanes};
pub use take::{Effect, Reached, Taker, Want, Write, take};

use kernel::{BoxFuture, Event, Result, Time};
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

/// What keeps one kind of thing as it should be.
pub trait Reconciler: Send + Sync + 'static {
    type Key: Clone + Ord + Hash + Send + Sync + Debug + 'static;

    /// For the log: `service`.
    fn name(&self) -> &'static str;

    /// Which keys this event touches. Called for every event of the journal: cheap, and without IO.
    fn keys(&self, event: &Event) -> Vec<Self::Key>;

    /// Every key there is, at boot and on the slow timer; also those of which only remains are left, or
    /// nobody cleans up what was deleted while naru was down.
    fn all(&self) -> BoxFuture<'_, Result<Vec<Self::Key>>>;

    /// Looks at the key, and moves one step or all the way. May be cancelled at any await, and is called
    /// again after a crash at any point.
    ///
    /// # Errors
    /// Whatever went wrong: it is logged, and the key is tried again after a growing wait.
    fn sync<'a>(&'a self, key: &'a Self::Key) -> BoxFuture<'a, Result<Next>>;
}

/// When to look at a key again, if nothing touches it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Done,
    After(Duration),
    /// Where the moment is known: however long the look itself took, it is not added.
    At(Time),
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Keys synced at a time; at least one.
    pub workers: usize,
    /// How often to list everything, whatever the events say.
    pub resync: Duration,
    pub backoff: Backoff,
}

impl Default for Options {
    fn default() -> Options {
        Options { workers: 4, resync: Duration::from_secs(300), backoff: Backoff::default() }
    }
}
