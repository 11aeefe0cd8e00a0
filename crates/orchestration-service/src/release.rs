//! Releases in the store: making them, keeping the newest, forgetting the rest.

use crate::kind::{Instance, Release, Service, release_name};
use crate::manifest::Wanted;
use crate::rollout::{self, Order};
use crate::state::{self, SEEN, STATE, ServiceKey, State};
use crate::{PART_NAME, error, hosts, left};
use blob::{refer, release_all};
use kernel::journey::{
    Cause, Fact, PipelineFinished, Pushed, ReleaseMade, ReleaseSkipped, Verdict,
};
use kernel::{Error, Event, Id, Key, Kind, Name, Principal, Resource, Result, Text, text};
use std::collections::BTreeMap;
use store::{Filter, Put, Tx, View};

/// Releases of a service whose files are kept.
pub(crate) const KEEP: usize = 10;
/// The highest release number of services that were deleted: numbers are never given out twice.
const NUMBER: &str = "service.number";
/// The label by which a service knows the repository that it came from.
pub(crate) const REPOSITORY: &str = "naru.dev/repository";
/// The label by which people find the copies of an environment.
pub(crate) const ENVIRONMENT: &str = "environment";

/// A pipeline that passed, with what its commit says and what was made of it.
#[derive(Clone)]
pub(crate) struct Passed {
    pub event: u64,
    pub project: Name,
    pub change: Option<Name>,
    pub fact: PipelineFinished,
    /// Sequence up to which no `pipeline.finished` is open once this one is done.
    pub low: u64,
    /// Who wants it released, when it is not released by itself. Then it may be done again, and instead of
    /// what a newer push brought.
    pub by: Option<Principal>,
    /// The commit has a `Procfile` and no `naru.yaml`.
    pub procfile: bool,
}

impl Passed {
    fn row(&self) -> String {
        format!("{}/{}", self.project, self.fact.repository)
    }

    /// Whether this transaction is the first for this event; if so, it is the last.
    fn once(&self, tx: &mut Tx<'_>) -> Result<bool> {
        if self.by.is_some() {
            return Ok(true);
        }
        let seen: u64 = tx.row(SEEN, &self.row())?.unwrap_or(0);
        if seen >= self.event {
            return Ok(false);
        }
        tx.set_row(SEEN, &self.row(), &self.event)?;
        tx.set_row(SEEN, state::LOW, &self.low)?;
        Ok(true)
    }

    fn actor(&self) -> Principal {
        self.by.clone().unwrap_or_else(|| Principal::part(PART_NAME))
    }

    pub fn append(
        &self,
        tx: &mut Tx<'_>,
        fact: &impl Fact,
        say: Text,
        subject: Option<Key>,
    ) -> Result<()> {
        let event = fact.event(self.actor(), say)?.project(&self.project);
        let event = match subject {
            Some(key) => event.subject(key),
            None => event,
        };
        tx.append(event.change(self.change.clone()))?;
        Ok(())
    }
}

/// Marks the event as seen: there is nothing to say about it.
pub(crate) fn ignore(tx: &mut Tx<'_>, passed: &Passed) -> Result<()> {
    passed.once(tx).map(drop)
}

/// Writes that this pipeline leads to no release, and why.
pub(crate) fn skip(tx: &mut Tx<'_>, passed: &Passed, skipped: Skipped) -> Result<()> {
    if !passed.once(tx)? {
        return Ok(());
    }
    let Skipped { verdict, reason, empty } = skipped;
    if empty {
        left::announce(tx, passed, &[])?;
    }
    let fact = ReleaseSkipped {
        repository: passed.fact.repository.clone(),
        commit: passed.fact.commit.clone(),
        verdict,
        reason: reason.clone(),
    };
    let say = Text::new(
        format!("nothing was released: {}", reason.en),
        format!("릴리스하지 않음: {}", reason.ko),
    );
    passed.append(tx, &fact, say, None)
}

/// Why nothing is released.
pub(crate) struct Skipped {
    pub verdict: Verdict,
    pub reason: Text,
    /// The commit has no service.
    pub empty: bool,
}

/// A rollout that has begun.
pub(crate) struct Begun {
    pub key: ServiceKey,
    pub release: Name,
    pub run: Id,
}

/// What became of it.
pub(crate) enum Made {
    Rollouts(Vec<Begun>),
    Not(Skipped),
}

/// Services, releases, events, references and rollouts: all in this transaction or nothing of it.
///
/// # Errors
/// `service.owned` when a service belongs to another repository, `host.taken` when a host name does to
/// another service.
pub(crate) fn make(
    tx: &mut Tx<'_>,
    passed: &Passed,
    services: Vec<Wanted>,
    tree: &str,
    ready: &BTreeMap<Name, u32>,
) -> Result<Made> {
    let pushed = pushed(tx, passed)?;
    for wanted in &services {
        let key = ServiceKey::new(&passed.project, &wanted.name);
        check_owner(tx, &key, &passed.fact.repository, None)?;
        let newer = newer(tx, &key, &passed.fact.repository, pushed)?;
        if let (Some(newer), None) = (newer, &passed.by) {
            let reason = text!(
                "{newer} is of a newer push; `naru rollback` goes back to an earlier release",
                "{newer}이(가) 더 새로운 푸시의 릴리스입니다. 이전 릴리스로 가려면 `naru rollback`을 쓰세요"
            );
            return Ok(Made::Not(Skipped { verdict: Verdict::Passed, reason, empty: false }));
        }
    }
    let mut same = passed.by.is_none();
    for wanted in &services {
        same = same && serves(tx, passed, wanted, tree)?;
    }
    if same {
        let reason = Text::fixed(
            "just this is released already: the same commit, files and configuration",
            "커밋, 파일, 설정이 모두 같은 릴리스가 이미 있습니다",
        );
        return Ok(Made::Not(Skipped { verdict: Verdict::Passed, reason, empty: false }));
    }
    if !passed.once(tx)? {
        return Ok(Made::Rollouts(Vec::new()));
    }
    let names: Vec<Name> = services.iter().map(|s| s.name.clone()).collect();
    left::announce(tx, passed, &names)?;
    let mut begun = Vec::new();
    for wanted in services {
        let key = ServiceKey::new(&passed.project, &wanted.name);
        let old = ready.get(&wanted.name).copied().unwrap_or(0);
        // Here, where those before it have theirs.
        hosts::check(tx, &key, &wanted.spec)?;
        let siblings = names.iter().map(|n| (n.clone(), n.clone())).collect();
        let place = Place { environment: None, siblings: &siblings };
        begun.push(make_one(tx, passed, key, wanted, Files { tree, pushed, old, place })?);
    }
    Ok(Made::Rollouts(begun))
}

/// Whether the newest release of the service is the very same and serves, or is on its way to.
fn serves(view: &View<'_>, passed: &Passed, wanted: &Wanted, tree: &str) -> Result<bool> {
    let key = ServiceKey::new(&passed.project, &wanted.name);
    let Some((_, name)) = state::kept(view, &key, 1)?.into_iter().next() else { return Ok(false) };
    let Some(release) = state::release(view, &key, &name)? else { return Ok(false) };
    let state = State::load(view, &key)?;
    let there = match &state.rollout {
        Some(rollout) => rollout.release == name,
        None => state.current.as_ref() == Some(&name),
    };
    let found = view.resource(&key.resource())?;
    Ok(there
        && release.repository == passed.fact.repository
        && release.commit == passed.fact.commit
        && release.tree == tree
        && release.config == config(found.as_ref(), wanted)?)
}

/// What the file says, with as many instances as people have asked for where it says nothing of them.
fn config(found: Option<&Resource>, wanted: &Wanted) -> Result<Service> {
    let mut config = wanted.spec.clone();
    if let (Some(found), false) = (found, wanted.replicas_given) {
        config.replicas = found.spec::<Service>()?.replicas;
    }
    Ok(config)
}

pub(crate) struct Files<'a> {
    pub tree: &'a str,
    pub pushed: u64,
    /// Ready instances of other releases.
    pub old: u32,
    pub place: Place<'a>,
}

/// Where services are released to.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Production has none.
    pub environment: Option<&'a Name>,
    /// The commit's services by their names in the file, and what they are called here.
    pub siblings: &'a BTreeMap<Name, Name>,
}

pub(crate) fn make_one(
    tx: &mut Tx<'_>,
    passed: &Passed,
    key: ServiceKey,
    wanted: Wanted,
    files: Files<'_>,
) -> Result<Begun> {
    let mut state = State::load(tx, &key)?;
    state.environment = files.place.environment.cloned();
    let spec = put_service(tx, passed, &key, wanted, &mut state)?;
    let release = Release {
        service: key.service.clone(),
        number: 0,
        repository: passed.fact.repository.clone(),
        commit: passed.fact.commit.clone(),
        change: passed.change.clone(),
        tree: files.tree.to_owned(),
        config: spec.config,
        pushed: files.pushed,
        environment: state.environment.clone(),
        branch: passed.fact.branch.clone(),
        protected: passed.fact.default_branch,
        siblings: files.place.siblings.clone(),
    };
    let (name, release) = put_release(tx, &key, &mut state, release)?;
    tell_made(tx, passed, (&key, &name), &release)?;
    state.generation = spec.generation;
    state.spec = Some(release.config.clone());
    let order = Order {
        key: &key,
        name: &name,
        release: &release,
        cause: Cause::Change,
        actor: passed.actor(),
        replicas: release.config.replicas,
        old: files.old,
    };
    let run = rollout::begin(tx, &mut state, order)?;
    state.save(tx, &key)?;
    prune(tx, &key, &state)?;
    Ok(Begun { key, release: name, run })
}

fn tell_made(
    tx: &mut Tx<'_>,
    passed: &Passed,
    (key, name): (&ServiceKey, &Name),
    release: &Release,
) -> Result<()> {
    let fact = ReleaseMade {
        service: key.service.clone(),
        repository: release.repository.clone(),
        commit: release.commit.clone(),
        release: name.clone(),
        tree: release.tree.clone(),
        services: release.siblings.values().cloned().collect(),
        environment: release.environment.clone(),
    };
    let short = release.commit.get(..8).unwrap_or(&release.commit);
    let say = text!("{name} made of {short}", "{short}(으)로 {name} 릴리스 생성");
    passed.append(tx, &fact, say, Some(key.release(name)))
}

struct Written {
    config: Service,
    generation: u64,
}

fn put_service(
    tx: &mut Tx<'_>,
    passed: &Passed,
    key: &ServiceKey,
    wanted: Wanted,
    state: &mut State,
) -> Result<Written> {
    let found = tx.resource(&key.resource())?;
    let config = config(found.as_ref(), &wanted)?;
    let mut labels = found.map(|f| f.labels).unwrap_or_default();
    // Those of the last file that are not in this one go; those that people gave it stay.
    let given = wanted.labels.keys().cloned().collect();
    for gone in std::mem::replace(&mut state.labels, given) {
        labels.remove(&gone);
    }
    labels.extend(wanted.labels);
    labels.insert(REPOSITORY.into(), passed.fact.repository.to_string());
    if let Some(environment) = &state.environment {
        labels.insert(ENVIRONMENT.into(), environment.to_string());
    }
    let spec = serde_json::to_value(&config).map_err(Error::internal)?;
    let actor = Principal::part(PART_NAME);
    let put = Put { key: key.resource(), labels, spec, expected: None, actor };
    Ok(Written { config, generation: tx.put(put)?.generation })
}

/// Writes the next release of a service and takes references to its files. The caller saves `state`.
pub(crate) fn put_release(
    tx: &mut Tx<'_>,
    key: &ServiceKey,
    state: &mut State,
    release: Release,
) -> Result<(Name, Release)> {
    let earlier: u64 = tx.row(NUMBER, &key.row())?.unwrap_or(0);
    let number = state.number.max(earlier) + 1;
    let name = release_name(&key.service, number)?;
    let release = Release { number, ..release };
    let labels = [
        ("naru.dev/service".to_owned(), key.service.to_string()),
        (REPOSITORY.to_owned(), release.repository.to_string()),
    ];
    let spec = serde_json::to_value(&release).map_err(Error::internal)?;
    tx.put(Put {
        key: key.release(&name),
        labels: labels.into(),
        spec,
        expected: Some(0),
        actor: Principal::part(PART_NAME),
    })?;
    refer(tx, &owner(key, &name), &release.tree)?;
    state::keep(tx, key, number, &name)?;
    state.number = number;
    Ok((name, release))
}

fn owner(key: &ServiceKey, name: &Name) -> String {
    format!("release:{}/{name}", key.project)
}

/// When the commit was pushed last, in the journal; for one that never was, when its pipeline ended.
fn pushed(view: &View<'_>, passed: &Passed) -> Result<u64> {
    let filter = Filter {
        project: Some(passed.project.clone()),
        change: passed.change.clone(),
        kind: Some(Pushed::KIND.into()),
        ..Filter::default()
    };
    if passed.change.is_none() {
        return Ok(passed.event);
    }
    let last = view.events_back(passed.event, 1, &filter)?;
    Ok(last.first().map_or(passed.event, |e: &Event| e.seq))
}

/// A release of the same repository that a later push brought.
fn newer(
    view: &View<'_>,
    key: &ServiceKey,
    repository: &Name,
    pushed: u64,
) -> Result<Option<Name>> {
    let Some((_, name)) = state::kept(view, key, 1)?.into_iter().next() else { return Ok(None) };
    let release = state::release(view, key, &name)?;
    let newer = release.is_some_and(|r| r.repository == *repository && r.pushed > pushed);
    Ok(newer.then_some(name))
}

/// Refuses a service that is another repository's, or that is not of the same place: production never
/// takes a copy over, nor a copy what is production's.
pub(crate) fn check_owner(
    view: &View<'_>,
    key: &ServiceKey,
    repository: &Name,
    environment: Option<&Name>,
) -> Result<()> {
    let Some(found) = view.resource(&key.resource())? else { return Ok(()) };
    let theirs = State::load(view, key)?.environment;
    if theirs.as_ref() != environment {
        return Err(error::elsewhere(&key.service, theirs.as_ref()));
    }
    match found.labels.get(REPOSITORY) {
        Some(other) if other != repository.as_str() => {
            let service = &key.service;
            Err(Error::conflict(
                "service.owned",
                text!(
                    "service {service} belongs to the repository {other}",
                    "{service} 서비스는 {other} 저장소의 것입니다"
                ),
            )
            .hint(text!("choose another name for it", "다른 이름을 고르세요")))
        }
        _ => Ok(()),
    }
}

/// Forgets the releases beyond the newest ten that are not in use.
pub(crate) fn prune(tx: &mut Tx<'_>, key: &ServiceKey, state: &State) -> Result<()> {
    let rollouts = state.rollout.iter().chain(&state.overtaken);
    let mut used: Vec<&Name> =
        rollouts.flat_map(|r| [Some(&r.release), r.previous.as_ref()]).flatten().collect();
    used.extend(state.current.iter().chain(&state.previous));
    for (row, name) in state::kept(tx, key, KEEP + 100)?.into_iter().skip(KEEP) {
        if !used.contains(&&name) {
            forget_release(tx, key, &row, &name)?;
        }
    }
    Ok(())
}

fn forget_release(tx: &mut Tx<'_>, key: &ServiceKey, row: &str, name: &Name) -> Result<()> {
    tx.delete_row(state::KEPT, row)?;
    release_all(tx, &owner(key, name))?;
    if tx.resource(&key.release(name))?.is_some() {
        tx.delete(&key.release(name), None, Principal::part(PART_NAME))?;
    }
    Ok(())
}

/// Nothing is left of a service that was deleted, but its last number. One that has come back meanwhile
/// stays.
pub(crate) fn forget_service(tx: &mut Tx<'_>, key: &ServiceKey) -> Result<()> {
    if tx.resource(&key.resource())?.is_some() {
        return Ok(());
    }
    let state = State::load(tx, key)?;
    for (row, name) in state::kept(tx, key, usize::MAX >> 1)? {
        forget_release(tx, key, &row, &name)?;
    }
    let prefix = format!("{}-", key.service);
    for found in tx.resources(Instance::KIND, Some(&key.project), None, usize::MAX >> 1)? {
        if found.key.name.as_str().starts_with(&prefix)
            && found.spec::<Instance>()?.service == key.service
        {
            tx.delete(&found.key, None, Principal::part(PART_NAME))?;
        }
    }
    let earlier: u64 = tx.row(NUMBER, &key.row())?.unwrap_or(0);
    if state.number > earlier {
        tx.set_row(NUMBER, &key.row(), &state.number)?;
    }
    tx.delete_row(STATE, &key.row())?;
    Ok(())
}
