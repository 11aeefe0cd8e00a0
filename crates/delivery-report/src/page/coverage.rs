//! Coverage over time.

use super::pieces::{self, percent};
use crate::api::reports;
use crate::ask::coverage::Trend;
use kernel::{Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::Reader;
use web::widget::{self, Dot, Mark, Plot, Table};

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let branch = call.query("branch").filter(|b| !b.is_empty());
    let trends = reports(&call).await?.trends(&project, None, branch, 60).await?;
    let r = Reader::of(&call);
    let page = pieces::page(&r, &project, r.t("Coverage", "커버리지"));
    Ok(web::page(&call, &page, draw(&r, &project, &trends)))
}

pub(super) fn draw(r: &Reader, project: &Name, trends: &[Trend]) -> Markup {
    html! {
        (widget::heading(
            html! { (r.t("Coverage", "커버리지")) },
            html! {},
            html! { (r.t("Lines that tests ran, of all that could run", "실행될 수 있는 줄 가운데 테스트가 실행한 줄")) },
            html! {},
        ))
        (pieces::tabs(r, project, "coverage"))
        @if trends.is_empty() { (widget::section("none", "", html! {}, pieces::teach(r))) }
        @for trend in trends {
            (widget::section(
                &format!("coverage-{}", trend.repository),
                trend.repository.as_str(),
                html! { span.tag { (trend.branch) } },
                html! { (plot(r, project, trend)) (table(r, project, trend)) },
            ))
        }
    }
}

/// The default branch's line, from nothing to all.
pub(super) fn plot(r: &Reader, project: &Name, trend: &Trend) -> Markup {
    let shares: Vec<(f64, &crate::record::Measured)> =
        trend.points.iter().filter_map(|p| Some((p.lines.percent()?, p))).collect();
    let day = |p: &crate::record::Measured| p.at.to_string().get(5..10).unwrap_or("").to_owned();
    let last = shares.len().saturating_sub(1).max(1) as f64;
    let dots = shares.iter().enumerate().map(|(i, (share, p))| Dot {
        x: i as f64,
        y: *share,
        mark: Mark::Good,
        words: format!("{}: {share:.1} %", p.commit.get(..8).unwrap_or("")),
        address: Some(pieces::results_address(project, p.run.as_str())),
    });
    let ends = [(0.0, shares.first()), (last, shares.last().filter(|_| shares.len() > 1))];
    widget::plot(
        r,
        &Plot {
            spoken: format!(
                "{} {}",
                r.t("coverage, now", "커버리지, 지금"),
                trend.points.last().map_or("–".to_owned(), |p| percent(p.lines))
            ),
            dots: dots.collect(),
            levels: Vec::new(),
            x: (0.0, last),
            x_words: ends.into_iter().filter_map(|(x, p)| Some((x, day(p?.1)))).collect(),
            y_words: [0.0, 25.0, 50.0, 75.0, 100.0].map(|v| (v, format!("{v:.0} %"))).to_vec(),
            joined: true,
        },
    )
}

fn table(r: &Reader, project: &Name, trend: &Trend) -> Markup {
    let rows = trend.points.iter().rev().take(20).map(|p| {
        let address = pieces::results_address(project, p.run.as_str());
        let cells = vec![
            widget::commit(&p.commit, Some(&address)),
            html! { (percent(p.lines)) },
            html! { (percent(p.branches)) },
            html! { (percent(p.functions)) },
            widget::ago(r, p.at),
        ];
        (Some(address), cells)
    });
    widget::table(&Table {
        heads: vec![
            ("grow", r.t("Commit", "커밋").to_owned()),
            ("num", r.t("Lines", "줄").to_owned()),
            ("num", r.t("Branches", "분기").to_owned()),
            ("num", r.t("Functions", "함수").to_owned()),
            ("", r.t("When", "시각").to_owned()),
        ],
        rows: rows.collect(),
    })
}
