//! Pages of code: repositories, directories, files, commits.

mod commits;
mod diff;
mod files;
mod repositories;
#[cfg(test)]
mod tests;

use crate::browse::RefsView;
use crate::{Git, repository};
use kernel::{Name, Result};
use maud::{Markup, html};
use naru_http::{Access, Call, Route};
use policy::Permission;
use std::sync::Arc;
use web::{Page, Reader, widget};

const VIEW: Access = Access::Project(Permission::View);

pub const ROUTES: [Route; 8] = [
    Route::get(
        "/projects/{project}/code",
        VIEW,
        ("page: repositories", "페이지: 저장소 목록"),
        |c| Box::pin(repositories::show(c)),
    ),
    Route::get(
        "/projects/{project}/code/{repository}",
        VIEW,
        ("page: a repository", "페이지: 저장소"),
        |c| Box::pin(files::root(c)),
    ),
    Route::get(
        "/projects/{project}/code/{repository}/tree/{revision}",
        VIEW,
        ("page: the files of a revision", "페이지: 리비전의 파일"),
        |c| Box::pin(files::directory(c)),
    ),
    Route::get(
        "/projects/{project}/code/{repository}/tree/{revision}/{*path}",
        VIEW,
        ("page: a directory", "페이지: 디렉터리"),
        |c| Box::pin(files::directory(c)),
    ),
    Route::get(
        "/projects/{project}/code/{repository}/file/{revision}/{*path}",
        VIEW,
        ("page: a file", "페이지: 파일"),
        |c| Box::pin(files::file(c)),
    ),
    Route::get(
        "/projects/{project}/code/{repository}/commits/{revision}",
        VIEW,
        ("page: commits", "페이지: 커밋 목록"),
        |c| Box::pin(commits::list(c)),
    ),
    Route::get(
        "/projects/{project}/code/{repository}/commits/{revision}/{*path}",
        VIEW,
        ("page: commits that touched a path", "페이지: 경로를 바꾼 커밋"),
        |c| Box::pin(commits::list(c)),
    ),
    Route::get(
        "/projects/{project}/code/{repository}/commit/{revision}",
        VIEW,
        ("page: a commit and what it changed", "페이지: 커밋과 바뀐 내용"),
        |c| Box::pin(commits::show(c)),
    ),
];

/// What every page of a repository is about.
struct Place {
    git: Arc<Git>,
    project: Name,
    repository: Name,
    /// As the reader wrote it: a branch, a tag or a commit.
    revision: Option<String>,
    path: String,
}

impl Place {
    fn of(call: &Call) -> Result<Place> {
        Ok(Place {
            git: call.part::<Git>()?,
            project: call.project()?,
            repository: repository::name_of(call.param("repository")?)?,
            revision: call.param("revision").ok().map(str::to_owned),
            path: call.param("path").unwrap_or_default().trim_matches('/').to_owned(),
        })
    }

    fn spot(&self, refs: &RefsView) -> Spot {
        Spot {
            project: self.project.clone(),
            repository: self.repository.clone(),
            revision: self.revision.clone().unwrap_or_else(|| refs.default_branch.clone()),
            path: self.path.clone(),
        }
    }
}

/// Where a reader is in a repository, and what lies where from there.
pub(crate) struct Spot {
    pub project: Name,
    pub repository: Name,
    pub revision: String,
    pub path: String,
}

impl Spot {
    fn base(&self) -> String {
        format!("/projects/{}/code/{}", self.project, self.repository)
    }

    /// `kind` is `tree`, `file` or `commits`.
    pub fn address(&self, kind: &str, path: &str) -> String {
        let slash = if path.is_empty() { "" } else { "/" };
        let (base, revision) = (self.base(), web::segment(&self.revision));
        format!("{base}/{kind}/{revision}{slash}{}", web::path(path))
    }

    pub fn commit(&self, id: &str) -> String {
        format!("{}/commit/{id}", self.base())
    }

    pub fn raw(&self) -> String {
        format!(
            "/api/v1/projects/{}/repositories/{}/raw?ref={}&path={}",
            self.project,
            self.repository,
            web::segment(&self.revision),
            web::path(&self.path)
        )
    }

    fn page(&self, r: &Reader, title: &str) -> Page {
        Page::of(&self.project, "code", title)
            .bare()
            .crumb(self.project.as_str(), format!("/projects/{}", self.project))
            .crumb(r.t("Code", "코드"), format!("/projects/{}/code", self.project))
            .follow(&format!("project={}&kind=git.pushed", self.project))
    }
}

/// The top of a repository's pages: its name, the way to where the reader is, and its other pages.
fn top(r: &Reader, spot: &Spot, open: &str) -> Markup {
    let tab = |words, kind: &str| (words, spot.address(kind, ""), kind == open);
    html! {
        (widget::heading(way(spot), html! {}, html! {
            span.tag { (web::icon::branch()) (short(&spot.revision)) }
        }, html! {}))
        (widget::tabs(r.t("Repository", "저장소"), &[
            tab(r.t("Files", "파일"), "tree"),
            tab(r.t("Commits", "커밋"), "commits"),
        ]))
    }
}

/// `web / src / app.py`, each part a link.
fn way(spot: &Spot) -> Markup {
    let parts: Vec<&str> = spot.path.split('/').filter(|p| !p.is_empty()).collect();
    html! {
        a.title-link href=(spot.address("tree", "")) { (spot.repository) }
        @for (i, part) in parts.iter().enumerate() {
            span.faint { " / " }
            @if i + 1 == parts.len() { (part) } @else {
                @let until: Vec<&str> = parts.iter().copied().take(i + 1).collect();
                a.title-link href=(spot.address("tree", &until.join("/"))) { (part) }
            }
        }
    }
}

/// A whole object id by its first digits; a branch as it is.
fn short(revision: &str) -> &str {
    let id = revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit());
    if id { revision.get(..8).unwrap_or(revision) } else { revision }
}
