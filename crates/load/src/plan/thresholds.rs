//! What is measured, and what a threshold may be about.

use super::Scenario;
use super::make::Maker;
use crate::read::{Source, join, nearest};
use crate::threshold::{Expression, MetricKind, Selector, Threshold};
use kernel::{Result, text};
use std::collections::BTreeMap;

/// Metrics by name, and whether they are kept by request, by status, by check or by scenario.
pub const METRICS: &[(&str, MetricKind, Kept)] = &[
    ("http_reqs", MetricKind::Counter, Kept::Status),
    ("http_req_duration", MetricKind::Trend, Kept::Status),
    ("http_req_failed", MetricKind::Rate, Kept::Status),
    ("http_req_blocked", MetricKind::Trend, Kept::Request),
    ("http_req_connecting", MetricKind::Trend, Kept::Request),
    ("http_req_tls_handshaking", MetricKind::Trend, Kept::Request),
    ("http_req_sending", MetricKind::Trend, Kept::Request),
    ("http_req_waiting", MetricKind::Trend, Kept::Request),
    ("http_req_receiving", MetricKind::Trend, Kept::Request),
    ("http_req_service", MetricKind::Trend, Kept::Request),
    ("http_req_looking_up", MetricKind::Trend, Kept::Request),
    ("data_sent", MetricKind::Counter, Kept::Request),
    ("data_received", MetricKind::Counter, Kept::Request),
    ("checks", MetricKind::Rate, Kept::Check),
    ("iterations", MetricKind::Counter, Kept::Scenario),
    ("iteration_duration", MetricKind::Trend, Kept::Scenario),
    ("dropped_iterations", MetricKind::Counter, Kept::Scenario),
    ("schedule_lag", MetricKind::Trend, Kept::Scenario),
    ("vus", MetricKind::Gauge, Kept::Whole),
    ("vus_max", MetricKind::Gauge, Kept::Whole),
];

/// By what a metric can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The request's tags, and `status` and `expected_response`.
    Status,
    /// The request's tags.
    Request,
    /// The request's tags, and `check`.
    Check,
    /// `scenario`.
    Scenario,
    Whole,
}

pub(super) fn thresholds(
    source: &Source,
    maker: &Maker<'_>,
    scenarios: &[Scenario],
) -> Result<Vec<Threshold>> {
    let mut out = Vec::new();
    for (key, limits) in &source.test.thresholds {
        let at = join("thresholds", key);
        let on = Selector::parse(key).ok_or_else(|| {
            let say = text!(
                "“{key}” is not a metric with tags",
                "“{key}”은(는) 태그가 붙은 지표가 아닙니다"
            );
            source.wrong(&at, say).hint(text!(
                "write it as `http_req_duration{{name:login}}`",
                "`http_req_duration{{name:login}}` 꼴로 쓰세요"
            ))
        })?;
        let Some((_, kind, kept)) = METRICS.iter().find(|m| m.0 == on.metric) else {
            let names: Vec<&str> = METRICS.iter().map(|m| m.0).collect();
            let metric = &on.metric;
            let say = text!("there is no metric `{metric}`", "`{metric}` 지표가 없습니다");
            return Err(source.wrong(&at, say).hint(nearest(metric, &names)));
        };
        fits(source, maker, scenarios, &at, &on, *kept)?;
        for (i, limit) in limits.iter().enumerate() {
            let words = &limit.threshold;
            let at = join(&at, &i.to_string());
            let is = Expression::parse(words).ok_or_else(|| {
                let say =
                    text!("“{words}” is not a threshold", "“{words}”은(는) 임계값이 아닙니다");
                source.wrong(&at, say).hint(text!(
                    "write it as `p(95)<200`, `avg<100`, `rate<0.01` or `count>100`",
                    "`p(95)<200`, `avg<100`, `rate<0.01`, `count>100` 꼴로 쓰세요"
                ))
            })?;
            if !kind.has(is.of) {
                let (metric, known) = (&on.metric, kind.aggregates().join(", "));
                let say = text!(
                    "`{words}` does not fit {metric}",
                    "`{words}`은(는) {metric}에 맞지 않습니다"
                );
                return Err(source
                    .wrong(&at, say)
                    .hint(text!("it has {known}", "쓸 수 있는 것: {known}")));
            }
            out.push(Threshold {
                key: key.clone(),
                words: words.clone(),
                on: on.clone(),
                is,
                abort: limit.abort_on_fail,
                delay: limit.delay_abort_eval,
            });
        }
    }
    Ok(out)
}

/// A threshold on tags that nothing can have would always hold: that is an error.
pub(super) fn fits(
    source: &Source,
    maker: &Maker<'_>,
    scenarios: &[Scenario],
    at: &str,
    on: &Selector,
    kept: Kept,
) -> Result<()> {
    let mut left = on.tags.clone();
    match kept {
        Kept::Status => {
            left.remove("status");
            left.remove("expected_response");
        }
        Kept::Check => drop(left.remove("check")),
        _ => {}
    }
    let has = |tags: &BTreeMap<String, String>| left.iter().all(|(k, v)| tags.get(k) == Some(v));
    let found = match kept {
        Kept::Status | Kept::Request => maker.requests.iter().any(|r| has(&r.tags)),
        Kept::Check => maker.checks.iter().any(|c| {
            let request = maker.requests.get(c.request);
            let named = on.tags.get("check").is_none_or(|n| *n == c.name);
            named && request.is_some_and(|r| has(&r.tags))
        }),
        Kept::Scenario => scenarios
            .iter()
            .any(|s| has(&BTreeMap::from([("scenario".to_owned(), s.name.clone())]))),
        Kept::Whole => left.is_empty(),
    };
    if found {
        return Ok(());
    }
    let say = text!(
        "nothing in this test has these tags, so the threshold would always hold",
        "이 테스트에는 이 태그를 가진 것이 없어 임계값이 언제나 지켜집니다"
    );
    let mut known: Vec<&str> = maker.requests.iter().map(|r| r.name.as_str()).collect();
    known.truncate(8);
    let names = known.join(", ");
    Err(source.wrong(at, say).hint(text!("requests are named: {names}", "요청 이름: {names}")))
}
