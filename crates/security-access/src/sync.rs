//! What has to happen by itself: decisions keep in step with the journal, and what is over is written down.

use kernel::Time;
use policy::Policy;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Grants are looked at this often at least: the clock may have been set forward.
const LOOK: Duration = Duration::from_secs(60);
/// After a write that failed.
const AGAIN: Duration = Duration::from_secs(5);

/// Runs until `stop`.
pub fn start(policy: Policy, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let both = async { tokio::join!(policy.follow(), ends(&policy)) };
        tokio::select! {
            _ = both => {}
            () = stop.cancelled() => {}
        }
    })
}

/// Says of each grant when it has ended. Nothing depends on it: decisions look at the clock themselves.
async fn ends(policy: &Policy) {
    let clock = policy.store().clock().clone();
    let filter = store::Filter { kind: Some("access.".into()), ..store::Filter::default() };
    loop {
        let mut feed = policy.store().follow(policy.store().head());
        let at = match policy.expire().await {
            Ok(next) => next.unwrap_or(Time(i64::MAX)).min(clock.now().plus(LOOK)),
            Err(error) => {
                tracing::warn!(%error, "grants that are over could not be written down");
                clock.now().plus(AGAIN)
            }
        };
        // A new grant may end before all others.
        let stirred = async {
            loop {
                match feed.next().await {
                    Ok(event) if filter.matches(&event) => return,
                    Ok(_) => {}
                    Err(_) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = clock.sleep_until(at) => {}
            () = stirred => {}
        }
    }
}
