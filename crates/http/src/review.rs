//! What is open is decided again while it is: a stream that was let in by a grant ends with it, and one that a new
//! policy forbids ends soon after that was written.

use crate::Site;
use account::Claim;
use kernel::{BoxFuture, ErrorKind, Principal};
use policy::{Action, Context, Policy, Target};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Time passes in conditions and grants without an event.
const EVERY: Duration = Duration::from_secs(1);

/// One decision that let something in.
pub(crate) struct Decided {
    pub policy: Policy,
    pub who: Principal,
    pub action: Action,
    pub targets: Vec<Target>,
    pub context: Context,
}

impl Claim for Decided {
    /// A refusal is told as any other is.
    fn holds(&self) -> BoxFuture<'_, bool> {
        Box::pin(async {
            let asked =
                self.policy.require_on(&self.who, self.action, &self.targets, &self.context);
            match asked.await {
                Ok(()) => true,
                // What cannot be asked just now is not refused.
                Err(error) => !matches!(
                    error.kind(),
                    ErrorKind::Forbidden | ErrorKind::NotFound | ErrorKind::Unauthenticated
                ),
            }
        })
    }
}

/// Until the server stops.
pub(crate) async fn run(site: Arc<Site>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => site.accounts.review().await,
            () = stop.cancelled() => return,
        }
    }
}
