//! Routes beyond the generic ones.

use crate::desk::{self, Draft, Edit};
use crate::merge::How;
use crate::record::Record;
use crate::talk::Say;
use crate::view::Which;
use crate::{Reviews, State};
use kernel::{Name, Result};
use naru_http::{Access, Call, Response, Route, json};
use policy::Permission;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const VIEW: Access = Access::Project(Permission::View);
const CHANGE: Access = Access::Project(Permission::Change);
/// Of one answer.
const PAGE: usize = 100;
/// Bytes of a request.
const BODY: usize = 256 * 1024;

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/api/v1/projects/{project}/reviews",
        VIEW,
        (
            "merge requests, newest first: state, repository, label, person, search, before",
            "머지 요청 목록, 최신순: state, repository, label, person, search, before",
        ),
        |c| Box::pin(list(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/repositories/{repository}/merge-requests",
        CHANGE,
        ("open a merge request", "머지 요청 열기"),
        |c| Box::pin(open(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/merge-requests/{number}/view",
        VIEW,
        ("a merge request, with what is in its way", "머지 요청과 병합을 막는 것"),
        |c| Box::pin(view(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/merge-requests/{number}/diff",
        VIEW,
        ("what a merge request changes", "머지 요청이 바꾸는 것"),
        |c| Box::pin(diff(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/merge-requests/{number}/commits",
        VIEW,
        ("commits of a merge request", "머지 요청의 커밋"),
        |c| Box::pin(commits(c)),
    ),
    act("approve", ("approve a merge request", "머지 요청 승인"), |c| Box::pin(approve(c))),
    act("unapprove", ("take an approval back", "승인 취소"), |c| Box::pin(unapprove(c))),
    act("comment", ("comment on a merge request", "머지 요청에 댓글"), |c| {
        Box::pin(comment(c))
    }),
    act("resolve", ("settle a thread", "스레드 해결"), |c| Box::pin(resolve(c, true))),
    act("unresolve", ("open a thread again", "스레드 다시 열기"), |c| {
        Box::pin(resolve(c, false))
    }),
    act("merge", ("merge, now or when it can be", "병합 (지금 또는 가능해지면)"), |c| {
        Box::pin(merge(c))
    }),
    act("merge-not", ("do not merge by itself", "자동 병합 취소"), |c| {
        Box::pin(merge_not(c))
    }),
    act("close", ("close a merge request", "머지 요청 닫기"), |c| Box::pin(close(c))),
    act("reopen", ("open a closed one again", "다시 열기"), |c| Box::pin(reopen(c))),
    act("edit", ("edit a merge request", "머지 요청 고치기"), |c| Box::pin(edit(c))),
];

/// A route that does something to one.
const fn act(
    verb: &'static str,
    about: (&'static str, &'static str),
    handler: naru_http::Handler,
) -> Route {
    let path = match verb.as_bytes() {
        b"approve" => "/api/v1/projects/{project}/merge-requests/{number}/approve",
        b"unapprove" => "/api/v1/projects/{project}/merge-requests/{number}/unapprove",
        b"comment" => "/api/v1/projects/{project}/merge-requests/{number}/comment",
        b"resolve" => "/api/v1/projects/{project}/merge-requests/{number}/resolve",
        b"unresolve" => "/api/v1/projects/{project}/merge-requests/{number}/unresolve",
        b"merge" => "/api/v1/projects/{project}/merge-requests/{number}/merge",
        b"merge-not" => "/api/v1/projects/{project}/merge-requests/{number}/merge-not",
        b"close" => "/api/v1/projects/{project}/merge-requests/{number}/close",
        b"reopen" => "/api/v1/projects/{project}/merge-requests/{number}/reopen",
        _ => "/api/v1/projects/{project}/merge-requests/{number}/edit",
    };
    Route::post(path, CHANGE, about, handler)
}

fn place(call: &Call) -> Result<(Name, u64)> {
    Ok((call.project()?, desk::number(call.param("number")?)?))
}

/// The body of a request, which may be left out.
async fn body<T: Default + serde::de::DeserializeOwned>(call: &mut Call) -> Result<T> {
    let bytes = call.bytes(BODY).await?;
    if bytes.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&bytes).map_err(|e| {
        let why = e.to_string();
        kernel::Error::invalid(
            "body.invalid",
            kernel::text!("the body does not fit: {why}", "본문이 맞지 않습니다: {why}"),
        )
    })
}

/// One in a list.
#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    pub number: u64,
    pub address: String,
    pub spec: crate::MergeRequest,
    pub status: crate::MergeRequestStatus,
}

impl From<Record> for Row {
    fn from(record: Record) -> Row {
        let address = record.address();
        Row { number: record.number, address, spec: record.spec, status: record.status }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Rows {
    pub items: Vec<Row>,
    pub more: bool,
}

/// What the query of a list asks for.
pub(crate) fn which(call: &Call) -> Result<Which> {
    let name =
        |q: &str| call.query(q).filter(|w| !w.is_empty()).map(|w| Name::parse(&w)).transpose();
    let state = match call.query("state").as_deref() {
        Some("all") => None,
        Some("merged") => Some(State::Merged),
        Some("closed") => Some(State::Closed),
        _ => Some(State::Opened),
    };
    let words = |q: &str| call.query(q).map(|w| w.trim().to_owned()).filter(|w| !w.is_empty());
    Ok(Which {
        state,
        repository: name("repository")?,
        label: words("label"),
        person: name("person")?,
        words: words("search"),
    })
}

async fn list(call: Call) -> Result<Response> {
    let (project, which, before) = (call.project()?, which(&call)?, call.number("before")?);
    let (found, more) = call.part::<Reviews>()?.list(&project, which, before, PAGE).await?;
    json(&Rows { items: found.into_iter().map(Row::from).collect(), more })
}

async fn open(mut call: Call) -> Result<Response> {
    let draft: Draft = body(&mut call).await?;
    let (project, repository, who) = (call.project()?, call.name("repository")?, call.who.clone());
    json(&Row::from(call.part::<Reviews>()?.open(&project, &repository, draft, who).await?))
}

async fn view(call: Call) -> Result<Response> {
    let (project, number) = place(&call)?;
    json(&call.part::<Reviews>()?.show(&project, number, &call.who).await?)
}

async fn diff(call: Call) -> Result<Response> {
    let ((project, number), reviews) = (place(&call)?, call.part::<Reviews>()?);
    let record = reviews.need(&project, number).await?;
    json(&reviews.difference(&record).await?)
}

async fn commits(call: Call) -> Result<Response> {
    let ((project, number), reviews) = (place(&call)?, call.part::<Reviews>()?);
    let record = reviews.need(&project, number).await?;
    json(&reviews.commits(&record).await?)
}

async fn approve(call: Call) -> Result<Response> {
    let ((project, number), who) = (place(&call)?, call.who.clone());
    json(&Row::from(call.part::<Reviews>()?.approve(&project, number, who).await?))
}

async fn unapprove(call: Call) -> Result<Response> {
    let ((project, number), who) = (place(&call)?, call.who.clone());
    json(&Row::from(call.part::<Reviews>()?.unapprove(&project, number, who).await?))
}

async fn comment(mut call: Call) -> Result<Response> {
    let say: Say = body(&mut call).await?;
    let ((project, number), who) = (place(&call)?, call.who.clone());
    json(&call.part::<Reviews>()?.comment(&project, number, say, who).await?)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settle {
    thread: String,
}

async fn resolve(mut call: Call, resolved: bool) -> Result<Response> {
    let Settle { thread } = body(&mut call).await?;
    let ((project, number), who) = (place(&call)?, call.who.clone());
    let reviews = call.part::<Reviews>()?;
    json(&Row::from(reviews.resolve(&project, number, (thread, resolved), who).await?))
}

async fn merge(mut call: Call) -> Result<Response> {
    let how: How = body(&mut call).await?;
    let ((project, number), who) = (place(&call)?, call.who.clone());
    let reviews = call.part::<Reviews>()?;
    let record = if how.when_pipeline_succeeds {
        reviews.merge_later(&project, number, who).await?
    } else {
        reviews.merge(&project, number, how, &who).await?
    };
    json(&Row::from(record))
}

async fn merge_not(call: Call) -> Result<Response> {
    let ((project, number), who) = (place(&call)?, call.who.clone());
    json(&Row::from(call.part::<Reviews>()?.merge_not(&project, number, who).await?))
}

async fn close(mut call: Call) -> Result<Response> {
    let _: Option<Value> = body(&mut call).await?;
    let ((project, number), who) = (place(&call)?, call.who.clone());
    json(&Row::from(call.part::<Reviews>()?.close(&project, number, who).await?))
}

async fn reopen(call: Call) -> Result<Response> {
    let ((project, number), who) = (place(&call)?, call.who.clone());
    json(&Row::from(call.part::<Reviews>()?.reopen(&project, number, who).await?))
}

async fn edit(mut call: Call) -> Result<Response> {
    let edit: Edit = body(&mut call).await?;
    let ((project, number), who) = (place(&call)?, call.who.clone());
    json(&Row::from(call.part::<Reviews>()?.edit(&project, number, edit, who).await?))
}
