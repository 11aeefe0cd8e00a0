//! What a run and a verdict look like on a terminal.

use kernel::Lang;
use load::judge::{Judgement, Method};
use load::report::{Grade, Report, ScenarioReport, Spread};
use std::fmt::Write;

/// `0.412 ms`, `18.3 ms`, `2.41 s`
pub fn ms(value: f64) -> String {
    match value {
        v if v < 10.0 => format!("{v:.3} ms"),
        v if v < 1000.0 => format!("{v:.1} ms"),
        v => format!("{:.2} s", v / 1000.0),
    }
}

pub fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

pub fn live(live: &load::Live, l: Lang) -> String {
    let (at, of) = (live.elapsed.as_secs(), live.length.as_secs());
    let mut out = format!(
        "{at:>4}/{of} s  {:>6}/s  p50 {:>9}  p99 {:>9}  VU {}",
        live.requests,
        ms(live.p50),
        ms(live.p99),
        live.vus
    );
    for (n, en, ko) in [(live.failed, "failed", "실패"), (live.dropped, "dropped", "누락")] {
        if n > 0 {
            let _ = write!(out, "  {} {n}", l.pick(en, ko));
        }
    }
    out
}

/// The end summary, in k6's order.
pub fn summary(r: &Report, l: Lang) -> String {
    let mut out = String::from("\n");
    for t in &r.thresholds {
        let mark = if t.ok { "✓" } else { "✗" };
        let _ = writeln!(
            out,
            "  {mark} {} {}  ({})",
            t.metric,
            t.threshold,
            value(&t.threshold, t.value)
        );
    }
    for s in &r.scenarios {
        scenario(&mut out, s, l);
    }
    if let Some(why) = &r.aborted {
        let _ = writeln!(out, "\n  {} {why}", l.pick("ended early by", "조기 종료:"));
    }
    trust(&mut out, r, l);
    out
}

fn value(threshold: &str, value: f64) -> String {
    let of = threshold.trim_start();
    if of.starts_with("rate") {
        format!("{value:.4}")
    } else if of.starts_with("count") || of.starts_with("value") {
        format!("{value:.0}")
    } else {
        ms(value)
    }
}

fn scenario(out: &mut String, s: &ScenarioReport, l: Lang) {
    let _ = writeln!(out, "\n  {} ({})", s.name, s.executor);
    let checks = s.checks.iter().fold((0, 0), |(p, n), c| (p + c.passes, n + c.passes + c.fails));
    for c in &s.checks {
        let mark = if c.fails == 0 { "✓" } else { "✗" };
        let _ = writeln!(out, "    {mark} {}  {} / {}", c.name, c.passes, c.passes + c.fails);
    }
    let mut line = |name: &str, words: String| {
        let _ = writeln!(out, "    {name:.<26} {words}");
    };
    if checks.1 > 0 {
        line(
            "checks",
            format!("{} ({} / {})", percent(checks.0 as f64 / checks.1 as f64), checks.0, checks.1),
        );
    }
    let sum =
        |pick: fn(&load::report::RequestReport) -> u64| s.by_request.iter().map(pick).sum::<u64>();
    line("data_received", web::widget::size(sum(|r| r.received)));
    line("data_sent", web::widget::size(sum(|r| r.sent)));
    line("dropped_iterations", s.dropped.to_string());
    line("http_req_duration", spread(&s.duration));
    line("http_req_service", spread(&s.service));
    line("http_req_waiting", spread(&s.waiting));
    line(
        "http_req_failed",
        format!("{} ({} / {})", percent(share(s.failed, s.requests)), s.failed, s.requests),
    );
    let asked = s
        .target
        .map(|t| format!("  {} {t:.1}/s", l.pick("asked for", "요청한 속도")))
        .unwrap_or_default();
    line("http_reqs", format!("{}  {:.1}/s{asked}", s.requests, s.rate));
    line("iterations", s.iterations.to_string());
    line("schedule_lag", spread(&s.lag));
    line("vus_max", s.vus_max.to_string());
    if s.by_request.len() > 1 {
        for r in &s.by_request {
            line(&format!("  {}", r.name), format!("{}  {}", r.count, spread(&r.duration)));
        }
    }
    for r in &s.by_request {
        for e in &r.errors {
            let _ =
                writeln!(out, "    ✗ {}: {} × {}  {}", r.name, e.count, e.kind, clean(&e.sample));
        }
    }
}

/// A server's words must not move the cursor.
fn clean(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn share(n: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { n as f64 / of as f64 }
}

fn spread(s: &Spread) -> String {
    if s.count == 0 {
        return "–".to_owned();
    }
    format!(
        "avg={} min={} med={} p(90)={} p(95)={} p(99)={} max={}",
        ms(s.mean),
        ms(s.min),
        ms(s.p50),
        ms(s.p90),
        ms(s.p95),
        ms(s.p99),
        ms(s.max)
    )
}

fn trust(out: &mut String, r: &Report, l: Lang) {
    let t = &r.trust;
    let word = grade(t.grade, l);
    let _ = writeln!(out, "\n  {}: {word}", l.pick("how far to trust this", "결과의 신뢰도"));
    if let Some(c) = &t.calibration {
        let words =
            l.pick("the generator itself, against nothing", "빈 서버에 대한 생성기 자체의 시간");
        let _ = writeln!(out, "    {words}: p50 {} p99 {}", ms(c.p50), ms(c.p99));
    }
    let _ = writeln!(
        out,
        "    {}: p50 {} p99 {}, {:.1} µs {}",
        l.pick("sent late by", "전송 지연"),
        ms(t.lag.p50),
        ms(t.lag.p99),
        t.cpu_us,
        l.pick("of processor time a request", "요청당 프로세서 시간"),
    );
    if t.dropped_share > 0.0 {
        let words = l.pick("of the iterations found no free VU", "의 반복이 빈 VU를 찾지 못함");
        let _ = writeln!(out, "    {} {words}", percent(t.dropped_share));
    }
}

pub fn grade(grade: Grade, l: Lang) -> &'static str {
    match grade {
        Grade::Good => l.pick("good", "좋음"),
        Grade::Fair => l.pick(
            "fair: part of the latency is the generator's",
            "보통: 지연 시간의 일부는 생성기의 것",
        ),
        Grade::Poor => l.pick(
            "poor: the generator was the bottleneck, or the latency is too short to measure so",
            "나쁨: 생성기가 병목이었거나, 재기에는 지연 시간이 너무 짧음",
        ),
    }
}

/// A verdict with its numbers.
pub fn judgement(j: &Judgement, l: Lang) -> String {
    let how = match j.method {
        Method::Interleaved => l.pick("pairs of turns", "번갈아 잰 쌍"),
        Method::History => l.pick("earlier runs of the base", "기준의 이전 실행"),
        Method::TwoRuns => {
            l.pick("samples; the noise between runs is assumed", "표본. 실행 간 잡음은 가정한 값")
        }
    };
    let mut out = format!(
        "{}: {}  ({} {how}, {:.0} %)\n",
        j.scenario,
        j.verdict.text().get(l).to_uppercase(),
        j.samples,
        j.confidence * 100.0
    );
    for e in &j.effects {
        let show = |v: f64| if e.metric == "failed" { percent(v) } else { ms(v) };
        let shift = |v: f64| format!("{:+.1} %", (v * 100.0).clamp(-999.0, 999.0));
        let _ = writeln!(
            out,
            "  {:<7} {} → {}  {}  [{}, {}]  {}",
            e.metric,
            show(e.base),
            show(e.head),
            shift(e.shift),
            shift(e.low),
            shift(e.high),
            e.verdict.text().get(l)
        );
    }
    out
}
