//! Routes beyond the generic ones.

use crate::by_hand::ByHand;
use crate::look::Look;
use crate::{KIND, Pipelines};
use http::{HeaderValue, StatusCode, header};
use kernel::Result;
use naru_http::{Access, Body, Call, Response, Route, json, json_status};
use policy::Permission;
use serde_json::json;
use tokio_util::io::ReaderStream;

const VIEW: Access = Access::Project(Permission::View);
const CHANGE: Access = Access::Project(Permission::Change);

pub(crate) const ROUTES: &[Route] = &[
    Route::post(
        "/api/v1/projects/{project}/pipelines",
        CHANGE,
        (
            "start a pipeline on a branch or tag (`repository`, `ref`, `variables`, `inputs`)",
            "브랜치나 태그에서 파이프라인 시작 (`repository`, `ref`, `variables`, `inputs`)",
        ),
        |c| Box::pin(start(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/repositories/{repository}/include",
        VIEW,
        (
            "what a pipeline would find of a repository that it includes from (`file`, `paths`, `component`)",
            "파이프라인이 저장소에서 include로 찾는 것 (`file`, `paths`, `component`)",
        ),
        |c| Box::pin(crate::others::include(c)),
    ),
    Route::post(
        "/api/v1/pipelines/lint",
        Access::SignedIn,
        (
            "what a pipeline file would run, and why (`content`, `path`, `includes`, `branch`, `inputs`, …)",
            "파이프라인 파일이 무엇을 왜 실행하는지 (`content`, `path`, `includes`, `branch`, `inputs`, …)",
        ),
        |c| Box::pin(check(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/runs/import",
        CHANGE,
        (
            "take in a run that has ended on a developer's machine",
            "개발자 컴퓨터에서 끝난 실행을 받아들임",
        ),
        |c| Box::pin(crate::local::receive::receive(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/runs/{run}/steps/{step}/attach",
        ENTER,
        (
            "a terminal in a running job (`Upgrade: naru-pty`; `rows`, `columns`, `term`)",
            "실행 중인 작업 안의 터미널 (`Upgrade: naru-pty`; `rows`, `columns`, `term`)",
        ),
        |c| Box::pin(crate::attach::attach(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/runs/{run}/report",
        VIEW,
        ("why each job is in a pipeline or not", "작업이 파이프라인에 있거나 없는 까닭"),
        |c| Box::pin(report(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/runs/{run}/steps/{step}/artifacts",
        VIEW,
        ("what a job left", "작업이 남긴 아티팩트"),
        |c| Box::pin(artifacts(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/runs/{run}/steps/{step}/artifacts/{*path}",
        VIEW,
        ("one file that a job left", "작업이 남긴 파일 하나"),
        |c| Box::pin(artifact(c)),
    ),
];

const ENTER: Access = Access::Project(Permission::Enter);

async fn start(mut call: Call) -> Result<Response> {
    let project = call.project()?;
    let ask: ByHand = call.json().await?;
    let pipelines = call.part::<Pipelines>()?;
    let run = pipelines.run(&project, ask, call.who.clone()).await?;
    json_status(StatusCode::CREATED, &json!({ "run": run, "kind": KIND, "project": project }))
}

async fn check(mut call: Call) -> Result<Response> {
    let ask: Look = call.json().await?;
    let (pipelines, lang) = (call.part::<Pipelines>()?, call.lang);
    json(&pipelines.look(&call.who, ask, lang).await?)
}

async fn report(call: Call) -> Result<Response> {
    let pipelines = call.part::<Pipelines>()?;
    json(&pipelines.report(&call.project()?, call.param("run")?).await?)
}

async fn artifacts(call: Call) -> Result<Response> {
    let pipelines = call.part::<Pipelines>()?;
    let (run, step) = (call.param("run")?, call.param("step")?);
    json(&pipelines.artifacts(&call.project()?, run, step, &call.who).await?)
}

async fn artifact(call: Call) -> Result<Response> {
    let pipelines = call.part::<Pipelines>()?;
    let (run, step, path) = (call.param("run")?, call.param("step")?, call.param("path")?);
    let (entry, file) = pipelines.artifact(&call.project()?, run, step, path, &call.who).await?;
    let mut response = Response::new(Body::from_stream(ReaderStream::new(file)));
    let headers = response.headers_mut();
    // What a job wrote must never run as a page of ours.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(entry.size));
    Ok(response)
}
