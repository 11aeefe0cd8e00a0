//! The flake ledger.

use super::pieces;
use crate::api::reports;
use crate::ask::tests::FlakeView;
use kernel::{Lang, Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::Reader;
use web::widget::{self, State, Table};

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let flakes = reports(&call).await?.flakes(&project).await?;
    let r = Reader::of(&call);
    let page = pieces::page(&r, &project, r.t("Flaky tests", "불안정한 테스트"));
    Ok(web::page(&call, &page, draw(&r, &project, &flakes)))
}

pub(super) fn draw(r: &Reader, project: &Name, flakes: &[FlakeView]) -> Markup {
    html! {
        (widget::heading(
            html! { (r.t("Flaky tests", "불안정한 테스트")) },
            html! {},
            html! { (r.t("The same commit, the same job, different results", "같은 커밋, 같은 작업에서 결과가 달랐던 테스트")) },
            html! {},
        ))
        (pieces::tabs(r, project, "flaky"))
        @if flakes.is_empty() {
            (widget::section("ledger", "", html! {}, widget::empty(
                r,
                r.t("The ledger is empty", "장부가 비어 있습니다"),
                r.t("Retries and repeated runs fill it by themselves when a test contradicts itself",
                    "재시도나 같은 커밋의 실행에서 결과가 갈리면 저절로 채워집니다"),
                &[],
            )))
        } @else {
            (widget::section("ledger", "", html! {}, table(r, project, flakes)))
            p.soft.note { (r.t(
                "An entry is fixed when the test has passed so often in a row that a test still as flaky would have failed, with 95 % certainty.",
                "여전히 불안정하다면 95 % 확률로 실패했을 만큼 이어서 통과하면 고쳐진 것으로 봅니다.",
            )) }
            (widget::copyable(r, "naru test quarantine 'ID' --owner WHO --reason WHY --days 14"))
        }
    }
}

pub(super) fn badge(r: &Reader, state: &str) -> Markup {
    match state {
        "open" => widget::badge(r, State::Warned, Some(r.t("open", "열림"))),
        "quarantined" => widget::badge(r, State::Waiting, Some(r.t("quarantined", "격리"))),
        _ => widget::badge(r, State::Passed, Some(r.t("fixed", "고쳐짐"))),
    }
}

fn table(r: &Reader, project: &Name, flakes: &[FlakeView]) -> Markup {
    let rows = flakes.iter().map(|f| {
        let address = pieces::case_address(project, &f.flake.repository, &f.test);
        let name = html! {
            a.title-link href=(address) { (pieces::id(&f.id)) }
            span.sub {
                span { (f.manner.text().get(r.lang)) }
                @if f.state != "fixed" { span { (progress(r, f)) } }
                @if let Some(q) = &f.quarantine { (pieces::held(r, q)) }
            }
        };
        let cells = vec![
            badge(r, f.state),
            name,
            html! { (format!("{:.0} %", f.rate * 100.0)) },
            html! { (f.flake.times) },
            widget::ago(r, f.flake.first),
            widget::ago(r, f.flake.last),
        ];
        (Some(address), cells)
    });
    widget::table(&Table {
        heads: vec![
            ("", r.t("State", "상태").to_owned()),
            ("grow", r.t("Test", "테스트").to_owned()),
            ("num", r.t("Fails", "실패율").to_owned()),
            ("num", r.t("Times", "횟수").to_owned()),
            ("wide", r.t("First", "처음").to_owned()),
            ("", r.t("Last", "마지막").to_owned()),
        ],
        rows: rows.collect(),
    })
}

/// How far it is on the way to fixed.
pub(super) fn progress(r: &Reader, f: &FlakeView) -> String {
    let (clean, needed) = (f.flake.clean, f.passes_needed);
    match r.lang {
        Lang::En => format!("{clean} of {needed} passes in a row"),
        Lang::Ko => format!("연속 통과 {clean}/{needed}"),
    }
}
