//! Changes and key metrics over HTTP.

use crate::Insight;
use crate::trace::{place, trace};
use kernel::Result;
use naru_http::{Access, Call, Response, Route, json};
use policy::Permission;
use serde_json::{Value, json};

const VIEW: Access = Access::Project(Permission::View);

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/api/v1/projects/{project}/changes",
        VIEW,
        ("changes, newest first", "변경 목록, 새것부터"),
        |c| Box::pin(list(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/changes/{change}",
        VIEW,
        ("a change and its trace", "변경과 그 추적"),
        |c| Box::pin(show(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/metrics",
        VIEW,
        ("key metrics of each service", "서비스별 핵심 지표"),
        |c| Box::pin(metrics(c)),
    ),
];

async fn list(call: Call) -> Result<Response> {
    let limit = call.number("limit")?.unwrap_or(30).clamp(1, 200) as usize;
    let insight = call.part::<Insight>()?;
    let changes = insight.changes(&call.project()?, call.query("before"), limit).await?;
    let now = call.site.store.now();
    let next =
        (changes.len() == limit).then(|| changes.last().map(|(key, _)| key.clone())).flatten();
    let items: Vec<Value> = changes
        .iter()
        .map(|(_, c)| {
            let t = trace(c, now);
            json!({ "name": c.name, "repository": c.repository, "branch": c.branch, "commit": c.commit.id,
                "subject": c.commit.subject, "author": c.commit.author, "received": c.received, "rides": c.rides,
                "place": place(c), "outcome": c.outcome, "reason": c.reason, "url": c.url, "undone": c.undone,
                "total_ms": t.total_ms, "waiting_ms": t.waiting_ms, "working_ms": t.working_ms })
        })
        .collect();
    json(&json!({ "items": items, "continue": next }))
}

async fn show(call: Call) -> Result<Response> {
    let insight = call.part::<Insight>()?;
    let change = insight.change(&call.project()?, &call.name("change")?).await?;
    let trace = trace(&change, call.site.store.now());
    json(&json!({ "change": change, "place": place(&change), "trace": trace }))
}

async fn metrics(call: Call) -> Result<Response> {
    let days = call.number("days")?.unwrap_or(30).clamp(1, 3650);
    let insight = call.part::<Insight>()?;
    let items = insight.metrics(&call.project()?, u32::try_from(days).unwrap_or(30)).await?;
    json(&json!({ "items": items, "days": days }))
}
