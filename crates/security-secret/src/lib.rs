//! Secrets of projects: set, scoped, renewed, handed to jobs and services, and never shown.
//!
//! What is to be known of a secret is the resource [`Secret`]; its values lie sealed in the engine `secret`. They
//! are written by routes that never answer them, and opened for jobs and services through the port
//! [`kernel::port::Secrets`], or for a person by the one route `reveal`.
//!
//! Invariants:
//! - No resource, event, error or log holds a value, and no answer but that of `reveal` and of whoever a secret is
//!   opened for.
//! - An opening is an event that is durable before the value is given out.
//! - Who may say whom a secret is for may set its value, and nobody else: the resource is not written by the
//!   generic API, or a developer could widen a secret until their own branch gets it.
//! - A resource that is gone takes its values with it.

mod api;
mod cmd;
mod dotenv;
mod error;
mod kind;
mod lease;
mod lend;
mod open;
mod page;
mod plan;
mod set;
mod sync;
mod view;

#[cfg(test)]
mod tests;

pub use cmd::ask_passphrase;
pub use kind::{Generate, Lends, Letters, Secret, SecretStatus};
pub use lend::Lender;
pub use view::{SecretUsed, SecretView};

use part::Part;
use secret::Vault;
use secret::lease::Leases;
use store::{Filter, Store};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const PART_NAME: &str = "security-secret";

pub static PART: Part = Part {
    name: PART_NAME,
    about: ("secrets of projects", "프로젝트의 비밀 값"),
    kinds: kind::KINDS,
    routes: &part::concat::<{ api::ROUTES.len() + page::ROUTES.len() }>(api::ROUTES, page::ROUTES),
    commands: cmd::COMMANDS,
    ..Part::EMPTY
};

/// The opened part. Clones share it.
#[derive(Clone)]
pub struct Secrets {
    pub(crate) vault: Vault,
    pub(crate) leases: Leases,
}

impl Secrets {
    /// Nothing is opened yet: whether the master key is there shows at the first use, or with
    /// [`Secrets::look`].
    pub fn new(vault: Vault) -> Secrets {
        let leases = Leases::new(vault.store().clone(), lend::revokers(&vault));
        Secrets { vault, leases }
    }

    pub(crate) fn store(&self) -> &Store {
        self.vault.store()
    }

    /// Opens the keys if there are values, so that a lost master key is said at the start and not first by a job
    /// at night.
    ///
    /// # Errors
    /// `secret.locked`, with what to do; the store's.
    pub async fn look(&self) -> kernel::Result<()> {
        match self.vault.slots().await?.is_empty() {
            true => Ok(()),
            false => self.vault.ring().await.map(drop),
        }
    }

    /// The loops: leases, what is due, what is left of renewals. Until `stop`.
    pub fn start(&self, stop: CancellationToken) -> JoinHandle<()> {
        let leases = self.leases.start(stop.clone());
        let keeper = sync::Keeper { secrets: self.clone() };
        let options = reconcile::Options::default();
        let keeper = reconcile::spawn(self.store().clone(), keeper, options, stop.clone());
        let ends = |kind: &str| Filter { kind: Some(kind.into()), ..Filter::default() };
        let follow = |name, kind| {
            let store = self.store().clone();
            reconcile::follow_some(store, name, ends(kind), lend::ended, stop.clone())
        };
        let steps = follow("security-secret.steps", "run.step.finished");
        let instances = follow("security-secret.instances", "resource.deleted");
        let sweeping = self.clone().keep_swept(stop.clone());
        let wrapping = self.vault.clone().keep_wrapped(stop);
        tokio::spawn(async move {
            tokio::join!(wrapping, sweeping);
            // Only the runtime's own end cancels them.
            let _ = tokio::join!(steps, instances);
            leases.join().await;
            keeper.join().await;
        })
    }
}
