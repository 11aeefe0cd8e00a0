//! Routes about how pipelines start and what they start.

use crate::Pipelines;
use http::StatusCode;
use kernel::{Id, Name, Result};
use naru_http::{Access, Call, Response, Route, empty, json, json_status};
use policy::Permission;
use serde::Deserialize;
use serde_json::json;

const VIEW: Access = Access::Project(Permission::View);
const CHANGE: Access = Access::Project(Permission::Change);

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/api/v1/projects/{project}/trigger-tokens",
        CHANGE,
        (
            "tokens that start pipelines, without their secrets",
            "파이프라인을 시작하는 토큰 (비밀 값 제외)",
        ),
        |c| Box::pin(tokens(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/trigger-tokens",
        CHANGE,
        (
            "make a trigger token (`name`); its text is in this answer alone",
            "트리거 토큰 만들기 (`name`). 토큰 값은 이 응답에만 있음",
        ),
        |c| Box::pin(create(c)),
    ),
    Route::delete(
        "/api/v1/projects/{project}/trigger-tokens/{name}",
        CHANGE,
        ("take a trigger token back", "트리거 토큰 폐기"),
        |c| Box::pin(revoke(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/resource-groups",
        VIEW,
        ("resource groups and how each gives its turn", "리소스 그룹과 차례를 정하는 방식"),
        |c| Box::pin(groups(c)),
    ),
    Route::put(
        "/api/v1/projects/{project}/resource-groups/{key}",
        CHANGE,
        (
            "how a resource group gives its turn (`process_mode`)",
            "리소스 그룹이 차례를 정하는 방식 바꾸기 (`process_mode`)",
        ),
        |c| Box::pin(set_group(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/schedules/{name}/play",
        CHANGE,
        ("start the pipeline of a schedule now", "일정의 파이프라인을 지금 시작"),
        |c| Box::pin(play(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/runs/{run}/downstream",
        VIEW,
        ("the pipelines that a pipeline has started", "파이프라인이 시작한 다른 파이프라인"),
        |c| Box::pin(downstream(c)),
    ),
];

#[derive(Deserialize)]
struct NewToken {
    name: Name,
}

#[derive(Deserialize)]
struct Mode {
    process_mode: String,
}

async fn tokens(call: Call) -> Result<Response> {
    json(&call.part::<Pipelines>()?.tokens(call.project()?).await?)
}

async fn create(mut call: Call) -> Result<Response> {
    let NewToken { name } = call.json().await?;
    let pipelines = call.part::<Pipelines>()?;
    let token = pipelines.create_token(call.project()?, name.clone(), call.who.clone()).await?;
    json_status(StatusCode::CREATED, &json!({ "name": name, "token": token }))
}

async fn revoke(call: Call) -> Result<Response> {
    let pipelines = call.part::<Pipelines>()?;
    pipelines.revoke_token(call.project()?, call.name("name")?, call.who.clone()).await?;
    Ok(empty())
}

async fn groups(call: Call) -> Result<Response> {
    json(&call.part::<Pipelines>()?.groups(&call.project()?).await?)
}

async fn set_group(mut call: Call) -> Result<Response> {
    let Mode { process_mode } = call.json().await?;
    let pipelines = call.part::<Pipelines>()?;
    json(&pipelines.set_group(&call.project()?, call.param("key")?, &process_mode).await?)
}

async fn play(call: Call) -> Result<Response> {
    let pipelines = call.part::<Pipelines>()?;
    let project = call.project()?;
    let run = pipelines.play_schedule(&project, &call.name("name")?, call.who.clone()).await?;
    json_status(StatusCode::CREATED, &json!({ "run": run, "project": project }))
}

async fn downstream(call: Call) -> Result<Response> {
    let pipelines = call.part::<Pipelines>()?;
    let run: Id = pipelines.own(&call.project()?, call.param("run")?).await?.id;
    json(&pipelines.0.store.read(move |v| Pipelines::children(v, &run)).await?)
}
