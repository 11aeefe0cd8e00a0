//! When iterations are due, and how many VUs there are: pure functions of time.

use std::time::Duration;

/// One stretch of a ramp: from where the one before ended, to `to`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ramp {
    pub seconds: f64,
    pub to: f64,
}

/// Something that changes in straight lines over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    pub from: f64,
    pub ramps: Vec<Ramp>,
}

impl Curve {
    pub fn constant(value: f64, length: Duration) -> Curve {
        Curve { from: value, ramps: vec![Ramp { seconds: length.as_secs_f64(), to: value }] }
    }

    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.ramps.iter().map(|r| r.seconds).sum::<f64>().max(0.0))
    }

    pub fn peak(&self) -> f64 {
        self.ramps.iter().map(|r| r.to).fold(self.from, f64::max)
    }

    /// Its value at a time; after its end, the last.
    pub fn at(&self, time: Duration) -> f64 {
        let (mut left, mut from) = (time.as_secs_f64(), self.from);
        for ramp in &self.ramps {
            if left < ramp.seconds {
                return from + (ramp.to - from) * left / ramp.seconds;
            }
            left -= ramp.seconds;
            from = ramp.to;
        }
        from
    }

    /// The area below it: as a rate per second, how many arrivals there are in all.
    pub fn total(&self) -> f64 {
        let mut from = self.from;
        let mut sum = 0.0;
        for ramp in &self.ramps {
            sum += (from + ramp.to) / 2.0 * ramp.seconds;
            from = ramp.to;
        }
        sum
    }

    /// When the area below it reaches `n`: the due time of arrival `n`, counted from 0. `None` after the end.
    pub fn due(&self, n: u64) -> Option<Duration> {
        let (mut left, mut from, mut passed) = (n as f64, self.from, 0.0);
        for ramp in &self.ramps {
            let area = (from + ramp.to) / 2.0 * ramp.seconds;
            if left < area {
                let slope = (ramp.to - from) / ramp.seconds;
                return Some(Duration::from_secs_f64(passed + reach(left, from, slope)));
            }
            left -= area;
            passed += ramp.seconds;
            from = ramp.to;
        }
        None
    }
}

/// The time at which `from·t + slope·t²/2` is `area`. Written so that no digits are lost for a small slope.
fn reach(area: f64, from: f64, slope: f64) -> f64 {
    let root = (from * from + 2.0 * slope * area).max(0.0).sqrt();
    if from + root > 0.0 { 2.0 * area / (from + root) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_constant_rate_is_evenly_spaced() {
        let curve = Curve::constant(200.0, Duration::from_secs(2));
        assert_eq!(curve.due(0), Some(Duration::ZERO));
        assert_eq!(curve.due(1), Some(Duration::from_millis(5)));
        assert_eq!(curve.due(399), Some(Duration::from_millis(1995)));
        assert_eq!(curve.due(400), None);
    }

    #[test]
    fn a_ramp_up_from_nothing_gets_denser() {
        let curve = Curve { from: 0.0, ramps: vec![Ramp { seconds: 10.0, to: 20.0 }] };
        assert_eq!(curve.total(), 100.0);
        let due = |n| curve.due(n).unwrap().as_secs_f64();
        assert!((due(25) - 5.0).abs() < 1e-9);
        assert!(due(1) - due(0) > 10.0 * (due(99) - due(98)));
    }

    proptest! {
        /// Arrivals never go back in time, and as many come as the area says.
        #[test]
        fn arrivals_are_in_order_and_complete(
            from in 0.0_f64..500.0,
            ramps in prop::collection::vec((0.1_f64..3.0, 0.0_f64..500.0), 1..5),
        ) {
            let ramps = ramps.into_iter().map(|(seconds, to)| Ramp { seconds, to }).collect();
            let curve = Curve { from, ramps };
            let all: Vec<_> = (0..).map_while(|n| curve.due(n)).collect();
            prop_assert!(all.is_sorted());
            prop_assert!((all.len() as f64 - curve.total().ceil()).abs() <= 1.0);
            prop_assert!(all.iter().all(|d| *d <= curve.length() + Duration::from_nanos(2)));
        }
    }
}
