//! Lengths of time, sizes and shares, as people write them in a spec.

use kernel::time::parse_duration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::time::Duration;

/// A length of time: `30s`, `1m30s`, `250ms`, or a bare number of seconds. Written back in its shortest
/// form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(pub Duration);

/// A size in bytes: `256Mi`, `1G`, or a bare number. Powers of two with an `i`, powers of ten without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Thousandths of a core: `500m`, `0.5`, `2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cores(pub u32);

/// A number of instances, or a percentage of the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    Count(u32),
    Percent(u32),
}

impl Length {
    pub const fn secs(secs: u64) -> Length {
        Length(Duration::from_secs(secs))
    }

    pub(crate) fn parse(words: &str) -> Option<Length> {
        parse_duration(words).map(Length)
    }

    pub fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Display for Length {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.millis() {
            ms if ms % 1000 != 0 => write!(f, "{ms}ms"),
            ms if ms % 60_000 != 0 || ms == 0 => write!(f, "{}s", ms / 1000),
            ms if ms % 3_600_000 != 0 => write!(f, "{}m", ms / 60_000),
            ms => write!(f, "{}h", ms / 3_600_000),
        }
    }
}

const UNITS: [(&str, u64); 9] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1000),
    ("K", 1000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];

impl Size {
    pub(crate) fn parse(words: &str) -> Option<Size> {
        let words = words.trim().trim_end_matches(['B', 'b']);
        let digits = words.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(words.len());
        let (number, unit) = words.split_at(digits);
        let unit = unit.trim();
        let factor = match UNITS.iter().find(|(u, _)| *u == unit) {
            Some((_, factor)) => *factor,
            None if unit.is_empty() => 1,
            None => return None,
        };
        let bytes = number.parse::<f64>().ok()? * factor as f64;
        (bytes.is_finite() && bytes <= 1e18).then_some(Size(bytes as u64))
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fits = |(_, factor): &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*factor);
        match UNITS.iter().take(4).rev().find(fits) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Cores {
    pub(crate) fn parse(words: &str) -> Option<Cores> {
        let words = words.trim();
        if let Some(milli) = words.strip_suffix('m') {
            return milli.parse().ok().map(Cores);
        }
        let cores: f64 = words.parse().ok()?;
        (0.0..=1024.0).contains(&cores).then_some(Cores((cores * 1000.0).round() as u32))
    }
}

impl std::fmt::Display for Cores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 % 1000 {
            0 => write!(f, "{}", self.0 / 1000),
            _ => write!(f, "{}m", self.0),
        }
    }
}

impl Share {
    pub(crate) fn parse(words: &str) -> Option<Share> {
        let words = words.trim();
        match words.strip_suffix('%') {
            Some(percent) => percent.trim().parse().ok().filter(|p| *p <= 1000).map(Share::Percent),
            None => words.parse().ok().map(Share::Count),
        }
    }

    /// Of `whole`, rounded up.
    pub fn up(self, whole: u32) -> u32 {
        match self {
            Share::Count(n) => n,
            Share::Percent(p) => whole.saturating_mul(p).div_ceil(100),
        }
    }

    /// Of `whole`, rounded down.
    pub fn down(self, whole: u32) -> u32 {
        match self {
            Share::Count(n) => n,
            Share::Percent(p) => whole.saturating_mul(p) / 100,
        }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Share::Count(n) => write!(f, "{n}"),
            Share::Percent(p) => write!(f, "{p}%"),
        }
    }
}

/// Reads words, or a bare number as the words of it.
struct Words<T> {
    parse: fn(&str) -> Option<T>,
    expecting: &'static str,
}

impl<T> de::Visitor<'_> for Words<T> {
    type Value = T;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.expecting)
    }
    fn visit_str<E: de::Error>(self, words: &str) -> Result<T, E> {
        (self.parse)(words).ok_or_else(|| E::invalid_value(de::Unexpected::Str(words), &self))
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

macro_rules! words {
    ($($kind:ident $expecting:literal $pattern:literal),* $(,)?) => { $(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<$kind, D::Error> {
                d.deserialize_any(Words { parse: $kind::parse, expecting: $expecting })
            }
        }
        impl JsonSchema for $kind {
            fn schema_name() -> Cow<'static, str> {
                stringify!($kind).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "description": $expecting,
                    "anyOf": [
                        { "type": "string", "pattern": $pattern },
                        { "type": "number", "minimum": 0 },
                    ],
                })
            }
        }
    )* };
}

words! {
    Length "a length of time such as 30s, 1m30s or 250ms" r"^[0-9.]+ ?[a-z]*",
    Size "a size such as 256Mi or 1G" r"^[0-9.]+ ?([KMGT]i?|k)?B?$",
    Cores "a number of cores such as 500m, 0.5 or 2" r"^[0-9.]+m?$",
    Share "a number, or a percentage such as 25%" r"^[0-9]+ ?%?$",
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{from_value, json, to_value};

    #[test]
    fn as_people_write_them() {
        for (words, want) in [
            (json!("256Mi"), Some(256 << 20)),
            (json!("1G"), Some(1_000_000_000)),
            (json!("1.5 KiB"), Some(1536)),
            (json!(4096), Some(4096)),
            (json!("a lot"), None),
            (json!("-1"), None),
        ] {
            assert_eq!(from_value::<Size>(words.clone()).ok().map(|s| s.0), want, "{words}");
        }
        for (words, want) in
            [(json!("500m"), Some(500)), (json!(0.5), Some(500)), (json!(2), Some(2000))]
        {
            assert_eq!(from_value::<Cores>(words).ok().map(|c| c.0), want);
        }
        assert_eq!(from_value::<Share>(json!("25%")).unwrap().up(2), 1);
        assert_eq!(from_value::<Share>(json!("25%")).unwrap().down(2), 0);
        assert_eq!(from_value::<Share>(json!(3)).unwrap(), Share::Count(3));
        assert!(from_value::<Length>(json!("soon")).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(ms in 0u64..1 << 40, bytes in 0u64..1 << 50, milli in 0u32..1 << 20) {
            let length = Length(Duration::from_millis(ms.min(1_000_000_000)));
            prop_assert_eq!(from_value::<Length>(to_value(length).unwrap()).unwrap(), length);
            prop_assert_eq!(from_value::<Size>(to_value(Size(bytes)).unwrap()).unwrap(), Size(bytes));
            let cores = Cores(milli);
            prop_assert_eq!(from_value::<Cores>(to_value(cores).unwrap()).unwrap(), cores);
        }
    }
}
