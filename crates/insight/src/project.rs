//! The projection: which changes an event touches, and what is stored of them.

use crate::fold::{End, aside, fold};
use crate::record::{Carried, Change, Deployment};
use kernel::journey::{
    Cause, ChangeFinished, Commit, Fact, Outcome, Pushed, RolloutFinished, Verdict, change_name,
    subject,
};
use kernel::port::Edge;
use kernel::time::show_duration;
use kernel::{Event, Name, Principal, Result, Text, Time, text};
use store::{Tx, View};

const CHANGE: &str = "insight.change";
const BY_TIME: &str = "insight.by-time";
const RIDERS: &str = "insight.rider";
const NEWEST: &str = "insight.newest";
const DEPLOY: &str = "insight.deploy";
const RELEASE: &str = "insight.release";

/// How far back a merge looks for changes that it carries.
const ANCESTORS: usize = 500;

pub(crate) fn get(v: &View<'_>, project: &Name, change: &Name) -> Result<Option<Change>> {
    v.row(CHANGE, &format!("{project}/{change}"))
}

/// Newest first, each with the key to go on from.
pub(crate) fn list(
    v: &View<'_>,
    project: &Name,
    before: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, Change)>> {
    let keys: Vec<(String, Name)> = v.rows_back(BY_TIME, &format!("{project}/"), before, limit)?;
    let mut out = Vec::with_capacity(keys.len());
    for (key, name) in keys {
        if let Some(change) = get(v, project, &name)? {
            out.push((key, change));
        }
    }
    Ok(out)
}

/// Oldest first.
pub(crate) fn deployments(v: &View<'_>, project: &Name) -> Result<Vec<Deployment>> {
    let newest: Vec<(String, Deployment)> =
        v.rows_back(DEPLOY, &format!("{project}/"), None, 20_000)?;
    Ok(newest.into_iter().rev().map(|(_, d)| d).collect())
}

fn save(tx: &mut Tx<'_>, change: &Change) -> Result<()> {
    tx.set_row(CHANGE, &format!("{}/{}", change.project, change.name), change)
}

/// Takes one event of the journal in.
pub(crate) fn project(event: &Event, tx: &mut Tx<'_>, edge: &dyn Edge) -> Result<()> {
    let Some(project) = event.fact.project.clone() else { return Ok(()) };
    if event.fact.kind == ChangeFinished::KIND {
        return Ok(());
    }
    if let Some(pushed) = Pushed::of(event) {
        return born(event, tx, &project, &pushed);
    }
    let Some(name) = &event.fact.change else { return Ok(()) };
    let Some(mut change) = get(tx, &project, name)? else { return Ok(()) };
    let end = fold(&mut change, event);
    if let Some(fact) = RolloutFinished::of(event).filter(|_| !aside(event)) {
        deployed(event, tx, &project, &change, &fact)?;
    }
    match end {
        Some(end) => finish(event, tx, change, end, edge),
        None => save(tx, &change),
    }
}

/// A push: the head becomes a change, and so does every new commit below it, riding along.
fn born(event: &Event, tx: &mut Tx<'_>, project: &Name, pushed: &Pushed) -> Result<()> {
    let (Some(branch), Some(head)) = (&pushed.branch, &pushed.head) else { return Ok(()) };
    let Some(head_name) = change_name(&pushed.repository, &head.id) else { return Ok(()) };
    let below = pushed.commits.iter().filter(|c| c.id != head.id);
    for commit in below {
        let Some(name) = change_name(&pushed.repository, &commit.id) else { continue };
        if get(tx, project, &name)?.is_none() {
            let change = fresh(
                event,
                project,
                pushed,
                branch,
                commit,
                name.clone(),
                Some(head_name.clone()),
            );
            admit(tx, &change)?;
            tx.set_row(RIDERS, &format!("{project}/{head_name}/{name}"), &name)?;
        }
    }
    match get(tx, project, &head_name)? {
        // Seen before, on another branch or as a rider: now it leads.
        Some(mut known) => {
            known.rides = None;
            known.default_branch |= pushed.default_branch;
            known.branch = branch.clone();
            known.outcome = None;
            known.finished = None;
            known.events.push(event.seq);
            save(tx, &known)?;
        }
        None => admit(tx, &fresh(event, project, pushed, branch, head, head_name.clone(), None))?,
    }
    if pushed.default_branch {
        merged(tx, project, pushed, head, &head_name)?;
    }
    tx.set_row(NEWEST, &format!("{project}/{}/{branch}", pushed.repository), &head_name)
}

/// Changes of other branches that the default branch reaches now ride with its head.
fn merged(
    tx: &mut Tx<'_>,
    project: &Name,
    pushed: &Pushed,
    head: &Commit,
    head_name: &Name,
) -> Result<()> {
    let mut queue = head.parents.clone();
    let mut seen = std::collections::BTreeSet::new();
    while let Some(id) = queue.pop() {
        if seen.len() >= ANCESTORS || !seen.insert(id.clone()) {
            continue;
        }
        let Some(name) = change_name(&pushed.repository, &id) else { continue };
        let Some(mut change) = get(tx, project, &name)? else { continue };
        if change.outcome == Some(Outcome::Live) || change.default_branch && change.rides.is_none()
        {
            continue;
        }
        queue.extend(change.commit.parents.clone());
        change.rides = Some(head_name.clone());
        save(tx, &change)?;
        tx.set_row(RIDERS, &format!("{project}/{head_name}/{name}"), &name)?;
    }
    Ok(())
}

fn fresh(
    event: &Event,
    project: &Name,
    pushed: &Pushed,
    branch: &str,
    commit: &Commit,
    name: Name,
    rides: Option<Name>,
) -> Change {
    Change {
        project: project.clone(),
        name,
        repository: pushed.repository.clone(),
        commit: commit.clone(),
        branch: branch.to_owned(),
        default_branch: pushed.default_branch,
        pushed_by: event.fact.actor.clone(),
        received: pushed.received,
        accepted: event.time,
        rides,
        pipeline: None,
        releases: Vec::new(),
        rollouts: Vec::new(),
        outcome: None,
        reason: None,
        finished: None,
        url: None,
        undone: None,
        performance: vec![],
        events: vec![event.seq],
    }
}

fn admit(tx: &mut Tx<'_>, change: &Change) -> Result<()> {
    let first = change.events.first().copied().unwrap_or(0);
    // Riders sort before their head, which is the newest of its push.
    let rank = u8::from(change.rides.is_none());
    let key = format!("{}/{first:012}/{rank}/{}", change.project, change.name);
    tx.set_row(BY_TIME, &key, &change.name)?;
    save(tx, change)
}

fn riders(tx: &Tx<'_>, change: &Change) -> Result<Vec<Change>> {
    let prefix = format!("{}/{}/", change.project, change.name);
    let names: Vec<(String, Name)> = tx.rows(RIDERS, &prefix, None, ANCESTORS)?;
    let mut out = Vec::new();
    for (_, name) in names {
        out.extend(get(tx, &change.project, &name)?);
    }
    Ok(out)
}

fn finish(
    event: &Event,
    tx: &mut Tx<'_>,
    mut change: Change,
    end: End,
    edge: &dyn Edge,
) -> Result<()> {
    let newest = format!("{}/{}/{}", change.project, change.repository, change.branch);
    let newest: Option<Name> = tx.row(NEWEST, &newest)?;
    let overtaken = newest.is_some_and(|n| n != change.name);
    let outcome = match end.outcome {
        Outcome::Canceled if overtaken => Outcome::Superseded,
        Outcome::Superseded if !overtaken => Outcome::Canceled,
        other => other,
    };
    let url = (outcome == Outcome::Live)
        .then(|| change.rollouts.last().map(|r| edge.url(&change.project, &r.service)))
        .flatten();
    change.outcome = Some(outcome);
    change.reason = end.reason.clone();
    change.finished = Some(event.time);
    change.url = url.clone();
    for mut rider in riders(tx, &change)? {
        if rider.rides.as_ref() == Some(&change.name) {
            rider.outcome = Some(outcome);
            rider.finished = Some(event.time);
            rider.reason = end.reason.clone();
            rider.url = url.clone();
            save(tx, &rider)?;
        }
    }
    save(tx, &change)?;
    let took = event.time.since(change.received);
    let fact = ChangeFinished {
        repository: change.repository.clone(),
        commit: change.commit.id.clone(),
        outcome,
        reason: end.reason.clone(),
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        url: url.clone(),
    };
    let say = sentence(outcome, &show_duration(took), url.as_deref(), end.reason.as_ref());
    let key = subject("Change", &change.project, &change.name);
    let fact = fact.event(Principal::part("insight"), say)?;
    tx.append(fact.subject(key).change(Some(change.name.clone())))?;
    Ok(())
}

/// The last line of the journey.
fn sentence(outcome: Outcome, took: &str, url: Option<&str>, reason: Option<&Text>) -> Text {
    let (en, ko) = reason.map_or(("", ""), |r| (r.get(kernel::Lang::En), r.get(kernel::Lang::Ko)));
    match outcome {
        Outcome::Live => {
            let at = url.unwrap_or("production");
            text!("live after {took}: {at}", "{took} 만에 운영 반영: {at}")
        }
        Outcome::Passed => text!(
            "passed after {took}; not deployed: {en}",
            "{took} 만에 통과. 배포하지 않음: {ko}"
        ),
        Outcome::Failed => text!("failed after {took}: {en}", "{took} 만에 실패: {ko}"),
        Outcome::Canceled => text!("canceled after {took}: {en}", "{took} 만에 취소: {ko}"),
        Outcome::Superseded => {
            text!(
                "a newer change overtook it after {took}",
                "{took} 뒤 더 새로운 변경이 앞질렀습니다"
            )
        }
    }
}

/// A rollout that ended is a deployment; a rollback marks what it undid.
fn deployed(
    event: &Event,
    tx: &mut Tx<'_>,
    project: &Name,
    change: &Change,
    fact: &RolloutFinished,
) -> Result<()> {
    let service = &fact.service;
    let first =
        tx.rows::<Deployment>(DEPLOY, &format!("{project}/{service}/"), None, 1)?.is_empty();
    let passed = fact.verdict == Verdict::Passed;
    let mut carried = Vec::new();
    if passed && fact.cause == Cause::Change {
        carried.push(carry(change));
        // The first deployment brings all of history along and may claim none of it.
        if !first {
            carried.extend(riders(tx, change)?.iter().map(carry));
        }
    }
    let deployment = Deployment {
        project: project.clone(),
        service: service.clone(),
        release: fact.release.clone(),
        previous: fact.previous.clone(),
        change: Some(change.name.clone()),
        commit: Some(change.commit.id.clone()),
        cause: fact.cause,
        verdict: fact.verdict,
        finished: event.time,
        event: event.seq,
        carried,
    };
    tx.set_row(DEPLOY, &format!("{project}/{service}/{:012}", event.seq), &deployment)?;
    tx.set_row(RELEASE, &format!("{project}/{}", fact.release), &change.name)?;
    if passed
        && fact.cause == Cause::Rollback
        && let Some(undone) = &fact.previous
        && let Some(name) = tx.row::<Name>(RELEASE, &format!("{project}/{undone}"))?
        && let Some(mut undone) = get(tx, project, &name)?
    {
        undone.undone = Some(event.time);
        save(tx, &undone)?;
    }
    Ok(())
}

fn carry(change: &Change) -> Carried {
    Carried {
        change: change.name.clone(),
        authored: change.commit.authored,
        received: change.received,
    }
}

/// For the trace of a change that is still on its way.
pub(crate) fn until(change: &Change, now: Time) -> Time {
    change.finished.unwrap_or(now)
}
