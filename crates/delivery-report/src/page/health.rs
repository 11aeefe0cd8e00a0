//! A project's tests at a glance.

use super::pieces::{self, ms, percent};
use crate::api::reports;
use crate::ask::coverage::Trend;
use crate::ask::tests::Health;
use crate::record::Counts;
use kernel::{Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::Reader;
use web::widget;

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let reports = reports(&call).await?;
    let health = reports.health(&project).await?;
    let trends = reports.trends(&project, None, None, 40).await?;
    let r = Reader::of(&call);
    let mut page = pieces::page(&r, &project, r.t("Tests", "테스트"));
    page.crumbs.pop();
    Ok(web::page(&call, &page, draw(&r, &project, &health, &trends)))
}

pub(super) fn draw(r: &Reader, project: &Name, health: &Health, trends: &[Trend]) -> Markup {
    let empty = health.newest.is_empty() && trends.is_empty() && health.slowest.is_empty();
    html! {
        (widget::heading(
            html! { (r.t("Tests", "테스트")) },
            html! {},
            html! { (r.t("What the tests of the default branch say", "기본 브랜치의 테스트가 말하는 것")) },
            html! {},
        ))
        (pieces::tabs(r, project, ""))
        @if empty {
            (widget::section("none", "", html! {}, pieces::teach(r)))
        } @else {
            (numbers(r, project, health, trends))
            @if !health.failing.items.is_empty() {
                (widget::section(
                    "failing",
                    r.t("Failing now", "지금 실패하는 테스트"),
                    more(r, project, health),
                    pieces::tests(r, project, &health.failing.items),
                ))
            }
            div.two {
                (widget::section("pass-rate", r.t("Tests of each run", "실행별 테스트"), html! {}, runs(r, health)))
                @for trend in trends.iter().take(1) {
                    (widget::section("coverage", r.t("Coverage", "커버리지"), html! { span.faint { (trend.repository) } },
                        super::coverage::plot(r, project, trend)))
                }
            }
            @if !health.slower.is_empty() { (slower(r, project, health)) }
            (widget::section("slowest", r.t("Slowest", "가장 느린 테스트"), html! {}, pieces::tests(r, project, &health.slowest)))
        }
    }
}

fn more(r: &Reader, project: &Name, health: &Health) -> Markup {
    let address = format!("/projects/{project}/tests/all?outcome=failed");
    html! { a href=(address) { (r.t("all", "모두")) " " (health.failing.total) } }
}

fn numbers(r: &Reader, project: &Name, health: &Health, trends: &[Trend]) -> Markup {
    let mut counts = Counts::default();
    health.newest.iter().for_each(|e| counts.add(&e.tests));
    let ran = counts.passed + counts.flaky + counts.failed;
    let rate = if ran == 0 {
        "–".to_owned()
    } else {
        // A hundred is said only when nothing failed.
        let share = f64::from(ran - counts.failed) * 100.0 / f64::from(ran);
        let share = if counts.failed > 0 { share.min(99.99) } else { share };
        format!("{share:.2} %").replace(".00 %", " %")
    };
    let attempts = health.newest.len();
    let last = trends.first().and_then(|t| t.points.last());
    html! {
        div.stats #numbers data-part {
            (widget::stat(r.t("Pass rate", "통과율"), html! { (rate) },
                html! { (r.t("newest", "최근")) " " (attempts) " " (r.t("jobs", "작업")) }))
            (widget::stat(r.t("Failing now", "지금 실패"), html! { (health.failing.total) }, html! { (r.t("by their newest result", "마지막 결과 기준")) }))
            a.stat href=(format!("/projects/{project}/tests/flaky")) {
                span.stat-name { (r.t("Flaky", "불안정")) }
                span.stat-value { (health.open_flakes) }
                span.stat-about { (health.quarantined) " " (r.t("in quarantine", "격리 중")) }
            }
            @if let Some(last) = last {
                (widget::stat(r.t("Coverage", "커버리지"), html! { (percent(last.lines)) }, html! { (last.lines.covered) " / " (last.lines.all) " " (r.t("lines", "줄")) }))
            }
        }
    }
}

/// A bar for each of the newest attempts with tests.
fn runs(r: &Reader, health: &Health) -> Markup {
    let bars: Vec<(String, u64, u64)> = health
        .newest
        .iter()
        .take(24)
        .rev()
        .map(|e| {
            let day = e.at.to_string().get(5..10).unwrap_or("").to_owned();
            (day, u64::from(e.tests.all()), u64::from(e.tests.failed))
        })
        .collect();
    let spoken = format!("{} {}", bars.len(), r.t("runs with tests", "번의 테스트 실행"));
    widget::bars(r, &spoken, &bars)
}

fn slower(r: &Reader, project: &Name, health: &Health) -> Markup {
    let body = html! {
        ul.plain-list {
            @for t in &health.slower {
                @if let Some(s) = t.slower {
                    li {
                        a.title-link href=(pieces::case_address(project, &t.repository, &t.test)) { (pieces::id(&t.id)) }
                        span.sub {
                            span.num { (ms(r, s.before_ms)) " → " (ms(r, s.after_ms)) }
                            span { (r.t("medians of", "중앙값, 표본")) " " (s.before) ", " (s.after) }
                        }
                    }
                }
            }
        }
    };
    widget::section("slower", r.t("Got slower", "느려진 테스트"), html! {}, body)
}
