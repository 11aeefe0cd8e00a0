//! Looking after services: the world is made to match the release that serves.
//!
//! While a rollout is under way the instances are its own, and this only writes down what is there.

use crate::crew::{Crew, Phase};
use crate::kind::{Instance, Release, Service};
use crate::plan::{Action, next};
use crate::rollout::{self, Order};
use crate::state::{self, ServiceKey, State};
use crate::yard::Yard;
use crate::{PART_NAME, hosts, record, release};
use kernel::journey::Cause;
use kernel::{BoxFuture, Event, Key, Kind, Name, Principal, Resource, Result, Text};
use reconcile::{Next, Reconciler};
use run::Engine;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use store::{Tx, View};

/// Services in one page of a listing.
const PAGE: usize = 500;

pub(crate) struct Keeper {
    pub yard: Yard,
    pub engine: Engine,
}

/// What the store says of a service.
pub(crate) struct Look {
    /// Whether its project is there.
    project: bool,
    pub resource: Option<Resource>,
    pub state: State,
    /// The release that serves.
    pub release: Option<(Name, Release)>,
    /// Instances as written down.
    pub written: Vec<Resource>,
    /// Whoever deleted it wants its data gone, too.
    discard: bool,
}

impl Reconciler for Keeper {
    type Key = ServiceKey;

    fn name(&self) -> &'static str {
        "service"
    }

    fn keys(&self, event: &Event) -> Vec<ServiceKey> {
        let fact = &event.fact;
        let written = ["resource.created", "resource.updated", "resource.deleted"];
        let touches = written.contains(&fact.kind.as_str())
            || matches!(fact.kind.as_str(), "rollout.started" | "rollout.finished");
        match &fact.subject {
            Some(Key { kind, project: Some(project), name })
                if touches && kind == Service::KIND =>
            {
                vec![ServiceKey::new(project, name)]
            }
            Some(Key { kind, project: None, name })
                if fact.kind == "resource.deleted" && kind == policy::Project::KIND =>
            {
                let crews = self.yard.crews().into_iter().map(|c| c.key.clone());
                crews.filter(|key| key.project == *name).collect()
            }
            _ => Vec::new(),
        }
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<ServiceKey>>> {
        Box::pin(async {
            let mut all: BTreeSet<ServiceKey> =
                self.yard.store().read(|v| all_services(v, None)).await?.into_iter().collect();
            all.extend(self.yard.store().read(all_states).await?);
            all.extend(self.yard.crews().iter().map(|c| c.key.clone()));
            Ok(all.into_iter().collect())
        })
    }

    fn sync<'a>(&'a self, key: &'a ServiceKey) -> BoxFuture<'a, Result<Next>> {
        Box::pin(self.look_after(key))
    }
}

/// Every service of a project, or of all.
pub(crate) fn all_services(view: &View<'_>, project: Option<&Name>) -> Result<Vec<ServiceKey>> {
    let mut keys: Vec<ServiceKey> = Vec::new();
    let mut after: Option<Key> = None;
    loop {
        let page = view.resources(Service::KIND, project, after.as_ref(), PAGE)?;
        let last = page.len() < PAGE;
        after = page.last().map(|r| r.key.clone());
        keys.extend(
            page.into_iter()
                .filter_map(|r| Some(ServiceKey { project: r.key.project?, service: r.key.name })),
        );
        if last {
            return Ok(keys);
        }
    }
}

/// Services of which something is remembered, whether they are still there or not.
fn all_states(view: &View<'_>) -> Result<Vec<ServiceKey>> {
    let mut rows = view.rows::<serde::de::IgnoredAny>(state::STATE, "", None, usize::MAX >> 1)?;
    // Also those of which only data is left, and that is to go.
    rows.extend(view.rows(state::DISCARD, "", None, usize::MAX >> 1)?);
    let key = |row: &str| {
        let (project, service) = row.split_once('/')?;
        Some(ServiceKey::new(&Name::parse(project).ok()?, &Name::parse(service).ok()?))
    };
    Ok(rows.iter().filter_map(|(row, _)| key(row)).collect())
}

fn look(view: &View<'_>, key: &ServiceKey) -> Result<Look> {
    let resource = view.resource(&key.resource())?;
    let state = State::load(view, key)?;
    let release = match &state.current {
        Some(name) => state::release(view, key, name)?.map(|r| (name.clone(), r)),
        None => None,
    };
    let written = written(view, key)?;
    let project = view.resource(&Key::global::<policy::Project>(&key.project))?.is_some();
    let discard = view.row::<()>(state::DISCARD, &key.row())?.is_some();
    Ok(Look { project, resource, state, release, written, discard })
}

/// Their names begin with the service's, and so lie together.
fn written(view: &View<'_>, key: &ServiceKey) -> Result<Vec<Resource>> {
    let mut found = Vec::new();
    let mut after = Key::of::<Instance>(&key.project, &key.service);
    loop {
        let page = view.resources(Instance::KIND, Some(&key.project), Some(&after), 200)?;
        let Some(last) = page.last().map(|r| r.key.clone()) else { return Ok(found) };
        let prefix = format!("{}-", key.service);
        let past = !last.name.as_str().starts_with(&prefix);
        for resource in page {
            let ours = resource.key.name.as_str().starts_with(&prefix)
                && resource.spec::<Instance>()?.service == key.service;
            if ours {
                found.push(resource);
            }
        }
        if past {
            return Ok(found);
        }
        after = last;
    }
}

impl Keeper {
    async fn look_after(&self, key: &ServiceKey) -> Result<Next> {
        let crew = self.yard.crew(key);
        let _helm = crew.helm.lock().await;
        let k = key.clone();
        let look = self.yard.store().read(move |v| look(v, &k)).await?;
        let canceled = self.cancel_overtaken(&look.state).await;
        let Some(resource) = &look.resource else { return self.remove(&crew, &look).await };
        if look.discard {
            // Made again before it was gone: what it finds is its own.
            let row = key.row();
            let keep = move |tx: &mut Tx<'_>| tx.delete_row(state::DISCARD, &row).map(drop);
            self.yard.store().write(keep).await?;
        }
        if !look.project {
            // A project takes its services with it. The deletion brings us back.
            let (key, actor) = (key.resource(), Principal::part(PART_NAME));
            self.yard.store().write(move |tx| tx.delete(&key, None, actor)).await?;
            return Ok(Next::Done);
        }
        let mut next = Next::Done;
        if look.state.rollout.is_none() {
            if look.state.generation != resource.generation && self.edited(&crew, resource).await? {
                // Its own events bring us back.
                return Ok(Next::Done);
            }
            next = self.steady(&crew, &look).await?;
        }
        if let Some((_, release)) = &look.release {
            crew.set_hosts(&release.config.hosts);
        } else {
            crew.set_hosts(&[]);
        }
        record::write_down(&self.yard, &crew, &look).await?;
        canceled.map(|()| next)
    }

    /// A newer rollout came: the older ones end. Their being over is written when their runs are.
    async fn cancel_overtaken(&self, state: &State) -> Result<()> {
        let newer = state.rollout.as_ref().map(|r| r.release.to_string()).unwrap_or_default();
        for old in &state.overtaken {
            let reason = kernel::text!("{newer} overtook it", "{newer} 릴리스가 앞질렀습니다");
            self.cancel(&old.run, reason).await?;
        }
        Ok(())
    }

    /// One that has ended already is fine.
    async fn cancel(&self, run: &kernel::Id, reason: Text) -> Result<()> {
        match self.engine.cancel(run, Principal::part(PART_NAME), reason).await {
            Err(error) if error.code() != "run.finished" => Err(error),
            _ => Ok(()),
        }
    }

    /// The release that serves has its instances, and nothing else runs.
    async fn steady(&self, crew: &Arc<Crew>, look: &Look) -> Result<Next> {
        for member in crew.members() {
            let broken = matches!(member.phase(), Phase::Late(_) | Phase::Unready(_));
            let serves = look.release.as_ref().is_some_and(|(name, _)| *name == member.release);
            let ended = matches!(member.phase(), Phase::Ended(_));
            if !member.leaving() && (broken || (ended && !serves)) {
                drop(self.yard.retire(crew, &member));
            }
        }
        let Some((name, release)) = &look.release else {
            for member in crew.members() {
                drop(self.yard.retire(crew, &member));
            }
            return Ok(Next::Done);
        };
        let want = rollout::want(&release.config, look.state.replicas);
        let now = self.yard.store().now();
        let mut wait: Option<Duration> = None;
        for action in next(want, &crew.seen(release.number)) {
            match action {
                Action::Stop(id) => {
                    if let Some(member) = crew.member(&id) {
                        drop(self.yard.retire(crew, &member));
                    }
                }
                Action::Start(slot) => {
                    let due = crew.trouble_of(release.number, slot).not_before;
                    if due > now {
                        wait = Some(wait.map_or(due.since(now), |w| w.min(due.since(now))));
                    } else {
                        self.yard.launch(crew, name, release, slot).await?;
                    }
                }
            }
        }
        Ok(wait.map_or(Next::Done, Next::After))
    }

    /// Somebody wrote the spec. Scaling changes what is wanted of the release that serves; anything else
    /// is a new release of the same files. Whether a rollout began.
    async fn edited(&self, crew: &Crew, resource: &Resource) -> Result<bool> {
        let key = crew.key.clone();
        let old = ready_of_others(crew, u64::MAX);
        let wanted: Service = resource.spec()?;
        let generation = resource.generation;
        let began = self
            .yard
            .store()
            .write(move |tx| take_up_edit(tx, &key, generation, wanted, old))
            .await?;
        crew.forgive();
        self.yard.poke(&crew.key);
        Ok(began)
    }

    /// The service was deleted: its instances drain and stop, then nothing is left of it.
    async fn remove(&self, crew: &Arc<Crew>, look: &Look) -> Result<Next> {
        if let Some(rollout) = &look.state.rollout {
            let reason = Text::fixed("the service was deleted", "서비스가 삭제되었습니다");
            self.cancel(&rollout.run, reason).await?;
            // Comes back when the rollout has ended.
            return Ok(Next::After(Duration::from_secs(1)));
        }
        crew.withdraw();
        for member in crew.members() {
            drop(self.yard.retire(crew, &member));
        }
        if !crew.members().is_empty() {
            return Ok(Next::Done);
        }
        if look.state == State::default() && look.written.is_empty() && !look.discard {
            return Ok(Next::Done);
        }
        let key = crew.key.clone();
        if look.discard {
            self.yard.volumes().drop_production(&key).await?;
        }
        // Before its state: after a crash in between, this comes again.
        if look.state.environment.is_some() {
            self.yard.volumes().drop_copy(&key).await?;
        }
        let forget = move |tx: &mut Tx<'_>| {
            tx.delete_row(state::DISCARD, &key.row())?;
            release::forget_service(tx, &key)
        };
        self.yard.store().write(forget).await?;
        Ok(Next::Done)
    }
}

/// Ready instances of other releases than the one numbered so.
pub(crate) fn ready_of_others(crew: &Crew, number: u64) -> u32 {
    crew.members().iter().filter(|m| m.ready() && m.place.number != number).count() as u32
}

fn take_up_edit(
    tx: &mut Tx<'_>,
    key: &ServiceKey,
    generation: u64,
    wanted: Service,
    old: u32,
) -> Result<bool> {
    let mut state = State::load(tx, key)?;
    if state.rollout.is_some() || state.generation == generation {
        return Ok(false);
    }
    let current = match &state.current {
        Some(name) => state::release(tx, key, name)?,
        None => None,
    };
    let changed = state.spec.as_ref().is_some_and(|seen| wanted.needs_release(seen));
    state.generation = generation;
    state.replicas = wanted.replicas;
    let Some(current) = current.filter(|_| changed) else {
        state.spec = Some(wanted);
        state.save(tx, key)?;
        return Ok(false);
    };
    if let Err(refused) = hosts::check(tx, key, &wanted) {
        // What was written cannot be taken back; the service goes on as it was, and says so.
        state.failure = Some(refused.sentence());
        state.save(tx, key)?;
        return Ok(false);
    }
    state.spec = Some(wanted.clone());
    let replicas = wanted.replicas;
    let next = Release { config: wanted, ..current };
    let (name, next) = release::put_release(tx, key, &mut state, next)?;
    let actor = editor(tx, key)?;
    let order =
        Order { key, name: &name, release: &next, cause: Cause::Config, actor, replicas, old };
    rollout::begin(tx, &mut state, order)?;
    state.save(tx, key)?;
    release::prune(tx, key, &state)?;
    Ok(true)
}

/// Who wrote the spec last.
fn editor(tx: &Tx<'_>, key: &ServiceKey) -> Result<Principal> {
    let filter = store::Filter {
        subject: Some(key.resource()),
        kind: Some("resource.updated".into()),
        ..store::Filter::default()
    };
    let last = tx.events_back(u64::MAX, 1, &filter)?;
    Ok(last.into_iter().next().map_or_else(|| Principal::part(PART_NAME), |e| e.fact.actor))
}
