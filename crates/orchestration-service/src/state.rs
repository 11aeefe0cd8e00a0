//! What is remembered of a service between transactions.

use crate::kind::{Release, Service};
use kernel::journey::Cause;
use kernel::{Id, Key, Name, Result, Text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::{Tx, View};

/// [`State`] by `<project>/<service>`.
pub(crate) const STATE: &str = "service.state";
/// Names of the releases that are kept, by `<project>/<service>/<number, ten digits>`.
pub(crate) const KEPT: &str = "service.release";
/// Sequence of the last `pipeline.finished` acted upon, by `<project>/<repository>`; under [`LOW`] the
/// sequence up to which none of any repository is open.
pub(crate) const SEEN: &str = "service.seen";
pub(crate) const LOW: &str = "~";
/// Services whose data goes with them once their last instance is gone: `<project>/<service>`.
pub(crate) const DISCARD: &str = "service.discard";

/// A service of a project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceKey {
    pub project: Name,
    pub service: Name,
}

impl ServiceKey {
    pub fn new(project: &Name, service: &Name) -> ServiceKey {
        ServiceKey { project: project.clone(), service: service.clone() }
    }
    pub(crate) fn row(&self) -> String {
        format!("{}/{}", self.project, self.service)
    }
    pub(crate) fn resource(&self) -> Key {
        Key::of::<Service>(&self.project, &self.service)
    }
    pub(crate) fn release(&self, name: &Name) -> Key {
        Key::of::<Release>(&self.project, name)
    }
}

impl std::fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.project, self.service)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// Number of the newest release.
    pub number: u64,
    /// The release that serves.
    pub current: Option<Name>,
    pub previous: Option<Name>,
    /// Instances wanted of it.
    pub replicas: u32,
    /// Of the spec that was acted upon, and that spec.
    pub generation: u64,
    pub spec: Option<Service>,
    pub rollout: Option<Rollout>,
    /// Rollouts that a newer one overtook and that have not ended yet.
    pub overtaken: Vec<Rollout>,
    /// Keys of the labels that the last `naru.yaml` gave it.
    pub labels: BTreeSet<String>,
    /// Why the last rollout failed, until one passes.
    pub failure: Option<Text>,
    /// Of a copy: the environment it was made for. A label would be for anybody to write.
    pub environment: Option<Name>,
}

/// A rollout under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rollout {
    pub run: Id,
    pub release: Name,
    pub previous: Option<Name>,
    pub cause: Cause,
    pub change: Option<Name>,
}

impl State {
    pub fn load(view: &View<'_>, key: &ServiceKey) -> Result<State> {
        Ok(view.row(STATE, &key.row())?.unwrap_or_default())
    }

    pub fn save(&self, tx: &mut Tx<'_>, key: &ServiceKey) -> Result<()> {
        tx.set_row(STATE, &key.row(), self)
    }
}

/// Remembers a release among those that are kept.
pub(crate) fn keep(tx: &mut Tx<'_>, key: &ServiceKey, number: u64, name: &Name) -> Result<()> {
    tx.set_row(KEPT, &kept_row(key, number), name)
}

pub(crate) fn kept_row(key: &ServiceKey, number: u64) -> String {
    format!("{}/{number:010}", key.row())
}

/// The releases that are kept, newest first.
pub(crate) fn kept(view: &View<'_>, key: &ServiceKey, limit: usize) -> Result<Vec<(String, Name)>> {
    view.rows_back(KEPT, &format!("{}/", key.row()), None, limit)
}

/// The release of that name, if it is this service's.
pub(crate) fn release(view: &View<'_>, key: &ServiceKey, name: &Name) -> Result<Option<Release>> {
    let Some(found) = view.resource(&key.release(name))? else { return Ok(None) };
    let release: Release = found.spec()?;
    Ok((release.service == key.service).then_some(release))
}
