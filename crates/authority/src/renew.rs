//! When a certificate is made anew. Pure.

use kernel::Time;

/// Whether a certificate that holds `from` … `until` has to be replaced: a third of its life is left, it has ended, or
/// the clock was set back to before it began.
pub fn due(from: Time, until: Time, now: Time) -> bool {
    now < from || now >= next(from, until)
}

/// When a third of the life is left.
pub fn next(from: Time, until: Time) -> Time {
    from.plus(until.since(from) / 3 * 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_third_before_the_end_and_when_the_clock_has_jumped() {
        let day = Duration::from_secs(86_400);
        let from = Time(1_800_000_000_000);
        let until = from.plus(90 * day);
        assert_eq!(next(from, until), from.plus(60 * day));
        for (now, want) in [
            (from, false),
            (from.plus(59 * day), false),
            (from.plus(60 * day), true),
            (from.plus(400 * day), true),
            (Time(from.0 - 1), true),
            (Time(0), true),
        ] {
            assert_eq!(due(from, until, now), want, "{now}");
        }
        assert!(due(until, from, from), "a life that ends before it begins is over");
    }
}
