//! Counters of one route, and a latency histogram of fixed size.

use kernel::Time;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Four buckets per doubling of microseconds: a quantile is at most a quarter too high.
const BUCKETS: usize = 160;

pub(crate) struct Stats {
    requests: AtomicU64,
    /// When the last of them ended, in milliseconds since the Unix epoch.
    last: AtomicU64,
    client_errors: AtomicU64,
    server_errors: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

/// Time from a request's head to the last byte of its response, in milliseconds. Zero before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
}

impl Default for Stats {
    fn default() -> Stats {
        Stats {
            requests: AtomicU64::new(0),
            last: AtomicU64::new(0),
            client_errors: AtomicU64::new(0),
            server_errors: AtomicU64::new(0),
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }
}

impl Stats {
    pub(crate) fn record(&self, status: u16, took: Duration) {
        self.requests.fetch_add(1, Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Relaxed);
        match status {
            400..500 => self.client_errors.fetch_add(1, Relaxed),
            500.. => self.server_errors.fetch_add(1, Relaxed),
            _ => 0,
        };
        // An upgraded connection lives as long as people look at a page: that is not latency.
        if let Some(bucket) = self.buckets.get(bucket(took)).filter(|_| status != 101) {
            bucket.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }
    /// `None` before the first request.
    pub(crate) fn last_use(&self) -> Option<Time> {
        let last = i64::try_from(self.last.load(Relaxed)).unwrap_or(i64::MAX);
        (last > 0).then_some(Time(last))
    }
    pub(crate) fn client_errors(&self) -> u64 {
        self.client_errors.load(Relaxed)
    }
    pub(crate) fn server_errors(&self) -> u64 {
        self.server_errors.load(Relaxed)
    }

    pub(crate) fn latency(&self) -> Latency {
        let counts: Vec<u64> = self.buckets.iter().map(|b| b.load(Relaxed)).collect();
        Latency {
            p50: quantile(&counts, 0.50),
            p90: quantile(&counts, 0.90),
            p99: quantile(&counts, 0.99),
        }
    }
}

fn bucket(took: Duration) -> usize {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(4);
    let octave = 63 - us.leading_zeros();
    let quarter = (us >> (octave - 2)) & 3;
    (((octave - 2) * 4 + quarter as u32) as usize).min(BUCKETS - 1)
}

/// The upper bound of bucket `index`, in milliseconds.
fn upper(index: usize) -> f64 {
    let (octave, quarter) = (index / 4, index % 4);
    2f64.powi(i32::try_from(octave).unwrap_or(0)) * (5.0 + quarter as f64) / 1000.0
}

fn quantile(counts: &[u64], q: f64) -> f64 {
    let total: u64 = counts.iter().sum();
    let want = (total as f64 * q).ceil() as u64;
    let mut seen = 0;
    for (index, count) in counts.iter().enumerate() {
        seen += count;
        if total > 0 && seen >= want.max(1) {
            return upper(index);
        }
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bucket_bounds_its_value(us in 4u64..200_000_000) {
            let bound = upper(bucket(Duration::from_micros(us))) * 1000.0;
            prop_assert!(bound > us as f64 && bound <= us as f64 * 1.26, "{us} in {bound}");
        }
    }

    #[test]
    fn quantiles_and_classes() {
        let stats = Stats::default();
        assert_eq!(stats.latency(), Latency::default());
        for i in 0..100 {
            let slow = i >= 95;
            let took = Duration::from_millis(if slow { 900 } else { 1 });
            stats.record(if slow { 502 } else { 200 }, took);
        }
        stats.record(404, Duration::from_millis(1));
        let latency = stats.latency();
        assert!((1.0..1.26).contains(&latency.p50), "{latency:?}");
        assert!((900.0..1130.0).contains(&latency.p99), "{latency:?}");
        assert_eq!((stats.requests(), stats.client_errors(), stats.server_errors()), (101, 1, 5));
    }
}
