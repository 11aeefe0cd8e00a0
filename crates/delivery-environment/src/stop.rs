//! How an environment ends: its stop job first, when it has one, then its services.

use crate::kind::{EnvironmentState, Stopping};
use crate::place::{self, Place};
use crate::{PART_NAME, error};
use kernel::journey::{EnvironmentClosed, EnvironmentDeployed, Fact, Pushed};
use kernel::{Event, Key, Kind, Name, NewEvent, Principal, Result, Text, text};
use serde::{Deserialize, Serialize};
use store::{Tx, View};

/// Which environment waits for the end of a step: [`Waiting`] by `<run>/<step>`.
const WAITING: &str = "delivery-environment.stop";

#[derive(Serialize, Deserialize)]
struct Waiting {
    project: Name,
    name: Name,
}

fn row(run: &str, step: &str) -> String {
    format!("{run}/{step}")
}

/// Whether the stop job is run first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Orderly,
    /// What the stop job would have done is left undone.
    Forced,
}

/// Ends an environment. One that is stopped already stays so.
///
/// # Errors
/// `environment.production`.
pub(crate) fn stop(
    tx: &mut Tx<'_>,
    mut place: Place,
    by: Principal,
    manner: Manner,
    why: Text,
) -> Result<Place> {
    if !place.spec.has_copies() {
        return Err(error::production(&place.name));
    }
    let job =
        place.status.deployment.as_ref().and_then(|d| Some((d.run.clone(), d.on_stop.clone()?)));
    match (place.status.state, manner, job) {
        (EnvironmentState::Stopped, _, _) => Ok(place),
        (EnvironmentState::Stopping, Manner::Orderly, _) => Ok(place),
        (state, Manner::Orderly, Some((run, step))) => {
            let before = place.status.stopping.take();
            let again = state == EnvironmentState::Failed;
            let run = before.map_or(run, |b| b.run);
            let stopping = Stopping { run, step, by: by.clone(), since: tx.now(), again };
            wait_for(tx, &place, &stopping)?;
            place.status.state = EnvironmentState::Stopping;
            place.status.stopping = Some(stopping);
            place.status.reason = Some(why.clone());
            tell(tx, &place, by, &why)?;
            place.save(tx)?;
            Ok(place)
        }
        _ => close(tx, place, by, why),
    }
}

/// Remembers whose end the end of this step is.
pub(crate) fn wait_for(tx: &mut Tx<'_>, place: &Place, stopping: &Stopping) -> Result<()> {
    let waiting = Waiting { project: place.project.clone(), name: place.name.clone() };
    tx.set_row(WAITING, &row(&stopping.run, &stopping.step), &waiting)
}

pub(crate) fn forget(tx: &mut Tx<'_>, stopping: &Stopping) -> Result<()> {
    tx.delete_row(WAITING, &row(&stopping.run, &stopping.step)).map(drop)
}

fn tell(tx: &mut Tx<'_>, place: &Place, by: Principal, why: &Text) -> Result<()> {
    let title = &place.spec.title;
    let say = Text::new(
        format!("{title} is being stopped: {}", why.en),
        format!("{title} 환경을 정지하는 중: {}", why.ko),
    );
    let change = place.status.deployment.as_ref().and_then(|d| d.change.clone());
    let event = NewEvent::new("environment.stopping", by, say).subject(place.key()).change(change);
    tx.append(event).map(drop)
}

/// The environment is over: its services go.
pub(crate) fn close(tx: &mut Tx<'_>, mut place: Place, by: Principal, why: Text) -> Result<Place> {
    if let Some(stopping) = place.status.stopping.take() {
        forget(tx, &stopping)?;
    }
    place.status.state = EnvironmentState::Stopped;
    place.status.stops_at = None;
    place.status.services.clear();
    place.status.url = None;
    let title = &place.spec.title;
    let say =
        Text::new(format!("{title} stopped: {}", why.en), format!("{title} 환경 정지: {}", why.ko));
    place.status.reason = Some(why);
    if place.spec.has_copies() {
        let change = place.status.deployment.as_ref().and_then(|d| d.change.clone());
        let fact = EnvironmentClosed { environment: place.name.clone() };
        tx.append(fact.event(by, say)?.subject(place.key()).change(change))?;
    }
    place.save(tx)?;
    Ok(place)
}

/// What had copies has become production: they go, and it stays.
pub(crate) fn withdraw(tx: &mut Tx<'_>, place: &Place, by: Principal) -> Result<()> {
    let title = &place.spec.title;
    let say = text!("{title} is production now", "{title}이(가) 운영 환경이 됨");
    let fact = EnvironmentClosed { environment: place.name.clone() };
    tx.append(fact.event(by, say)?.subject(place.key())).map(drop)
}

/// The stop job did not do it: services stay, and somebody has to look.
pub(crate) fn fail(tx: &mut Tx<'_>, mut place: Place, why: Text) -> Result<()> {
    if let Some(stopping) = &place.status.stopping {
        forget(tx, stopping)?;
    }
    place.status.state = EnvironmentState::Failed;
    let title = &place.spec.title;
    let say = Text::new(
        format!("{title} could not be stopped: {}", why.en),
        format!("{title} 환경을 정지하지 못함: {}", why.ko),
    );
    place.status.reason = Some(why);
    let change = place.status.deployment.as_ref().and_then(|d| d.change.clone());
    let event = NewEvent::new("environment.stop.failed", Principal::part(PART_NAME), say)
        .subject(place.key())
        .change(change);
    tx.append(event)?;
    place.save(tx)
}

/// A job with `action: stop` has passed, whoever started it.
pub(crate) fn stopped_by_job(
    event: &Event,
    tx: &mut Tx<'_>,
    project: &Name,
    fact: &EnvironmentDeployed,
) -> Result<()> {
    let (_, found) = place::find(tx, project, &fact.repository, &fact.name)?;
    let Some(place) = found.filter(Place::open) else { return Ok(()) };
    let step = &fact.step;
    let why = text!("{step} passed", "{step} 작업 통과");
    close(tx, place, event.fact.actor.clone(), why).map(drop)
}

/// What the run engine says of the end of a step.
#[derive(Deserialize)]
struct Finished {
    run: String,
    step: String,
    verdict: String,
    reason: Option<Text>,
}

/// A step has ended. If an environment waits for it, this is what that means.
pub(crate) fn step_finished(event: &Event, tx: &mut Tx<'_>) -> Result<()> {
    let Ok(step) = Finished::deserialize(&event.fact.data) else { return Ok(()) };
    let waiting: Option<Waiting> = tx.row(WAITING, &row(&step.run, &step.step))?;
    let Some(Waiting { project, name }) = waiting else { return Ok(()) };
    let Some(place) = Place::load(tx, &project, &name)? else { return Ok(()) };
    settle(tx, place, &step.verdict, step.reason)
}

/// The stop job has ended so.
pub(crate) fn settle(
    tx: &mut Tx<'_>,
    place: Place,
    verdict: &str,
    reason: Option<Text>,
) -> Result<()> {
    let Some(stopping) = place.status.stopping.clone() else { return Ok(()) };
    let step = &stopping.step;
    // A manual job's failure is allowed unless somebody says otherwise: its work is left undone all the same.
    if verdict == "passed" {
        let why = text!("{step} passed", "{step} 작업 통과");
        return close(tx, place, stopping.by, why).map(drop);
    }
    let why = reason.unwrap_or_else(|| text!("it ended as {verdict}", "{verdict} 상태로 끝남"));
    let why = Text::new(format!("{step}: {}", why.en), format!("{step}: {}", why.ko));
    fail(tx, place, why)
}

/// A branch is gone, and with it what was deployed from it.
pub(crate) fn branch_deleted(event: &Event, tx: &mut Tx<'_>, project: &Name) -> Result<()> {
    let Some(pushed) = Pushed::of(event).filter(|p| p.after.is_none()) else { return Ok(()) };
    let refname = &pushed.refname;
    for place in place::all(tx, Some(project))? {
        let from_it = place.spec.repository == pushed.repository
            && place.status.deployment.as_ref().is_some_and(|d| d.refname == *refname);
        if from_it && place.spec.has_copies() && place.status.state == EnvironmentState::Available {
            let short = refname.strip_prefix("refs/heads/").unwrap_or(refname);
            let why = text!("{short} was deleted", "{short} 삭제됨");
            stop(tx, place, event.fact.actor.clone(), Manner::Orderly, why)?;
        }
    }
    Ok(())
}

/// Whether there still is a project of that name.
pub(crate) fn project_there(view: &View<'_>, project: &Name) -> Result<bool> {
    let key = Key { kind: policy::Project::KIND.into(), project: None, name: project.clone() };
    Ok(view.resource(&key)?.is_some())
}
