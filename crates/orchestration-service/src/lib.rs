//! Services on this machine: from a passed pipeline to instances that answer.
//!
//! ```text
//! pipeline.finished ─► intake ─► release.made + rollout.started (one transaction)
//!                   ─► run engine: service.start, service.retire … ─► host, edge
//!                   ─► rollout.finished ─► sync keeps the release that serves alive
//! ```
//!
//! Invariants:
//! - A release is never edited: its files are stored by content, its configuration is part of it.
//! - While a rollout runs the instances are its own; in the steady state they are `sync`'s.
//! - The edge hears that an instance will stop before it is drained, and it is drained before its signal.
//! - A rollout that fails leaves the release before it serving.
//! - No restart of naru restarts an instance.

mod actor;
mod api;
mod check;
mod cmd;
mod cmd_delete;
mod copies;
mod crew;
mod env;
mod environment;
mod error;
mod files;
#[doc(hidden)]
pub mod fuzz;
mod hand;
mod hosts;
mod identity;
mod intake;
mod kind;
mod launch;
mod left;
mod log;
mod manifest;
mod measure;
pub mod page;
mod plan;
mod probe;
mod reader;
mod record;
mod release;
mod rollout;
mod sealed;
mod service;
mod state;
mod sweep;
mod sync;
mod tools;
mod view;
mod volume;
mod wait;
mod yard;

pub use env::{Env, SecretRef};
pub use identity::{Audience, IdToken};
pub use kind::{
    Condition, Data, Health, InEnvironments, Instance, InstanceState, InstanceStatus, MAX_REPLICAS,
    Release, ReleaseStatus, Resources, Restart, Service, ServiceStatus, Stop, Strategy,
    StrategyKind,
};
pub use log::LogLine;
pub use measure::{Cores, Length, Share, Size};
pub use state::ServiceKey;
pub use view::{DataLeft, Deleted, Deployed, InstanceView, ReleaseView, RolledBack, ServiceView};

use blob::Blobs;
use host::Host;
use kernel::Result;
use kernel::port::{Edge, Identity, Secrets, Source};
use part::Part;
use policy::Policy;
use reconcile::Handle;
use run::{Actor, Engine};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use store::{Filter, Store};
use tokio_util::sync::CancellationToken;
use tools::Tools;
use yard::Yard;

pub(crate) const PART_NAME: &str = "orchestration-service";
/// The follower of new values of secrets.
const SECRETS: &str = "orchestration-service.secrets";

pub static PART: Part = Part {
    name: PART_NAME,
    about: ("services: releases, rollouts, instances", "서비스: 릴리스, 롤아웃, 인스턴스"),
    kinds: kind::KINDS,
    routes: &part::concat::<{ api::ROUTES.len() + page::ROUTES.len() }>(api::ROUTES, page::ROUTES),
    commands: cmd::COMMANDS,
    ..Part::EMPTY
};

pub struct Options {
    pub store: Store,
    pub blobs: Blobs,
    pub host: Host,
    pub source: Arc<dyn Source>,
    pub edge: Arc<dyn Edge>,
    /// Who keeps the secrets that services name; without it one that does is not started.
    pub secrets: Option<Arc<dyn Secrets>>,
    /// Who signs what instances are; without it one that asks for that is not started.
    pub identity: Option<Arc<dyn Identity>>,
    /// What may hold a release back; `None` when nobody is asked.
    pub policy: Option<Policy>,
    /// The data directory: `releases/` and `instances/` are made in it.
    pub dir: PathBuf,
    pub limits: Limits,
}

/// Limits of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all files of a commit.
    pub release_bytes: u64,
    pub release_files: u64,
    /// Bytes of log kept of one instance: the latest.
    pub instance_log: u64,
    /// Instances of all environments together.
    pub copies: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            release_bytes: 4 << 30,
            release_files: 200_000,
            instance_log: 256 << 20,
            copies: 100,
        }
    }
}

/// The opened part. Clones share it.
#[derive(Clone)]
pub struct Services {
    yard: Yard,
    source: Arc<dyn Source>,
    limits: Limits,
    open: Arc<Mutex<intake::Open>>,
    policy: Option<Policy>,
}

/// The loops of [`Services::start`].
pub struct Loops {
    releases: Handle<intake::Repository>,
    services: Handle<ServiceKey>,
    environments: Handle<environment::Place>,
    endings: tokio::task::JoinHandle<()>,
    secrets: tokio::task::JoinHandle<()>,
}

impl Loops {
    /// Resolves when all have ended, soon after the stop token.
    pub async fn join(self) {
        self.releases.join().await;
        self.services.join().await;
        self.environments.join().await;
        // Only the runtime's own end cancels it.
        let _ = self.endings.await;
        let _ = self.secrets.await;
    }
}

impl Services {
    /// Attaches to the instances that an earlier server left running and tells the edge of them, before
    /// anything else. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the directories cannot be made or the store does not read.
    pub async fn open(options: Options) -> Result<Services> {
        let Options { store, blobs, host, source, edge, secrets, identity, policy, dir, limits } =
            options;
        let files = files::Files::open(&dir, blobs).await?;
        let volumes = volume::Volumes::open(&dir, limits.release_bytes).await?;
        let means = yard::Means { store, host, edge, secrets, identity };
        let yard = Yard::new(means, (files, volumes), Tools::of_machine(), limits);
        yard.reattach().await?;
        Ok(Services { yard, source, limits, open: Arc::default(), policy })
    }

    pub(crate) fn intake(&self) -> intake::Intake {
        intake::Intake {
            yard: self.yard.clone(),
            source: self.source.clone(),
            limits: self.limits,
            open: self.open.clone(),
            policy: self.policy.clone(),
        }
    }

    /// What performs the steps of rollouts: hand them to the engine.
    pub fn actors(&self) -> Vec<Arc<dyn Actor>> {
        vec![Arc::new(actor::Start(self.yard.clone())), Arc::new(actor::Retire(self.yard.clone()))]
    }

    /// Stops every instance, politely and all at once, and returns when they have gone: for a platform that
    /// leaves and takes its services along. Call it after the loops have ended; the next start finds the
    /// services short of instances and brings them back.
    pub async fn stop_all(&self) {
        let mut leaving = tokio::task::JoinSet::new();
        for member in self.yard.crews().iter().flat_map(|crew| crew.members()) {
            leaving.spawn(async move { member.workload.stop().await });
        }
        leaving.join_all().await;
    }

    /// Starts the loops; they end with `stop`. Instances live on.
    pub fn start(&self, engine: Engine, stop: CancellationToken) -> Loops {
        let (yard, store) = (self.yard.clone(), self.yard.store().clone());
        let options = reconcile::Options::default();
        let keeper = sync::Keeper { yard: yard.clone(), engine };
        let services = reconcile::spawn(store.clone(), keeper, options, stop.clone());
        yard.wake_by(services.poker());
        let releases = reconcile::spawn(store.clone(), self.intake(), options, stop.clone());
        let places = environment::Places { intake: self.intake() };
        let environments = reconcile::spawn(store.clone(), places, options, stop.clone());
        let filter = Filter { kind: Some("run.finished".into()), ..Filter::default() };
        let endings =
            reconcile::follow_some(store.clone(), PART_NAME, filter, rollout::ended, stop.clone());
        let filter = Filter { kind: Some("secret.set".into()), ..Filter::default() };
        let secrets = reconcile::follow_some(store, SECRETS, filter, sealed::changed, stop.clone());
        let end = yard.stop().clone();
        tokio::spawn(async move {
            stop.cancelled().await;
            end.cancel();
        });
        tokio::spawn(async move {
            tokio::select! {
                () = yard.stop().cancelled() => {}
                () = sweep::keep_swept(&yard) => {}
            }
        });
        Loops { releases, services, environments, endings, secrets }
    }
}

#[cfg(test)]
mod tests;
