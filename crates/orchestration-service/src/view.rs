//! Services as people see them, and what people do to them.

use crate::kind::{Condition, InstanceState, Release, Service, ServiceStatus};
use crate::log::{self, LogLine};
use crate::release::{self, KEEP};
use crate::state::{self, ServiceKey, State};
use crate::sync::all_services;
use crate::{Services, error, hand};
use futures_util::Stream;
use kernel::{Error, Id, Kind, Name, Principal, Result, Text, Time};
use serde::{Deserialize, Serialize};
use store::{Put, Tx, View};

/// The whole of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceView {
    pub project: Name,
    pub name: Name,
    pub repository: Option<Name>,
    /// Of a copy: the environment it was made for.
    #[serde(default)]
    pub environment: Option<Name>,
    pub spec: Service,
    pub status: ServiceStatus,
    pub url: Option<String>,
    /// By release and slot.
    pub instances: Vec<InstanceView>,
    /// Those that are kept, newest first.
    pub releases: Vec<ReleaseView>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceView {
    pub name: Option<Name>,
    /// Its id at the host, and the name of its log.
    pub id: String,
    pub release: Name,
    pub slot: u32,
    pub address: Option<String>,
    pub state: InstanceState,
    pub restarts: u32,
    pub started: Time,
    pub since: Time,
    pub reason: Option<Text>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReleaseView {
    pub name: Name,
    pub number: u64,
    pub repository: Name,
    pub commit: String,
    pub change: Option<Name>,
    pub made: Time,
    /// It serves now.
    pub current: bool,
    /// It served before.
    pub previous: bool,
    /// A rollout is bringing it in.
    pub rolling: bool,
    pub config: Service,
}

/// A rollback that has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolledBack {
    pub release: Name,
    pub run: Id,
}

/// A change whose deployment has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployed {
    pub change: Name,
    /// One for each service of the commit.
    pub rollouts: Vec<RolledBack>,
}

/// A service that was deleted, and what becomes of its data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deleted {
    pub service: Name,
    pub data: DataLeft,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataLeft {
    /// It has none.
    None,
    /// It stays, and a service of that name finds it again.
    Kept,
    /// It goes with the last instance.
    Removed,
}

impl Services {
    /// Deletes a service: its instances drain and stop, its releases are forgotten. Its data directory
    /// stays, unless `with_data`; then also what a service left that was deleted before.
    ///
    /// # Errors
    /// `service.unknown`; `service.copy` for a copy, which goes with its environment.
    pub async fn delete(
        &self,
        key: &ServiceKey,
        with_data: bool,
        who: Principal,
    ) -> Result<Deleted> {
        let has = self.yard.volumes().has_production(key).await?;
        let k = key.clone();
        let delete = move |tx: &mut Tx<'_>| {
            // What a service left behind can be removed when the service itself is gone.
            let left = with_data && has;
            let there = tx.resource(&k.resource())?.is_some();
            if !(there || left) {
                return Err(error::unknown_service(&k.service));
            }
            if let Some(environment) = State::load(tx, &k)?.environment {
                return Err(error::copy(&k.service, &environment));
            }
            if with_data && has {
                tx.set_row(state::DISCARD, &k.row(), &())?;
                tx.append(hand::discarded(&k, who.clone()))?;
            }
            if there { tx.delete(&k.resource(), None, who).map(drop) } else { Ok(()) }
        };
        self.yard.store().write(delete).await?;
        self.yard.poke(key);
        let data = match (has, with_data) {
            (false, _) => DataLeft::None,
            (true, false) => DataLeft::Kept,
            (true, true) => DataLeft::Removed,
        };
        Ok(Deleted { service: key.service.clone(), data })
    }

    /// All services of a project, by name.
    pub async fn list(&self, project: &Name) -> Result<Vec<ServiceView>> {
        let project = project.clone();
        let found = self
            .yard
            .store()
            .read(move |v| {
                let keys = all_services(v, Some(&project))?;
                keys.iter().map(|k| stored(v, k)).collect::<Result<Vec<_>>>()
            })
            .await?;
        Ok(found.into_iter().flatten().map(|s| self.view(s)).collect())
    }

    /// # Errors
    /// `service.unknown`.
    pub async fn show(&self, project: &Name, service: &Name) -> Result<ServiceView> {
        let key = ServiceKey::new(project, service);
        let found = self.yard.store().read(move |v| stored(v, &key)).await?;
        Ok(self.view(found.ok_or_else(|| error::unknown_service(service))?))
    }

    /// What is stored, with what is true of its instances right now.
    fn view(&self, stored: Stored) -> ServiceView {
        let Stored { key, spec, mut status, repository, state, releases } = stored;
        let crew = self.yard.crew(&key);
        let mut members = crew.members();
        members.sort_by(|a, b| b.place.number.cmp(&a.place.number).then(a.place.cmp(&b.place)));
        let instances = members
            .iter()
            .map(|m| {
                let seen = m.status();
                InstanceView {
                    name: m.place.instance(),
                    id: m.id().to_owned(),
                    release: m.release.clone(),
                    slot: m.place.slot,
                    address: m.address.map(|a| a.to_string()),
                    state: seen.state,
                    restarts: seen.restarts,
                    started: m.workload.started(),
                    since: seen.since,
                    reason: seen.reason,
                }
            })
            .collect();
        if let Some(current) = &state.current {
            let (ready, condition) = crew.condition(current, state.replicas);
            status.ready = ready;
            status.wanted = state.replicas;
            status.instances = format!("{ready}/{}", state.replicas);
            status.condition = if state.rollout.is_some() { Condition::Rolling } else { condition };
        }
        let url = spec.listens.then(|| self.yard.edge().url(&key.project, &key.service));
        ServiceView {
            project: key.project,
            name: key.service,
            repository,
            environment: state.environment,
            spec,
            status,
            url,
            instances,
            releases,
        }
    }

    /// Rolls an earlier release out: the named one, else what served before the one that serves now.
    ///
    /// # Errors
    /// `service.unknown`, `service.empty`, `rollback.nothing`, `rollback.current`, `release.unknown`.
    pub async fn roll_back(
        &self,
        key: &ServiceKey,
        release: Option<Name>,
        actor: Principal,
    ) -> Result<RolledBack> {
        let crew = self.yard.crew(key);
        let k = key.clone();
        let (release, run) = self
            .yard
            .store()
            .write(move |tx| {
                let old = |number| crate::sync::ready_of_others(&crew, number);
                hand::roll_back(tx, &k, release, actor, old)
            })
            .await?;
        self.yard.poke(key);
        Ok(RolledBack { release, run })
    }

    /// Releases the commit of a change whose pipeline has passed, whatever its branch.
    ///
    /// # Errors
    /// `change.unknown`, `change.running`, `change.failed`; `deploy.nothing` when the commit has no service;
    /// what is wrong with its files.
    pub async fn deploy(&self, project: Name, change: Name, actor: Principal) -> Result<Deployed> {
        let begun = self.intake().deploy(project, change.clone(), actor).await?;
        let rollouts = begun.into_iter().map(|b| RolledBack { release: b.release, run: b.run });
        Ok(Deployed { change, rollouts: rollouts.collect() })
    }

    /// What this machine can enforce.
    pub fn abilities(&self) -> &host::Abilities {
        self.yard.host().abilities()
    }

    /// Sets how many instances are wanted.
    ///
    /// # Errors
    /// `service.unknown`; `service.spec` for too many.
    pub async fn scale(&self, key: &ServiceKey, replicas: u32, actor: Principal) -> Result<()> {
        let k = key.clone();
        self.yard
            .store()
            .write(move |tx| {
                let found = tx.resource(&k.resource())?;
                let found = found.ok_or_else(|| error::unknown_service(&k.service))?;
                let spec = Service { replicas, ..found.spec()? };
                spec.check()?;
                let spec = serde_json::to_value(spec).map_err(Error::internal)?;
                let labels = found.labels;
                tx.put(Put { key: k.resource(), labels, spec, expected: None, actor })
            })
            .await?;
        self.yard.poke(key);
        Ok(())
    }

    /// Replaces all instances by new ones of the same release, as in a rollout.
    ///
    /// # Errors
    /// `service.unknown`, `service.empty`.
    pub async fn restart(&self, key: &ServiceKey, actor: Principal) -> Result<RolledBack> {
        let crew = self.yard.crew(key);
        let old = crate::sync::ready_of_others(&crew, u64::MAX);
        let k = key.clone();
        let (release, run) =
            self.yard.store().write(move |tx| hand::again(tx, &k, actor, old)).await?;
        crew.forgive();
        self.yard.poke(key);
        Ok(RolledBack { release, run })
    }

    /// The last lines of a service's instances together, oldest first. `instance` is a workload's id or
    /// the name of its resource.
    ///
    /// # Errors
    /// `instance.unknown`.
    pub async fn log_tail(
        &self,
        key: &ServiceKey,
        instance: Option<&str>,
        tail: usize,
    ) -> Result<Vec<LogLine>> {
        log::tail(&self.yard, key, instance, tail).await
    }

    /// The same, then what comes, until the follower goes away.
    ///
    /// # Errors
    /// `instance.unknown`.
    pub async fn log_follow(
        &self,
        key: &ServiceKey,
        instance: Option<String>,
        tail: usize,
    ) -> Result<impl Stream<Item = Result<LogLine>> + Send + use<>> {
        log::follow(&self.yard, key, instance, tail).await
    }
}

struct Stored {
    key: ServiceKey,
    spec: Service,
    status: ServiceStatus,
    repository: Option<Name>,
    state: State,
    releases: Vec<ReleaseView>,
}

fn stored(view: &View<'_>, key: &ServiceKey) -> Result<Option<Stored>> {
    let Some(found) = view.resource(&key.resource())? else { return Ok(None) };
    let state = State::load(view, key)?;
    let mut releases = Vec::new();
    for (_, name) in state::kept(view, key, KEEP + 5)? {
        let Some(resource) = view.resource(&key.release(&name))? else { continue };
        let release: Release = resource.spec()?;
        let is = |other: &Option<Name>| other.as_ref() == Some(&name);
        releases.push(ReleaseView {
            number: release.number,
            repository: release.repository,
            commit: release.commit,
            change: release.change,
            made: resource.created,
            current: is(&state.current),
            previous: is(&state.previous),
            rolling: state.rollout.as_ref().is_some_and(|r| r.release == name),
            config: release.config,
            name,
        });
    }
    Ok(Some(Stored {
        key: key.clone(),
        spec: found.spec()?,
        status: found.status::<Service>()?,
        repository: found.labels.get(release::REPOSITORY).and_then(|r| Name::parse(r).ok()),
        state,
        releases,
    }))
}
