//! Results of other generators: k6's summaries, and what wrk and ab print.

use super::{Report, read_report};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is known of one scenario, whoever measured it. Milliseconds; `None` where it was not said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// `naru`, `k6`, `wrk`, `ab`.
    pub tool: String,
    pub scenario: String,
    pub requests: u64,
    pub failed: u64,
    /// Requests a second.
    pub rate: f64,
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
}

/// Every scenario in a file of results, and our whole report where it is one of ours. Empty: no format that
/// is known here.
pub fn measured(words: &[u8]) -> (Vec<Measured>, Option<Report>) {
    if let Some(report) = read_report(words) {
        return (report.scenarios.iter().map(ours).collect(), Some(report));
    }
    let text = String::from_utf8_lossy(words);
    let found = k6(words).or_else(|| wrk(&text)).or_else(|| ab(&text));
    (found.into_iter().collect(), None)
}

fn ours(s: &super::ScenarioReport) -> Measured {
    Measured {
        tool: "naru".to_owned(),
        scenario: s.name.clone(),
        requests: s.requests,
        failed: s.failed,
        rate: s.rate,
        p50: Some(s.duration.p50),
        p90: Some(s.duration.p90),
        p95: Some(s.duration.p95),
        p99: Some(s.duration.p99),
    }
}

/// Both of k6's shapes: `--summary-export`, and `handleSummary`, which has `values` in between.
fn k6(words: &[u8]) -> Option<Measured> {
    let value: Value = serde_json::from_slice(words).ok()?;
    let metrics = value.get("metrics")?;
    let number = |metric: &str, key: &str| {
        let metric = metrics.get(metric)?;
        metric.get("values").unwrap_or(metric).get(key)?.as_f64()
    };
    let requests = number("http_reqs", "count")?;
    let failed = number("http_req_failed", "value").or_else(|| number("http_req_failed", "rate"));
    Some(Measured {
        tool: "k6".to_owned(),
        scenario: "default".to_owned(),
        requests: requests as u64,
        failed: (failed.unwrap_or(0.0) * requests).round() as u64,
        rate: number("http_reqs", "rate").unwrap_or(0.0),
        p50: number("http_req_duration", "med"),
        p90: number("http_req_duration", "p(90)"),
        p95: number("http_req_duration", "p(95)"),
        p99: number("http_req_duration", "p(99)"),
    })
}

fn wrk(text: &str) -> Option<Measured> {
    if !text.contains("Requests/sec:") {
        return None;
    }
    let lines = || text.lines().map(str::trim);
    let rate = lines().find_map(|l| l.strip_prefix("Requests/sec:")?.trim().parse().ok())?;
    let requests = lines().find_map(|l| l.split_once(" requests in ")?.0.trim().parse().ok())?;
    let at = |percent: &str| {
        lines().find_map(|l| {
            let (name, value) = l.split_once('%')?;
            (name.trim().parse::<f64>().ok()? == percent.parse::<f64>().ok()?).then_some(())?;
            wrk_time(value.trim())
        })
    };
    let bad =
        lines().find_map(|l| l.strip_prefix("Non-2xx or 3xx responses:")?.trim().parse().ok());
    Some(Measured {
        tool: "wrk".to_owned(),
        scenario: "default".to_owned(),
        requests,
        failed: bad.unwrap_or(0),
        rate,
        p50: at("50"),
        p90: at("90"),
        p95: at("95"),
        p99: at("99"),
    })
}

/// `385.92us`, `1.01ms`, `2.5s` in milliseconds.
fn wrk_time(words: &str) -> Option<f64> {
    let end = words.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = words.split_at(end);
    let number: f64 = number.parse().ok()?;
    Some(match unit {
        "us" => number / 1000.0,
        "ms" => number,
        "s" => number * 1000.0,
        "m" => number * 60_000.0,
        _ => return None,
    })
}

fn ab(text: &str) -> Option<Measured> {
    let after = |name: &str| {
        let line = text.lines().find(|l| l.starts_with(name))?;
        line.split_once(':')?.1.split_whitespace().next()?.parse::<f64>().ok()
    };
    let at = |percent: &str| {
        let line = text.lines().find(|l| l.trim().starts_with(percent))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some(Measured {
        tool: "ab".to_owned(),
        scenario: "default".to_owned(),
        requests: after("Complete requests")? as u64,
        failed: after("Failed requests").unwrap_or(0.0) as u64,
        rate: after("Requests per second")?,
        p50: at("50%"),
        p90: at("90%"),
        p95: at("95%"),
        p99: at("99%"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_generators() {
        let wrk = "Running 5s test @ http://127.0.0.1:1/\n  1 threads and 32 connections\n  Latency Distribution\n     50%  380.00us\n     75%  420.00us\n     90%  510.00us\n     99%    1.01ms\n  12345 requests in 5.00s, 20.00MB read\n  Non-2xx or 3xx responses: 5\nRequests/sec:   2469.00\n";
        let (found, report) = measured(wrk.as_bytes());
        assert!(report.is_none());
        let m = found.first().unwrap();
        assert_eq!((m.tool.as_str(), m.requests, m.failed, m.rate), ("wrk", 12345, 5, 2469.0));
        assert_eq!((m.p50, m.p95, m.p99), (Some(0.38), None, Some(1.01)));

        let ab = "Complete requests:      1000\nFailed requests:        2\nRequests per second:    512.40 [#/sec] (mean)\nPercentage of the requests served within a certain time (ms)\n  50%      3\n  90%      5\n  95%      7\n  99%     21\n 100%     40 (longest request)\n";
        let m = measured(ab.as_bytes()).0.remove(0);
        assert_eq!((m.tool.as_str(), m.requests, m.failed, m.p99), ("ab", 1000, 2, Some(21.0)));

        let k6 = r#"{"metrics":{"http_reqs":{"count":200,"rate":20.1},"http_req_duration":{"avg":1.5,"med":1.1,"p(90)":2,"p(95)":3},"http_req_failed":{"value":0.01,"passes":2,"fails":198}}}"#;
        let m = measured(k6.as_bytes()).0.remove(0);
        assert_eq!((m.tool.as_str(), m.requests, m.failed, m.p95), ("k6", 200, 2, Some(3.0)));

        for nothing in ["", "{}", "[]", "<xml/>", "Requests/sec: many"] {
            assert!(measured(nothing.as_bytes()).0.is_empty(), "{nothing}");
        }
    }
}
