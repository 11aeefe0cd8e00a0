//! A job with an environment has passed: the environment opens, or is deployed to again.

use crate::kind::{Deployment, Environment, EnvironmentState, HISTORY, Member, Progress};
use crate::place::{self, Place};
use crate::{Limits, PART_NAME, plan, stop};
use kernel::journey::{
    EnvironmentDeployed, EnvironmentOpened, EnvironmentReleased, Fact, PipelineFinished, Pushed,
    ReleaseSkipped, RolloutFinished, Verdict,
};
use kernel::{Event, Key, Name, NewEvent, Principal, Result, Text, Time, text};
use std::time::Duration;
use store::{Filter, Tx, View};

/// The kind of the resource that services are; another part's.
const SERVICE: &str = "Service";
/// The label by which a service knows its repository.
const REPOSITORY: &str = "naru.dev/repository";
/// Stopped environments that a project remembers.
const STOPPED: usize = 200;
/// Pushes looked through for the end of a branch.
const PUSHES: usize = 200;

/// Takes a deployment up, or says why not: then nothing was made.
pub(crate) fn deployed(
    event: &Event,
    tx: &mut Tx<'_>,
    project: &Name,
    fact: EnvironmentDeployed,
    limits: Limits,
) -> Result<()> {
    if let Some(why) = refusal(tx, project, &fact, limits)? {
        return refuse(event, tx, project, &fact, why);
    }
    let (name, found) = place::find(tx, project, &fact.repository, &fact.name)?;
    if found.is_none() {
        forget_oldest(tx, project)?;
    }
    let had_copies = found.as_ref().is_some_and(|p| p.open() && p.spec.has_copies());
    let mut place = taken_up(found, project, name, &fact);
    let deployment = deployment(event, tx, &place, &fact)?;
    let status = &mut place.status;
    if let Some(mut before) = status.deployment.replace(deployment) {
        if before.progress == Progress::Underway {
            before.progress = Progress::Superseded;
        }
        status.history.insert(0, before);
        status.history.truncate(HISTORY);
    }
    status.state = EnvironmentState::Available;
    status.reason = None;
    status.used = None;
    if let Some(stopping) = status.stopping.take() {
        stop::forget(tx, &stopping)?;
    }
    status.stops_at = None;
    if place.spec.has_copies() {
        place.status.stops_at = place.spec.auto_stop().map(|length| event.time.plus(length));
        place.status.opened = open(event, tx, &place, &fact)?;
    } else {
        if had_copies {
            stop::withdraw(tx, &place, event.fact.actor.clone())?;
        }
        follow_production(tx, &mut place)?;
    }
    place.save(tx)
}

/// The environment as this deployment wants it.
fn taken_up(found: Option<Place>, project: &Name, name: Name, fact: &EnvironmentDeployed) -> Place {
    let most = u64::try_from(plan::LONGEST.as_millis()).unwrap_or(u64::MAX);
    let spec = Environment {
        title: fact.name.clone(),
        repository: fact.repository.clone(),
        tier: fact.tier.unwrap_or_else(|| plan::tier(&fact.name)),
        auto_stop_ms: fact.auto_stop_ms.map(|ms| ms.min(most)),
    };
    let status = found.map(|place| place.status).unwrap_or_default();
    Place { project: project.clone(), name, spec, status }
}

fn deployment(
    event: &Event,
    view: &View<'_>,
    place: &Place,
    fact: &EnvironmentDeployed,
) -> Result<Deployment> {
    let change = event.fact.change.clone();
    let status = &place.status;
    let numbers = status.deployment.iter().chain(&status.history).map(|d| d.number);
    Ok(Deployment {
        number: numbers.max().unwrap_or(0) + 1,
        commit: fact.commit.clone(),
        subject: subject_of(view, &place.project, change.as_ref(), &fact.commit)?,
        refname: fact.refname.clone(),
        change,
        run: fact.run.to_string(),
        step: fact.step.clone(),
        at: event.time,
        by: event.fact.actor.clone(),
        on_stop: fact.on_stop.clone(),
        url: fact.url.clone().filter(|url| is_link(url)),
        progress: Progress::Underway,
        reason: None,
        done: None,
    })
}

/// What pages may lead to: nothing that a browser would run.
fn is_link(url: &str) -> bool {
    let sound = url.len() <= 2048 && !url.chars().any(|c| c.is_whitespace() || c.is_control());
    sound && (url.starts_with("https://") || url.starts_with("http://"))
}

/// The first line of the commit's message, as it was pushed.
fn subject_of(
    view: &View<'_>,
    project: &Name,
    change: Option<&Name>,
    commit: &str,
) -> Result<Option<String>> {
    let Some(change) = change else { return Ok(None) };
    let filter = Filter {
        project: Some(project.clone()),
        change: Some(change.clone()),
        kind: Some(Pushed::KIND.into()),
        ..Filter::default()
    };
    let last = view.events_back(u64::MAX, 1, &filter)?;
    let head = last.first().and_then(Pushed::of).and_then(|p| p.head);
    Ok(head.filter(|h| h.id == commit).map(|h| h.subject))
}

/// Asks for copies of the commit's services. The sequence of the event that does.
fn open(event: &Event, tx: &mut Tx<'_>, place: &Place, fact: &EnvironmentDeployed) -> Result<u64> {
    let opened = EnvironmentOpened {
        environment: place.name.clone(),
        repository: fact.repository.clone(),
        commit: fact.commit.clone(),
        branch: fact.refname.strip_prefix("refs/heads/").map(str::to_owned),
        layers: fact.layers.clone(),
    };
    let (title, short) = (&place.spec.title, fact.commit.get(..8).unwrap_or(&fact.commit));
    let say = text!("{short} opens {title}", "{short}(으)로 {title} 환경 열기");
    let say = opened.event(event.fact.actor.clone(), say)?;
    tx.append(say.subject(place.key()).change(event.fact.change.clone()))
}

/// Why a deployment is not taken up.
fn refusal(
    tx: &Tx<'_>,
    project: &Name,
    fact: &EnvironmentDeployed,
    limits: Limits,
) -> Result<Option<Text>> {
    let title = &fact.name;
    if title.trim().is_empty()
        || title.chars().count() > plan::TITLE
        || title.chars().any(char::is_control)
    {
        let most = plan::TITLE;
        return Ok(Some(text!(
            "the name of an environment has 1 to {most} characters",
            "환경 이름은 1~{most}자입니다"
        )));
    }
    let branch = fact.refname.strip_prefix("refs/heads/");
    if let Some(branch) = branch
        && gone(tx, project, &fact.repository, &fact.refname)?
    {
        return Ok(Some(text!(
            "the branch {branch} was deleted",
            "{branch} 브랜치가 삭제되었습니다"
        )));
    }
    let (_, found) = place::find(tx, project, &fact.repository, title)?;
    if found.is_some_and(|p| p.open()) {
        return Ok(None);
    }
    let (open, most) = (place::all(tx, Some(project))?, limits.environments);
    let open = open.iter().filter(|p| p.open()).count();
    Ok((open >= most).then(|| {
        text!(
            "{project} has {open} environments, and at most {most}: stop one that nobody needs (`naru environment list -p {project}`)",
            "{project} 프로젝트에 환경이 이미 {open}개 있고 최대 {most}개입니다. 쓰지 않는 환경을 멈추세요 (`naru environment list -p {project}`)"
        )
    }))
}

/// Whether the branch was deleted after it was pushed last.
fn gone(view: &View<'_>, project: &Name, repository: &Name, refname: &str) -> Result<bool> {
    let filter = Filter {
        project: Some(project.clone()),
        kind: Some(Pushed::KIND.into()),
        ..Filter::default()
    };
    let pushes = view.events_back(u64::MAX, PUSHES, &filter)?;
    let ours = |p: &Pushed| p.repository == *repository && p.refname == refname;
    let last = pushes.iter().filter_map(Pushed::of).find(ours);
    Ok(last.is_some_and(|p| p.after.is_none()))
}

/// Nothing was made of a deployment: its change says why.
fn refuse(
    event: &Event,
    tx: &mut Tx<'_>,
    project: &Name,
    fact: &EnvironmentDeployed,
    why: Text,
) -> Result<()> {
    let title = kernel::shown(&fact.name);
    let say = Text::new(
        format!("{title} was not opened: {}", why.en),
        format!("{title} 환경을 열지 않음: {}", why.ko),
    );
    tracing::warn!(%project, %title, why = %why.en, "an environment was not opened");
    let data = serde_json::json!({
        "name": title, "repository": fact.repository, "commit": fact.commit,
        "run": fact.run, "step": fact.step, "reason": why,
    });
    let event = NewEvent::new("environment.refused", Principal::part(PART_NAME), say)
        .project(project)
        .change(event.fact.change.clone())
        .data(data);
    tx.append(event).map(drop)
}

/// Makes room among the stopped ones.
fn forget_oldest(tx: &mut Tx<'_>, project: &Name) -> Result<()> {
    let mut stopped = place::all(tx, Some(project))?;
    stopped.retain(|p| !p.open());
    stopped.sort_by_key(|p| p.status.deployment.as_ref().map(|d| d.at));
    let beyond = (stopped.len() + 1).saturating_sub(STOPPED);
    for old in stopped.iter().take(beyond) {
        tx.delete(&old.key(), None, Principal::part(PART_NAME))?;
    }
    Ok(())
}

/// A job needs the environment or looks at it: it lives as long again.
pub(crate) fn touched(
    event: &Event,
    tx: &mut Tx<'_>,
    project: &Name,
    fact: &EnvironmentDeployed,
) -> Result<()> {
    let (_, found) = place::find(tx, project, &fact.repository, &fact.name)?;
    let Some(mut place) = found.filter(|p| p.status.state == EnvironmentState::Available) else {
        return Ok(());
    };
    let length = fact.auto_stop_ms.map(Duration::from_millis).or(place.spec.auto_stop());
    let Some(length) = length else { return Ok(()) };
    let until = event.time.plus(length.min(plan::LONGEST));
    place.status.stops_at = place.status.stops_at.max(Some(until));
    place.save(tx)
}

/// The services of an environment have been made, or not.
pub(crate) fn released(
    event: &Event,
    tx: &mut Tx<'_>,
    project: &Name,
    fact: EnvironmentReleased,
) -> Result<()> {
    let Some(mut place) = Place::load(tx, project, &fact.environment)? else { return Ok(()) };
    if place.status.opened != fact.opened {
        return Ok(());
    }
    if let Some(why) = fact.refused {
        settle(&mut place, Progress::Failed, Some(why), event.time);
        return place.save(tx);
    }
    let member = |copy: kernel::journey::ServiceCopy| Member {
        name: copy.name,
        service: copy.copy,
        listens: copy.listens,
        run: copy.run.to_string(),
        progress: Progress::Underway,
        reason: None,
    };
    place.status.services = fact.services.into_iter().map(member).collect();
    if place.status.services.is_empty() {
        settle(&mut place, Progress::Live, None, event.time);
    }
    place.save(tx)
}

/// A rollout has ended: of a copy, or of production.
pub(crate) fn rolled_out(
    event: &Event,
    tx: &mut Tx<'_>,
    project: &Name,
    fact: &RolloutFinished,
) -> Result<()> {
    match &fact.environment {
        Some(name) => {
            let Some(mut place) = Place::load(tx, project, name)? else { return Ok(()) };
            note(&mut place, fact, event.time);
            place.save(tx)
        }
        None => production(event, tx, project, fact),
    }
}

/// What a rollout came to, in the environment it belongs to.
fn note(place: &mut Place, fact: &RolloutFinished, now: Time) {
    let member = place.status.services.iter_mut().find(|m| m.service == fact.service);
    let Some(member) = member else { return };
    let ours = member.run == fact.run.as_str();
    let passed = fact.verdict == Verdict::Passed;
    // Somebody may have rolled a copy back, or forward again: what serves counts.
    if !ours && !passed {
        return;
    }
    member.progress = match fact.verdict {
        Verdict::Passed => Progress::Live,
        Verdict::Failed => Progress::Failed,
        Verdict::Canceled => Progress::Superseded,
    };
    member.reason = fact.reason.clone();
    let reason = place.status.services.iter().find_map(|m| m.reason.clone());
    match plan::progress(&place.status.services) {
        Progress::Underway => {}
        over => settle(place, over, reason, now),
    }
}

fn settle(place: &mut Place, progress: Progress, reason: Option<Text>, now: Time) {
    if let Some(deployment) = &mut place.status.deployment {
        deployment.progress = progress;
        deployment.reason = reason;
        deployment.done = Some(now);
    }
}

/// Production's record follows the rollouts of its repository's services.
fn production(
    event: &Event,
    tx: &mut Tx<'_>,
    project: &Name,
    fact: &RolloutFinished,
) -> Result<()> {
    let key =
        Key { kind: SERVICE.into(), project: Some(project.clone()), name: fact.service.clone() };
    let Some(service) = tx.resource(&key)? else { return Ok(()) };
    let Some(repository) = service.labels.get(REPOSITORY) else { return Ok(()) };
    for mut place in place::all(tx, Some(project))? {
        if place.spec.has_copies() || place.spec.repository.as_str() != repository || !place.open()
        {
            continue;
        }
        let listens = service.spec.get("listens").and_then(serde_json::Value::as_bool);
        let before = place.status.services.iter().position(|m| m.service == fact.service);
        let member = Member {
            name: fact.service.clone(),
            service: fact.service.clone(),
            listens: listens.unwrap_or(true),
            run: fact.run.to_string(),
            progress: Progress::Underway,
            reason: None,
        };
        match before.and_then(|i| place.status.services.get_mut(i)) {
            Some(slot) => *slot = member,
            None => place.status.services.push(member),
        }
        let about = place.status.deployment.as_ref().is_some_and(|d| d.change == event.fact.change);
        let kept = place.status.deployment.clone();
        note(&mut place, fact, event.time);
        if !about {
            // Of another commit: the services say so, the deployment stays what it was.
            place.status.deployment = kept;
        }
        place.save(tx)?;
    }
    Ok(())
}

/// A record of production: what its services are now. The rollout of this very commit follows.
fn follow_production(tx: &Tx<'_>, place: &mut Place) -> Result<()> {
    let mut after: Option<Key> = None;
    let mut members = Vec::new();
    loop {
        let page = tx.resources(SERVICE, Some(&place.project), after.as_ref(), 200)?;
        let last = page.len() < 200;
        after = page.last().map(|r| r.key.clone());
        for service in page {
            let ours = service.labels.get(REPOSITORY).map(String::as_str)
                == Some(place.spec.repository.as_str());
            let copy = service.labels.contains_key("environment");
            if ours && !copy {
                let run = service.status.get("run").and_then(serde_json::Value::as_str);
                let listens = service.spec.get("listens").and_then(serde_json::Value::as_bool);
                members.push(Member {
                    name: service.key.name.clone(),
                    service: service.key.name,
                    listens: listens.unwrap_or(true),
                    run: run.unwrap_or_default().to_owned(),
                    progress: Progress::Live,
                    reason: None,
                });
            }
        }
        if last {
            break;
        }
    }
    place.status.services = members;
    Ok(())
}

/// The pipeline of a commit ended without a rollout: a record of production that waits for one is told.
pub(crate) fn came_to_nothing(event: &Event, tx: &mut Tx<'_>, project: &Name) -> Result<()> {
    let (progress, reason) = if let Some(fact) = PipelineFinished::of(event) {
        match fact.verdict {
            // What comes of it is the release's to say.
            Verdict::Passed => return Ok(()),
            Verdict::Failed | Verdict::Canceled => {
                let failed = Text::fixed("its pipeline did not pass", "파이프라인이 통과하지 못함");
                (Progress::Failed, fact.reason.unwrap_or(failed))
            }
        }
    } else if let Some(fact) = ReleaseSkipped::of(event) {
        match fact.verdict {
            Verdict::Passed => (Progress::Live, fact.reason),
            Verdict::Failed | Verdict::Canceled => (Progress::Failed, fact.reason),
        }
    } else {
        return Ok(());
    };
    for mut place in place::all(tx, Some(project))? {
        let waits = place.status.deployment.as_ref().is_some_and(|d| {
            d.progress == Progress::Underway && d.change.is_some() && d.change == event.fact.change
        });
        if waits && !place.spec.has_copies() {
            settle(&mut place, progress, Some(reason.clone()), event.time);
            place.save(tx)?;
        }
    }
    Ok(())
}
