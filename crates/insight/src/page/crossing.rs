//! A change as its lane: five stops from the bank of development to the bank of operations. Pure.

use crate::record::{Change, Pipeline, Rollout};
use kernel::Resource;
use kernel::journey::{Cause, Outcome, Verdict};
use maud::{Markup, html};
use std::collections::BTreeSet;
use web::Reader;
use web::widget::{self, Lane, State, Station};

/// Headings of the stops.
pub(super) fn stops<'a>(r: &Reader) -> [&'a str; 5] {
    let stops: [(&str, &str); 5] = [
        ("Push", "푸시"),
        ("Pipeline", "파이프라인"),
        ("Release", "릴리스"),
        ("Rollout", "롤아웃"),
        ("Live", "운영 중"),
    ];
    stops.map(|(en, ko)| r.lang.pick(en, ko))
}

pub(super) fn address(change: &Change) -> String {
    format!("/projects/{}/changes/{}", change.project, change.name)
}

pub(super) fn run_address(change: &Change, run: &impl std::fmt::Display) -> String {
    format!("/projects/{}/runs/{run}", change.project)
}

pub(super) fn lane(r: &Reader, change: &Change) -> Lane {
    let [push, pipeline, release, rollout, live] = stops(r);
    let pushed = Station {
        name: push.to_owned(),
        state: State::Passed,
        start: Some(change.received),
        end: Some(change.accepted),
        address: Some(address(change)),
    };
    Lane {
        stations: vec![
            pushed,
            through_pipeline(change, pipeline),
            through_release(change, release),
            through_rollout(change, rollout),
            Station { name: live.to_owned(), state: landed(change), ..Station::default() },
        ],
    }
}

/// A stop that was not reached: still ahead, or never to be reached.
fn unreached(change: &Change) -> State {
    match change.outcome {
        None if change.rides.is_none() => State::Idle,
        _ => State::Skipped,
    }
}

fn through_pipeline(change: &Change, name: &str) -> Station {
    let name = name.to_owned();
    let Some(pipeline) = &change.pipeline else {
        let next = if unreached(change) == State::Idle { State::Queued } else { State::Skipped };
        return Station { name, state: next, ..Station::default() };
    };
    Station {
        name,
        state: under_way(pipeline),
        start: Some(pipeline.created),
        end: pipeline.finished,
        address: pipeline.run.as_ref().map(|run| run_address(change, run)),
    }
}

fn through_release(change: &Change, name: &str) -> Station {
    let passed = |p: &Pipeline| p.verdict == Some(Verdict::Passed);
    let ready = change.pipeline.as_ref().filter(|p| passed(p)).and_then(|p| p.finished);
    let made = change.releases.iter().map(|r| r.made).max();
    let state = match (made, ready, change.outcome) {
        (Some(_), ..) => State::Passed,
        // Its pipeline passed, and what to release could not be read.
        (None, Some(_), Some(Outcome::Failed)) => State::Failed,
        (None, Some(_), None) => State::Queued,
        _ => unreached(change),
    };
    Station { name: name.to_owned(), state, start: made.and(ready), end: made, address: None }
}

fn through_rollout(change: &Change, name: &str) -> Station {
    let own: Vec<&Rollout> =
        change.rollouts.iter().filter(|r| r.cause != Cause::Rollback).collect();
    let name = name.to_owned();
    if own.is_empty() {
        let next = !change.releases.is_empty() && change.outcome.is_none();
        let state = if next { State::Queued } else { unreached(change) };
        return Station { name, state, ..Station::default() };
    }
    let states = own.iter().map(|r| verdict(r.verdict));
    let worst = [State::Failed, State::Running, State::Canceled, State::Passed];
    let state = worst.into_iter().find(|w| states.clone().any(|s| s == *w)).unwrap_or_default();
    let open = own.iter().any(|r| r.finished.is_none());
    let end = own.iter().filter_map(|r| r.finished).max().filter(|_| !open);
    Station {
        name,
        state,
        start: own.iter().map(|r| r.started).min(),
        end,
        address: own.last().map(|r| run_address(change, &r.run)),
    }
}

fn landed(change: &Change) -> State {
    match change.outcome {
        Some(Outcome::Live) if change.undone.is_some() => State::Warned,
        Some(Outcome::Live) => State::Live,
        _ => unreached(change),
    }
}

pub(super) fn under_way(pipeline: &Pipeline) -> State {
    match pipeline.waiting {
        Some(_) => State::Waiting,
        None => verdict(pipeline.verdict),
    }
}

pub(super) fn verdict(verdict: Option<Verdict>) -> State {
    match verdict {
        None => State::Running,
        Some(Verdict::Passed) => State::Passed,
        Some(Verdict::Failed) => State::Failed,
        Some(Verdict::Canceled) => State::Canceled,
    }
}

/// The releases that serve now, by the status of a project's services.
pub(super) struct Serving(BTreeSet<String>);

impl Serving {
    pub fn of(services: &[Resource]) -> Serving {
        let release = |s: &Resource| Some(s.status.get("release")?.as_str()?.to_owned());
        Serving(services.iter().filter_map(release).collect())
    }

    fn holds(&self, change: &Change) -> bool {
        change.releases.iter().any(|r| self.0.contains(r.release.as_str()))
    }
}

/// How the change's way ended, or that it has not.
pub(super) fn badge(r: &Reader, change: &Change, serving: &Serving) -> Markup {
    let (state, en, ko) = match change.outcome {
        Some(Outcome::Live) if change.undone.is_none() && !serving.holds(change) => {
            match change.rides {
                Some(_) => (State::Passed, "arrived", "도착"),
                // A newer one has taken its place.
                None => (State::Passed, "replaced", "교체됨"),
            }
        }
        Some(Outcome::Live) if change.undone.is_some() => (State::Warned, "rolled back", "되돌림"),
        Some(Outcome::Live) => (State::Live, "live", "운영 중"),
        Some(Outcome::Passed) => (State::Passed, "passed", "통과"),
        Some(Outcome::Failed) => (State::Failed, "failed", "실패"),
        Some(Outcome::Canceled) => (State::Canceled, "canceled", "취소됨"),
        Some(Outcome::Superseded) => (State::Skipped, "overtaken", "추월됨"),
        None if change.rides.is_some() => (State::Skipped, "rides along", "함께 이동"),
        None if change.pipeline.as_ref().is_some_and(|p| p.waiting.is_some()) => {
            (State::Waiting, "waits for a go", "시작 대기")
        }
        None => (State::Running, "on its way", "이동 중"),
    };
    widget::badge(r, state, Some(r.t(en, ko)))
}

/// Who wrote it, which commit, when.
pub(super) fn byline(r: &Reader, change: &Change) -> Markup {
    let commit = &change.commit;
    let code =
        format!("/projects/{}/code/{}/commit/{}", change.project, change.repository, commit.id);
    html! {
        (widget::commit(&commit.id, Some(&code)))
        span { (commit.author) }
        span.tag { (web::icon::branch()) (change.repository) " · " (change.branch) }
        (widget::ago(r, change.received))
    }
}
