//! Routes beyond the generic ones.

use crate::{ServiceKey, Services};
use futures_util::StreamExt;
use kernel::{Name, Result};
use naru_http::{Access, Call, Frame, Response, Route, empty, json, json_status, sse};
use policy::Permission;
use serde::Deserialize;
use serde_json::json;

const VIEW: Access = Access::Project(Permission::View);
const DEPLOY: Access = Access::Project(Permission::Deploy);
/// Lines of a log when nobody says how many, and the most.
const LINES: u64 = 200;
const MOST_LINES: u64 = 10_000;

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/api/v1/projects/{project}/services/{service}/view",
        VIEW,
        ("a service with its instances and releases", "서비스와 인스턴스, 릴리스"),
        |c| Box::pin(view(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/services/{service}/rollback",
        DEPLOY,
        ("go back to an earlier release", "이전 릴리스로 되돌리기"),
        |c| Box::pin(rollback(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/services/{service}/scale",
        DEPLOY,
        ("set the number of instances", "인스턴스 수 정하기"),
        |c| Box::pin(scale(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/services/{service}/restart",
        DEPLOY,
        ("replace all instances", "모든 인스턴스 다시 시작"),
        |c| Box::pin(restart(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/services/{service}/delete",
        DEPLOY,
        (
            "delete a service, and with `with_data` its data directory",
            "서비스 삭제. `with_data`이면 데이터 디렉터리까지",
        ),
        |c| Box::pin(delete(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/changes/{change}/deploy",
        DEPLOY,
        ("release a change whose pipeline passed", "파이프라인을 통과한 변경 배포"),
        |c| Box::pin(deploy(c)),
    ),
    Route::get(
        "/api/v1/host",
        Access::SignedIn,
        ("what this machine can enforce", "이 머신이 적용할 수 있는 제한"),
        |c| Box::pin(host(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/services/{service}/logs",
        VIEW,
        ("logs of all instances", "모든 인스턴스의 로그"),
        |c| Box::pin(logs(c)),
    ),
];

fn key(call: &Call) -> Result<ServiceKey> {
    Ok(ServiceKey { project: call.project()?, service: call.name("service")? })
}

async fn view(call: Call) -> Result<Response> {
    let key = key(&call)?;
    json(&call.part::<Services>()?.show(&key.project, &key.service).await?)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rollback {
    release: Option<Name>,
}

async fn rollback(mut call: Call) -> Result<Response> {
    let bytes = call.bytes(64 * 1024).await?;
    let body: Rollback = match bytes.is_empty() {
        true => Rollback::default(),
        false => parse(&bytes)?,
    };
    let (key, who) = (key(&call)?, call.who.clone());
    let begun = call.part::<Services>()?.roll_back(&key, body.release, who).await?;
    json_status(status_accepted(), &begun)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scale {
    replicas: u32,
}

async fn scale(mut call: Call) -> Result<Response> {
    let body: Scale = call.json().await?;
    let (key, who) = (key(&call)?, call.who.clone());
    call.part::<Services>()?.scale(&key, body.replicas, who).await?;
    Ok(empty())
}

async fn restart(call: Call) -> Result<Response> {
    let (key, who) = (key(&call)?, call.who.clone());
    json_status(status_accepted(), &call.part::<Services>()?.restart(&key, who).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    #[serde(default)]
    with_data: bool,
}

async fn delete(mut call: Call) -> Result<Response> {
    let body: Delete = call.json().await?;
    let (key, who) = (key(&call)?, call.who.clone());
    json(&call.part::<Services>()?.delete(&key, body.with_data, who).await?)
}

async fn deploy(call: Call) -> Result<Response> {
    let (project, change, who) = (call.project()?, call.name("change")?, call.who.clone());
    let begun = call.part::<Services>()?.deploy(project, change, who).await?;
    json_status(status_accepted(), &begun)
}

async fn host(call: Call) -> Result<Response> {
    json(call.part::<Services>()?.abilities())
}

async fn logs(call: Call) -> Result<Response> {
    let key = key(&call)?;
    let services = call.part::<Services>()?;
    // Refuses a service that is not there.
    services.show(&key.project, &key.service).await?;
    let tail = call.number("tail")?.unwrap_or(LINES).min(MOST_LINES) as usize;
    let instance = call.query("instance");
    if !call.flag("follow") {
        let lines = services.log_tail(&key, instance.as_deref(), tail).await?;
        return json(&json!({ "lines": lines }));
    }
    let lines = services.log_follow(&key, instance, tail).await?;
    Ok(sse(lines.map(|line| {
        let data = serde_json::to_string(&line?).map_err(kernel::Error::internal)?;
        Ok(Frame { event: Some("line"), data, ..Frame::default() })
    })))
}

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| {
        let why = e.to_string();
        kernel::Error::invalid(
            "body.invalid",
            kernel::text!("the body does not fit: {why}", "본문이 맞지 않습니다: {why}"),
        )
    })
}

/// 202: the rollout has begun.
fn status_accepted() -> http::StatusCode {
    http::StatusCode::ACCEPTED
}
