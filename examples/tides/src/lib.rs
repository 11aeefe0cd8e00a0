//! The height of the tide: a sum of two waves, the moon's and the sun's.

/// Hours between two high waters of the moon's and of the sun's tide.
const MOON: f64 = 12.42;
const SUN: f64 = 12.0;

/// Centimetres above mean sea level, `hour` hours after a spring tide's high water.
pub fn height(hour: f64) -> f64 {
    let wave = |period: f64| (hour / period * std::f64::consts::TAU).cos();
    180.0 * wave(MOON) + 60.0 * wave(SUN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spring_tide_is_the_sum_of_both() {
        assert_eq!(height(0.0), 240.0);
    }

    #[test]
    fn six_hours_later_it_is_low() {
        assert!(height(6.2) < -200.0);
    }

    #[test]
    fn a_week_later_they_work_against_each_other() {
        let neap = (0..130).map(|h| height(168.0 + f64::from(h) / 10.0)).fold(f64::MIN, f64::max);
        assert!((115.0..150.0).contains(&neap), "{neap}");
    }
}
