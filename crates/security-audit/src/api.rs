//! `/api/v1/audit`: for those who may read it. Reading is itself written down.

use crate::{Audit, export, query};
use kernel::{NewEvent, Result, Text};
use naru_http::{Access, Body, Call, Response, Route, json};
use policy::Action;
use serde_json::json;

const MAY: Access = Access::Action(Action::AuditRead);

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/api/v1/audit/events",
        MAY,
        ("search the audit log", "감사 기록 검색"),
        |c| Box::pin(search(c)),
    ),
    Route::get(
        "/api/v1/audit/verify",
        MAY,
        ("verify the audit log", "감사 기록 검증"),
        |c| Box::pin(verify(c)),
    ),
    Route::get(
        "/api/v1/audit/export",
        MAY,
        ("export the audit log", "감사 기록 내보내기"),
        |c| Box::pin(exported(c)),
    ),
    Route::get(
        "/api/v1/audit/key",
        MAY,
        ("the public key of the audit log", "감사 기록의 공개 키"),
        |c| Box::pin(key(c)),
    ),
];

async fn search(call: Call) -> Result<Response> {
    let search = query::read(&call)?;
    let limit = call.number("limit")?.unwrap_or(100).clamp(1, 1000) as usize;
    let before = call.number("before")?.unwrap_or(i64::MAX.unsigned_abs());
    read_is_told(&call).await?;
    let items = call.site.store.read(move |v| v.search(before, limit, &search)).await?;
    let next = items.last().filter(|_| items.len() == limit).map(|e| e.seq);
    json(&json!({ "items": items, "next": next }))
}

/// The first page of a search; those after it are the same reading.
pub(crate) async fn read_is_told(call: &Call) -> Result<()> {
    if call.query("before").is_some() {
        return Ok(());
    }
    let say = Text::fixed("read the audit log", "감사 기록을 읽음");
    let event = NewEvent::new("audit.read", call.who.clone(), say).data(query::told(call));
    call.site.store.write(move |tx| tx.append(event)).await.map(drop)
}

async fn verify(call: Call) -> Result<Response> {
    json(&call.part::<Audit>()?.verify(call.who.clone()).await?)
}

async fn key(call: Call) -> Result<Response> {
    json(&json!({ "key": call.part::<Audit>()?.public_key() }))
}

async fn exported(call: Call) -> Result<Response> {
    let audit = call.part::<Audit>()?;
    let after = call.number("after")?.unwrap_or(0);
    export::admit(&audit, after).await?;
    let say = kernel::text!(
        "exported the audit log after entry {after}",
        "{after}번 다음의 감사 기록을 내보냄"
    );
    let event =
        NewEvent::new("audit.exported", call.who.clone(), say).data(json!({ "after": after }));
    call.site.store.write(move |tx| tx.append(event)).await?;
    // What is handed out is signed to its end.
    audit.sign().await?;
    let mut response = Response::new(Body::from_stream(audit.export(after)));
    let kind = http::HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    Ok(response)
}
