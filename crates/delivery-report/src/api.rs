//! Reports over HTTP.

use crate::Reports;
use crate::ask::tests::{Order, Which};
use crate::select::Format;
use http::header;
use kernel::{Error, Id, Name, Result, text};
use naru_http::{Access, Call, Response, Route, json};
use policy::Permission;
use serde_json::json;
use std::sync::Arc;

const VIEW: Access = Access::Project(Permission::View);

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/api/v1/projects/{project}/tests",
        VIEW,
        (
            "tests (`repository`, `job`, `q`, `outcome`, `order`, `limit`)",
            "테스트 목록 (`repository`, `job`, `q`, `outcome`, `order`, `limit`)",
        ),
        |c| Box::pin(list(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/test",
        VIEW,
        ("a test and its history (`id`, `repository`)", "테스트와 그 이력 (`id`, `repository`)"),
        |c| Box::pin(show(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/flakes",
        VIEW,
        (
            "the flake ledger: tests with different results on the same commit",
            "불안정 테스트 장부: 같은 커밋에서 결과가 달랐던 테스트",
        ),
        |c| Box::pin(flakes(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/slow-tests",
        VIEW,
        ("the slowest tests, and those that got slower", "가장 느린 테스트와 느려진 테스트"),
        |c| Box::pin(slow(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/repositories/{repository}/times",
        VIEW,
        (
            "seconds of each test file or class (`job`), for cutting a job into parts",
            "테스트 파일이나 클래스별 초 (`job`). 작업을 나눌 때 씁니다",
        ),
        |c| Box::pin(times(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/runs/{run}/results",
        VIEW,
        (
            "what a run came to: failed tests, coverage, findings, cost, critical path",
            "실행 결과: 실패한 테스트, 커버리지, 발견 사항, 비용, 임계 경로",
        ),
        |c| Box::pin(results(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/runs/{run}/failed-tests",
        VIEW,
        (
            "failed tests in a runner's words (`job`, `attempt`, `format`)",
            "실패한 테스트를 실행기의 표기로 (`job`, `attempt`, `format`)",
        ),
        |c| Box::pin(failed(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/coverage",
        VIEW,
        (
            "coverage over time (`repository`, `branch`, `limit`)",
            "시간에 따른 커버리지 (`repository`, `branch`, `limit`)",
        ),
        |c| Box::pin(coverage(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/costs",
        VIEW,
        ("core-seconds by week, job and branch (`weeks`)", "주·작업·브랜치별 코어 초 (`weeks`)"),
        |c| Box::pin(costs(c)),
    ),
];

/// The part, with all that had happened when the request came.
pub(crate) async fn reports(call: &Call) -> Result<Arc<Reports>> {
    let reports = call.part::<Reports>()?;
    reports.caught_up(call.since).await;
    Ok(reports)
}

/// A name in the query.
pub(crate) fn name(call: &Call, key: &str) -> Result<Option<Name>> {
    call.query(key).filter(|w| !w.is_empty()).map(|w| Name::parse(&w)).transpose()
}

pub(crate) fn run_id(call: &Call) -> Result<Id> {
    let words = call.param("run")?;
    Id::parse(words).ok_or_else(|| {
        Error::not_found("run.unknown", text!("there is no run {words}", "{words} 실행이 없습니다"))
    })
}

pub(crate) fn limit(call: &Call, usual: u64, most: u64) -> Result<usize> {
    let limit = call.number("limit")?.unwrap_or(usual).clamp(1, most);
    Ok(usize::try_from(limit).unwrap_or(1))
}

pub(crate) fn which(call: &Call, usual: u64) -> Result<Which> {
    let word = |key: &str| call.query(key).filter(|w| !w.is_empty());
    let outcome = word("outcome");
    const OUTCOMES: [&str; 5] = ["passed", "failed", "flaky", "skipped", "error"];
    if let Some(odd) = outcome.as_ref().filter(|o| !OUTCOMES.contains(&o.as_str())) {
        return Err(unfit("outcome", odd, &OUTCOMES));
    }
    let order = match word("order").as_deref() {
        None | Some("trouble") => Order::Trouble,
        Some("slowest") => Order::Slowest,
        Some("newest") => Order::Newest,
        Some(odd) => return Err(unfit("order", odd, &["trouble", "slowest", "newest"])),
    };
    Ok(Which {
        repository: name(call, "repository")?,
        job: word("job"),
        words: word("q"),
        outcome,
        order,
        limit: limit(call, usual, 1_000)?,
    })
}

fn unfit(key: &str, word: &str, all: &[&str]) -> Error {
    let all = all.join(", ");
    Error::invalid(
        "query.invalid",
        text!("`{key}` cannot be {word}", "`{key}`에 {word}은(는) 쓸 수 없습니다"),
    )
    .hint(text!("one of {all}", "{all} 중 하나를 쓰세요"))
}

async fn list(call: Call) -> Result<Response> {
    let which = which(&call, 100)?;
    json(&reports(&call).await?.tests(&call.project()?, which).await?)
}

async fn show(call: Call) -> Result<Response> {
    let id = call.query("id").unwrap_or_default();
    let repository = name(&call, "repository")?;
    json(&reports(&call).await?.history(&call.project()?, repository, &id).await?)
}

async fn flakes(call: Call) -> Result<Response> {
    let items = reports(&call).await?.flakes(&call.project()?).await?;
    json(&json!({ "items": items }))
}

async fn slow(call: Call) -> Result<Response> {
    let limit = limit(&call, 20, 500)?;
    let (slowest, slower) = reports(&call).await?.slow(&call.project()?, limit).await?;
    json(&json!({ "slowest": slowest, "slower": slower }))
}

async fn times(call: Call) -> Result<Response> {
    let (project, repository) = (call.project()?, call.name("repository")?);
    let job = call.query("job").filter(|j| !j.is_empty());
    json(&reports(&call).await?.times(&project, &repository, job).await?)
}

async fn results(call: Call) -> Result<Response> {
    json(&reports(&call).await?.run(&call.project()?, &run_id(&call)?).await?)
}

async fn failed(call: Call) -> Result<Response> {
    let words = call.query("format").unwrap_or_else(|| "ids".to_owned());
    let names: Vec<&str> = Format::ALL.iter().map(|f| f.word()).collect();
    let format = Format::parse(&words).ok_or_else(|| unfit("format", &words, &names))?;
    let attempt = call.number("attempt")?.and_then(|n| u32::try_from(n).ok());
    let (project, run, job) = (call.project()?, run_id(&call)?, call.query("job"));
    let reports = reports(&call).await?;
    let (count, said) =
        reports.failed_tests(&project, &run, job.as_deref(), attempt, format).await?;
    // Plain words for whoever asks from a script in a job.
    if call.header(header::ACCEPT.as_str()).is_some_and(|a| a.contains("text/plain")) {
        return Ok(naru_http::text(said));
    }
    json(&json!({ "count": count, "format": format.word(), "words": said }))
}

async fn coverage(call: Call) -> Result<Response> {
    let (project, repository) = (call.project()?, name(&call, "repository")?);
    let branch = call.query("branch").filter(|b| !b.is_empty());
    let limit = limit(&call, 30, 1_000)?;
    let items = reports(&call).await?.trends(&project, repository, branch, limit).await?;
    json(&json!({ "items": items }))
}

async fn costs(call: Call) -> Result<Response> {
    let weeks = call.number("weeks")?.unwrap_or(8).clamp(1, 104);
    let weeks = u32::try_from(weeks).unwrap_or(8);
    json(&reports(&call).await?.costs(&call.project()?, weeks).await?)
}
