//! Results, and verdicts on request.

use crate::Loads;
use crate::follow::MAX_FILE;
use crate::record;
use kernel::{Error, Result};
use load::judge::{Rules, Sample, history};
use naru_http::{Access, Call, Response, Route, json};
use policy::Permission;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

const VIEW: Access = Access::Project(Permission::View);

pub const ROUTES: &[Route] = &[
    Route::get(
        "/api/v1/projects/{project}/load",
        VIEW,
        (
            "scenarios of performance tests with their last results",
            "성능 테스트 시나리오와 최근 결과",
        ),
        |c| Box::pin(scenarios(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/load/{repository}/{scenario}",
        VIEW,
        ("results of a scenario, newest first", "시나리오의 결과 (최신순)"),
        |c| Box::pin(results(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/load/{repository}/{scenario}/{result}",
        VIEW,
        ("one result, whole", "결과 하나 전체"),
        |c| Box::pin(result(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/load/{repository}/judge",
        VIEW,
        ("compare a result that is not kept with its base", "보관되지 않은 결과를 기준과 비교"),
        |c| Box::pin(judge(c)),
    ),
];

/// A result that wants a verdict.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    pub scenario: String,
    /// Class of machine.
    pub class: String,
    pub sample: Sample,
    /// Branch.
    pub base: String,
    pub effect: f64,
    #[serde(default)]
    pub commit: Option<String>,
}

async fn scenarios(call: Call) -> Result<Response> {
    let (loads, project) = (loads(&call).await?, call.project()?);
    let items = loads.store.read(move |v| record::scenarios(v, &project)).await?;
    json(&json!({ "items": items }))
}

async fn results(call: Call) -> Result<Response> {
    let (loads, project) = (loads(&call).await?, call.project()?);
    let (repository, scenario) = (call.name("repository")?, call.param("scenario")?.to_owned());
    let limit = call.number("limit")?.unwrap_or(30).clamp(1, record::KEPT) as usize;
    let read =
        move |v: &store::View<'_>| record::results(v, &project, &repository, &scenario, limit);
    let items = loads.store.read(read).await?;
    json(&json!({ "items": items }))
}

async fn result(call: Call) -> Result<Response> {
    let loads = loads(&call).await?;
    let (row, whole) = one(&call, &loads).await?;
    json(&json!({ "result": row, "report": whole }))
}

/// The row that the path names, and its report when it is one of ours.
pub(crate) async fn one(
    call: &Call,
    loads: &Loads,
) -> Result<(record::Row, Option<load::report::Report>)> {
    let project = call.project()?;
    let (repository, scenario) = (call.name("repository")?, call.param("scenario")?.to_owned());
    let seq = call.param("result")?.parse().unwrap_or(0);
    let read = move |v: &store::View<'_>| record::result(v, &project, &repository, &scenario, seq);
    let row = loads.store.read(read).await?;
    let bytes = loads.blobs.get(&row.blob, MAX_FILE).await?;
    let parse = move || load::report::read_report(&bytes);
    let report = tokio::task::spawn_blocking(parse).await.map_err(Error::internal)?;
    Ok((row, report))
}

async fn judge(mut call: Call) -> Result<Response> {
    let ask: Ask = call.json().await?;
    let (loads, project, repository) =
        (loads(&call).await?, call.project()?, call.name("repository")?);
    let (scenario, class, base, commit) =
        (ask.scenario.clone(), ask.class.clone(), ask.base.clone(), ask.commit.clone());
    let read = move |v: &store::View<'_>| {
        record::bases(v, &project, &repository, &scenario, &class, &base, commit.as_deref())
    };
    let known = loads.store.read(read).await?;
    let effect = if ask.effect.is_finite() { ask.effect.clamp(0.001, 10.0) } else { 0.05 };
    let rules = Rules { effect, ..Rules::default() };
    json(&history(&ask.scenario, ask.sample, &known, rules))
}

/// The part, with all that had happened when the request came.
pub(crate) async fn loads(call: &Call) -> Result<Arc<Loads>> {
    let loads = call.part::<Loads>()?;
    loads.caught_up(call.since).await;
    Ok(loads)
}
