//! Each scenario's median and 95th percentile over its results, with the band of noise and the verdicts.

use super::{ms, state};
use crate::api::loads;
use crate::record::{self, Row, Scenario};
use kernel::{Lang, Name, Result};
use load::judge::Verdict;
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::widget::{self, Dot, Mark, Plot, Table};
use web::{Page, Reader};

/// Results that are drawn.
const SHOWN: usize = 60;

pub(super) async fn show(call: Call) -> Result<Response> {
    let (loads, project) = (loads(&call).await?, call.project()?);
    let whose = project.clone();
    let read = move |v: &store::View<'_>| {
        let all = record::scenarios(v, &whose)?;
        all.into_iter()
            .map(|s| {
                let rows = record::results(v, &whose, &s.repository, &s.scenario, SHOWN)?;
                Ok((s, rows))
            })
            .collect::<Result<Vec<_>>>()
    };
    let all = loads.store.read(read).await?;
    let r = Reader::of(&call);
    let page = Page::of(&project, "metrics", r.t("Performance", "성능"))
        .bare()
        .follow(&format!("project={project}&kind=load.verdict"))
        .crumb(project.as_str(), format!("/projects/{project}"));
    Ok(web::page(&call, &page, draw(&r, &project, &all)))
}

fn draw(r: &Reader, project: &Name, all: &[(Scenario, Vec<Row>)]) -> Markup {
    html! {
        (widget::heading(
            html! { (r.t("Performance", "성능")) },
            html! {},
            html! { (r.t(
                "Performance tests per commit, judged against the base branch with its noise",
                "커밋별 성능 테스트. 기준 브랜치의 잡음까지 고려해 판정합니다",
            )) },
            html! {},
        ))
        @if all.is_empty() {
            (widget::section("none", "", html! {}, html! {
                (widget::empty(
                    r,
                    r.t("No results yet", "아직 결과가 없습니다"),
                    r.t("A first test in six lines of .gitlab-ci.yml:", ".gitlab-ci.yml 여섯 줄로 첫 테스트를 만드세요."),
                    &[],
                ))
                (widget::code_block(FIRST))
            }))
        }
        @for (scenario, rows) in all { (one(r, project, scenario, rows)) }
    }
}

const FIRST: &str = "performance:
  script:
    - naru load run http://127.0.0.1:8080/ --rate 100 --duration 20s --summary-export load-performance.json
  artifacts:
    reports:
      load_performance: load-performance.json";

fn one(r: &Reader, project: &Name, s: &Scenario, rows: &[Row]) -> Markup {
    let id = format!("load-{}-{}", s.repository, web::segment(&s.scenario).replace('%', "-"));
    let title = format!("{} · {}", s.repository, s.scenario);
    let key = html! { span.soft { "p95 · " (results(r, s.count as usize)) } };
    widget::section(
        &id,
        &title,
        key,
        html! {
            (widget::plot(r, &plot(r, project, rows)))
            (table(r, project, rows))
        },
    )
}

/// The 95th percentile of each result, oldest to the left, with the band in which the default branch scatters.
fn plot(r: &Reader, project: &Name, rows: &[Row]) -> Plot {
    let shown: Vec<(&Row, f64)> =
        rows.iter().rev().filter_map(|row| Some((row, row.p95?))).collect();
    let top = shown.iter().map(|s| s.1).fold(0.0_f64, f64::max).max(f64::MIN_POSITIVE) * 1.1;
    let base: Vec<f64> =
        shown.iter().filter(|s| s.0.default_branch).map(|s| s.1.max(1e-3).ln()).collect();
    let centre = load::stats::median(&base);
    let spread =
        load::stats::median(&base.iter().map(|v| (v - centre).abs()).collect::<Vec<_>>()) * 1.4826;
    let mut levels = Vec::new();
    if base.len() >= 3 {
        for (sign, en, ko) in
            [(2.0, "noise, above", "잡음 위"), (-2.0, "noise, below", "잡음 아래")]
        {
            let value = (centre + sign * spread).exp();
            levels.push((format!("{} {}", r.t(en, ko), ms(Some(value))), value));
        }
    }
    let dot = |(i, (row, value)): (usize, &(&Row, f64))| {
        let worse = row.judgement.as_ref().is_some_and(|j| j.verdict == Verdict::Worse);
        let commit = row.commit.get(..8).unwrap_or(&row.commit);
        Dot {
            x: i as f64,
            y: *value,
            mark: if worse { Mark::Bad } else { Mark::Good },
            words: format!(
                "{commit} {}: p95 {}",
                row.branch.as_deref().unwrap_or(""),
                ms(Some(*value))
            ),
            address: Some(row.address(project)),
        }
    };
    Plot {
        spoken: format!("p95, {}", results(r, shown.len())),
        dots: shown.iter().enumerate().map(dot).collect(),
        levels,
        x: (0.0, shown.len().saturating_sub(1).max(1) as f64),
        x_words: Vec::new(),
        y_words: (0..=4).map(|i| top / 4.0 * f64::from(i)).map(|v| (v, ms(Some(v)))).collect(),
        joined: true,
    }
}

fn results(r: &Reader, count: usize) -> String {
    match (r.lang, count) {
        (Lang::En, 1) => "1 result".to_owned(),
        (Lang::En, n) => format!("{n} results"),
        (Lang::Ko, n) => format!("결과 {n}개"),
    }
}

fn table(r: &Reader, project: &Name, rows: &[Row]) -> Markup {
    let head = |class, en, ko| (class, r.t(en, ko).to_owned());
    let mut table = Table {
        heads: vec![
            head("", "Commit", "커밋"),
            head("grow", "Branch", "브랜치"),
            head("", "Verdict", "판정"),
            head("num wide", "p50", "p50"),
            head("num", "p95", "p95"),
            head("num wide", "p99", "p99"),
            head("num wide", "Rate", "초당"),
            head("num wide", "Failed", "실패"),
        ],
        rows: Vec::new(),
    };
    for row in rows.iter().take(20) {
        let address = row.address(project);
        table.rows.push((
            Some(address.clone()),
            vec![
                widget::commit(&row.commit, Some(&address)),
                html! { (row.branch.as_deref().unwrap_or("–")) },
                verdict(r, row),
                html! { (ms(row.p50)) },
                html! { (ms(row.p95)) },
                html! { (ms(row.p99)) },
                html! { (format!("{:.0}", row.rate)) },
                html! { (row.failed) },
            ],
        ));
    }
    widget::table(&table)
}

pub(super) fn verdict(r: &Reader, row: &Row) -> Markup {
    match &row.judgement {
        None => html! { span.soft { (r.t("no base yet", "기준 없음")) } },
        Some(j) => widget::badge(r, state(j.verdict), Some(j.verdict.text().get(r.lang))),
    }
}
