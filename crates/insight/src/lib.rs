//! The change trace and the key metrics: what became of each change, how long it took, and how a team does.
//!
//! Everything here is a fold over the journal. Nothing is asked of other parts and nobody tags anything:
//! a change is born at the first push of its commit and collects pipeline, release, rollout and outcome by
//! events alone, so the whole projection can be thrown away and made again.
//!
//! Invariants: `change.finished` is written here and nowhere else, in the transaction that moves the
//! projection past the event that ended the change; a metric can always name the events it came from.

mod api;
pub mod cmd;
pub mod dora;
mod fold;
pub mod page;
mod project;
pub mod record;
pub mod trace;

pub use record::{Change, Deployment};

use kernel::port::Edge;
use kernel::{Name, Result};
use part::Part;
use std::sync::Arc;
use store::{Store, View};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Opened state; clones share it.
#[derive(Clone)]
pub struct Insight {
    store: Store,
    edge: Arc<dyn Edge>,
}

impl Insight {
    pub fn new(store: Store, edge: Arc<dyn Edge>) -> Insight {
        Insight { store, edge }
    }

    /// Follows the journal from where it stopped, until `stop`.
    pub fn start(&self, stop: CancellationToken) -> JoinHandle<()> {
        let edge = self.edge.clone();
        let project = move |event: &kernel::Event, tx: &mut store::Tx<'_>| {
            project::project(event, tx, &*edge)
        };
        reconcile::follow(self.store.clone(), "insight", project, stop)
    }

    /// Changes of a project, newest first.
    pub async fn changes(
        &self,
        project: &Name,
        before: Option<String>,
        limit: usize,
    ) -> Result<Vec<(String, Change)>> {
        let project = project.clone();
        self.store.read(move |v| project::list(v, &project, before.as_deref(), limit)).await
    }

    /// # Errors
    /// `change.unknown`.
    pub async fn change(&self, project: &Name, change: &Name) -> Result<Change> {
        let (project, change) = (project.clone(), change.clone());
        self.store
            .read(move |v: &View<'_>| {
                project::get(v, &project, &change)?.ok_or_else(|| {
                    kernel::Error::not_found(
                        "change.unknown",
                        kernel::text!(
                            "there is no change {change} in {project}",
                            "{project}에 {change} 변경이 없습니다"
                        ),
                    )
                })
            })
            .await
    }

    /// The key metrics of each service of a project over the last `days` days.
    pub async fn metrics(&self, project: &Name, days: u32) -> Result<Vec<dora::Metrics>> {
        let project = project.clone();
        let deployments = self.store.read(move |v| project::deployments(v, &project)).await?;
        Ok(dora::metrics(&deployments, self.store.now(), days))
    }
}

#[cfg(test)]
mod tests;

pub static PART: Part = Part {
    name: "insight",
    about: ("the change trace and the key metrics", "변경 추적과 핵심 지표"),
    routes: &part::concat::<{ api::ROUTES.len() + page::ROUTES.len() }>(api::ROUTES, page::ROUTES),
    commands: &[cmd::CHANGE, cmd::METRICS],
    ..Part::EMPTY
};
