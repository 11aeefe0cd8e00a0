//! What pipelines cost.

use super::pieces::{self, core};
use crate::api::reports;
use crate::ask::cost::{Costs, Share};
use kernel::{Lang, Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::Reader;
use web::widget::{self, Table};

const WINDOWS: [u32; 4] = [1, 4, 12, 52];

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let weeks = call.number("weeks")?.unwrap_or(12).clamp(1, 104);
    let weeks = u32::try_from(weeks).unwrap_or(12);
    let costs = reports(&call).await?.costs(&project, weeks).await?;
    let r = Reader::of(&call);
    let page = pieces::page(&r, &project, r.t("Cost", "비용"));
    Ok(web::page(&call, &page, draw(&r, &project, weeks, &costs)))
}

pub(super) fn draw(r: &Reader, project: &Name, weeks: u32, costs: &Costs) -> Markup {
    let total = &costs.total;
    let wasted = |s: f64| {
        if total.core_s > 0.0 {
            format!("{:.0} %", s * 100.0 / total.core_s)
        } else {
            "–".to_owned()
        }
    };
    let words = WINDOWS.map(|w| match r.lang {
        Lang::En if w == 1 => "1 week".to_owned(),
        Lang::En => format!("{w} weeks"),
        Lang::Ko => format!("{w}주"),
    });
    let windows: Vec<(&str, String, bool)> = WINDOWS
        .iter()
        .zip(&words)
        .map(|(w, words)| {
            (words.as_str(), format!("/projects/{project}/tests/cost?weeks={w}"), *w == weeks)
        })
        .collect();
    html! {
        (widget::heading(
            html! { (r.t("Cost", "비용")) },
            html! {},
            html! { (r.t("Processor time of all jobs, in seconds of one core", "모든 작업의 CPU 시간, 코어 하나의 초 단위")) },
            html! {},
        ))
        (pieces::tabs(r, project, "cost"))
        (widget::tabs(r.t("Window", "기간"), &windows))
        @if total.attempts == 0 {
            (widget::section("none", "", html! {}, widget::empty(r, r.t("No job has run yet", "아직 실행된 작업이 없습니다"),
                r.t("Every attempt of a job is counted by itself", "작업의 시도마다 저절로 셉니다"), &["git push naru main"])))
        } @else {
            div.stats #totals data-part {
                (widget::stat(r.t("Spent", "사용"), html! { (core(r, total.core_s)) }, html! { (total.attempts) " " (r.t("attempts", "시도")) }))
                (widget::stat(r.t("On failures", "실패에"), html! { (wasted(total.failed_s)) }, html! { (core(r, total.failed_s)) }))
                (widget::stat(r.t("On retries", "재시도에"), html! { (wasted(total.retried_s)) }, html! { (core(r, total.retried_s)) }))
                (widget::stat(r.t("Wall time", "벽시계 시간"), html! { (pieces::ms(r, total.wall_s * 1000.0)) }, html! { (r.t("of all jobs, added up", "모든 작업의 합")) }))
            }
            (widget::section("weeks", r.t("By week", "주별"), html! {}, bars(r, &costs.weeks)))
            (widget::section("jobs", r.t("By job", "작업별"), html! {}, table(r, &costs.jobs)))
            (widget::section("branches", r.t("By branch", "브랜치별"), html! {}, table(r, &costs.branches)))
            @if total.estimated > 0 { p.soft.note { (estimated(r, total.estimated)) } }
        }
    }
}

fn estimated(r: &Reader, n: u64) -> String {
    match r.lang {
        Lang::En => format!(
            "Of {n} attempts the processor time is not known; their wall time stands for it."
        ),
        Lang::Ko => format!("시도 {n}번은 CPU 시간을 알 수 없어 벽시계 시간으로 셌습니다."),
    }
}

fn bars(r: &Reader, weeks: &[Share]) -> Markup {
    let whole = |s: f64| s.ceil().max(0.0) as u64;
    let bars: Vec<(String, u64, u64)> = weeks
        .iter()
        .map(|w| {
            (
                w.name.get(5..10).unwrap_or(&w.name).to_owned(),
                whole(w.core_s),
                whole(w.failed_s).min(whole(w.core_s)),
            )
        })
        .collect();
    widget::bars(r, r.t("core-seconds of each week", "주별 코어 초"), &bars)
}

fn table(r: &Reader, shares: &[Share]) -> Markup {
    let rows = shares.iter().take(30).map(|s| {
        let cells = vec![
            html! { (s.name) },
            html! { (core(r, s.core_s)) },
            html! { (core(r, s.failed_s)) },
            html! { (core(r, s.retried_s)) },
            html! { (s.attempts) },
        ];
        (None, cells)
    });
    widget::table(&Table {
        heads: vec![
            ("grow", String::new()),
            ("num", r.t("Spent", "사용").to_owned()),
            ("num", r.t("On failures", "실패에").to_owned()),
            ("num", r.t("On retries", "재시도에").to_owned()),
            ("num", r.t("Attempts", "시도").to_owned()),
        ],
        rows: rows.collect(),
    })
}
