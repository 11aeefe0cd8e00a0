//! The engine of a server inside of one process: store, blobs, host, executor. No listener, no users.

use super::elsewhere;
use super::place::Place;
use super::repository::{Names, Repository};
use super::source::Local;
use super::times::Times;
use crate::others::Others;
use crate::variables::Variable;
use crate::{Limits, Options, Pipelines};
use blob::Blobs;
use host::Host;
use kernel::port::Source;
use kernel::{Error, Id, Principal, Result, Text};
use run::{Engine, Run};
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio_util::sync::CancellationToken;

/// Runs that stay, so that the last ones can be looked at, and a failed one entered.
const KEPT: usize = 20;
/// Runs of an earlier life that are ended at the start.
const MAX_LEFT: usize = 200;
/// For those to end.
const CLEAR: Duration = Duration::from_secs(20);

/// How to open it.
pub struct Wants {
    pub jobs: usize,
    /// Given to every job, stronger than what its pipeline says, and never stored.
    pub given: Vec<Variable>,
    /// Who has files of other repositories.
    pub others: Arc<dyn Others>,
}

/// All of it, opened.
pub struct World {
    pub place: Place,
    pub repository: Repository,
    pub names: Names,
    pub store: Store,
    pub blobs: Blobs,
    pub host: Host,
    pub source: Arc<Local>,
    pub pipelines: Pipelines,
    pub engine: Engine,
    stop: CancellationToken,
}

impl World {
    /// # Errors
    /// Whatever a part says: a cache of a newer naru, a full disk.
    pub async fn open(
        place: Place,
        repository: Repository,
        names: Names,
        wants: Wants,
    ) -> Result<World> {
        let dir = place.dir.clone();
        let store = Store::open(&dir.join("naru.db"), store::Options::default())?;
        let blobs = Blobs::open(&dir.join("blobs"), store.clone()).await?;
        let shim = std::env::current_exe().map_err(Error::internal)?;
        let host = Host::open(host::Options {
            dir: dir.join("host"),
            shim: vec![shim.into(), "shim".into()],
            hidden: vec![dir.clone()],
        })
        .await?;
        let source = Arc::new(Local::new(repository.clone(), names.clone()));
        let port: Arc<dyn Source> = source.clone();
        let pipelines = Pipelines::open(Options {
            store: store.clone(),
            blobs: blobs.clone(),
            host: host.clone(),
            source: port,
            policy: policy::Policy::new(&account::Accounts::open(store.clone()).await?),
            remote_hosts: Vec::new(),
            others: Some(wants.others),
            identity: None,
            verdicts: Some(Arc::new(Times::of(&dir))),
            secrets: None,
            dir: dir.join("work"),
            // Nobody listens there; files of pipelines use it to make addresses.
            url: "http://localhost".to_owned(),
            ca_file: None,
            limits: Limits::default(),
            given: wants.given,
            keep_failed: true,
        })
        .await?;
        let mut actors = vec![pipelines.actor()];
        actors.extend(elsewhere::actors(&pipelines.actors()));
        let engine = Engine::open(run::Options {
            store: store.clone(),
            dir: dir.join("runs"),
            slots: wants.jobs,
            actors,
        })
        .await?;
        let stop = CancellationToken::new();
        let world =
            World { place, repository, names, store, blobs, host, source, pipelines, engine, stop };
        world.start().await?;
        Ok(world)
    }

    /// Starts the engine, and ends what a life that was cut off has left.
    async fn start(&self) -> Result<()> {
        let recent = self.engine.list(None, None, None, MAX_LEFT).await?;
        let left: Vec<Id> =
            recent.into_iter().filter(|r| !r.state.is_finished()).map(|r| r.id).collect();
        for workload in self.host.all().iter().filter(|w| w.exit().is_none()) {
            workload.kill().await;
        }
        self.pipelines.start(self.engine.clone(), self.stop.clone());
        self.engine.start();
        for run in &left {
            let reason = Text::fixed("cut off", "중단됨");
            // One that ends by itself meanwhile is as good.
            let _ = self.engine.cancel(run, Principal::part("local"), reason).await;
        }
        let over = async {
            let mut feed = self.store.follow(self.store.head());
            while self.any_open(&left).await? {
                feed.next().await?;
            }
            Ok(())
        };
        match tokio::time::timeout(CLEAR, over).await {
            Ok(outcome) => outcome,
            // It has no slot that this run would need.
            Err(_) => Ok(()),
        }
    }

    async fn any_open(&self, runs: &[Id]) -> Result<bool> {
        for run in runs {
            if !self.engine.show(run).await?.state.is_finished() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// SIGKILL to everything that runs.
    pub async fn kill_all(&self) {
        for workload in self.host.all().iter().filter(|w| w.exit().is_none()) {
            workload.kill().await;
        }
    }

    /// Lets go of old runs, and of the files that nothing needs any more.
    pub async fn tidy(&self) -> Result<()> {
        let all = self.engine.list(None, None, None, MAX_LEFT).await?;
        let old: Vec<&Run> = all.iter().skip(KEPT).filter(|r| r.state.is_finished()).collect();
        for run in &old {
            self.pipelines.forget(&run.id).await?;
            self.engine.forget(&run.id).await?;
        }
        // Each look at all blobs takes a while: not after every run.
        if old.len() >= KEPT / 2 {
            self.blobs.collect().await?;
        }
        Ok(())
    }

    pub async fn close(self) {
        self.stop.cancel();
        self.engine.drain().await;
    }
}
