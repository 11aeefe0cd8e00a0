//! The loop that keeps certificates fresh.

use crate::Authority;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Between looks at the clock, which may jump, and at what is due.
const EVERY: Duration = Duration::from_secs(600);
/// A root that ends sooner than this is spoken of.
const WARN: Duration = Duration::from_secs(365 * 24 * 3600);

impl Authority {
    /// Renews, forgets and reads files again, until `stop`.
    pub fn start(&self, stop: CancellationToken) -> JoinHandle<()> {
        let authority = self.clone();
        tokio::spawn(async move {
            let work = async { tokio::join!(authority.keep_fresh(), authority.follow_files()) };
            tokio::select! {
                _ = work => {}
                () = stop.cancelled() => {}
            }
        })
    }

    async fn keep_fresh(&self) {
        let clock = self.options().store.clock().clone();
        loop {
            match self.renew().await {
                Ok(true) => tracing::info!("this server has a new certificate"),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, "this server's certificate could not be renewed; it will be tried again");
                }
            }
            if let Err(error) = self.tidy().await {
                tracing::warn!(%error, "old certificates could not be forgotten");
            }
            self.warn();
            let soon = clock.now().plus(EVERY);
            let next =
                self.due().filter(|due| *due > clock.now()).map_or(soon, |due| due.min(soon));
            clock.sleep_until(next).await;
        }
    }

    fn warn(&self) {
        let now = self.options().store.now();
        let root = self.roots().ok().and_then(|roots| roots.into_iter().next());
        if let Some(root) = root.filter(|root| root.until.since(now) < WARN) {
            tracing::warn!(until = %root.until, "the internal CA ends soon: `naru ca rotate` makes its successor");
        }
    }

    async fn follow_files(&self) {
        let Some(serves) = self.options().serves.clone() else { return };
        let Some(files) = serves.brought else { return };
        authority::follow(files, serves.shown, self.options().store.clock().clone()).await;
    }
}
