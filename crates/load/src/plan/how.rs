//! Who runs a scenario, how often and for how long: the executors and the options that stand in for them.

use super::{DEFAULT_MAX, How};
use crate::file::{self, Executor, Test};
use crate::limits;
use crate::schedule::{Curve, Ramp};
use kernel::{Text, text};
use std::collections::BTreeMap;

pub(super) fn word(executor: Executor) -> &'static str {
    match executor {
        Executor::ConstantArrivalRate => "constant-arrival-rate",
        Executor::RampingArrivalRate => "ramping-arrival-rate",
        Executor::ConstantVus => "constant-vus",
        Executor::RampingVus => "ramping-vus",
        Executor::SharedIterations => "shared-iterations",
        Executor::PerVuIterations => "per-vu-iterations",
    }
}

/// k6's options without `scenarios`.
pub(super) fn short_form(test: &Test) -> Option<file::Scenario> {
    let mut made = file::Scenario {
        executor: Executor::ConstantVus,
        rate: None,
        start_rate: None,
        time_unit: None,
        duration: None,
        pre_allocated_vus: None,
        max_vus: None,
        vus: test.vus,
        start_vus: None,
        iterations: None,
        max_duration: None,
        stages: Vec::new(),
        start_time: None,
        graceful_stop: None,
        exec: None,
        steps: Vec::new(),
        tags: BTreeMap::new(),
        env: BTreeMap::new(),
    };
    if !test.stages.is_empty() {
        made.executor = Executor::RampingVus;
        made.stages.clone_from(&test.stages);
        made.start_vus = made.vus.take();
    } else if test.iterations.is_some() {
        made.executor = Executor::SharedIterations;
        made.iterations = test.iterations;
        made.max_duration = test.duration;
    } else if test.duration.is_some() {
        made.duration = test.duration;
    } else if test.vus.is_none() {
        return None;
    } else {
        made.executor = Executor::SharedIterations;
        made.iterations = test.vus.map(u64::from);
    }
    Some(made)
}

pub(super) type Fault = (&'static str, Text);

impl How {
    pub(super) fn of(s: &file::Scenario) -> Result<How, Fault> {
        unused(s)?;
        let unit = s.time_unit.map_or(1.0, |t| t.0.as_secs_f64());
        if unit <= 0.0 {
            return Err((
                "timeUnit",
                text!("a time unit is longer than nothing", "시간 단위는 0보다 길어야 합니다"),
            ));
        }
        let how = match s.executor {
            Executor::ConstantArrivalRate => {
                let rate = positive("rate", s.rate)? / unit;
                let curve = Curve::constant(rate, need("duration", s.duration)?.0);
                arrivals(s, curve)?
            }
            Executor::RampingArrivalRate => {
                let curve = ramps(s, s.start_rate.unwrap_or(0.0), 1.0 / unit)?;
                arrivals(s, curve)?
            }
            Executor::ConstantVus => {
                let vus = f64::from(s.vus.unwrap_or(1));
                How::Looping { curve: Curve::constant(vus, need("duration", s.duration)?.0) }
            }
            Executor::RampingVus => {
                How::Looping { curve: ramps(s, f64::from(s.start_vus.unwrap_or(1)), 1.0)? }
            }
            Executor::SharedIterations | Executor::PerVuIterations => {
                let (iterations, vus) = (s.iterations.unwrap_or(1), s.vus.unwrap_or(1));
                let most = s.max_duration.map_or(DEFAULT_MAX, |d| d.0);
                match s.executor {
                    Executor::SharedIterations => How::Shared { iterations, vus, most },
                    _ => How::Each { iterations, vus, most },
                }
            }
        };
        if how.vus() == 0 {
            return Err(("vus", text!("at least one VU", "VU는 하나 이상이어야 합니다")));
        }
        if how.length().is_zero() || how.length().as_secs_f64() > limits::LENGTH {
            return Err((
                "duration",
                text!(
                    "longer than nothing, and at most a day",
                    "0보다 길고 하루를 넘지 않아야 합니다"
                ),
            ));
        }
        Ok(how)
    }
}

/// What the executor would pass over in silence is an error.
pub(super) fn unused(s: &file::Scenario) -> Result<(), Fault> {
    use Executor as E;
    let open = matches!(s.executor, E::ConstantArrivalRate | E::RampingArrivalRate);
    let counted = matches!(s.executor, E::SharedIterations | E::PerVuIterations);
    let ramping = matches!(s.executor, E::RampingArrivalRate | E::RampingVus);
    let given = [
        ("rate", s.rate.is_some(), s.executor == E::ConstantArrivalRate),
        ("startRate", s.start_rate.is_some(), s.executor == E::RampingArrivalRate),
        ("timeUnit", s.time_unit.is_some(), open),
        ("preAllocatedVUs", s.pre_allocated_vus.is_some(), open),
        ("maxVUs", s.max_vus.is_some(), open),
        ("vus", s.vus.is_some(), counted || s.executor == E::ConstantVus),
        ("startVUs", s.start_vus.is_some(), s.executor == E::RampingVus),
        ("iterations", s.iterations.is_some(), counted),
        ("maxDuration", s.max_duration.is_some(), counted),
        ("stages", !s.stages.is_empty(), ramping),
        ("duration", s.duration.is_some(), !counted && !ramping),
    ];
    let executor = word(s.executor);
    match given.iter().find(|(_, given, used)| *given && !used) {
        Some((key, ..)) => Err((
            key,
            text!(
                "{executor} does not use `{key}`",
                "{executor}은(는) `{key}`을(를) 쓰지 않습니다"
            ),
        )),
        None => Ok(()),
    }
}

pub(super) fn need<T>(key: &'static str, value: Option<T>) -> Result<T, Fault> {
    value.ok_or_else(|| (key, text!("`{key}` is missing", "`{key}`이(가) 없습니다")))
}

pub(super) fn positive(key: &'static str, value: Option<f64>) -> Result<f64, Fault> {
    let value = need(key, value)?;
    if value.is_finite() && value > 0.0 {
        return Ok(value);
    }
    Err((key, text!("`{key}` is a number above 0", "`{key}`은(는) 0보다 큰 수입니다")))
}

pub(super) fn ramps(s: &file::Scenario, from: f64, scale: f64) -> Result<Curve, Fault> {
    let sound = |v: f64| v.is_finite() && v >= 0.0;
    if s.stages.is_empty() {
        return Err(("stages", text!("`stages` is missing", "`stages`이(가) 없습니다")));
    }
    if !sound(from) || !s.stages.iter().all(|stage| sound(stage.target)) {
        return Err((
            "stages",
            text!("a target is a number from 0 up", "목표는 0 이상의 수입니다"),
        ));
    }
    let ramp = |stage: &file::Stage| Ramp {
        // A stage without length is a jump.
        seconds: stage.duration.0.as_secs_f64().max(1e-9),
        to: stage.target * scale,
    };
    Ok(Curve { from: from * scale, ramps: s.stages.iter().map(ramp).collect() })
}

pub(super) fn arrivals(s: &file::Scenario, curve: Curve) -> Result<How, Fault> {
    let peak = curve.peak();
    if peak > limits::RATE {
        let most = limits::RATE;
        return Err(("rate", text!("at most {most} a second", "초당 {most}까지입니다")));
    }
    let pre = s.pre_allocated_vus.unwrap_or_else(|| (peak / 10.0).ceil().clamp(10.0, 500.0) as u32);
    let usual = if s.pre_allocated_vus.is_some() { pre } else { pre.saturating_mul(10) };
    let max = s.max_vus.unwrap_or(usual);
    if max < pre && s.pre_allocated_vus.is_some() {
        let say = text!(
            "`maxVUs` is {max}, fewer than the {pre} of `preAllocatedVUs`",
            "`maxVUs`가 {max}로 `preAllocatedVUs`의 {pre}보다 적습니다"
        );
        return Err(("maxVUs", say));
    }
    Ok(How::Arrivals { curve, pre: pre.min(max), max })
}
