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
mod cmd;
mod crew;
mod error;
mod files;
mod intake;
mod kind;
mod launch;
mod log;
mod manifest;
mod measure;
pub mod page;
mod plan;
mod probe;
mod release;
mod rollout;
mod state;
mod sync;
mod tools;
mod view;
mod yard;

pub use kind::{
    Condition, Health, Instance, InstanceState, InstanceStatus, MAX_REPLICAS, Release,
    ReleaseStatus, Resources, Restart, Service, ServiceStatus, Stop, Strategy, StrategyKind,
};
pub use log::LogLine;
pub use measure::{Cores, Length, Share, Size};
pub use state::ServiceKey;
pub use view::{InstanceView, ReleaseView, RolledBack, ServiceView};

use blob::Blobs;
use host::Host;
use kernel::port::{Edge, Source};
use kernel::{Key, Kind, Result};
use part::Part;
use reconcile::Handle;
use run::{Actor, Engine};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Filter, Store, View};
use tokio_util::sync::CancellationToken;
use tools::Tools;
use yard::Yard;

pub(crate) const PART_NAME: &str = "orchestration-service";

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
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { release_bytes: 4 << 30, release_files: 200_000 }
    }
}

/// The opened part. Clones share it.
#[derive(Clone)]
pub struct Services {
    yard: Yard,
    source: Arc<dyn Source>,
    limits: Limits,
    open: Arc<Mutex<intake::Open>>,
}

/// The loops of [`Services::start`].
pub struct Loops {
    releases: Handle<intake::Repository>,
    services: Handle<ServiceKey>,
    endings: tokio::task::JoinHandle<()>,
}

impl Loops {
    /// Resolves when all have ended, soon after the stop token.
    pub async fn join(self) {
        self.releases.join().await;
        self.services.join().await;
        // Only the runtime's own end cancels it.
        let _ = self.endings.await;
    }
}

impl Services {
    /// Attaches to the instances that an earlier server left running and tells the edge of them, before
    /// anything else. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the directories cannot be made or the store does not read.
    pub async fn open(options: Options) -> Result<Services> {
        let Options { store, blobs, host, source, edge, dir, limits } = options;
        let files = files::Files::open(&dir, blobs).await?;
        let yard = Yard::new(store, host, edge, files, Tools::of_machine());
        yard.reattach().await?;
        Ok(Services { yard, source, limits, open: Arc::default() })
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
        let intake = intake::Intake {
            yard: yard.clone(),
            source: self.source.clone(),
            limits: self.limits,
            open: self.open.clone(),
        };
        let releases = reconcile::spawn(store.clone(), intake, options, stop.clone());
        let filter = Filter { kind: Some("run.finished".into()), ..Filter::default() };
        let endings =
            reconcile::follow_some(store, PART_NAME, filter, rollout::ended, stop.clone());
        let end = yard.stop().clone();
        tokio::spawn(async move {
            stop.cancelled().await;
            end.cancel();
        });
        tokio::spawn(async move {
            tokio::select! {
                () = yard.stop().cancelled() => {}
                () = keep_swept(&yard) => {}
            }
        });
        Loops { releases, services, endings }
    }
}

/// Sweeps at the start, and some time after each new release: not while it is on its way.
async fn keep_swept(yard: &Yard) {
    const QUIET: Duration = Duration::from_secs(30);
    loop {
        if let Err(error) = sweep(yard).await {
            tracing::warn!(%error, "old files of releases stay behind");
        }
        yard.broom().notified().await;
        tokio::time::sleep(QUIET).await;
    }
}

/// Removes files of releases that are no longer kept.
async fn sweep(yard: &Yard) -> Result<()> {
    let _still = yard.files().still().await;
    let mut kept = yard.store().read(in_use).await?;
    let mut there = BTreeSet::new();
    for member in yard.crews().iter().flat_map(|c| c.members()) {
        kept.trees.insert(member.tree.clone());
        kept.releases.insert((member.place.key.clone(), member.place.number));
        there.insert(member.id().to_owned());
    }
    let releases = kept.releases;
    let keeps_log = move |id: &str| {
        launch::Place::parse(id).is_none_or(|p| releases.contains(&(p.key, p.number)))
    };
    yard.files().sweep(kept.trees, keeps_log, move |id| there.contains(id)).await
}

#[derive(Default)]
struct InUse {
    trees: BTreeSet<String>,
    releases: BTreeSet<(ServiceKey, u64)>,
}

fn in_use(view: &View<'_>) -> Result<InUse> {
    const PAGE: usize = 500;
    let mut kept = InUse::default();
    let mut after: Option<Key> = None;
    loop {
        let page = view.resources(Release::KIND, None, after.as_ref(), PAGE)?;
        let last = page.len() < PAGE;
        for resource in &page {
            let release: Release = resource.spec()?;
            if let Some(project) = &resource.key.project {
                kept.releases.insert((ServiceKey::new(project, &release.service), release.number));
            }
            kept.trees.insert(release.tree);
        }
        after = page.last().map(|r| r.key.clone());
        if last {
            return Ok(kept);
        }
    }
}

#[cfg(test)]
mod tests;
