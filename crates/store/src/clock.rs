//! Clocks: the machine's, and one that a test moves by hand.

use kernel::{BoxFuture, Clock, Time};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Clock for System {
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
    fn sleep_until(&self, at: Time) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(at.since(self.now())))
    }
}

/// A clock that stands still until [`Manual::advance`]. Clones share it.
#[derive(Clone, Default)]
pub struct Manual(Arc<Inner>);

#[derive(Default)]
struct Inner {
    now: AtomicI64,
    sleepers: Mutex<Vec<(Time, oneshot::Sender<()>)>>,
}

impl Manual {
    pub fn new(start: Time) -> Manual {
        let clock = Manual::default();
        clock.0.now.store(start.0, Ordering::SeqCst);
        clock
    }

    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
    }

    /// Moves to the earliest sleeper's time, if anyone sleeps, and says so.
    pub fn skip(&self) -> bool {
        let next = self.sleepers().iter().filter(|s| !s.1.is_closed()).map(|s| s.0).min();
        match next {
            Some(at) => self.set(at.max(self.now())),
            None => return false,
        }
        true
    }

    fn set(&self, now: Time) {
        self.0.now.store(now.0, Ordering::SeqCst);
        let mut sleepers = self.sleepers();
        let (due, rest) = sleepers.drain(..).partition(|s| s.0 <= now);
        *sleepers = rest;
        drop(sleepers);
        let due: Vec<(Time, oneshot::Sender<()>)> = due;
        for (_, wake) in due {
            // A sleeper that gave up has closed its end.
            let _ = wake.send(());
        }
    }

    fn sleepers(&self) -> std::sync::MutexGuard<'_, Vec<(Time, oneshot::Sender<()>)>> {
        self.0.sleepers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for Manual {
    fn now(&self) -> Time {
        Time(self.0.now.load(Ordering::SeqCst))
    }
    fn sleep_until(&self, at: Time) -> BoxFuture<'static, ()> {
        let (wake, woken) = oneshot::channel();
        let mut sleepers = self.sleepers();
        if at <= self.now() {
            return Box::pin(std::future::ready(()));
        }
        sleepers.push((at, wake));
        drop(sleepers);
        Box::pin(async move { drop(woken.await) })
    }
}
