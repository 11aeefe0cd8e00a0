//! The opened part.

use crate::guesses::Guesses;
use crate::kind::Application;
use crate::plan::Refusal;
use crate::{client, code, device, end, grant};
use account::{Accounts, Signer};
use kernel::port::{Identity, Refused, Witness};
use kernel::{Principal, Result};
use std::sync::Arc;
use std::time::Duration;
use store::{Store, Tx};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether a signing key is due, and what has run out.
const TIDY: Duration = Duration::from_secs(3600);
/// Rows in one transaction.
const PIECE: usize = 500;

pub struct Options {
    pub accounts: Accounts,
    pub signer: Signer,
    /// Who writes down what is refused.
    pub witness: Option<Arc<dyn Witness>>,
}

/// Clones share it.
#[derive(Clone)]
pub struct Sso {
    pub(crate) accounts: Accounts,
    pub(crate) signer: Signer,
    pub(crate) guesses: Guesses,
    witness: Option<Arc<dyn Witness>>,
}

impl Sso {
    pub fn new(options: Options) -> Sso {
        let Options { accounts, signer, witness } = options;
        Sso { accounts, signer, guesses: Guesses::default(), witness }
    }

    pub(crate) fn store(&self) -> &Store {
        self.accounts.store()
    }

    pub(crate) fn issuer(&self) -> String {
        self.signer.issuer()
    }

    /// Whether somebody may be signed in to an application now.
    pub(crate) fn may(&self, who: &Principal, app: &Application) -> bool {
        let open = app.groups.is_empty();
        self.accounts.is_active(who)
            && (open || app.groups.iter().any(|group| self.accounts.member(who, group)))
    }

    /// Has it written down that something was refused.
    pub(crate) fn refused(&self, who: &Principal, action: &str, refusal: &Refusal) {
        let Some(witness) = &self.witness else { return };
        let application = refusal.application.as_ref();
        witness.refused(Refused {
            who: who.clone(),
            action: action.to_owned(),
            resource: application
                .map_or_else(|| "application".to_owned(), |a| format!("application {a}")),
            project: None,
            code: refusal.code,
            origin: store::origin::current(),
        });
    }

    /// The loops, until `stop`.
    pub fn start(&self, stop: CancellationToken) -> JoinHandle<()> {
        let ends = end::start(self, stop.clone());
        let sso = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = sso.keep_tidy() => {}
                () = sso.clone().tell_all() => {}
            }
            // It hears `stop`, too.
            let _ = ends.await;
        })
    }

    /// Signing keys that are due, and what has run out.
    async fn keep_tidy(&self) {
        let clock = self.store().clock().clone();
        loop {
            if let Err(error) = self.signer.turn_due().await {
                tracing::error!(%error, "a signing key could not be made");
            }
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "what has run out could not be cleared away; it is refused all the same");
            }
            clock.sleep_until(clock.now().plus(TIDY)).await;
        }
    }

    /// Clears away what has run out.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep(&self) -> Result<()> {
        for sweep in [grant::sweep, code::sweep, client::sweep, device::sweep] {
            let mut after: Option<String> = None;
            loop {
                let from = after.take();
                let work = move |tx: &mut Tx<'_>| sweep(tx, from.as_deref(), PIECE);
                after = self.store().write(work).await?;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }
}
