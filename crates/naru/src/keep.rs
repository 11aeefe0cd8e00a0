//! What is thrown away, and when: runs that nobody will look at again, and blobs that nothing refers to.

use blob::Blobs;
use delivery_pipeline::Pipelines;
use kernel::{Id, Name, Result, Time};
use run::{Engine, Run};
use std::time::Duration;
use store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(3600);
/// After a start, so that it does not meet the work that waited for it.
const FIRST: Duration = Duration::from_secs(60);
/// Runs of each project that stay, however old.
const NEWEST: usize = 200;
const PAGE: usize = 200;

/// What the loop needs.
pub struct Keeper {
    pub store: Store,
    pub engine: Engine,
    pub pipelines: Pipelines,
    pub blobs: Blobs,
    /// Finished runs older than this go, but for the newest of each project.
    pub runs: Duration,
}

impl Keeper {
    pub fn start(self, stop: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(async move {
            let mut pause = FIRST;
            loop {
                let wake = self.store.clock().sleep_until(self.store.now().plus(pause));
                tokio::select! {
                    () = wake => {}
                    () = stop.cancelled() => return,
                }
                pause = EVERY;
                if let Err(error) = self.sweep().await {
                    // The next round tries again; nothing depends on this one.
                    tracing::warn!(%error, "the sweep was cut short");
                }
            }
        })
    }

    async fn sweep(&self) -> Result<()> {
        for project in self.store.read(|v| v.resources("Project", None, None, 10_000)).await? {
            self.sweep_project(&project.key.name).await?;
        }
        self.blobs.collect().await?;
        Ok(())
    }

    async fn sweep_project(&self, project: &Name) -> Result<()> {
        let oldest = Time(
            self.store
                .now()
                .0
                .saturating_sub(i64::try_from(self.runs.as_millis()).unwrap_or(i64::MAX)),
        );
        let newest = self.engine.list(Some(project), None, None, NEWEST).await?;
        let mut before = newest.last().map(|r| r.id.clone());
        while let Some(from) = before {
            let page = self.engine.list(Some(project), None, Some(&from), PAGE).await?;
            before = page.last().map(|r| r.id.clone());
            for id in past(&page, oldest) {
                self.pipelines.forget(&id).await?;
                self.engine.forget(&id).await?;
            }
        }
        Ok(())
    }
}

fn past(runs: &[Run], oldest: Time) -> Vec<Id> {
    let gone = |r: &&Run| r.finished.is_some_and(|at| at < oldest);
    runs.iter().filter(gone).map(|r| r.id.clone()).collect()
}
