//! Directories and files.

use super::{Place, Spot, top};
use crate::browse::{DirectoryView, FileView, ItemKind, RefsView};
use kernel::journey::Commit;
use kernel::{ErrorKind, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::Reader;
use web::widget::{self, Tone};

/// Shown below a directory, the first that is there.
const README: [&str; 4] = ["README.md", "README", "README.txt", "readme.md"];
/// Lines of a file on the page.
const LINES: usize = 10_000;

/// A repository: its default branch's files, or how to push the first ones.
pub(super) async fn root(call: Call) -> Result<Response> {
    match shown(&call).await {
        Err(error) if error.code() == "repository.empty" => {
            let place = Place::of(&call)?;
            let refs = place.git.refs(&place.project, &place.repository).await?;
            let (r, spot) = (Reader::of(&call), place.spot(&refs));
            let url = format!("http://{}", call.header("host").unwrap_or("127.0.0.1:8080"));
            let page = spot.page(&r, spot.repository.as_str());
            Ok(web::page(&call, &page, nothing(&r, &spot, &url)))
        }
        other => other,
    }
}

pub(super) async fn directory(call: Call) -> Result<Response> {
    shown(&call).await
}

async fn shown(call: &Call) -> Result<Response> {
    let place = Place::of(call)?;
    let Place { git, project, repository, revision, path } = &place;
    let refs = git.refs(project, repository).await?;
    let directory = git.directory(project, repository, revision.as_deref(), path).await?;
    let log = git
        .log(
            project,
            repository,
            Some(&directory.commit),
            Some(path).filter(|p| !p.is_empty()).map(String::as_str),
            0,
            1,
        )
        .await?;
    let readme = README.iter().find(|n| directory.items.iter().any(|i| i.name == **n));
    let readme = match readme {
        Some(name) => {
            let path = if path.is_empty() { (*name).to_owned() } else { format!("{path}/{name}") };
            Some(git.file_view(project, repository, Some(&directory.commit), &path).await?)
        }
        None => None,
    };
    let (r, spot) = (Reader::of(call), place.spot(&refs));
    let title = if path.is_empty() { repository.to_string() } else { path.clone() };
    let body = draw(&r, &spot, &refs, &directory, log.commits.first(), readme.as_ref());
    Ok(web::page(call, &spot.page(&r, &title), body))
}

pub(super) async fn file(call: Call) -> Result<Response> {
    let place = Place::of(&call)?;
    let Place { git, project, repository, revision, path } = &place;
    let refs = git.refs(project, repository).await?;
    let (r, spot) = (Reader::of(&call), place.spot(&refs));
    match git.file_view(project, repository, revision.as_deref(), path).await {
        Ok(file) => Ok(web::page(&call, &spot.page(&r, path), draw_file(&r, &spot, &file))),
        // A link to a directory by mistake.
        Err(e) if e.kind() == ErrorKind::NotFound && e.code() == "path.unknown" => {
            git.directory(project, repository, revision.as_deref(), path).await.map_err(|_| e)?;
            naru_http::found(&spot.address("tree", path))
        }
        Err(e) => Err(e),
    }
}

fn nothing(r: &Reader, spot: &Spot, url: &str) -> Markup {
    let (project, repository) = (&spot.project, &spot.repository);
    html! {
        (widget::heading(html! { (repository) }, html! {}, html! {}, html! {}))
        (widget::section("tree", "", html! {}, widget::empty(
            r,
            r.t("No commit yet", "아직 커밋이 없습니다"),
            r.t("Push one; its way to production begins here", "커밋을 푸시하면 운영까지의 길이 여기서 시작됩니다"),
            &[&format!("git remote add naru {url}/{project}/{repository}.git"), "git push naru main"],
        )))
    }
}

pub(super) fn draw(
    r: &Reader,
    spot: &Spot,
    refs: &RefsView,
    directory: &DirectoryView,
    last: Option<&Commit>,
    readme: Option<&FileView>,
) -> Markup {
    let head = html! {
        @if let Some(commit) = last {
            a.title-link href=(spot.commit(&commit.id)) { (commit.subject) }
            span.soft { (commit.author) }
            (widget::ago(r, commit.committed))
            (widget::commit(&commit.id, Some(&spot.commit(&commit.id))))
        }
    };
    html! {
        (top(r, spot, "tree"))
        div.two-one {
            div.stack {
                section.part #tree data-part {
                    div.part-head { (head) }
                    (listing(spot, directory))
                }
                @if let Some((readme, text)) = readme.and_then(|f| Some((f, f.text.as_ref()?))) {
                    section.part { div.file-head { (readme.path) } (widget::code_block(text)) }
                }
            }
            (branches(r, spot, refs))
        }
    }
}

fn listing(spot: &Spot, directory: &DirectoryView) -> Markup {
    let below = |name: &str| match directory.path.as_str() {
        "" => name.to_owned(),
        path => format!("{path}/{name}"),
    };
    html! {
        div.table-wrap { table.rows.tree { tbody {
            @if let Some((up, _)) = directory.path.rsplit_once('/').or(Some(("", ""))).filter(|_| !directory.path.is_empty()) {
                tr data-row=(spot.address("tree", up)) { td { a href=(spot.address("tree", up)) { ".." } } td.num {} }
            }
            @for item in &directory.items {
                @let kind = if item.kind == ItemKind::Directory { "tree" } else { "file" };
                @let address = spot.address(kind, &below(&item.name));
                tr data-row=(address) {
                    td {
                        @match item.kind {
                            ItemKind::Directory => { (web::icon::folder()) a href=(address) { (item.name) } },
                            ItemKind::File => { (web::icon::file()) a href=(address) { (item.name) } },
                            ItemKind::Link => { (web::icon::link()) a href=(address) { (item.name) } },
                            ItemKind::Submodule => { (web::icon::branch()) span { (item.name) } " " (widget::commit(&item.object, None)) },
                        }
                        @if item.executable { " " span.tag { "+x" } }
                    }
                    td.num.faint { @if let Some(bytes) = item.size { (widget::size(bytes)) } }
                }
            }
        } } }
    }
}

fn branches(r: &Reader, spot: &Spot, refs: &RefsView) -> Markup {
    let line = |name: &str, id: &str| {
        let there = Spot {
            project: spot.project.clone(),
            repository: spot.repository.clone(),
            revision: name.to_owned(),
            path: String::new(),
        };
        html! {
            div.service-line {
                a.title-link.grow href=(there.address("tree", "")) { (name) }
                @if name == refs.default_branch { span.tag { (r.t("to production", "운영 배포")) } }
                (widget::commit(id, Some(&spot.commit(id))))
            }
        }
    };
    html! {
        div.stack {
            (widget::section("branches", r.t("Branches", "브랜치"), html! { span.faint { (refs.branches.len()) } }, html! {
                div { @for branch in refs.branches.iter().take(30) { (line(&branch.name, &branch.id)) } }
            }))
            @if !refs.tags.is_empty() {
                (widget::section("tags", r.t("Tags", "태그"), html! { span.faint { (refs.tags.len()) } }, html! {
                    div { @for tag in refs.tags.iter().rev().take(30) { (line(&tag.name, &tag.id)) } }
                }))
            }
        }
    }
}

pub(super) fn draw_file(r: &Reader, spot: &Spot, file: &FileView) -> Markup {
    let lines = file.text.as_deref().map_or(0, |t| t.lines().count());
    html! {
        (top(r, spot, ""))
        section.part {
            div.file-head {
                span.grow.soft {
                    @if lines > 0 { (lines) (r.t(" lines", "줄")) " · " }
                    (widget::size(file.size))
                    @if file.executable { " · +x" }
                }
                (widget::link_button(&spot.address("commits", &spot.path), r.t("History", "이력"), Tone::Plain))
                (widget::link_button(&spot.raw(), r.t("Raw", "원본"), Tone::Plain))
            }
            @match &file.text {
                Some(text) => (numbered(text)),
                None if file.too_large => { p.plot-none { (r.t("too large to be shown here", "여기에 보여 주기에는 너무 큽니다")) } },
                None => { p.plot-none { (r.t("a binary file", "바이너리 파일입니다")) } },
            }
        }
    }
}

/// A file's lines, each with a number that can be linked to: `#L12`.
fn numbered(text: &str) -> Markup {
    html! {
        div.file tabindex="0" {
            table { tbody {
                @for (i, line) in text.lines().take(LINES).enumerate() {
                    @let id = format!("L{}", i + 1);
                    tr id=(id) { td.no { a href={ "#" (id) } { (i + 1) } } td { (line) } }
                }
            } }
        }
    }
}
