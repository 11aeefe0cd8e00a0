//! DORA's five key metrics, from deployments as they happened. Pure.
//!
//! Definitions: dora.dev, guides/dora-metrics (2026-01). Per service, never blended. Medians and the
//! ninetieth percentile, no means. Rules where the definition is silent:
//! - A deployment is a rollout that passed because a change or a configuration arrived. The same commit
//!   again within the window is one deployment. Rollbacks are counted apart.
//! - A restart brings nothing new and does not count at all; to go back from it is to go back from what was
//!   started again.
//! - A rollout that was stopped before it served users is no deployment and no failure of one.
//! - A deployment failed when it was rolled back. Recovery runs from its finish to the finish of what
//!   replaced it.
//! - Rework is a deployment that follows a rollback of the same service: it was not planned, the rollback
//!   caused it.
//! - The first deployment of a service counts its own change only, not the history below it.
//! - A lead time below zero is an author's clock that lies: it is counted as a data error, never dropped in
//!   silence nor clamped.

use crate::record::Deployment;
use kernel::journey::{Cause, Verdict};
use kernel::{Name, Time};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Fewer deployments than this say nothing.
pub const ENOUGH: usize = 5;

/// The five metrics of one service, and what they rest on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metrics {
    pub project: Name,
    pub service: Name,
    pub days: u32,
    /// Fewer than five deployments: read the numbers as single facts.
    pub too_few: bool,
    /// From the author's clock.
    pub lead_time: Spread,
    /// From the first byte of the first push.
    pub lead_time_from_push: Spread,
    pub data_errors: usize,
    pub deployments: usize,
    pub deployments_per_day: f64,
    pub rollbacks: usize,
    /// Stopped before users saw them.
    pub stopped: usize,
    pub failed: usize,
    /// Of deployments, 0 to 1.
    pub change_fail_rate: f64,
    pub recovery_time: Spread,
    pub rework: usize,
    pub rework_rate: f64,
    /// Each deployment of the window: for plots.
    pub points: Vec<Point>,
    /// Events the figures were made from.
    pub events: Vec<u64>,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    pub count: usize,
    pub median_ms: Option<i64>,
    pub p90_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    pub time: Time,
    pub release: Name,
    pub change: Option<Name>,
    pub kind: PointKind,
    pub lead_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PointKind {
    Deployed,
    /// Deployed and later rolled back.
    Failed,
    Rollback,
    Stopped,
}

/// The metrics of each service in `deployments` (oldest first) over the `days` before `now`.
pub fn metrics(deployments: &[Deployment], now: Time, days: u32) -> Vec<Metrics> {
    let mut services: BTreeMap<(&Name, &Name), Vec<&Deployment>> = BTreeMap::new();
    let deployments = without_restarts(deployments);
    for d in &deployments {
        services.entry((&d.project, &d.service)).or_default().push(d);
    }
    for all in services.values_mut() {
        all.sort_by_key(|d| d.event);
    }
    let since = now.0.saturating_sub(i64::from(days) * 86_400_000);
    services.into_iter().map(|((p, s), all)| service(p, s, &all, Time(since), days)).collect()
}

fn without_restarts(all: &[Deployment]) -> Vec<Deployment> {
    // What each release that a restart made is a copy of.
    let mut copies: BTreeMap<(&Name, &Name), Name> = BTreeMap::new();
    let mut kept = Vec::with_capacity(all.len());
    for d in all {
        let previous = d.previous.as_ref();
        let previous = previous.map(|p| copies.get(&(&d.project, p)).unwrap_or(p).clone());
        match (d.cause, previous) {
            (Cause::Restart, Some(of)) => drop(copies.insert((&d.project, &d.release), of)),
            (Cause::Restart, None) => {}
            (_, previous) => kept.push(Deployment { previous, ..d.clone() }),
        }
    }
    kept
}

fn service(project: &Name, service: &Name, all: &[&Deployment], since: Time, days: u32) -> Metrics {
    let kinds = classify(all);
    let window: Vec<(usize, &Deployment)> =
        all.iter().enumerate().map(|(i, d)| (i, *d)).filter(|(_, d)| d.finished >= since).collect();
    let kind = |i: usize| kinds.get(i).copied();
    let of = |wanted: &[PointKind]| {
        window.iter().filter(|(i, _)| kind(*i).is_some_and(|k| wanted.contains(&k))).count()
    };
    let mut commits = BTreeSet::new();
    let served: Vec<&(usize, &Deployment)> = window
        .iter()
        .filter(|(i, _)| matches!(kind(*i), Some(PointKind::Deployed | PointKind::Failed)))
        .filter(|(_, d)| d.cause == Cause::Config || commits.insert(d.commit.clone()))
        .collect();
    let deployed = served.len();
    let failed = of(&[PointKind::Failed]);
    let rework = served.iter().filter(|(i, _)| follows_rollback(&kinds, *i)).count();
    let (lead_time, from_push, data_errors) = lead_times(&served);
    let recovery = window.iter().filter_map(|(i, d)| recovery(all, &kinds, *i, d)).collect();
    Metrics {
        project: project.clone(),
        service: service.clone(),
        days,
        too_few: deployed < ENOUGH,
        lead_time: spread(lead_time),
        lead_time_from_push: spread(from_push),
        data_errors,
        deployments: deployed,
        deployments_per_day: ratio(deployed, days as usize),
        rollbacks: of(&[PointKind::Rollback]),
        stopped: of(&[PointKind::Stopped]),
        failed,
        change_fail_rate: ratio(failed, deployed),
        recovery_time: spread(recovery),
        rework,
        rework_rate: ratio(rework, deployed),
        points: window.iter().filter_map(|(i, d)| Some(point(d, kind(*i)?))).collect(),
        events: window.iter().map(|(_, d)| d.event).collect(),
    }
}

/// What each deployment was; a rollback turns the one it undid into a failed one.
fn classify(all: &[&Deployment]) -> Vec<PointKind> {
    let mut kinds: Vec<PointKind> = Vec::with_capacity(all.len());
    for (i, d) in all.iter().enumerate() {
        let kind = match (d.verdict, d.cause) {
            (Verdict::Passed, Cause::Rollback) => PointKind::Rollback,
            (Verdict::Passed, _) => PointKind::Deployed,
            _ => PointKind::Stopped,
        };
        if kind == PointKind::Rollback
            && let Some(undone) = (0..i).rev().find(|j| {
                kinds.get(*j) == Some(&PointKind::Deployed)
                    && all.get(*j).is_some_and(|u| Some(&u.release) == d.previous.as_ref())
            })
            && let Some(slot) = kinds.get_mut(undone)
        {
            *slot = PointKind::Failed;
        }
        kinds.push(kind);
    }
    kinds
}

/// Whether the last thing that happened to the service before `i` was a rollback.
fn follows_rollback(kinds: &[PointKind], i: usize) -> bool {
    let before = kinds.iter().take(i).rev().find(|k| **k != PointKind::Stopped);
    before == Some(&PointKind::Rollback)
}

fn lead_times(served: &[&(usize, &Deployment)]) -> (Vec<i64>, Vec<i64>, usize) {
    let carried = || served.iter().flat_map(|(_, d)| d.carried.iter().map(|c| (d.finished, c)));
    let authored: Vec<i64> = carried().map(|(t, c)| t.0 - c.authored.0).collect();
    let errors = authored.iter().filter(|ms| **ms < 0).count();
    let from_push = carried().map(|(t, c)| t.0 - c.received.0).collect();
    (authored, from_push, errors)
}

fn recovery(all: &[&Deployment], kinds: &[PointKind], i: usize, d: &Deployment) -> Option<i64> {
    if kinds.get(i) != Some(&PointKind::Failed) {
        return None;
    }
    let good = |j: &usize| {
        matches!(kinds.get(*j), Some(PointKind::Rollback | PointKind::Deployed | PointKind::Failed))
    };
    let next = (i + 1..all.len()).find(good)?;
    all.get(next).map(|n| n.finished.0 - d.finished.0)
}

fn point(d: &Deployment, kind: PointKind) -> Point {
    let lead_ms = d.carried.first().map(|c| d.finished.0 - c.received.0);
    Point { time: d.finished, release: d.release.clone(), change: d.change.clone(), kind, lead_ms }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Nearest-rank percentiles.
fn spread(mut values: Vec<i64>) -> Spread {
    values.sort_unstable();
    let rank = |p: usize| {
        let n = (values.len() * p).div_ceil(100).max(1) - 1;
        values.get(n).copied()
    };
    Spread { count: values.len(), median_ms: rank(50), p90_ms: rank(90) }
}

/// How DORA's survey would call a lead or recovery time: `< 1 h`, `< 1 d`, `< 1 wk`, `< 1 mo`, `< 6 mo`,
/// `> 6 mo`.
pub fn bucket(time: Duration) -> &'static str {
    match time.as_secs() / 3600 {
        0 => "< 1 h",
        1..24 => "< 1 d",
        24..168 => "< 1 wk",
        168..720 => "< 1 mo",
        720..4380 => "< 6 mo",
        _ => "> 6 mo",
    }
}

#[cfg(test)]
mod tests;
