//! What jobs keep for later pipelines: which caches there are, whether they are of use, and letting one go.

use crate::{CacheView, Pipelines};
use kernel::{Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response, found};
use web::widget::{self, Table, Tone};
use web::{Page, Reader};

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let mut caches = call.part::<Pipelines>()?.caches(&project).await?;
    caches.sort_by_key(|c| std::cmp::Reverse(c.last_used.unwrap_or(c.saved)));
    let r = Reader::of(&call);
    let page = Page::of(&project, "runs", r.t("Caches", "캐시"))
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"))
        .crumb(r.t("Runs", "실행"), format!("/projects/{project}/runs"));
    Ok(web::page(&call, &page, draw(&r, &project, &caches)))
}

pub(super) fn draw(r: &Reader, project: &Name, caches: &[CacheView]) -> Markup {
    let about = html! { (r.t(
        "What jobs keep for later pipelines, by key. A job that finds none makes it again",
        "작업이 다음 파이프라인을 위해 남겨 두는 것. 없으면 작업이 다시 만듭니다",
    )) };
    let total: u64 = caches.iter().map(|c| c.size).sum();
    let beside = html! { @if !caches.is_empty() { span.soft { (widget::size(total)) } } };
    let list = match caches {
        [] => widget::empty(
            r,
            r.t("No cache yet", "아직 캐시가 없습니다"),
            r.t(
                "A job keeps files with `cache:` in .gitlab-ci.yml",
                "작업은 .gitlab-ci.yml의 `cache:`로 파일을 남깁니다",
            ),
            &["cache: {key: deps, paths: [vendor/]}"],
        ),
        all => widget::table(&Table {
            heads: vec![
                ("grow", r.t("Key", "키").to_owned()),
                ("num", r.t("Size", "크기").to_owned()),
                ("num wide", r.t("Times used", "쓰인 횟수").to_owned()),
                ("wide", r.t("Last used", "최근 쓰임").to_owned()),
                ("wide", r.t("Saved", "저장").to_owned()),
                ("", String::new()),
            ],
            rows: all.iter().map(|cache| (None, cells(r, project, cache))).collect(),
        }),
    };
    html! {
        (widget::heading(html! { (r.t("Caches", "캐시")) }, html! {}, about, html! {}))
        (widget::section("caches", "", beside, list))
    }
}

fn cells(r: &Reader, project: &Name, cache: &CacheView) -> Vec<Markup> {
    let fields = [("key", cache.key.as_str())];
    vec![
        html! { span.mono { (cache.key) } },
        html! { (widget::size(cache.size)) },
        html! { (cache.hits) },
        widget::ago_or_dash(r, cache.last_used),
        widget::ago(r, cache.saved),
        html! { div.row-actions {
            (widget::post(&format!("/projects/{project}/caches/delete"), &fields,
                html! { (r.t("Delete", "삭제")) }, Tone::Danger))
        } },
    ]
}

pub(super) async fn delete(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let project = call.project()?;
    let key = form.get("key").map_or("", String::as_str);
    call.part::<Pipelines>()?.delete_cache(&project, key).await?;
    found(&format!("/projects/{project}/caches"))
}
