//! All tests of a project, with a search.

use super::pieces;
use crate::api::reports;
use crate::ask::tests::{Listed, Order, Which};
use kernel::{Lang, Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::Reader;
use web::widget;

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let which = crate::api::which(&call, 100)?;
    let listed = reports(&call).await?.tests(&project, which.clone()).await?;
    let r = Reader::of(&call);
    let page = pieces::page(&r, &project, r.t("All tests", "모든 테스트"));
    Ok(web::page(&call, &page, draw(&r, &project, &which, &listed)))
}

pub(super) fn draw(r: &Reader, project: &Name, which: &Which, listed: &Listed) -> Markup {
    let searched = which.words.is_some() || which.outcome.is_some() || which.job.is_some();
    html! {
        (widget::heading(html! { (r.t("All tests", "모든 테스트")) }, html! {}, html! { (found(r, listed)) }, html! {}))
        (pieces::tabs(r, project, "all"))
        (search(r, project, which))
        @if listed.items.is_empty() && !searched {
            (widget::section("none", "", html! {}, pieces::teach(r)))
        } @else if listed.items.is_empty() {
            (widget::section("none", "", html! {}, widget::empty(r, r.t("Nothing fits", "맞는 테스트가 없습니다"), r.t("Ask for less", "조건을 줄여 보세요"), &[])))
        } @else {
            (widget::section("tests", "", html! {}, pieces::tests(r, project, &listed.items)))
        }
    }
}

fn found(r: &Reader, listed: &Listed) -> String {
    let (shown, total) = (listed.items.len(), listed.total);
    match r.lang {
        Lang::En if shown < total => format!("{shown} of {total}"),
        Lang::Ko if shown < total => format!("{total}개 가운데 {shown}개"),
        Lang::En => format!("{total} tests"),
        Lang::Ko => format!("{total}개"),
    }
}

fn search(r: &Reader, project: &Name, which: &Which) -> Markup {
    let outcomes = [
        ("", r.t("any result", "모든 결과")),
        ("failed", r.t("failed", "실패")),
        ("flaky", r.t("passed on retry", "다시 해서 통과")),
        ("skipped", r.t("skipped", "건너뜀")),
        ("passed", r.t("passed", "통과")),
    ];
    let orders = [
        (Order::Trouble, "trouble", r.t("failing first", "실패하는 것부터")),
        (Order::Slowest, "slowest", r.t("slowest first", "느린 것부터")),
        (Order::Newest, "newest", r.t("newest first", "새것부터")),
    ];
    let chosen = which.outcome.as_deref().unwrap_or("");
    html! {
        form.filter method="get" action=(format!("/projects/{project}/tests/all")) {
            input type="search" name="q" value=(which.words.as_deref().unwrap_or("")) placeholder=(r.t("part of a test's id", "테스트 id의 일부"))
                aria-label=(r.t("Part of a test's id", "테스트 id의 일부"));
            select name="outcome" aria-label=(r.t("Result", "결과")) {
                @for (word, words) in outcomes { option value=(word) selected[chosen == word] { (words) } }
            }
            select name="order" aria-label=(r.t("Order", "순서")) {
                @for (order, word, words) in orders { option value=(word) selected[which.order == order] { (words) } }
            }
            button.button { (r.t("Show", "보기")) }
        }
    }
}
