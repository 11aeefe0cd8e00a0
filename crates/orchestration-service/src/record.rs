//! Writing down what is there: the status of a service, and its instances as resources.

use crate::PART_NAME;
use crate::crew::{Crew, Member};
use crate::kind::{Condition, Instance, Service, ServiceStatus};
use crate::state::{ServiceKey, State};
use crate::sync::Look;
use crate::yard::Yard;
use kernel::{Key, Name, Principal, Result};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Put, Tx};

/// Writes status and instances, in one transaction and only when something changed.
pub(crate) async fn write_down(yard: &Yard, crew: &Crew, look: &Look) -> Result<()> {
    let Some(resource) = &look.resource else { return Ok(()) };
    let status = status(yard, crew, look);
    let members = crew.members();
    let instances: BTreeMap<Name, Arc<Member>> =
        members.into_iter().filter_map(|m| Some((m.place.instance()?, m))).collect();
    let same = look.written.len() == instances.len()
        && look.written.iter().all(|r| {
            instances
                .get(&r.key.name)
                .is_some_and(|m| r.status::<Instance>().is_ok_and(|written| written == m.status()))
        });
    if same && resource.status::<Service>().is_ok_and(|written| written == status) {
        return Ok(());
    }
    let gone: Vec<Key> = look
        .written
        .iter()
        .filter(|r| !instances.contains_key(&r.key.name))
        .map(|r| r.key.clone())
        .collect();
    let (key, state) = (crew.key.clone(), look.state.clone());
    yard.store()
        .write(move |tx| {
            // A rollout has begun or ended since: what it wrote is newer, and its event brings us back.
            if State::load(tx, &key)? != state {
                return Ok(());
            }
            write(tx, &key, &status, &instances, &gone)
        })
        .await
}

fn status(yard: &Yard, crew: &Crew, look: &Look) -> ServiceStatus {
    let state = &look.state;
    let wanted = if look.release.is_some() { state.replicas } else { 0 };
    let (ready, condition) = match (&look.release, &state.rollout) {
        (Some((name, _)), None) => crew.condition(name, wanted),
        (Some((name, _)), Some(_)) => (crew.condition(name, wanted).0, Condition::Rolling),
        (None, Some(_)) => (0, Condition::Rolling),
        (None, None) => (0, Condition::Empty),
    };
    let listens = look.release.as_ref().is_some_and(|(_, r)| r.config.listens);
    let url = listens.then(|| yard.edge().url(&crew.key.project, &crew.key.service));
    let trouble = crew.members().iter().find_map(|m| m.status().reason);
    ServiceStatus {
        release: state.current.clone(),
        previous: state.previous.clone(),
        rolling: state.rollout.as_ref().map(|r| r.release.clone()),
        run: state.rollout.as_ref().map(|r| r.run.to_string()),
        generation: state.generation,
        wanted,
        ready,
        instances: format!("{ready}/{wanted}"),
        url,
        condition,
        message: state.failure.clone().or(trouble),
        environment: state.environment.clone(),
    }
}

fn write(
    tx: &mut Tx<'_>,
    key: &ServiceKey,
    status: &ServiceStatus,
    instances: &BTreeMap<Name, Arc<Member>>,
    gone: &[Key],
) -> Result<()> {
    let actor = || Principal::part(PART_NAME);
    if tx.resource(&key.resource())?.is_some() {
        tx.put_status(&key.resource(), status, actor())?;
    }
    for (name, member) in instances {
        let spec = Instance {
            service: key.service.clone(),
            release: member.release.clone(),
            workload: member.id().to_owned(),
            address: member.address.map(|a| a.to_string()),
            started: member.workload.started(),
        };
        let instance = Key::of::<Instance>(&key.project, name);
        let labels = [("naru.dev/service".to_owned(), key.service.to_string())].into();
        let spec = serde_json::to_value(spec).map_err(kernel::Error::internal)?;
        let put = Put { key: instance.clone(), labels, spec, expected: None, actor: actor() };
        tx.put(put)?;
        tx.put_status(&instance, &member.status(), actor())?;
    }
    for key in gone {
        if tx.resource(key)?.is_some() {
            tx.delete(key, None, actor())?;
        }
    }
    Ok(())
}
