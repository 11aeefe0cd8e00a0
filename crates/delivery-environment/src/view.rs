//! Environments as people see them, and what people do to them.

use crate::kind::{
    Deployment, EnvironmentState, EnvironmentStatus, Member, Progress, Site, Stopping,
};
use crate::place::{self, Place};
use crate::stop::{self, Manner};
use crate::{Environments, error, plan, site};
use kernel::journey::{Tier, site_name};
use kernel::port::Edge;
use kernel::{Key, Kind, Name, Principal, Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::View;

/// The whole of an environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentView {
    pub project: Name,
    pub name: Name,
    pub title: String,
    pub repository: Name,
    pub tier: Tier,
    /// It has services of its own; production has not.
    pub copies: bool,
    pub state: EnvironmentState,
    pub url: Option<String>,
    pub deployment: Option<Deployment>,
    pub services: Vec<ServiceAt>,
    pub auto_stop_ms: Option<u64>,
    pub stops_at: Option<Time>,
    pub used: Option<Time>,
    pub stopping: Option<Stopping>,
    pub reason: Option<Text>,
    /// Deployments before, newest first.
    pub history: Vec<Deployment>,
}

/// A service of an environment, and where it is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceAt {
    pub name: Name,
    /// Its resource.
    pub service: Name,
    pub url: Option<String>,
    pub progress: Progress,
    pub reason: Option<Text>,
    /// `healthy`, `degraded`, …: as its owner says right now.
    pub condition: Option<String>,
    /// `1/1`
    pub instances: Option<String>,
}

/// A web site as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteView {
    pub project: Name,
    pub repository: Name,
    pub url: Option<String>,
    pub editions: Vec<EditionView>,
    pub reason: Option<Text>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EditionView {
    pub prefix: String,
    pub url: Option<String>,
    pub commit: String,
    pub run: String,
    pub published: Time,
    pub expires: Option<Time>,
}

/// Where the environment is found: as its job says, else its first service that listens.
pub(crate) fn address(place: &Place, edge: &dyn Edge) -> Option<String> {
    if !place.open() {
        return None;
    }
    let said = place.status.deployment.as_ref().and_then(|d| d.url.clone());
    let first = || place.status.services.iter().find(|m| m.listens);
    said.or_else(|| first().map(|m| edge.url(&place.project, &m.service)))
}

impl Environments {
    /// Those that are open first, then by title.
    pub async fn list(&self, project: &Name) -> Result<Vec<EnvironmentView>> {
        let p = project.clone();
        let read = move |v: &View<'_>| {
            let places = place::all(v, Some(&p))?;
            places.into_iter().map(|place| look(v, place)).collect::<Result<Vec<_>>>()
        };
        let found = self.options.store.read(read).await?;
        let mut views: Vec<EnvironmentView> = found.into_iter().map(|l| self.view(l)).collect();
        let over = |v: &EnvironmentView| v.state == EnvironmentState::Stopped;
        views.sort_by(|a, b| {
            let last = |v: &EnvironmentView| v.deployment.as_ref().map(|d| d.at);
            over(a).cmp(&over(b)).then(a.copies.cmp(&b.copies)).then(last(b).cmp(&last(a)))
        });
        Ok(views)
    }

    /// # Errors
    /// `environment.unknown`.
    pub async fn show(&self, project: &Name, name: &Name) -> Result<EnvironmentView> {
        let (p, n) = (project.clone(), name.clone());
        let read =
            move |v: &View<'_>| Place::load(v, &p, &n)?.map(|place| look(v, place)).transpose();
        let found = self.options.store.read(read).await?;
        found.map(|l| self.view(l)).ok_or_else(|| error::unknown(name))
    }

    fn view(&self, look: Look) -> EnvironmentView {
        let Look { place, conditions } = look;
        let edge = self.options.edge.as_ref();
        let url = address(&place, edge);
        let EnvironmentStatus {
            state,
            deployment,
            services,
            stops_at,
            used,
            stopping,
            reason,
            history,
            ..
        } = place.status;
        let last = services.iter().filter_map(|m| edge.last_use(&place.project, &m.service)).max();
        let service = |(m, (condition, instances)): (Member, Seen)| ServiceAt {
            url: m.listens.then(|| edge.url(&place.project, &m.service)),
            name: m.name,
            service: m.service,
            progress: m.progress,
            reason: m.reason,
            condition,
            instances,
        };
        EnvironmentView {
            copies: place.spec.has_copies(),
            title: place.spec.title,
            repository: place.spec.repository,
            tier: place.spec.tier,
            auto_stop_ms: place.spec.auto_stop_ms,
            state,
            url,
            deployment,
            services: services.into_iter().zip(conditions).map(service).collect(),
            stops_at,
            used: last.max(used),
            stopping,
            reason,
            history,
            name: place.name,
            project: place.project,
        }
    }

    /// Stops an environment: its stop job first, when it has one and `force` does not leave it out.
    ///
    /// # Errors
    /// `environment.unknown`, `environment.production`.
    pub async fn stop(
        &self,
        project: &Name,
        name: &Name,
        by: Principal,
        force: bool,
    ) -> Result<EnvironmentView> {
        let (p, n) = (project.clone(), name.clone());
        let manner = if force { Manner::Forced } else { Manner::Orderly };
        let write = move |tx: &mut store::Tx<'_>| {
            let place = Place::load(tx, &p, &n)?.ok_or_else(|| error::unknown(&n))?;
            let why = text!("{by} asked for it", "{by}의 요청");
            stop::stop(tx, place, by, manner, why).map(drop)
        };
        self.options.store.write(write).await?;
        self.show(project, name).await
    }

    /// Lets an environment live longer: `by` from now, or for ever. Without either, for as long as its job
    /// says.
    ///
    /// # Errors
    /// `environment.unknown`, `environment.stopped`, `environment.length`.
    pub async fn extend(&self, project: &Name, name: &Name, by: Extend) -> Result<EnvironmentView> {
        let (p, n) = (project.clone(), name.clone());
        let write = move |tx: &mut store::Tx<'_>| {
            let mut place = Place::load(tx, &p, &n)?.ok_or_else(|| error::unknown(&n))?;
            if place.status.state != EnvironmentState::Available {
                return Err(error::stopped(&n));
            }
            let length = match by {
                Extend::By(length) => Some(length),
                Extend::Again => place.spec.auto_stop(),
                Extend::Forever => None,
            };
            place.status.stops_at = length.map(|l| tx.now().plus(l.min(plan::LONGEST)));
            place.save(tx)
        };
        self.options.store.write(write).await?;
        self.show(project, name).await
    }

    /// Forgets an environment that is stopped, with its history.
    ///
    /// # Errors
    /// `environment.unknown`, `environment.open`.
    pub async fn delete(&self, project: &Name, name: &Name, by: Principal) -> Result<()> {
        let (p, n) = (project.clone(), name.clone());
        let write = move |tx: &mut store::Tx<'_>| {
            let place = Place::load(tx, &p, &n)?.ok_or_else(|| error::unknown(&n))?;
            if place.open() && place.spec.has_copies() {
                return Err(error::open(&n));
            }
            tx.delete(&place.key(), None, by).map(drop)
        };
        self.options.store.write(write).await
    }

    /// The web sites of a project.
    pub async fn sites(&self, project: &Name) -> Result<Vec<SiteView>> {
        let p = project.clone();
        let read = move |v: &View<'_>| v.resources(Site::KIND, Some(&p), None, 500);
        let found = self.options.store.read(read).await?;
        let view = |resource: kernel::Resource| {
            let (spec, status) = (resource.spec::<Site>()?, resource.status::<Site>()?);
            let url = site_name(&spec.repository)
                .filter(|_| status.reason.is_none())
                .map(|name| self.options.edge.url(project, &name));
            let edition = |e: crate::Edition| EditionView {
                url: url.as_ref().map(|url| match e.prefix.is_empty() {
                    true => format!("{url}/"),
                    false => format!("{url}/{}/", web::path(&e.prefix)),
                }),
                prefix: e.prefix,
                commit: e.commit,
                run: e.run,
                published: e.published,
                expires: e.expires,
            };
            Ok(SiteView {
                project: project.clone(),
                repository: spec.repository,
                editions: spec.editions.into_iter().map(edition).collect(),
                url: url.clone(),
                reason: status.reason,
            })
        };
        found.into_iter().map(view).collect()
    }

    /// Takes a web site, or one edition of it, off.
    ///
    /// # Errors
    /// `site.unknown`.
    pub async fn unpublish(
        &self,
        project: &Name,
        repository: &Name,
        prefix: Option<String>,
    ) -> Result<()> {
        let (p, r) = (project.clone(), repository.clone());
        let write = move |tx: &mut store::Tx<'_>| site::unpublish(tx, &p, &r, prefix.as_deref());
        self.options.store.write(write).await
    }
}

/// For how much longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extend {
    By(Duration),
    /// As long as the job says.
    Again,
    Forever,
}

/// Condition and instances of a service.
type Seen = (Option<String>, Option<String>);

struct Look {
    place: Place,
    /// Of each service.
    conditions: Vec<Seen>,
}

fn look(view: &View<'_>, place: Place) -> Result<Look> {
    let mut conditions = Vec::new();
    for member in &place.status.services {
        let key = Key {
            kind: "Service".into(),
            project: Some(place.project.clone()),
            name: member.service.clone(),
        };
        let status = view.resource(&key)?.map(|r| r.status).unwrap_or_default();
        let word = |name: &str| status.get(name).and_then(|w| w.as_str()).map(str::to_owned);
        conditions.push((word("condition"), word("instances")));
    }
    Ok(Look { place, conditions })
}
