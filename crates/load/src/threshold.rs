//! Thresholds in k6's grammar: `p(95)<200`, `rate>=0.99`, on a metric or on a part of it by tags.

use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    Avg,
    Min,
    Med,
    Max,
    /// Percent.
    P(f64),
    Count,
    Rate,
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Compare {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
    Unequal,
}

impl Compare {
    pub fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Compare::Less => a < b,
            Compare::AtMost => a <= b,
            Compare::More => a > b,
            Compare::AtLeast => a >= b,
            Compare::Equal => a == b,
            Compare::Unequal => a != b,
        }
    }
}

/// `p(95)<200`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expression {
    pub of: Aggregate,
    pub compare: Compare,
    pub limit: f64,
}

/// What kind of numbers a metric has; it says which aggregates there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Times, in milliseconds.
    Trend,
    Counter,
    Rate,
    Gauge,
}

impl MetricKind {
    pub fn aggregates(self) -> &'static [&'static str] {
        match self {
            MetricKind::Trend => &["avg", "min", "med", "max", "p(N)"],
            MetricKind::Counter => &["count", "rate"],
            MetricKind::Rate => &["rate"],
            MetricKind::Gauge => &["value"],
        }
    }

    pub fn has(self, of: Aggregate) -> bool {
        match of {
            Aggregate::Avg | Aggregate::Min | Aggregate::Med | Aggregate::Max | Aggregate::P(_) => {
                self == MetricKind::Trend
            }
            Aggregate::Count => self == MetricKind::Counter,
            Aggregate::Rate => matches!(self, MetricKind::Counter | MetricKind::Rate),
            Aggregate::Value => self == MetricKind::Gauge,
        }
    }
}

impl Expression {
    /// `None`: not of that form.
    pub fn parse(words: &str) -> Option<Expression> {
        let words: String = words.chars().filter(|c| !c.is_whitespace()).collect();
        let start = words.find(['<', '>', '=', '!'])?;
        let (name, rest) = words.split_at(start);
        let signs = [
            ("===", Compare::Equal),
            ("!==", Compare::Unequal),
            ("<=", Compare::AtMost),
            (">=", Compare::AtLeast),
            ("==", Compare::Equal),
            ("!=", Compare::Unequal),
            ("<", Compare::Less),
            (">", Compare::More),
        ];
        let (compare, limit) =
            signs.iter().find_map(|(sign, c)| Some((*c, rest.strip_prefix(sign)?)))?;
        let limit: f64 = limit.parse().ok().filter(|l: &f64| l.is_finite())?;
        Some(Expression { of: aggregate(name)?, compare, limit })
    }
}

fn aggregate(name: &str) -> Option<Aggregate> {
    Some(match name {
        "avg" => Aggregate::Avg,
        "min" => Aggregate::Min,
        "med" => Aggregate::Med,
        "max" => Aggregate::Max,
        "count" => Aggregate::Count,
        "rate" => Aggregate::Rate,
        "value" => Aggregate::Value,
        _ => {
            let percent = name.strip_prefix("p(")?.strip_suffix(')')?.parse().ok()?;
            (0.0..=100.0).contains(&percent).then_some(Aggregate::P(percent))?
        }
    })
}

/// A metric, perhaps only where tags have these values: `http_req_duration{name:login}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector {
    pub metric: String,
    pub tags: BTreeMap<String, String>,
}

impl Selector {
    /// `None`: braces or tags that do not fit.
    pub fn parse(words: &str) -> Option<Selector> {
        let Some((metric, rest)) = words.split_once('{') else {
            return Some(Selector { metric: words.trim().to_owned(), tags: BTreeMap::new() });
        };
        let inside = rest.trim_end().strip_suffix('}')?;
        let pair = |words: &str| {
            let (name, value) = words.split_once(':')?;
            let value = value.trim().trim_matches(['"', '\'']);
            Some((name.trim().to_owned(), value.to_owned()))
        };
        let tags = inside.split(',').map(pair).collect::<Option<BTreeMap<_, _>>>()?;
        Some(Selector { metric: metric.trim().to_owned(), tags })
    }
}

/// A checked threshold.
#[derive(Clone, Debug)]
pub struct Threshold {
    /// As written.
    pub key: String,
    pub words: String,
    pub on: Selector,
    pub is: Expression,
    pub abort: bool,
    pub delay: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar() {
        let is = |of, compare, limit| Some(Expression { of, compare, limit });
        for (words, want) in [
            ("p(95)<200", is(Aggregate::P(95.0), Compare::Less, 200.0)),
            ("p(99.9) <= 1500.5", is(Aggregate::P(99.9), Compare::AtMost, 1500.5)),
            ("avg < 100", is(Aggregate::Avg, Compare::Less, 100.0)),
            ("rate<0.01", is(Aggregate::Rate, Compare::Less, 0.01)),
            ("count===0", is(Aggregate::Count, Compare::Equal, 0.0)),
            ("med>=1", is(Aggregate::Med, Compare::AtLeast, 1.0)),
            ("max!=5", is(Aggregate::Max, Compare::Unequal, 5.0)),
            ("value>0", is(Aggregate::Value, Compare::More, 0.0)),
            ("p95<200", None),
            ("p(101)<200", None),
            ("avg<", None),
            ("avg<fast", None),
            ("avg=1", None),
            ("<200", None),
            ("avg<100 && p(95)<200", None),
            ("", None),
        ] {
            assert_eq!(Expression::parse(words), want, "{words}");
        }
    }

    #[test]
    fn parts_of_metrics() {
        let found = Selector::parse("http_req_duration{name:login, status:200}").unwrap();
        assert_eq!(found.metric, "http_req_duration");
        assert_eq!(found.tags.get("name").map(String::as_str), Some("login"));
        assert_eq!(found.tags.get("status").map(String::as_str), Some("200"));
        assert_eq!(Selector::parse("checks").unwrap().tags.len(), 0);
        for bad in ["a{", "a{b}", "a{b:c"] {
            assert_eq!(Selector::parse(bad), None, "{bad}");
        }
    }
}
