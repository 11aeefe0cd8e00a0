//! Reading repositories over the API.

use crate::{Git, browse, repository};
use http::{HeaderValue, header};
use kernel::{Name, Result};
use naru_http::{Access, Call, Response, Route, json};
use policy::Permission;
use std::sync::Arc;

const VIEW: Access = Access::Project(Permission::View);
/// The largest file given out raw, in bytes.
const RAW: u64 = 32 * 1024 * 1024;

pub(crate) const ROUTES: [Route; 6] = [
    Route::get(
        "/api/v1/projects/{project}/repositories/{repository}/refs",
        VIEW,
        ("branches and tags of a repository", "저장소의 브랜치와 태그"),
        |c| Box::pin(refs(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/repositories/{repository}/commits",
        VIEW,
        (
            "commits, newest first (`ref`, `path`, `skip`, `limit`)",
            "커밋 목록, 최신순 (`ref`, `path`, `skip`, `limit`)",
        ),
        |c| Box::pin(commits(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/repositories/{repository}/commits/{commit}",
        VIEW,
        ("a commit and what it changed", "커밋과 바뀐 내용"),
        |c| Box::pin(commit(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/repositories/{repository}/tree",
        VIEW,
        ("a directory (`ref`, `path`)", "디렉터리 (`ref`, `path`)"),
        |c| Box::pin(tree(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/repositories/{repository}/file",
        VIEW,
        ("a file (`ref`, `path`)", "파일 (`ref`, `path`)"),
        |c| Box::pin(file(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/repositories/{repository}/raw",
        VIEW,
        ("a file's bytes (`ref`, `path`)", "파일 내용 그대로 (`ref`, `path`)"),
        |c| Box::pin(raw(c)),
    ),
];

/// What every one of these is asked for.
struct Asked {
    git: Arc<Git>,
    project: Name,
    repository: Name,
    revision: Option<String>,
    path: String,
}

fn asked(call: &Call) -> Result<Asked> {
    Ok(Asked {
        git: call.part::<Git>()?,
        project: call.project()?,
        repository: repository::name_of(call.param("repository")?)?,
        revision: call.query("ref"),
        path: call.query("path").unwrap_or_default(),
    })
}

async fn refs(call: Call) -> Result<Response> {
    let Asked { git, project, repository, .. } = asked(&call)?;
    json(&git.refs(&project, &repository).await?)
}

async fn commits(call: Call) -> Result<Response> {
    let Asked { git, project, repository, revision, path } = asked(&call)?;
    let number = |n: Option<u64>, or: usize| n.and_then(|n| usize::try_from(n).ok()).unwrap_or(or);
    let skip = number(call.number("skip")?, 0);
    let limit = number(call.number("limit")?, browse::PAGE);
    let path = (!path.is_empty()).then_some(path);
    let log = git.log(&project, &repository, revision.as_deref(), path.as_deref(), skip, limit);
    json(&log.await?)
}

async fn commit(call: Call) -> Result<Response> {
    let Asked { git, project, repository, .. } = asked(&call)?;
    json(&git.commit_view(&project, &repository, call.param("commit")?).await?)
}

async fn tree(call: Call) -> Result<Response> {
    let Asked { git, project, repository, revision, path } = asked(&call)?;
    json(&git.directory(&project, &repository, revision.as_deref(), &path).await?)
}

async fn file(call: Call) -> Result<Response> {
    let Asked { git, project, repository, revision, path } = asked(&call)?;
    json(&git.file_view(&project, &repository, revision.as_deref(), &path).await?)
}

/// Always a download of unknown type: a file of a repository must never run as a page of this site.
async fn raw(call: Call) -> Result<Response> {
    let Asked { git, project, repository, revision, path } = asked(&call)?;
    let bytes = git.raw(&project, &repository, revision.as_deref(), &path, RAW).await?;
    let mut response = Response::new(bytes.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    Ok(response)
}
