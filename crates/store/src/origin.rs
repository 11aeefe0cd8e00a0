//! Where from the request under way came, carried beside it.
//!
//! A surface puts each request in a [`scope`]; whatever is written to the store within it, however deep, tells
//! so in its events. No handler passes it on. Work that a request leaves to another task goes with [`carried`].

use kernel::Origin;
use std::sync::{Arc, Mutex, PoisonError};

/// Reasons that are kept of one request; the newest stay.
const REASONS: usize = 8;

type Shared = Arc<Mutex<Origin>>;

tokio::task_local! {
    static CURRENT: Shared;
}

/// Runs `work` as asked from `origin`.
pub async fn scope<F: Future>(origin: Origin, work: F) -> F::Output {
    CURRENT.scope(Arc::new(Mutex::new(origin)), work).await
}

/// The same work as part of the request that is under way now: for what is given to another task.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let shared = CURRENT.try_with(Arc::clone).unwrap_or_default();
    CURRENT.scope(shared, work)
}

/// What is known of the request under way; nothing outside of a [`scope`].
pub fn current() -> Option<Origin> {
    let known = CURRENT.try_with(|shared| lock(shared).clone()).ok()?;
    (!known.is_empty()).then_some(known)
}

/// Adds what has been found out since: who it was, say.
pub fn amend(change: impl FnOnce(&mut Origin)) {
    let _ = CURRENT.try_with(|shared| change(&mut lock(shared)));
}

/// Notes why something was allowed, so that the events that come of it can tell.
pub fn allowed(reason: impl Into<String>) {
    amend(|origin| {
        let reason = reason.into();
        if origin.because.contains(&reason) {
            return;
        }
        if origin.because.len() >= REASONS {
            origin.because.remove(0);
        }
        origin.because.push(reason);
    });
}

fn lock(shared: &Shared) -> std::sync::MutexGuard<'_, Origin> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
