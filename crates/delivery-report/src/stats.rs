//! What series of durations say. Pure.

use serde::{Deserialize, Serialize};

/// Samples on each side below which nothing is said.
const FEWEST: usize = 5;
/// Newest samples that are compared with those before.
const HEAD: usize = 8;
/// A test of a few milliseconds doubles by chance.
const LEAST_MS: f64 = 50.0;

/// The middle value; the mean of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some((upper + sorted.get(middle - 1)?) / 2.0)
}

/// The median distance from the median.
fn spread(values: &[f64], middle: f64) -> f64 {
    let away: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
    median(&away).unwrap_or(0.0)
}

/// A duration that has risen for good.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slower {
    /// Medians, in milliseconds.
    pub before_ms: f64,
    pub after_ms: f64,
    /// How many samples each is of.
    pub before: usize,
    pub after: usize,
}

/// Whether the newest samples are slower than those before. It takes at least five of each, a rise of a fifth
/// and of 50 ms, and more than four times the usual distance from the median: one slow run says nothing.
/// `samples` are oldest first.
pub fn slower(samples: &[f64]) -> Option<Slower> {
    let head = HEAD.min(samples.len() / 2);
    let (before, after) = samples.split_at(samples.len() - head);
    if before.len() < FEWEST || after.len() < FEWEST {
        return None;
    }
    let (was, is) = (median(before)?, median(after)?);
    let noise = spread(before, was).max(spread(after, is));
    let rise = is - was;
    let certain = rise > 4.0 * noise && rise > was * 0.2 && rise >= LEAST_MS;
    certain.then_some(Slower {
        before_ms: was,
        after_ms: is,
        before: before.len(),
        after: after.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_slow_run_says_nothing_and_many_do() {
        let steady = vec![100.0, 104.0, 98.0, 101.0, 99.0, 103.0, 100.0, 97.0];
        assert_eq!(slower(&[steady.clone(), steady.clone()].concat()), None);
        let mut once = [steady.clone(), steady.clone()].concat();
        *once.last_mut().unwrap() = 5_000.0;
        assert_eq!(slower(&once), None);
        let later: Vec<f64> = steady.iter().map(|v| v + 150.0).collect();
        let found = slower(&[steady.clone(), later].concat()).unwrap();
        assert_eq!((found.before_ms, found.after_ms, found.after), (100.0, 250.0, 8));
        assert_eq!(slower(&[100.0, 400.0, 400.0]), None, "too few");
        let tiny: Vec<f64> = [[1.0; 8], [3.0; 8]].concat();
        assert_eq!(slower(&tiny), None, "too little");
    }

    proptest! {
        #[test]
        fn noise_alone_is_no_rise(values in prop::collection::vec(0.0_f64..100.0, 0..64)) {
            if let Some(found) = slower(&values) {
                prop_assert!(found.after_ms >= found.before_ms + LEAST_MS);
            }
            let mut sorted = values.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            prop_assert_eq!(slower(&sorted), None, "what falls does not rise");
        }
    }
}
