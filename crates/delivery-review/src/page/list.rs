//! The merge requests of a project, with filters.

use super::{branches, person, pipeline_badge, state_badge};
use crate::record::Record;
use crate::view::Which;
use crate::{Reviews, State, api};
use kernel::{Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::widget::{self, Table, Tone};
use web::{Page, Reader};

const PAGE: usize = 50;

pub(super) async fn show(call: Call) -> Result<Response> {
    let (project, which) = (call.project()?, api::which(&call)?);
    let before = call.number("before")?;
    let reviews = call.part::<Reviews>()?;
    let (found, more) = reviews.list(&project, which.clone(), before, PAGE).await?;
    let r = Reader::of(&call);
    let page = Page::of(&project, "merge-requests", r.t("Merge requests", "머지 요청"))
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"));
    Ok(web::page(&call, &page, draw(&r, &project, &which, &found, more)))
}

fn draw(r: &Reader, project: &Name, which: &Which, found: &[Record], more: bool) -> Markup {
    let here = format!("/projects/{project}/merge-requests");
    let state = |s: Option<State>| which.state == s;
    let tab =
        |words: &'static str, word: &str, s| (words, format!("{here}?state={word}"), state(s));
    let (en, ko) = (
        "A branch is looked at here before it becomes part of another. Push one and ask for it:",
        "브랜치를 합치기 전에 이곳에서 함께 봅니다. 브랜치를 푸시하면서 열어 보세요:",
    );
    html! {
        (widget::heading(html! { (r.t("Merge requests", "머지 요청")) }, html! {}, html! {}, html! {
            (widget::link_button(&format!("{here}/new"), r.t("New", "새로 열기"), Tone::Main))
        }))
        (widget::tabs(r.t("State", "상태"), &[
            tab(r.t("Open", "열림"), "opened", Some(State::Opened)),
            tab(r.t("Merged", "병합됨"), "merged", Some(State::Merged)),
            tab(r.t("Closed", "닫힘"), "closed", Some(State::Closed)),
            tab(r.t("All", "전체"), "all", None),
        ]))
        (filters(r, &here, which))
        (widget::section("merge-requests", "", html! {}, html! {
            @if found.is_empty() {
                (widget::empty(r, r.t("No merge request", "머지 요청이 없습니다"), r.t(en, ko), &[
                    "git push naru HEAD:refs/heads/my-topic -o merge_request.create",
                ]))
            } @else { (table(r, &here, found)) }
        }))
        @if let Some(last) = found.last().filter(|_| more) {
            p { a href=(format!("{here}?state={}&before={}", word(which.state), last.number)) { (r.t("Older", "이전 것")) } }
        }
    }
}

fn word(state: Option<State>) -> &'static str {
    match state {
        None => "all",
        Some(State::Opened) => "opened",
        Some(State::Merged) => "merged",
        Some(State::Closed) => "closed",
    }
}

fn filters(r: &Reader, here: &str, which: &Which) -> Markup {
    let text = |name: &Option<Name>| name.as_ref().map(ToString::to_string).unwrap_or_default();
    let field = |name: &str, words: &str, value: &str| {
        html! { input type="text" name=(name) value=(value) placeholder=(words) aria-label=(words) size="14"; }
    };
    html! {
        form.filter method="get" action=(here) {
            input type="hidden" name="state" value=(word(which.state));
            (field("search", r.t("Title or branch", "제목이나 브랜치"), which.words.as_deref().unwrap_or_default()))
            (field("repository", r.t("Repository", "저장소"), &text(&which.repository)))
            (field("label", r.t("Label", "레이블"), which.label.as_deref().unwrap_or_default()))
            (field("person", r.t("Person", "사람"), &text(&which.person)))
            button.button { (r.t("Filter", "거르기")) }
        }
    }
}

fn table(r: &Reader, here: &str, found: &[Record]) -> Markup {
    let heads = vec![
        ("", r.t("State", "상태").to_owned()),
        ("grow", r.t("Merge request", "머지 요청").to_owned()),
        ("wide", r.t("Pipeline", "파이프라인").to_owned()),
        ("num wide", r.t("Approvals", "승인").to_owned()),
        ("num wide", r.t("Comments", "댓글").to_owned()),
        ("wide", r.t("Opened", "열림").to_owned()),
    ];
    let row = |m: &Record| {
        let address = format!("{here}/{}", m.number);
        let (spec, status) = (&m.spec, &m.status);
        let cells = vec![
            state_badge(r, status.state, spec.draft),
            html! {
                a.title-link href=(address) { (spec.title) }
                div.sub {
                    "!" (m.number) " · " (spec.repository) " · " (person(&spec.author)) " "
                    (branches(&spec.source, &spec.target))
                    @for label in &spec.labels { " " span.tag { (label) } }
                }
            },
            html! { @if let Some(p) = status.pipeline() { (pipeline_badge(r, p.state)) } },
            html! { @if !status.approvals.is_empty() { (status.approvals.len()) } },
            html! { @if status.comments > 0 { (status.comments) } },
            widget::ago_or_dash(r, status.opened),
        ];
        (Some(address), cells)
    };
    widget::table(&Table { heads, rows: found.iter().map(row).collect() })
}
