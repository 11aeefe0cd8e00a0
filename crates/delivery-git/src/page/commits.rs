//! Commits, and one commit.

use super::{Place, Spot, diff, top};
use crate::browse::{CommitView, LogView, PAGE};
use kernel::Result;
use kernel::journey::{Commit, change_name};
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::Reader;
use web::widget::{self, Table, Tone};

pub(super) async fn list(call: Call) -> Result<Response> {
    let place = Place::of(&call)?;
    let Place { git, project, repository, revision, path } = &place;
    let skip = call.number("skip")?.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let refs = git.refs(project, repository).await?;
    let only = Some(path.as_str()).filter(|p| !p.is_empty());
    let log = git.log(project, repository, revision.as_deref(), only, skip, PAGE).await?;
    let (r, spot) = (Reader::of(&call), place.spot(&refs));
    let page = spot.page(&r, r.t("Commits", "커밋"));
    Ok(web::page(&call, &page, draw_list(&r, &spot, &log)))
}

pub(super) fn draw_list(r: &Reader, spot: &Spot, log: &LogView) -> Markup {
    let heads = vec![
        ("grow", r.t("Commit", "커밋").to_owned()),
        ("wide", r.t("Author", "작성자").to_owned()),
        ("", r.t("When", "시각").to_owned()),
        ("num", String::new()),
    ];
    let row = |commit: &Commit| {
        let address = spot.commit(&commit.id);
        let cells = vec![
            html! { a.title-link href=(address) { (commit.subject) } },
            html! { span.soft { (commit.author) } },
            widget::ago(r, commit.committed),
            widget::commit(&commit.id, Some(&address)),
        ];
        (Some(address), cells)
    };
    let rows = log.commits.iter().map(row).collect();
    html! {
        (top(r, spot, "commits"))
        (widget::section("commits", "", html! {}, widget::table(&Table { heads, rows })))
        @if let Some(next) = log.next {
            p { a.button href=(format!("{}?skip={next}", spot.address("commits", &spot.path))) {
                (r.t("Older commits", "이전 커밋"))
            } }
        }
    }
}

pub(super) async fn show(call: Call) -> Result<Response> {
    let place = Place::of(&call)?;
    let Place { git, project, repository, revision, .. } = &place;
    let view = git.commit_view(project, repository, revision.as_deref().unwrap_or("HEAD")).await?;
    let refs = git.refs(project, repository).await?;
    let (r, mut spot) = (Reader::of(&call), place.spot(&refs));
    spot.revision = view.commit.id.clone();
    let name = repository.as_str();
    let page =
        spot.page(&r, &view.commit.subject).crumb(name, format!("/projects/{project}/code/{name}"));
    Ok(web::page(&call, &page, draw(&r, &spot, &view)))
}

pub(super) fn draw(r: &Reader, spot: &Spot, view: &CommitView) -> Markup {
    let commit = &view.commit;
    let change = change_name(&spot.repository, &commit.id);
    let about = html! {
        (widget::commit(&commit.id, None))
        span { (commit.author) }
        (widget::ago(r, commit.committed))
        @for parent in &commit.parents {
            span { (r.t("parent ", "부모 ")) (widget::commit(parent, Some(&spot.commit(parent)))) }
        }
        span { span.plus-count { "+" (view.added) } " " span.minus-count { "−" (view.removed) } }
    };
    let actions = html! {
        @if let Some(change) = &change {
            (widget::link_button(&format!("/projects/{}/changes/{change}", spot.project), r.t("Its way to production", "운영까지의 길"), Tone::Main))
        }
        (widget::link_button(&spot.address("tree", ""), r.t("Files", "파일"), Tone::Plain))
    };
    let rest = view.message.split_once('\n').map_or("", |(_, rest)| rest.trim());
    html! {
        (widget::heading(html! { (commit.subject) }, html! {}, about, actions))
        @if !rest.is_empty() { section.part { p.message { (rest) } } }
        @for (i, file) in view.files.iter().enumerate() { (diff::file(r, spot, i, file)) }
        @if view.truncated {
            p.soft { (r.t("More files changed than are shown here", "보이는 것보다 더 많은 파일이 바뀌었습니다")) }
        }
    }
}
