//! What is counted while a test runs. One set for each worker, merged when somebody looks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use kernel::{Error, Result};
use std::collections::BTreeMap;
use std::time::Duration;

/// Microseconds above which a time is recorded as this: one hour.
const MOST: u64 = 3_600_000_000;
/// Significant digits: a recorded time is within 0.1 % of the real one.
const DIGITS: u8 = 3;
/// Kinds of answers kept apart for one request; the rest is counted together.
const STATUSES: usize = 32;
/// Bytes of a sample of an error.
const SAMPLE: usize = 300;

/// Times in microseconds, from 1 µs to an hour, with three significant digits.
#[derive(Clone, Debug)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Times {
        Times::new()
    }
}

impl Times {
    pub fn new() -> Times {
        let made = Histogram::new(DIGITS);
        // Three digits are always allowed.
        Times(made.unwrap_or_else(|_| unreachable!("three digits")))
    }

    pub fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(MOST).clamp(1, MOST);
        // It grows by itself, and an hour is not too large for it.
        let _ = self.0.record(micros);
    }

    pub fn add(&mut self, other: &Times) {
        // Both grow by themselves, so that nothing is too large for the other.
        let _ = self.0.add(&other.0);
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Milliseconds at a quantile from 0 to 1; 0 when there is nothing.
    pub fn at(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile.clamp(0.0, 1.0)) as f64 / 1000.0
    }

    pub fn mean(&self) -> f64 {
        if self.0.is_empty() { 0.0 } else { self.0.mean() / 1000.0 }
    }

    pub fn min(&self) -> f64 {
        if self.0.is_empty() { 0.0 } else { self.0.min() as f64 / 1000.0 }
    }

    pub fn max(&self) -> f64 {
        self.0.max() as f64 / 1000.0
    }

    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// How many there are at most as long as that, in milliseconds.
    pub fn below(&self, ms: f64) -> u64 {
        self.0.count_between(0, (ms * 1000.0).max(0.0) as u64)
    }

    /// HdrHistogram's V2 format, deflated, in base64: what its plotters read.
    ///
    /// # Errors
    /// Internal, when it cannot be written.
    pub fn encode(&self) -> Result<String> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&self.0, &mut bytes).map_err(Error::internal)?;
        Ok(STANDARD.encode(bytes))
    }

    /// `None`: not a histogram of this kind, or one that would be larger than ours can be.
    pub fn decode(words: &str) -> Option<Times> {
        /// Bytes of what is packed, at most: every bucket in use in full width.
        const UNPACKED: u64 = 2 * 1024 * 1024;
        let bytes = STANDARD.decode(words.trim()).ok().filter(|b| b.len() > 8)?;
        let mut plain = Vec::new();
        let inside = flate2::read::ZlibDecoder::new(bytes.get(8..)?);
        std::io::Read::read_to_end(&mut std::io::Read::take(inside, UNPACKED), &mut plain).ok()?;
        // The head says how large the histogram will be: 40 bytes of which these are digits and maximum.
        let digits = u32::from_be_bytes(plain.get(12..16)?.try_into().ok()?);
        let highest = u64::from_be_bytes(plain.get(24..32)?.try_into().ok()?);
        if digits > 3 || highest > MOST * 2 {
            return None;
        }
        let found: Histogram<u64> = Deserializer::new().deserialize(&mut plain.as_slice()).ok()?;
        Some(Times(found))
    }
}

/// How the parts of one exchange took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts {
    /// From being due to having a connection.
    pub blocked: Duration,
    pub dns: Option<Duration>,
    pub connecting: Option<Duration>,
    pub tls: Option<Duration>,
    pub sending: Duration,
    /// To the first byte of the answer.
    pub waiting: Duration,
    pub receiving: Duration,
    /// How late it was sent, whoever's fault.
    pub lag: Duration,
    /// From being due to the end.
    pub duration: Duration,
    /// From being sent to the end: what a closed generator would have measured.
    pub service: Duration,
    pub sent: u64,
    pub received: u64,
}

/// Times of one kind for each request.
#[derive(Clone, Debug, Default)]
pub struct Phases {
    pub blocked: Times,
    pub dns: Times,
    pub connecting: Times,
    pub tls: Times,
    pub sending: Times,
    pub waiting: Times,
    pub receiving: Times,
    pub service: Times,
}

/// Errors of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    pub count: u64,
    pub sample: String,
}

/// Everything about one request of the plan.
#[derive(Clone, Debug, Default)]
pub struct RequestStats {
    /// By status; 0 is no answer.
    pub by_status: BTreeMap<u16, StatusStats>,
    pub phases: Phases,
    pub errors: BTreeMap<&'static str, Errors>,
    pub sent: u64,
    pub received: u64,
}

#[derive(Clone, Debug, Default)]
pub struct StatusStats {
    pub duration: Times,
    pub failed: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    pub passes: u64,
    pub fails: u64,
}

#[derive(Clone, Debug, Default)]
pub struct ScenarioStats {
    pub iterations: u64,
    pub dropped: u64,
    /// Iterations that were cut off at the end.
    pub interrupted: u64,
    pub iteration: Times,
    pub lag: Times,
    /// Since it was last taken: for the live line and the blocks of the noise model.
    pub tick: Tick,
    pub vus: u32,
    pub vus_max: u32,
}

/// What happened since the last look.
#[derive(Clone, Debug, Default)]
pub struct Tick {
    pub duration: Times,
    pub failed: u64,
    pub dropped: u64,
}

/// All of one worker.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub scenarios: Vec<ScenarioStats>,
    /// By the request's number in the plan.
    pub requests: Vec<RequestStats>,
    /// By the check's number in the plan.
    pub checks: Vec<Passes>,
}

impl Stats {
    pub fn new(scenarios: usize, requests: usize, checks: usize) -> Stats {
        Stats {
            scenarios: vec![ScenarioStats::default(); scenarios],
            requests: vec![RequestStats::default(); requests],
            checks: vec![Passes::default(); checks],
        }
    }

    /// One exchange that ended, with or without an answer.
    pub fn exchange(
        &mut self,
        scenario: usize,
        request: usize,
        status: u16,
        failed: bool,
        p: &Parts,
    ) {
        if let Some(stats) = self.requests.get_mut(request) {
            let known = stats.by_status.contains_key(&status) || stats.by_status.len() < STATUSES;
            // 599 stands for all that there was no room for.
            let by = stats.by_status.entry(if known { status } else { 599 }).or_default();
            by.duration.record(p.duration);
            by.failed += u64::from(failed);
            stats.sent += p.sent;
            stats.received += p.received;
            stats.phases.record(p, status != 0);
        }
        if let Some(stats) = self.scenarios.get_mut(scenario) {
            stats.lag.record(p.lag);
            stats.tick.duration.record(p.duration);
            stats.tick.failed += u64::from(failed);
        }
    }

    pub fn error(&mut self, request: usize, kind: &'static str, sample: &str) {
        let Some(stats) = self.requests.get_mut(request) else { return };
        let errors = stats.errors.entry(kind).or_default();
        if errors.count == 0 {
            errors.sample = sample.chars().take(SAMPLE).collect();
        }
        errors.count += 1;
    }

    pub fn check(&mut self, check: usize, passed: bool) {
        if let Some(passes) = self.checks.get_mut(check) {
            passes.passes += u64::from(passed);
            passes.fails += u64::from(!passed);
        }
    }

    pub fn merge(&mut self, other: &Stats) {
        for (a, b) in self.scenarios.iter_mut().zip(&other.scenarios) {
            a.iterations += b.iterations;
            a.dropped += b.dropped;
            a.interrupted += b.interrupted;
            a.vus += b.vus;
            a.vus_max += b.vus_max;
            a.iteration.add(&b.iteration);
            a.lag.add(&b.lag);
        }
        for (a, b) in self.requests.iter_mut().zip(&other.requests) {
            a.merge(b);
        }
        for (a, b) in self.checks.iter_mut().zip(&other.checks) {
            a.passes += b.passes;
            a.fails += b.fails;
        }
    }
}

impl RequestStats {
    fn merge(&mut self, other: &RequestStats) {
        for (status, b) in &other.by_status {
            let a = self.by_status.entry(*status).or_default();
            a.duration.add(&b.duration);
            a.failed += b.failed;
        }
        for (kind, b) in &other.errors {
            let a = self.errors.entry(kind).or_default();
            if a.count == 0 {
                a.sample.clone_from(&b.sample);
            }
            a.count += b.count;
        }
        self.phases.merge(&other.phases);
        self.sent += other.sent;
        self.received += other.received;
    }

    pub fn count(&self) -> u64 {
        self.by_status.values().map(|s| s.duration.count()).sum()
    }

    pub fn failed(&self) -> u64 {
        self.by_status.values().map(|s| s.failed).sum()
    }

    pub fn duration(&self) -> Times {
        let mut all = Times::new();
        self.by_status.values().for_each(|s| all.add(&s.duration));
        all
    }
}

impl Phases {
    fn record(&mut self, p: &Parts, answered: bool) {
        self.blocked.record(p.blocked);
        p.dns.inspect(|t| self.dns.record(*t));
        p.connecting.inspect(|t| self.connecting.record(*t));
        p.tls.inspect(|t| self.tls.record(*t));
        self.service.record(p.service);
        if answered {
            self.sending.record(p.sending);
            self.waiting.record(p.waiting);
            self.receiving.record(p.receiving);
        }
    }

    fn merge(&mut self, other: &Phases) {
        let mine = [
            &mut self.blocked,
            &mut self.dns,
            &mut self.connecting,
            &mut self.tls,
            &mut self.sending,
            &mut self.waiting,
            &mut self.receiving,
            &mut self.service,
        ];
        mine.into_iter().zip(other.all()).for_each(|(a, b)| a.add(b));
    }

    fn all(&self) -> [&Times; 8] {
        [
            &self.blocked,
            &self.dns,
            &self.connecting,
            &self.tls,
            &self.sending,
            &self.waiting,
            &self.receiving,
            &self.service,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Within a thousandth of the exact value, also after a merge and a trip through the file format.
        #[test]
        fn quantiles_are_exact_to_three_digits(
            mut micros in prop::collection::vec(1_u64..60_000_000, 1..300),
            quantile in 0.0_f64..1.0,
        ) {
            let (mut a, mut b) = (Times::new(), Times::new());
            for (i, m) in micros.iter().enumerate() {
                (if i % 2 == 0 { &mut a } else { &mut b }).record(Duration::from_micros(*m));
            }
            a.add(&b);
            let back = Times::decode(&a.encode().unwrap()).unwrap();
            micros.sort_unstable();
            let rank = ((quantile * micros.len() as f64).ceil() as usize).max(1) - 1;
            let exact = micros[rank] as f64 / 1000.0;
            for times in [&a, &back] {
                prop_assert_eq!(times.count(), micros.len() as u64);
                let found = times.at(quantile);
                prop_assert!((found - exact).abs() <= exact * 0.001 + 0.0005, "{} {}", found, exact);
            }
        }

        #[test]
        fn any_words_are_a_histogram_or_not(words: String, bytes: Vec<u8>) {
            let _ = Times::decode(&words);
            let _ = Times::decode(&STANDARD.encode(bytes));
        }
    }

    #[test]
    fn more_than_an_hour_is_an_hour() {
        let mut times = Times::new();
        times.record(Duration::from_secs(100_000));
        assert!((times.max() - 3_600_000.0).abs() < 4_000.0);
    }
}
