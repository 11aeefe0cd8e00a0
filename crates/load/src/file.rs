//! The test file: k6's words for its options, and words of our own for what k6 writes in JavaScript.
//!
//! Names of scenario, executor and threshold options follow k6 1.x (`docs: using k6 / k6 options`).

use kernel::time::parse_duration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// A performance test.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Test {
    /// What runs, by name.
    pub scenarios: BTreeMap<String, Scenario>,
    /// What the scenario `default` does, or one without steps of its own.
    pub steps: Vec<Step>,
    /// Steps that scenarios share: `exec` names one.
    pub flows: BTreeMap<String, Vec<Step>>,
    /// Metric, perhaps with tags in braces, to its limits.
    pub thresholds: BTreeMap<String, Vec<Limit>>,
    /// Known as `${name}` in all texts; `-e NAME=VALUE` is stronger.
    pub variables: BTreeMap<String, Word>,
    /// Rows of which every iteration takes one; known as `${name.column}`.
    pub data: BTreeMap<String, Data>,
    /// Names that are not asked of DNS: `api.example.org: 127.0.0.1:8080`.
    pub hosts: BTreeMap<String, String>,
    /// Sent with every request.
    pub headers: BTreeMap<String, String>,
    /// Of everything.
    pub tags: BTreeMap<String, String>,
    pub user_agent: Option<String>,
    #[serde(rename = "insecureSkipTLSVerify")]
    pub insecure_skip_tls_verify: bool,
    /// Always so here: a body that no check and no extract looks into is read and thrown away. k6's files have it.
    pub discard_response_bodies: bool,
    /// A connection for every request.
    pub no_connection_reuse: bool,
    /// Which HTTP is spoken.
    pub http_version: HttpVersion,
    /// How many redirections are followed; k6 follows ten.
    pub max_redirects: Option<u32>,
    /// Statuses that are no failure; 200 to 399 unless said.
    pub expected_statuses: Vec<Statuses>,
    /// k6's short form: closed, with this many VUs.
    pub vus: Option<u32>,
    /// k6's short form.
    pub duration: Option<Span>,
    /// k6's short form: so many iterations, shared by the VUs.
    pub iterations: Option<u64>,
    /// k6's short form: VUs that ramp.
    pub stages: Vec<Stage>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum HttpVersion {
    /// HTTP/2 where TLS agrees on it, otherwise HTTP/1.1.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    #[serde(rename = "1.1")]
    One,
    /// Without TLS by prior knowledge.
    #[serde(rename = "2")]
    Two,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Executor {
    /// `rate` iterations start each `timeUnit`, whatever the answers do.
    ConstantArrivalRate,
    /// As before, with a rate that follows `stages`.
    RampingArrivalRate,
    /// `vus` loop for `duration`.
    ConstantVus,
    /// A number of looping VUs that follows `stages`.
    RampingVus,
    /// `iterations` are shared by `vus`.
    SharedIterations,
    /// Each of `vus` does `iterations`.
    PerVuIterations,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    pub executor: Executor,
    /// Arrival rate: iterations in each `timeUnit`.
    #[serde(default)]
    pub rate: Option<f64>,
    /// Ramping arrival rate: where it starts.
    #[serde(default)]
    pub start_rate: Option<f64>,
    /// One second unless said.
    #[serde(default)]
    pub time_unit: Option<Span>,
    #[serde(default)]
    pub duration: Option<Span>,
    /// VUs that are there from the start.
    #[serde(default, rename = "preAllocatedVUs")]
    pub pre_allocated_vus: Option<u32>,
    /// VUs at most; an iteration that finds none free is dropped and counted.
    #[serde(default, rename = "maxVUs")]
    pub max_vus: Option<u32>,
    #[serde(default)]
    pub vus: Option<u32>,
    #[serde(default, rename = "startVUs")]
    pub start_vus: Option<u32>,
    #[serde(default)]
    pub iterations: Option<u64>,
    #[serde(default)]
    pub max_duration: Option<Span>,
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// After the test's start.
    #[serde(default)]
    pub start_time: Option<Span>,
    /// How long iterations under way may take to end; 30 s unless said.
    #[serde(default)]
    pub graceful_stop: Option<Span>,
    /// The flow it runs.
    #[serde(default)]
    pub exec: Option<String>,
    #[serde(default)]
    pub steps: Vec<Step>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Variables of this scenario; k6's `env`.
    #[serde(default)]
    pub env: BTreeMap<String, Word>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stage {
    pub duration: Span,
    /// The rate, or the number of VUs, at its end.
    pub target: f64,
}

/// One thing an iteration does.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    Request(Box<Request>),
    /// Think time.
    Sleep(Pause),
    /// One of these, by weight.
    Choose(Vec<Branch>),
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Branch {
    #[serde(default = "one")]
    pub weight: f64,
    pub steps: Vec<Step>,
}

fn one() -> f64 {
    1.0
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    /// What it is called in results; method and URL as written, unless said.
    #[serde(default)]
    pub name: Option<String>,
    /// GET, or POST when there is something to send.
    #[serde(default)]
    pub method: Option<String>,
    pub url: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: Option<String>,
    /// Sent as `application/json`; texts in it may have variables.
    #[serde(default)]
    pub json: Option<serde_json::Value>,
    /// Sent as `application/x-www-form-urlencoded`.
    #[serde(default)]
    pub form: Option<BTreeMap<String, String>>,
    /// From being due to the end of the answer; 60 s unless said.
    #[serde(default)]
    pub timeout: Option<Span>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(default)]
    pub expected_statuses: Vec<Statuses>,
    /// What must hold of the answer, by name. A check that fails does not end the iteration.
    #[serde(default)]
    pub checks: BTreeMap<String, Check>,
    /// Variables taken from the answer.
    #[serde(default)]
    pub extract: BTreeMap<String, Extract>,
}

/// All that is named must hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Check {
    pub status: Option<Statuses>,
    /// Name of a header that is there; with `equals`, its value.
    pub header: Option<String>,
    /// Words that the body has.
    pub contains: Option<String>,
    /// Regular expression that the body matches.
    pub regex: Option<String>,
    /// Something the JSON body has; with `equals`, what it is.
    pub jsonpath: Option<String>,
    pub equals: Option<Word>,
    /// Milliseconds from being due to the end.
    pub max_duration: Option<Span>,
}

/// Exactly one of `jsonpath`, `regex` (its first group) and `header`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Extract {
    pub jsonpath: Option<String>,
    pub regex: Option<String>,
    pub header: Option<String>,
    /// When it is not found; otherwise that fails the iteration.
    pub default: Option<Word>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Data {
    /// CSV with a line of names, beside the test file.
    #[serde(default)]
    pub file: Option<String>,
    /// The rows themselves.
    #[serde(default)]
    pub rows: Vec<BTreeMap<String, Word>>,
    #[serde(default)]
    pub order: Order,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// One after the other, from the first again after the last.
    #[default]
    Sequential,
    Random,
}

/// `1s`, or a time between two, drawn anew each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub min: Duration,
    pub max: Duration,
}

impl<'de> Deserialize<'de> for Pause {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Pause, D::Error> {
        let words = Cow::<'de, str>::deserialize(d)?;
        let (min, max) = words.split_once("..").unwrap_or((&words, &words));
        let (min, max) =
            (span(min).map_err(de::Error::custom)?, span(max).map_err(de::Error::custom)?);
        if min > max {
            return Err(de::Error::custom("the shorter time comes first: `1s..3s`"));
        }
        Ok(Pause { min, max })
    }
}

impl JsonSchema for Pause {
    fn schema_name() -> Cow<'static, str> {
        "Pause".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "`1s`, or `1s..3s` for a time between two",
            "pattern": "^[0-9.]+(ms|s|m|h|d).*$" })
    }
}

/// A length of time with its unit: `250ms`, `1m30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

fn span(words: &str) -> Result<Duration, String> {
    let unit = words.trim().ends_with(|c: char| c.is_ascii_alphabetic());
    match parse_duration(words).filter(|_| unit) {
        Some(found) => Ok(found),
        None => Err(format!("“{words}” is not a length of time such as `30s`, `250ms` or `1m30s`")),
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Span, D::Error> {
        span(&Cow::<'de, str>::deserialize(d)?).map(Span).map_err(de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A length of time with its unit: `250ms`, `1m30s`",
            "pattern": "^[0-9.]+(ms|s|m|h|d).*$" })
    }
}

/// Text, or a number or a boolean as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word(pub String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Word, D::Error> {
        struct Any;
        impl de::Visitor<'_> for Any {
            type Value = Word;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text, a number or a boolean")
            }
            fn visit_str<E>(self, v: &str) -> Result<Word, E> {
                Ok(Word(v.to_owned()))
            }
            fn visit_bool<E>(self, v: bool) -> Result<Word, E> {
                Ok(Word(v.to_string()))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Word, E> {
                Ok(Word(v.to_string()))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Word, E> {
                Ok(Word(v.to_string()))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Word, E> {
                Ok(Word(v.to_string()))
            }
        }
        d.deserialize_any(Any)
    }
}

impl JsonSchema for Word {
    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// A status or a range of them, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statuses {
    pub from: u16,
    pub to: u16,
}

impl Statuses {
    pub fn has(self, status: u16) -> bool {
        (self.from..=self.to).contains(&status)
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Statuses, D::Error> {
        let Word(words) = Word::deserialize(d)?;
        let (from, to) = words.split_once('-').unwrap_or((&words, &words));
        let number = |w: &str| w.trim().parse::<u16>().ok().filter(|n| (100..=599).contains(n));
        match (number(from), number(to)) {
            (Some(from), Some(to)) if from <= to => Ok(Statuses { from, to }),
            _ => Err(de::Error::custom(format!(
                "“{words}” is not a status such as `200` or `200-299`"
            ))),
        }
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> Cow<'static, str> {
        "Statuses".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "string"], "description": "`200` or `200-299`" })
    }
}

/// A limit of a threshold: `p(95)<200`, or the same with what happens when it is passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    pub threshold: String,
    pub abort_on_fail: bool,
    pub delay_abort_eval: Duration,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LongLimit {
    threshold: String,
    #[serde(default)]
    abort_on_fail: bool,
    #[serde(default)]
    delay_abort_eval: Option<Span>,
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Limit, D::Error> {
        struct Either;
        impl<'de> de::Visitor<'de> for Either {
            type Value = Limit;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a limit such as `p(95)<200`, or a map with `threshold`")
            }
            fn visit_str<E>(self, v: &str) -> Result<Limit, E> {
                let threshold = v.to_owned();
                Ok(Limit { threshold, abort_on_fail: false, delay_abort_eval: Duration::ZERO })
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Limit, A::Error> {
                let long = LongLimit::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Limit {
                    threshold: long.threshold,
                    abort_on_fail: long.abort_on_fail,
                    delay_abort_eval: long.delay_abort_eval.map_or(Duration::ZERO, |s| s.0),
                })
            }
        }
        d.deserialize_any(Either)
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }
    fn json_schema(g: &mut SchemaGenerator) -> Schema {
        let long = g.subschema_for::<LongLimit>();
        json_schema!({ "anyOf": [{ "type": "string" }, long] })
    }
}
