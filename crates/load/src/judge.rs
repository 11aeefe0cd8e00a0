//! Whether one thing is slower than another: an effect, how sure it is, and one of four words.
//!
//! Three ways of knowing, from the best to the poorest:
//! - **interleaved**: head and base on the same machine in turns (A-B-B-A), compared pair by pair. What drifts
//!   slowly hits both; what is left between the pairs is the noise.
//! - **history**: one run of head against the last runs of the base on the same class of machine. How those
//!   differ among each other is the noise.
//! - **two runs**: one of each. How much two runs of the same thing differ is not known, only assumed
//!   ([`RUN_NOISE`]), so that only large effects are decided.
//!
//! Times are compared as logarithms, so that an effect is a share. A verdict needs both: an interval that says
//! the effect is not noise, and an estimate that is worth anybody's while. `docs/decisions` has the reasons.

use crate::report::{Block, ScenarioReport};
use crate::stats::{Interval, median, rank_sum, signed_rank, t_quantile};
use serde::{Deserialize, Serialize};

/// The standard deviation between two runs of the same thing that is assumed where nothing is known, as a share.
pub const RUN_NOISE: f64 = 0.05;
/// Runs of the base from which on their differences are believed.
pub const ENOUGH_HISTORY: usize = 5;
/// What is judged: median, 95th percentile, failures.
const JUDGED: usize = 3;
/// Failed requests: this share more or less is worth a verdict.
const FAILED_EFFECT: f64 = 0.005;
/// No time is compared below this, in milliseconds: it is the resolution.
const RESOLUTION: f64 = 0.001;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Better,
    Same,
    Worse,
    CannotTell,
}

impl Verdict {
    pub fn text(self) -> kernel::Text {
        match self {
            Verdict::Better => kernel::Text::fixed("better", "나아짐"),
            Verdict::Same => kernel::Text::fixed("same", "같음"),
            Verdict::Worse => kernel::Text::fixed("worse", "나빠짐"),
            Verdict::CannotTell => kernel::Text::fixed("cannot tell", "알 수 없음"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    Interleaved,
    History,
    TwoRuns,
}

/// How strict to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// The smallest share that matters: 0.05.
    pub effect: f64,
    /// How often a verdict of `better` or `worse` may be wrong where nothing has changed, over all that is
    /// judged and all looks together.
    pub alpha: f64,
    /// How often it will be looked at before an end: every look could be the one that errs.
    pub looks: usize,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { effect: 0.05, alpha: 0.05, looks: 1 }
    }
}

/// One number of head and base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// `p50`, `p95` (milliseconds), `failed` (share).
    pub metric: String,
    pub base: f64,
    pub head: f64,
    /// How much more head is: of times a share of the base, of failures the difference. More is worse.
    pub shift: f64,
    pub low: f64,
    pub high: f64,
    pub verdict: Verdict,
}

/// A scenario's verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    pub scenario: String,
    pub verdict: Verdict,
    pub method: Method,
    /// Of all intervals together: 0.95.
    pub confidence: f64,
    /// The smallest share that matters.
    pub effect: f64,
    /// Pairs of blocks; runs of the base; blocks.
    pub samples: usize,
    pub effects: Vec<Effect>,
}

/// Interleaved: each pair is a block of the base and one of head, next to each other in time.
pub fn paired(scenario: &str, pairs: &[(Block, Block)], rules: Rules) -> Judgement {
    let alpha = rules.alpha / (JUDGED * rules.looks.max(1)) as f64;
    let times = |name: &'static str, pick: fn(&Block) -> f64| {
        let shifts: Vec<f64> =
            pairs.iter().map(|(base, head)| log(pick(head)) - log(pick(base))).collect();
        let base = median(&pairs.iter().map(|p| pick(&p.0)).collect::<Vec<_>>());
        let head = median(&pairs.iter().map(|p| pick(&p.1)).collect::<Vec<_>>());
        share_effect(name, base, head, signed_rank(&shifts, alpha), rules.effect)
    };
    let mean = |side: fn(&(Block, Block)) -> &Block| {
        let (failed, all) =
            pairs.iter().map(side).fold((0, 0), |(f, n), b| (f + b.failed, n + b.requests));
        failed as f64 / (all as f64).max(1.0)
    };
    let shifts: Vec<f64> = pairs.iter().map(|(base, head)| failed(head) - failed(base)).collect();
    let failures = failed_effect(mean(|p| &p.0), mean(|p| &p.1), signed_rank(&shifts, alpha));
    let effects = vec![times("p50", |b| b.p50), times("p95", |b| b.p95), failures];
    finish(scenario, Method::Interleaved, pairs.len(), effects, rules)
}

/// What is compared of a run as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub p50: f64,
    pub p95: f64,
    /// Share.
    pub failed: f64,
}

impl Sample {
    pub fn of(s: &ScenarioReport) -> Sample {
        let failed = if s.requests == 0 { 0.0 } else { s.failed as f64 / s.requests as f64 };
        Sample { p50: s.duration.p50, p95: s.duration.p95, failed }
    }
}

/// One run of head against runs of the base. With fewer than [`ENOUGH_HISTORY`] of them, the noise is assumed.
pub fn history(scenario: &str, head: Sample, base: &[Sample], rules: Rules) -> Judgement {
    let alpha = rules.alpha / (JUDGED * rules.looks.max(1)) as f64;
    let times = |name: &'static str, pick: fn(&Sample) -> f64| {
        let logs: Vec<f64> = base.iter().map(|s| log(pick(s))).collect();
        let found = predict(&logs, log(pick(&head)), alpha, RUN_NOISE);
        share_effect(name, median(&logs).exp(), pick(&head), found, rules.effect)
    };
    let shares: Vec<f64> = base.iter().map(|s| s.failed).collect();
    let found = predict(&shares, head.failed, alpha, FAILED_EFFECT);
    let failures = failed_effect(median(&shares), head.failed, found);
    let effects = vec![times("p50", |s| s.p50), times("p95", |s| s.p95), failures];
    let method = if base.len() >= ENOUGH_HISTORY { Method::History } else { Method::TwoRuns };
    finish(scenario, method, base.len(), effects, rules)
}

/// One run of each: blocks tell of the noise within, [`RUN_NOISE`] stands for the noise between.
pub fn two_runs(base: &ScenarioReport, head: &ScenarioReport, rules: Rules) -> Judgement {
    let alpha = rules.alpha / (JUDGED * rules.looks.max(1)) as f64;
    let between = t_quantile(1.0 - alpha / 2.0, 1e6) * RUN_NOISE * std::f64::consts::SQRT_2;
    let times = |name: &'static str, pick: fn(&Block) -> f64, whole: fn(&Sample) -> f64| {
        let logs =
            |s: &ScenarioReport| -> Vec<f64> { s.blocks.iter().map(|b| log(pick(b))).collect() };
        let found = rank_sum(&logs(base), &logs(head), alpha).map(|i| Interval {
            low: i.low - between,
            high: i.high + between,
            ..i
        });
        let (base, head) = (whole(&Sample::of(base)), whole(&Sample::of(head)));
        share_effect(name, base, head, found, rules.effect)
    };
    let shares = |s: &ScenarioReport| -> Vec<f64> { s.blocks.iter().map(failed).collect() };
    let found = rank_sum(&shares(base), &shares(head), alpha);
    let failures = failed_effect(Sample::of(base).failed, Sample::of(head).failed, found);
    let effects =
        vec![times("p50", |b| b.p50, |s| s.p50), times("p95", |b| b.p95, |s| s.p95), failures];
    finish(&head.name, Method::TwoRuns, base.blocks.len().min(head.blocks.len()), effects, rules)
}

/// How far a new value is from the middle of old ones, with the interval in which that distance would be by
/// chance alone: Student's prediction interval, with the wider of two measures of spread, because one outlier
/// in a short history must not make the noise look small.
fn predict(old: &[f64], new: f64, alpha: f64, assumed: f64) -> Option<Interval> {
    let n = old.len();
    if n == 0 {
        return None;
    }
    let centre = median(old);
    let (spread, t) = if n < ENOUGH_HISTORY {
        (assumed, t_quantile(1.0 - alpha / 2.0, 1e6))
    } else {
        let mean = old.iter().sum::<f64>() / n as f64;
        let variance = old.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
        let deviations: Vec<f64> = old.iter().map(|v| (v - centre).abs()).collect();
        let robust = median(&deviations) * 1.4826;
        (variance.sqrt().max(robust), t_quantile(1.0 - alpha / 2.0, (n - 1) as f64))
    };
    // The median of normal values scatters by a quarter more than their mean.
    let half = t * spread * (1.0 + std::f64::consts::FRAC_PI_2 / n as f64).sqrt();
    let estimate = new - centre;
    Some(Interval { estimate, low: estimate - half, high: estimate + half })
}

fn log(ms: f64) -> f64 {
    ms.max(RESOLUTION).ln()
}

fn failed(block: &Block) -> f64 {
    block.failed as f64 / (block.requests as f64).max(1.0)
}

fn share_effect(metric: &str, base: f64, head: f64, found: Option<Interval>, least: f64) -> Effect {
    let share = |v: f64| v.exp() - 1.0;
    let found = found.map(|i| Interval {
        estimate: share(i.estimate),
        low: share(i.low),
        high: share(i.high),
    });
    effect(metric, base, head, found, least)
}

fn failed_effect(base: f64, head: f64, found: Option<Interval>) -> Effect {
    effect("failed", base, head, found, FAILED_EFFECT)
}

fn effect(metric: &str, base: f64, head: f64, found: Option<Interval>, least: f64) -> Effect {
    let metric = metric.to_owned();
    let Some(Interval { estimate, low, high }) = found else {
        // Too few samples for any interval at this level.
        let (low, high) = (-1.0, 1e9);
        return Effect { metric, base, head, shift: 0.0, low, high, verdict: Verdict::CannotTell };
    };
    Effect {
        metric,
        base,
        head,
        shift: estimate,
        low,
        high,
        verdict: decide(estimate, low, high, least),
    }
}

/// More is worse. What is certainly too small to matter is `same`, even if it is certainly there.
fn decide(estimate: f64, low: f64, high: f64, least: f64) -> Verdict {
    if low > -least && high < least {
        Verdict::Same
    } else if low > 0.0 && estimate >= least {
        Verdict::Worse
    } else if high < 0.0 && estimate <= -least {
        Verdict::Better
    } else {
        Verdict::CannotTell
    }
}

fn finish(
    scenario: &str,
    method: Method,
    samples: usize,
    effects: Vec<Effect>,
    rules: Rules,
) -> Judgement {
    let has = |v: Verdict| effects.iter().any(|e| e.verdict == v);
    let verdict = if has(Verdict::Worse) {
        Verdict::Worse
    } else if has(Verdict::CannotTell) {
        Verdict::CannotTell
    } else if has(Verdict::Better) {
        Verdict::Better
    } else {
        Verdict::Same
    };
    Judgement {
        scenario: scenario.to_owned(),
        verdict,
        method,
        confidence: 1.0 - rules.alpha,
        effect: rules.effect,
        samples,
        effects,
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
