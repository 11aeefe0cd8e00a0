//! The repositories of a project.

use kernel::{Name, Resource, Result};
use maud::{Markup, html};
use naru_http::{Call, Response, found};
use web::widget::{self, Table};
use web::{Page, Reader};

const SHOWN: usize = 200;

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let whose = project.clone();
    let read = move |v: &store::View<'_>| v.resources("Repository", Some(&whose), None, SHOWN);
    let all = call.site.store.read(read).await?;
    // The only one is what the reader came for.
    if let [only] = all.as_slice() {
        return found(&format!("/projects/{project}/code/{}", only.key.name));
    }
    let r = Reader::of(&call);
    let page = Page::of(&project, "code", r.t("Code", "코드"))
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"));
    let url = format!("http://{}", call.header("host").unwrap_or("127.0.0.1:8080"));
    Ok(web::page(&call, &page, draw(&r, &project, &url, &all)))
}

pub(super) fn draw(r: &Reader, project: &Name, url: &str, all: &[Resource]) -> Markup {
    let body = if all.is_empty() {
        widget::empty(
            r,
            r.t("No repository yet", "아직 저장소가 없습니다"),
            r.t("The first push to its address makes one", "주소로 처음 푸시하면 만들어집니다"),
            &[&format!("git remote add naru {url}/{project}/web.git"), "git push naru main"],
        )
    } else {
        let heads = vec![
            ("grow", r.t("Repository", "저장소").to_owned()),
            ("wide", r.t("Head", "최신 커밋").to_owned()),
            ("num wide", r.t("Size", "크기").to_owned()),
            ("", r.t("Updated", "갱신").to_owned()),
        ];
        widget::table(&Table { heads, rows: all.iter().map(|one| row(r, project, one)).collect() })
    };
    html! {
        (widget::heading(html! { (r.t("Code", "코드")) }, html! {}, html! {}, html! {}))
        (widget::section("repositories", "", html! {}, body))
    }
}

fn row(r: &Reader, project: &Name, one: &Resource) -> (Option<String>, Vec<Markup>) {
    let name = &one.key.name;
    let address = format!("/projects/{project}/code/{name}");
    let field = |pointer: &str| one.status.get(pointer);
    let about = one.spec.get("description").and_then(|d| d.as_str()).unwrap_or_default();
    let cells = vec![
        html! {
            a.title-link href=(address) { (name) }
            @if !about.is_empty() { div.sub { (about) } }
        },
        html! {
            @if let Some(head) = field("head").and_then(|h| h.as_str()) {
                (widget::commit(head, Some(&format!("{address}/commit/{head}"))))
            }
        },
        html! { @if let Some(bytes) = field("size").and_then(|s| s.as_u64()) { (widget::size(bytes)) } },
        widget::ago(r, one.updated),
    ];
    (Some(address), cells)
}
