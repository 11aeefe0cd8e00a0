//! The opened part.

use crate::kind::Application;
use crate::plan::Refusal;
use account::{Accounts, Signer};
use kernel::port::{Identity, Refused, Witness};
use kernel::{Principal, Result};
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether a signing key is due.
const TURN: Duration = Duration::from_secs(3600);

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
    witness: Option<Arc<dyn Witness>>,
}

impl Sso {
    pub fn new(options: Options) -> Sso {
        let Options { accounts, signer, witness } = options;
        Sso { accounts, signer, witness }
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
        let sso = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = sso.turn_keys() => {}
            }
        })
    }

    async fn turn_keys(&self) {
        let clock = self.store().clock().clone();
        loop {
            clock.sleep_until(clock.now().plus(TURN)).await;
            let turned: Result<()> = self.signer.turn_due().await;
            if let Err(error) = turned {
                tracing::error!(%error, "a signing key could not be made");
            }
        }
    }
}
