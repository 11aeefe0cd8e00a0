//! One result: verdict, percentiles, requests, errors, and how far to trust it.

use super::{ms, trend};
use crate::api::{self, loads};
use crate::record::Row;
use kernel::{Name, Result};
use load::metric::Times;
use load::report::{Grade, Report, ScenarioReport, Trust};
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::widget::{self, Dot, Plot, Table};
use web::{Page, Reader};

pub(super) async fn show(call: Call) -> Result<Response> {
    let (loads, project) = (loads(&call).await?, call.project()?);
    let (row, report) = api::one(&call, &loads).await?;
    let r = Reader::of(&call);
    let title = format!("{} · {}", row.scenario, row.commit.get(..8).unwrap_or(&row.commit));
    let page = Page::of(&project, "metrics", title)
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"))
        .crumb(r.t("Performance", "성능"), format!("/projects/{project}/load"));
    Ok(web::page(&call, &page, draw(&r, &project, &row, report.as_ref())))
}

fn draw(r: &Reader, project: &Name, row: &Row, report: Option<&Report>) -> Markup {
    let scenario = report.and_then(|p| p.scenarios.iter().find(|s| s.name == row.scenario));
    html! {
        (widget::heading(
            html! { (row.scenario) },
            trend::verdict(r, row),
            html! {
                (row.branch.as_deref().unwrap_or("–")) " · " (widget::commit(&row.commit, None)) " · "
                (row.class) " · " (row.tool)
            },
            html! {
                @if let Some(change) = &row.change {
                    (widget::link_button(&format!("/projects/{project}/changes/{change}"), r.t("Change", "변경"), widget::Tone::Plain))
                }
            },
        ))
        div.stats {
            (widget::stat("p50", html! { (ms(row.p50)) }, html! {}))
            (widget::stat("p95", html! { (ms(row.p95)) }, html! {}))
            (widget::stat("p99", html! { (ms(row.p99)) }, html! {}))
            (widget::stat(r.t("Requests a second", "초당 요청"), html! { (format!("{:.1}", row.rate)) },
                html! { (row.requests) " " (r.t("in all", "건")) }))
            (widget::stat(r.t("Failed", "실패"), html! { (row.failed) },
                html! { (r.t("dropped ", "누락 ")) (row.dropped) }))
        }
        (judged(r, row))
        @if let (Some(s), Some(report)) = (scenario, report) {
            div.two {
                (widget::section("percentiles", r.t("Latency by percentile", "백분위별 지연 시간"), html! {}, curve(r, s)))
                (widget::section("trust", r.t("How far to trust this", "결과의 신뢰도"), html! {}, trust(r, &report.trust)))
            }
            (widget::section("requests", r.t("Requests", "요청"), html! {}, requests(r, s)))
            (errors(r, s))
        }
    }
}

fn judged(r: &Reader, row: &Row) -> Markup {
    let Some(j) = &row.judgement else { return html! {} };
    let percent = |v: f64| format!("{:+.1} %", (v * 100.0).clamp(-999.0, 999.0));
    let mut table = Table {
        heads: vec![
            ("grow", String::new()),
            ("num", row.base.clone().unwrap_or_default()),
            ("num", r.t("here", "이 결과").to_owned()),
            ("num", r.t("shift", "변화").to_owned()),
            ("num wide", r.t("interval", "구간").to_owned()),
            ("", r.t("verdict", "판정").to_owned()),
        ],
        rows: Vec::new(),
    };
    for e in &j.effects {
        let show =
            |v: f64| if e.metric == "failed" { format!("{:.2} %", v * 100.0) } else { ms(Some(v)) };
        table.rows.push((
            None,
            vec![
                html! { (e.metric) },
                html! { (show(e.base)) },
                html! { (show(e.head)) },
                html! { (percent(e.shift)) },
                html! { (percent(e.low)) " … " (percent(e.high)) },
                html! { (e.verdict.text().get(r.lang)) },
            ],
        ));
    }
    let beside = html! {
        span.soft {
            (j.samples) " " (r.t("runs of the base", "회의 기준 실행")) " · "
            (format!("{:.0} %", j.confidence * 100.0)) " · " (r.t("effect from ", "의미 있는 변화 ")) (format!("{:.0} %", j.effect * 100.0))
        }
    };
    widget::section("verdict", r.t("Beside its base", "기준과 비교"), beside, widget::table(&table))
}

/// From the median to the far end, on an axis of nines.
fn curve(r: &Reader, s: &ScenarioReport) -> Markup {
    let Some(times) = Times::decode(&s.histogram) else { return html! {} };
    let points: Vec<(f64, f64)> = (0..=40)
        .map(|i| 1.0 - 10_f64.powf(-f64::from(i) / 10.0))
        .map(|q| (-(1.0 - q).log10(), times.at(q)))
        .collect();
    let top = points.last().map_or(1.0, |p| p.1) * 1.05;
    let marks = [(0.3, "p50"), (1.0, "p90"), (2.0, "p99"), (3.0, "p99.9"), (4.0, "p99.99")];
    let dots =
        points.iter().map(|(x, y)| Dot { x: *x, y: *y, words: ms(Some(*y)), ..Dot::default() });
    widget::plot(
        r,
        &Plot {
            spoken: format!("p50 {}, p99 {}", ms(Some(s.duration.p50)), ms(Some(s.duration.p99))),
            dots: dots.collect(),
            levels: Vec::new(),
            x: (0.0, 4.0),
            x_words: marks.map(|(x, w)| (x, w.to_owned())).to_vec(),
            y_words: (0..=4).map(|i| top / 4.0 * f64::from(i)).map(|v| (v, ms(Some(v)))).collect(),
            joined: true,
        },
    )
}

fn requests(r: &Reader, s: &ScenarioReport) -> Markup {
    let mut table = Table {
        heads: vec![
            ("grow", r.t("Request", "요청").to_owned()),
            ("num", r.t("Count", "횟수").to_owned()),
            ("num", r.t("Failed", "실패").to_owned()),
            ("num", "p50".to_owned()),
            ("num", "p95".to_owned()),
            ("num wide", "p99".to_owned()),
            ("num wide", r.t("First byte p95", "첫 바이트 p95").to_owned()),
        ],
        rows: Vec::new(),
    };
    for q in &s.by_request {
        table.rows.push((
            None,
            vec![
                html! { (q.name) },
                html! { (q.count) },
                html! { (q.failed) },
                html! { (ms(Some(q.duration.p50))) },
                html! { (ms(Some(q.duration.p95))) },
                html! { (ms(Some(q.duration.p99))) },
                html! { (ms(Some(q.waiting.p95))) },
            ],
        ));
    }
    widget::table(&table)
}

fn errors(r: &Reader, s: &ScenarioReport) -> Markup {
    let all = || s.by_request.iter().flat_map(|q| q.errors.iter().map(move |e| (q, e)));
    if all().next().is_none() {
        return html! {};
    }
    let mut table = Table {
        heads: vec![
            ("", r.t("Request", "요청").to_owned()),
            ("", r.t("Kind", "종류").to_owned()),
            ("num", r.t("Count", "횟수").to_owned()),
            ("grow", r.t("Sample", "예").to_owned()),
        ],
        rows: Vec::new(),
    };
    for (q, e) in all() {
        let cells = vec![
            html! { (q.name) },
            html! { code { (e.kind) } },
            html! { (e.count) },
            html! { (e.sample) },
        ];
        table.rows.push((None, cells));
    }
    widget::section("errors", r.t("Errors", "오류"), html! {}, widget::table(&table))
}

fn trust(r: &Reader, t: &Trust) -> Markup {
    let grade = match t.grade {
        Grade::Good => r.t("good", "좋음"),
        Grade::Fair => r.t(
            "fair: part of the latency is the generator's",
            "보통: 지연 시간의 일부는 생성기의 것",
        ),
        Grade::Poor => r.t("poor: the generator was the bottleneck", "나쁨: 생성기가 병목"),
    };
    let own = t.calibration.as_ref();
    widget::facts(&[
        (r.t("Grade", "등급"), html! { (grade) }),
        (r.t("Sent late, p99", "전송 지연 p99"), html! { (ms(Some(t.lag.p99))) }),
        (r.t("Generator itself, p50", "생성기 자체 p50"), html! { (ms(own.map(|c| c.p50))) }),
        (r.t("Generator itself, p99", "생성기 자체 p99"), html! { (ms(own.map(|c| c.p99))) }),
        (r.t("Dropped", "누락"), html! { (format!("{:.2} %", t.dropped_share * 100.0)) }),
        (
            r.t("Processor time a request", "요청당 프로세서 시간"),
            html! { (format!("{:.1} µs", t.cpu_us)) },
        ),
    ])
}
