//! What has run out is cleared away, an hour apart: links and sessions go, tokens are marked, so that their
//! owners still see them. Nothing depends on it: whatever has run out is refused when it is shown.

use crate::{Accounts, session, token};
use kernel::Result;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(3600);
/// Rows in one transaction.
const PIECE: usize = 500;

impl Accounts {
    /// Runs until `stop`.
    pub fn start(&self, stop: CancellationToken) -> tokio::task::JoinHandle<()> {
        let accounts = self.clone();
        tokio::spawn(async move {
            let work = async {
                loop {
                    if let Err(error) = accounts.sweep().await {
                        tracing::warn!(%error, "what has run out could not be cleared away; it is refused all the same");
                    }
                    let clock = accounts.store().clock();
                    clock.sleep_until(clock.now().plus(EVERY)).await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        })
    }

    /// Clears away what has run out.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep(&self) -> Result<()> {
        for space in [session::LINK, session::SESSION, token::SPACE] {
            let mut after: Option<String> = None;
            loop {
                let from = after.take();
                let work = move |tx: &mut store::Tx<'_>| match space {
                    token::SPACE => token::sweep(tx, from.as_deref(), PIECE),
                    _ => session::sweep(tx, space, from.as_deref(), PIECE),
                };
                after = self.store().write(work).await?;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }
}
