//! How far to trust a result: what the generator itself adds, and how well it kept its schedule.

use super::{ScenarioReport, Spread};
use crate::calibrate::Calibration;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Of the median latency: less than this share of it is the generator's.
const GOOD: f64 = 0.05;
const FAIR: f64 = 0.25;
/// Dropped iterations above this share mean that the load asked for was not the load there was.
const DROPPED: f64 = 0.01;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    Good,
    Fair,
    #[default]
    Poor,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trust {
    pub grade: Grade,
    /// How late iterations began, over all scenarios (the worst of each number), in milliseconds.
    pub lag: Spread,
    /// The same rate against a server of this machine that does nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// The largest part of the median latency that may be the generator's own.
    pub own_share: f64,
    /// Share of iterations that found no free VU.
    pub dropped_share: f64,
    /// Processor time of the generator for each request, in microseconds.
    pub cpu_us: f64,
}

impl Trust {
    pub fn of(
        scenarios: &[ScenarioReport],
        calibration: Option<Calibration>,
        cpu: Duration,
    ) -> Trust {
        let mut lag = Spread::default();
        for s in scenarios {
            lag.count += s.lag.count;
            for (worst, own) in [
                (&mut lag.p50, s.lag.p50),
                (&mut lag.p90, s.lag.p90),
                (&mut lag.p95, s.lag.p95),
                (&mut lag.p99, s.lag.p99),
                (&mut lag.p999, s.lag.p999),
                (&mut lag.max, s.lag.max),
                (&mut lag.mean, s.lag.mean),
            ] {
                *worst = worst.max(own);
            }
        }
        let sum = |pick: fn(&ScenarioReport) -> u64| scenarios.iter().map(pick).sum::<u64>();
        let (dropped, iterations) = (sum(|s| s.dropped), sum(|s| s.iterations));
        let dropped_share = share(dropped, dropped + iterations);
        // Half of the lags are below their median; a null server's median is what an exchange costs here.
        let own = lag.p99.max(calibration.as_ref().map_or(0.0, |c| c.p50));
        let medians = scenarios.iter().filter(|s| s.requests > 0).map(|s| s.duration.p50);
        let least = medians.fold(f64::INFINITY, f64::min);
        let own_share = if least.is_finite() && least > 0.0 { (own / least).min(1.0) } else { 1.0 };
        let grade = match own_share {
            s if s <= GOOD && dropped_share <= DROPPED => Grade::Good,
            s if s <= FAIR => Grade::Fair,
            _ => Grade::Poor,
        };
        let requests = sum(|s| s.requests);
        let cpu_us = if requests == 0 { 0.0 } else { cpu.as_secs_f64() * 1e6 / requests as f64 };
        Trust { grade, lag, calibration, own_share, dropped_share, cpu_us }
    }
}

fn share(n: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { n as f64 / of as f64 }
}
