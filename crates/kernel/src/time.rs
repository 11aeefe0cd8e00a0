//! Instants, and where they come from.

use crate::BoxFuture;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::time::Duration;

/// Milliseconds since the Unix epoch, UTC. Written as RFC 3339 with milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    pub fn millis(self) -> i64 {
        self.0
    }
    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
    pub fn plus(self, after: Duration) -> Time {
        Time(self.0.saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)))
    }
    /// Reads RFC 3339 with any offset.
    pub fn parse(words: &str) -> Option<Time> {
        words.parse::<jiff::Timestamp>().ok().map(|t| Time(t.as_millisecond()))
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "@{}", self.0),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Time, D::Error> {
        let words = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Time::parse(&words).ok_or_else(|| de::Error::custom("not an RFC 3339 time"))
    }
}

impl JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// Where time comes from, so that engines run under simulation.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Time;
    /// Resolves when `now() >= at`. Dropping the future cancels the wait.
    fn sleep_until(&self, at: Time) -> BoxFuture<'static, ()>;
}

/// A length of time as people write it in a file: `30s`, `5m`, `1h30m`, `250ms`, `2 hours`, or a bare
/// number of seconds.
pub fn parse_duration(words: &str) -> Option<Duration> {
    let words = words.trim();
    if words.is_empty() || words.len() > 64 {
        return None;
    }
    let mut total = 0.0_f64;
    let mut rest = words;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        total += number
            * match unit {
                "ms" => 0.001,
                "" | "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
                "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
                "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
                "d" | "day" | "days" => 86_400.0,
                "w" | "week" | "weeks" => 604_800.0,
                _ => return None,
            };
        rest = after.trim_start().trim_start_matches("and ").trim_start();
    }
    (total.is_finite() && total <= 1e9)
        .then(|| Duration::from_millis((total * 1000.0).round() as u64))
}

/// `850 ms`, `4.2 s`, `3 m 05 s`, `2 h 10 m`: for people, never parsed.
pub fn show_duration(d: Duration) -> String {
    let ms = d.as_millis();
    let s = d.as_secs();
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{:.1} s", d.as_secs_f64()),
        60_000..3_600_000 => format!("{} m {:02} s", s / 60, s % 60),
        3_600_000..172_800_000 => format!("{} h {:02} m", s / 3600, s / 60 % 60),
        _ => format!("{} d {:02} h", s / 86_400, s / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_round_trips() {
        let t = Time(1_764_000_000_123);
        assert_eq!(t.to_string(), "2025-11-24T16:00:00.123Z");
        assert_eq!(Time::parse(&t.to_string()), Some(t));
        assert_eq!(Time::parse("2025-11-25T01:00:00.123+09:00"), Some(t));
        assert_eq!(Time::parse("yesterday"), None);
    }

    #[test]
    fn durations_as_people_write_them() {
        for (words, want) in [
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("1 hour 30 minutes", Some(5_400_000)),
            ("250ms", Some(250)),
            ("90", Some(90_000)),
            ("1.5s", Some(1500)),
            ("", None),
            ("soon", None),
            ("3 lightyears", None),
            ("-1s", None),
        ] {
            assert_eq!(parse_duration(words).map(|d| d.as_millis()), want, "{words}");
        }
    }
}
