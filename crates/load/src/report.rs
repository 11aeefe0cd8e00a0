//! What a run leaves: numbers for people, for k6's readers and for `judge`.

mod foreign;
mod shape;
mod trust;

pub use foreign::{Measured, measured};
pub use shape::{read_report, summary};
pub use trust::{Grade, Trust};

use crate::calibrate::Calibration;
use crate::engine::Outcome;
use crate::machine::Machine;
use crate::metric::{Stats, Times};
use crate::plan::{Kept, METRICS, Plan};
use crate::threshold::{Aggregate, Selector, Threshold};
use kernel::{Result, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

/// Of this file format.
pub const FORMAT: u32 = 1;

/// One run, whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub format: u32,
    /// The test's file.
    pub test: String,
    pub started: Time,
    pub seconds: f64,
    pub machine: Machine,
    pub workers: usize,
    /// Processor time of the generator.
    pub cpu_seconds: f64,
    pub scenarios: Vec<ScenarioReport>,
    #[serde(default)]
    pub thresholds: Vec<ThresholdReport>,
    pub trust: Trust,
    /// The threshold that ended it early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<String>,
    #[serde(default)]
    pub stopped: bool,
    /// What the server is asked to judge it against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Wanted>,
}

/// A verdict that is wanted of whoever has the results of the base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// Branch.
    pub base: String,
    /// The smallest effect that matters, as a share: 0.05.
    pub effect: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScenarioReport {
    pub name: String,
    pub executor: String,
    /// Iterations a second that were asked for, on the average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    pub iterations: u64,
    pub dropped: u64,
    pub interrupted: u64,
    pub requests: u64,
    pub failed: u64,
    /// Requests a second.
    pub rate: f64,
    pub vus_max: u32,
    pub duration: Spread,
    /// From being sent: what a closed generator would have seen.
    pub service: Spread,
    pub waiting: Spread,
    /// How late iterations began.
    pub lag: Spread,
    /// Of `duration`, in HdrHistogram's V2 format (microseconds).
    pub histogram: String,
    pub by_request: Vec<RequestReport>,
    pub checks: Vec<CheckReport>,
    pub blocks: Vec<Block>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestReport {
    pub name: String,
    pub method: String,
    pub url: String,
    pub count: u64,
    pub failed: u64,
    /// Bytes.
    pub sent: u64,
    pub received: u64,
    pub statuses: BTreeMap<u16, u64>,
    pub errors: Vec<ErrorReport>,
    pub duration: Spread,
    pub waiting: Spread,
    pub blocked: Spread,
    pub dns: Spread,
    pub connecting: Spread,
    pub tls: Spread,
    pub receiving: Spread,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorReport {
    pub kind: String,
    pub count: u64,
    pub sample: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    pub name: String,
    pub request: String,
    pub passes: u64,
    pub fails: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ThresholdReport {
    pub metric: String,
    pub threshold: String,
    /// What it was, in milliseconds, a share, or a number.
    pub value: f64,
    pub ok: bool,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub count: u64,
    pub mean: f64,
    pub min: f64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Spread {
    pub fn of(times: &Times) -> Spread {
        let at = |q| if times.count() == 0 { 0.0 } else { times.at(q) };
        Spread {
            count: times.count(),
            mean: times.mean(),
            min: times.min(),
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: times.max(),
        }
    }
}

/// One stretch of a run, for the noise model. Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Block {
    pub seconds: f64,
    pub requests: u64,
    pub failed: u64,
    pub dropped: u64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
}

impl Block {
    pub fn of(self, times: &Times) -> Block {
        Block {
            mean: times.mean(),
            p50: times.at(0.5),
            p90: times.at(0.9),
            p95: times.at(0.95),
            p99: times.at(0.99),
            ..self
        }
    }
}

/// The report of a run.
///
/// # Errors
/// Internal, when a histogram cannot be written.
pub fn report(plan: &Plan, outcome: &Outcome, calibration: Option<Calibration>) -> Result<Report> {
    let scenarios = (0..plan.scenarios.len())
        .map(|i| scenario(plan, outcome, i))
        .collect::<Result<Vec<_>>>()?;
    let started = outcome.started.duration_since(UNIX_EPOCH).unwrap_or_default();
    let thresholds = plan
        .thresholds
        .iter()
        .map(|t| {
            let (value, ok) = judge_threshold(plan, &outcome.stats, outcome.elapsed, t);
            ThresholdReport { metric: t.key.clone(), threshold: t.words.clone(), value, ok }
        })
        .collect();
    let trust = Trust::of(&scenarios, calibration, outcome.cpu);
    Ok(Report {
        format: FORMAT,
        test: plan.name.clone(),
        started: Time(i64::try_from(started.as_millis()).unwrap_or(0)),
        seconds: outcome.elapsed.as_secs_f64(),
        machine: Machine::here(),
        workers: outcome.workers,
        cpu_seconds: outcome.cpu.as_secs_f64(),
        scenarios,
        thresholds,
        trust,
        aborted: outcome.aborted.clone(),
        stopped: outcome.stopped,
        wanted: None,
    })
}

fn scenario(plan: &Plan, outcome: &Outcome, index: usize) -> Result<ScenarioReport> {
    let stats = &outcome.stats;
    let (Some(s), Some(own)) = (plan.scenarios.get(index), stats.scenarios.get(index)) else {
        return Ok(ScenarioReport::default());
    };
    let mine = || plan.requests.iter().enumerate().filter(|(_, r)| r.scenario == index);
    let (mut duration, mut service, mut waiting) = (Times::new(), Times::new(), Times::new());
    let (mut by_request, mut checks) = (Vec::new(), Vec::new());
    for (id, info) in mine() {
        let Some(r) = stats.requests.get(id) else { continue };
        let whole = r.duration();
        duration.add(&whole);
        service.add(&r.phases.service);
        waiting.add(&r.phases.waiting);
        by_request.push(RequestReport {
            name: info.name.clone(),
            method: info.method.clone(),
            url: info.url.clone(),
            count: r.count(),
            failed: r.failed(),
            sent: r.sent,
            received: r.received,
            statuses: r.by_status.iter().map(|(s, t)| (*s, t.duration.count())).collect(),
            errors: r
                .errors
                .iter()
                .map(|(kind, e)| ErrorReport {
                    kind: (*kind).to_owned(),
                    count: e.count,
                    sample: e.sample.clone(),
                })
                .collect(),
            duration: Spread::of(&whole),
            waiting: Spread::of(&r.phases.waiting),
            blocked: Spread::of(&r.phases.blocked),
            dns: Spread::of(&r.phases.dns),
            connecting: Spread::of(&r.phases.connecting),
            tls: Spread::of(&r.phases.tls),
            receiving: Spread::of(&r.phases.receiving),
        });
        for (c, passes) in plan.checks.iter().zip(&stats.checks).filter(|(c, _)| c.request == id) {
            checks.push(CheckReport {
                name: c.name.clone(),
                request: info.name.clone(),
                passes: passes.passes,
                fails: passes.fails,
            });
        }
    }
    // What was really open: a scenario that starts late or ends early is not measured over the whole run.
    let seconds = s.how.length().min(outcome.elapsed.saturating_sub(s.start)).as_secs_f64();
    let requests = duration.count();
    Ok(ScenarioReport {
        name: s.name.clone(),
        executor: s.executor.to_owned(),
        target: s.how.rate(),
        iterations: own.iterations,
        dropped: own.dropped,
        interrupted: own.interrupted,
        requests,
        failed: by_request.iter().map(|r| r.failed).sum(),
        rate: if seconds > 0.0 { requests as f64 / seconds } else { 0.0 },
        vus_max: own.vus_max,
        duration: Spread::of(&duration),
        service: Spread::of(&service),
        waiting: Spread::of(&waiting),
        lag: Spread::of(&own.lag),
        histogram: duration.encode()?,
        by_request,
        checks,
        blocks: outcome.blocks.get(index).cloned().unwrap_or_default(),
    })
}

/// The value a threshold looks at, and whether it holds.
pub(crate) fn judge_threshold(
    plan: &Plan,
    stats: &Stats,
    elapsed: Duration,
    threshold: &Threshold,
) -> (f64, bool) {
    let value = Chosen::of(plan, stats, &threshold.on).value(threshold.is.of, elapsed);
    (value, threshold.is.compare.holds(value, threshold.is.limit))
}

/// The numbers of a metric, or of the part of it that tags choose.
pub(crate) enum Chosen {
    Times(Times),
    Count(u64),
    /// Of all.
    Share(u64, u64),
    Value(u64),
}

impl Chosen {
    pub(crate) fn of(plan: &Plan, stats: &Stats, on: &Selector) -> Chosen {
        let kept = METRICS.iter().find(|m| m.0 == on.metric).map_or(Kept::Whole, |m| m.2);
        match kept {
            Kept::Status | Kept::Request => by_request(plan, stats, on),
            Kept::Check => {
                let mut sum = (0, 0);
                for (c, passes) in plan.checks.iter().zip(&stats.checks) {
                    let named = on.tags.get("check").is_none_or(|n| *n == c.name);
                    if named && request_has(plan, c.request, on) {
                        sum = (sum.0 + passes.passes, sum.1 + passes.passes + passes.fails);
                    }
                }
                Chosen::Share(sum.0, sum.1)
            }
            Kept::Scenario => by_scenario(plan, stats, on),
            Kept::Whole => {
                let max = on.metric == "vus_max";
                let pick = |s: &crate::metric::ScenarioStats| if max { s.vus_max } else { s.vus };
                Chosen::Value(stats.scenarios.iter().map(|s| u64::from(pick(s))).sum())
            }
        }
    }

    /// Milliseconds for times; for a count a second, the rate.
    pub(crate) fn value(&self, of: Aggregate, elapsed: Duration) -> f64 {
        match (self, of) {
            (Chosen::Times(t), Aggregate::Avg) => t.mean(),
            (Chosen::Times(t), Aggregate::Min) => t.min(),
            (Chosen::Times(t), Aggregate::Max) => t.max(),
            (Chosen::Times(t), Aggregate::P(percent)) => t.at(percent / 100.0),
            (Chosen::Times(t), _) => t.at(0.5),
            (Chosen::Count(n), Aggregate::Rate) => {
                *n as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
            }
            (Chosen::Count(n) | Chosen::Value(n), _) => *n as f64,
            (Chosen::Share(_, 0), _) => 0.0,
            (Chosen::Share(n, of), _) => *n as f64 / *of as f64,
        }
    }
}

fn request_has(plan: &Plan, id: usize, on: &Selector) -> bool {
    let special = |key: &str| matches!(key, "status" | "expected_response" | "check");
    plan.requests.get(id).is_some_and(|r| {
        on.tags.iter().filter(|(k, _)| !special(k)).all(|(k, v)| r.tags.get(k) == Some(v))
    })
}

fn by_request(plan: &Plan, stats: &Stats, on: &Selector) -> Chosen {
    let (mut times, mut count, mut failed, mut bytes) = (Times::new(), 0, 0, 0);
    let mine = stats.requests.iter().enumerate().filter(|(id, _)| request_has(plan, *id, on));
    for (_, r) in mine {
        let phase = match on.metric.as_str() {
            "http_req_blocked" => Some(&r.phases.blocked),
            "http_req_connecting" => Some(&r.phases.connecting),
            "http_req_tls_handshaking" => Some(&r.phases.tls),
            "http_req_sending" => Some(&r.phases.sending),
            "http_req_waiting" => Some(&r.phases.waiting),
            "http_req_receiving" => Some(&r.phases.receiving),
            "http_req_service" => Some(&r.phases.service),
            "http_req_looking_up" => Some(&r.phases.dns),
            _ => None,
        };
        phase.inspect(|p| times.add(p));
        bytes += if on.metric == "data_sent" { r.sent } else { r.received };
        for (status, s) in &r.by_status {
            let expected = s.failed == 0;
            let fits = on.tags.get("status").is_none_or(|want| *want == status.to_string())
                && on
                    .tags
                    .get("expected_response")
                    .is_none_or(|want| *want == expected.to_string());
            if fits {
                count += s.duration.count();
                failed += s.failed;
                if on.metric == "http_req_duration" {
                    times.add(&s.duration);
                }
            }
        }
    }
    match on.metric.as_str() {
        "http_reqs" => Chosen::Count(count),
        "http_req_failed" => Chosen::Share(failed, count),
        "data_sent" | "data_received" => Chosen::Count(bytes),
        _ => Chosen::Times(times),
    }
}

fn by_scenario(plan: &Plan, stats: &Stats, on: &Selector) -> Chosen {
    let (mut times, mut count) = (Times::new(), 0);
    for (s, own) in plan.scenarios.iter().zip(&stats.scenarios) {
        if on.tags.get("scenario").is_some_and(|want| *want != s.name) {
            continue;
        }
        match on.metric.as_str() {
            "iterations" => count += own.iterations,
            "dropped_iterations" => count += own.dropped,
            "schedule_lag" => times.add(&own.lag),
            _ => times.add(&own.iteration),
        }
    }
    match on.metric.as_str() {
        "iterations" | "dropped_iterations" => Chosen::Count(count),
        _ => Chosen::Times(times),
    }
}
