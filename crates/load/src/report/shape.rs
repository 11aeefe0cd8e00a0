//! k6's summary export, with the whole report beside its keys: GitLab's `load_performance` reads the one and
//! passes over the other.

use super::{Chosen, Report};
use crate::engine::Outcome;
use crate::metric::Stats;
use crate::plan::{METRICS, Plan};
use crate::threshold::{Aggregate, MetricKind, Selector};
use kernel::{Error, Result};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The key that holds our report.
const OURS: &str = "naru";

/// The summary of a run as k6 writes it with `--summary-export`.
///
/// # Errors
/// Internal, when the report does not serialise.
pub fn summary(plan: &Plan, outcome: &Outcome, report: &Report) -> Result<Value> {
    let (stats, elapsed) = (&outcome.stats, outcome.elapsed);
    let mut metrics = Map::new();
    for (name, kind, _) in METRICS {
        let on = Selector { metric: (*name).to_owned(), tags: BTreeMap::new() };
        metrics.insert((*name).to_owned(), one(plan, stats, elapsed, *kind, &on));
    }
    // Parts of metrics that thresholds ask for.
    for threshold in &plan.thresholds {
        let kind = METRICS.iter().find(|m| m.0 == threshold.on.metric).map(|m| m.1);
        if let Some(kind) = kind
            && !metrics.contains_key(&threshold.key)
        {
            let value = one(plan, stats, elapsed, kind, &threshold.on);
            metrics.insert(threshold.key.clone(), value);
        }
    }
    for threshold in &report.thresholds {
        if let Some(Value::Object(metric)) = metrics.get_mut(&threshold.metric) {
            let all = metric.entry("thresholds").or_insert_with(|| json!({}));
            if let Value::Object(all) = all {
                // As k6 has it: whether it was crossed.
                all.insert(threshold.threshold.clone(), Value::Bool(!threshold.ok));
            }
        }
    }
    let mut checks = Map::new();
    for check in report.scenarios.iter().flat_map(|s| &s.checks) {
        let entry = checks.entry(check.name.clone()).or_insert_with(|| {
            json!({ "name": check.name, "path": format!("::{}", check.name), "passes": 0, "fails": 0 })
        });
        for (key, n) in [("passes", check.passes), ("fails", check.fails)] {
            let sum = entry.get(key).and_then(Value::as_u64).unwrap_or(0) + n;
            if let Value::Object(entry) = entry {
                entry.insert(key.to_owned(), sum.into());
            }
        }
    }
    let ours = serde_json::to_value(report).map_err(Error::internal)?;
    Ok(json!({
        "root_group": { "name": "", "path": "", "groups": {}, "checks": checks },
        "metrics": metrics,
        OURS: ours,
    }))
}

fn one(plan: &Plan, stats: &Stats, elapsed: Duration, kind: MetricKind, on: &Selector) -> Value {
    let chosen = Chosen::of(plan, stats, on);
    let at = |of| chosen.value(of, elapsed);
    match (kind, &chosen) {
        (MetricKind::Trend, _) => json!({
            "avg": at(Aggregate::Avg), "min": at(Aggregate::Min), "med": at(Aggregate::Med),
            "max": at(Aggregate::Max), "p(90)": at(Aggregate::P(90.0)), "p(95)": at(Aggregate::P(95.0)),
            "p(99)": at(Aggregate::P(99.0)),
        }),
        (MetricKind::Counter, _) => {
            json!({ "count": at(Aggregate::Count), "rate": at(Aggregate::Rate) })
        }
        (MetricKind::Rate, Chosen::Share(passes, all)) => {
            json!({ "passes": passes, "fails": all - passes, "value": at(Aggregate::Rate) })
        }
        _ => {
            json!({ "value": at(Aggregate::Value), "min": at(Aggregate::Value), "max": at(Aggregate::Value) })
        }
    }
}

/// Our report out of such a file; `None` when it is somebody else's.
pub fn read_report(words: &[u8]) -> Option<Report> {
    let value: Value = serde_json::from_slice(words).ok()?;
    let report: Report = serde_json::from_value(value.get(OURS)?.clone()).ok()?;
    (report.format == super::FORMAT).then_some(report)
}
