//! Rollouts that people ask for: an earlier release, or the same one again.

use crate::kind::Service;
use crate::release::{prune, put_release};
use crate::rollout::{self, Order};
use crate::state::{self, ServiceKey, State};
use crate::{error, hosts};
use kernel::journey::Cause;
use kernel::{Error, Id, Name, NewEvent, Principal, Result};
use store::{Put, Tx};

/// Rolls an earlier release out: the named one, else what served before.
///
/// # Errors
/// `service.unknown`, `service.empty`, `rollback.nothing`, `rollback.current`, `release.unknown`,
/// `host.taken`.
pub(crate) fn roll_back(
    tx: &mut Tx<'_>,
    key: &ServiceKey,
    release: Option<Name>,
    actor: Principal,
    old: impl FnOnce(u64) -> u32,
) -> Result<(Name, Id)> {
    let found = tx.resource(&key.resource())?;
    let found = found.ok_or_else(|| error::unknown_service(&key.service))?;
    let mut state = State::load(tx, key)?;
    if state.number == 0 {
        return Err(error::nothing_released(&key.service));
    }
    let target = release.or_else(|| behind(&state));
    let name = target.ok_or_else(|| error::no_earlier(&key.service))?;
    if state.rollout.is_none() && state.current.as_ref() == Some(&name) {
        return Err(error::already_serves(&name));
    }
    let release =
        state::release(tx, key, &name)?.ok_or_else(|| error::unknown_release(name.as_str()))?;
    hosts::check(tx, key, &release.config)?;
    // The spec follows what runs; how many is for people to say.
    let replicas = found.spec::<Service>()?.replicas;
    let config = Service { replicas, ..release.config.clone() };
    let spec = serde_json::to_value(&config).map_err(Error::internal)?;
    let put = Put {
        key: key.resource(),
        labels: found.labels,
        spec,
        expected: None,
        actor: actor.clone(),
    };
    state.generation = tx.put(put)?.generation;
    state.spec = Some(config);
    let old = old(release.number);
    let order =
        Order { key, name: &name, release: &release, cause: Cause::Rollback, actor, replicas, old };
    let run = rollout::begin(tx, &mut state, order)?;
    state.save(tx, key)?;
    Ok((name, run))
}

/// Where back is when nobody says: while a rollout is under way, what serves; else what served before.
fn behind(state: &State) -> Option<Name> {
    if state.rollout.is_some() { state.current.clone() } else { state.previous.clone() }
}

/// The release that serves, made again under a new number: all its instances are replaced.
///
/// # Errors
/// `service.unknown`, `service.empty`.
pub(crate) fn again(
    tx: &mut Tx<'_>,
    key: &ServiceKey,
    actor: Principal,
    old: u32,
) -> Result<(Name, Id)> {
    let found = tx.resource(&key.resource())?;
    let found = found.ok_or_else(|| error::unknown_service(&key.service))?;
    let mut state = State::load(tx, key)?;
    let nothing = || error::nothing_released(&key.service);
    let current = state.current.clone().ok_or_else(nothing)?;
    let current = state::release(tx, key, &current)?.ok_or_else(nothing)?;
    let replicas = found.spec::<Service>()?.replicas;
    let (name, release) = put_release(tx, key, &mut state, current)?;
    let order =
        Order { key, name: &name, release: &release, cause: Cause::Restart, actor, replicas, old };
    let run = rollout::begin(tx, &mut state, order)?;
    state.save(tx, key)?;
    prune(tx, key, &state)?;
    Ok((name, run))
}

/// Somebody wants the data of a service gone with it.
pub(crate) fn discarded(key: &ServiceKey, actor: Principal) -> NewEvent {
    let name = &key.service;
    let say = kernel::text!("data of {name} is removed", "{name}의 데이터를 지움");
    NewEvent::new("service.data.discarded", actor, say)
        .project(&key.project)
        .subject(key.resource())
}
