//! The routes by which clients of GitLab start pipelines and look at them, with GitLab's fields
//! (its REST API, version 4). The id of a project is the URL-encoded `project/repository`.

use crate::by_hand::ByHand;
use crate::form::Fields;
use crate::gitlab::Origin;
use crate::{KIND, Pipelines, left, token};
use http::{StatusCode, header};
use kernel::{Error, Name, Principal, Result, Text, text};
use naru_http::{Access, Call, Response, Route, json, json_status};
use policy::Permission;
use run::{Engine, Order, Run, RunState};
use serde_json::{Value, json};
use store::View;

/// Largest body, in bytes.
const BODY: usize = 1024 * 1024;
/// Groups in one answer.
const MAX_GROUPS: usize = 1_000;

pub(crate) const ROUTES: &[Route] = &[
    Route::post(
        "/api/v4/projects/{id}/trigger/pipeline",
        // The token in the body says who it is.
        Access::Inside(Permission::Change),
        (
            "start a pipeline with a trigger token (`token`, `ref`, `variables[KEY]`), as in GitLab",
            "트리거 토큰으로 파이프라인 시작 (`token`, `ref`, `variables[KEY]`). GitLab과 같음",
        ),
        |c| Box::pin(trigger(c)),
    ),
    Route::post(
        "/api/v4/projects/{id}/ref/{ref}/trigger/pipeline",
        Access::Inside(Permission::Change),
        (
            "the same, for webhooks that send a body of their own",
            "같은 기능. 자기 본문을 보내는 웹훅용",
        ),
        |c| Box::pin(trigger(c)),
    ),
    Route::post(
        "/api/v4/projects/{id}/pipeline",
        // The project is a part of the id.
        Access::Inside(Permission::Change),
        (
            "start a pipeline (`ref`, `variables`), as in GitLab",
            "파이프라인 시작 (`ref`, `variables`). GitLab과 같음",
        ),
        |c| Box::pin(start(c)),
    ),
    Route::get(
        "/api/v4/projects/{id}/pipelines/{number}",
        Access::Inside(Permission::View),
        ("a pipeline by its number, as in GitLab", "번호로 파이프라인 보기. GitLab과 같음"),
        |c| Box::pin(show(c)),
    ),
    Route::get(
        "/api/v4/projects/{id}/resource_groups",
        Access::Inside(Permission::View),
        ("resource groups and how each gives its turn", "리소스 그룹과 차례를 정하는 방식"),
        |c| Box::pin(groups(c)),
    ),
    Route::get(
        "/api/v4/projects/{id}/resource_groups/{key}",
        Access::Inside(Permission::View),
        ("one resource group", "리소스 그룹 하나"),
        |c| Box::pin(group(c)),
    ),
    Route::put(
        "/api/v4/projects/{id}/resource_groups/{key}",
        Access::Inside(Permission::Change),
        (
            "how a resource group gives its turn (`process_mode`)",
            "리소스 그룹이 차례를 정하는 방식 바꾸기 (`process_mode`)",
        ),
        |c| Box::pin(set_group(c)),
    ),
];

/// The project and the repository of the path's `{id}`, when `who` has the right.
async fn place(call: &Call, wanted: Permission) -> Result<(Name, Name)> {
    let found = path(call)?;
    call.may(wanted, &found.0).await?;
    Ok(found)
}

fn path(call: &Call) -> Result<(Name, Name)> {
    let id = call.param("id")?;
    let pair = id.split_once('/').ok_or_else(token::unknown)?;
    let name = |words: &str| Name::parse(words).map_err(|_| token::unknown());
    Ok((name(pair.0)?, name(pair.1)?))
}

async fn fields(call: &mut Call) -> Result<Fields> {
    let mut fields = Fields::default();
    fields.add(naru_http::pairs(call.query_string()));
    let kind = call.header(header::CONTENT_TYPE.as_str()).unwrap_or_default().to_owned();
    let body = call.bytes(BODY).await?;
    fields.add_body(&kind, &body, naru_http::pairs)?;
    Ok(fields)
}

async fn trigger(mut call: Call) -> Result<Response> {
    let (project, repository) = path(&call)?;
    let pipelines = call.part::<Pipelines>()?;
    let named = call.param("ref").ok().map(str::to_owned);
    let fields = match &named {
        // What a webhook sends is for the job to read, not for us.
        Some(_) => {
            let mut fields = Fields::default();
            fields.add(naru_http::pairs(call.query_string()));
            fields
        }
        None => fields(&mut call).await?,
    };
    let owner = pipelines.holder(&project, fields.get("token").unwrap_or_default()).await?;
    let mut ask = asked(repository, &fields, named)?;
    if call.param("ref").is_ok() {
        let body = call.bytes(BODY).await?;
        let payload = String::from_utf8_lossy(&body).into_owned();
        ask.variables.insert("TRIGGER_PAYLOAD".to_owned(), payload);
    }
    begin(&pipelines, &project, ask, owner, Origin::Trigger).await
}

async fn start(mut call: Call) -> Result<Response> {
    let (project, repository) = place(&call, Permission::Change).await?;
    let pipelines = call.part::<Pipelines>()?;
    let ask = asked(repository, &fields(&mut call).await?, None)?;
    begin(&pipelines, &project, ask, call.who.clone(), Origin::Api).await
}

fn asked(repository: Name, fields: &Fields, refname: Option<String>) -> Result<ByHand> {
    let refname = refname.or_else(|| fields.get("ref").map(str::to_owned)).ok_or_else(|| {
        let say = Text::fixed(
            "`ref` is missing: a branch or tag",
            "`ref`가 없습니다. 브랜치나 태그를 쓰세요",
        );
        Error::invalid("ref.missing", say)
    })?;
    let asked = json!({
        "repository": repository, "ref": refname, "variables": fields.map("variables"),
        "inputs": fields.map("inputs"),
    });
    serde_json::from_value(asked).map_err(Error::internal)
}

async fn begin(
    pipelines: &Pipelines,
    project: &Name,
    ask: ByHand,
    who: Principal,
    origin: Origin,
) -> Result<Response> {
    let run = pipelines.run_from(project, ask, who, origin).await?;
    let run = pipelines.engine()?.show(&run).await?;
    json_status(StatusCode::CREATED, &pipeline(pipelines, &run))
}

async fn show(call: Call) -> Result<Response> {
    let (project, repository) = place(&call, Permission::View).await?;
    let pipelines = call.part::<Pipelines>()?;
    let number = call.param("number")?.to_owned();
    let find = move |v: &View<'_>| {
        let run = left::numbered(v, &number)?;
        run.map(|run| Engine::head_in(v, &run)).transpose().map(Option::flatten)
    };
    let run = pipelines.0.store.read(find).await?;
    let ours = |run: &Run| {
        run.kind == KIND
            && run.project == project
            && run.labels.get("repository").is_some_and(|r| r == repository.as_str())
    };
    let run = run.filter(ours).ok_or_else(|| {
        let say = Text::fixed("there is no such pipeline", "그런 파이프라인이 없습니다");
        Error::not_found("pipeline.unknown", say)
    })?;
    json(&pipeline(&pipelines, &run))
}

/// A pipeline in GitLab's words.
fn pipeline(pipelines: &Pipelines, run: &Run) -> Value {
    let label = |name: &str| run.labels.get(name).cloned().unwrap_or_default();
    let number = |name: &str| label(name).parse::<u64>().ok();
    let url = pipelines.0.url.trim_end_matches('/');
    json!({
        "id": number("number"), "iid": number("project_number"),
        "project_id": format!("{}/{}", run.project, label("repository")),
        "sha": label("commit"), "ref": label("ref"), "source": label("source"),
        "tag": label("refname").starts_with("refs/tags/"),
        "status": status(run.state),
        "created_at": run.created, "updated_at": run.finished.or(run.started).unwrap_or(run.created),
        "started_at": run.started, "finished_at": run.finished,
        "user": { "username": person(&run.actor) },
        "web_url": format!("{url}/projects/{}/runs/{}", run.project, run.id),
        "run": run.id,
    })
}

fn person(who: &Principal) -> String {
    match who {
        Principal::User(name) | Principal::Service(name) => name.to_string(),
        other => other.to_string(),
    }
}

fn status(state: RunState) -> &'static str {
    match state {
        RunState::Queued => "pending",
        RunState::Running => "running",
        RunState::Waiting => "manual",
        RunState::Passed => "success",
        RunState::Failed => "failed",
        RunState::Canceled => "canceled",
    }
}

fn group_of(project: &Name, key: &str, order: Order) -> Value {
    let name = key.strip_prefix(&format!("{project}/")).unwrap_or(key);
    json!({ "key": name, "process_mode": order.word() })
}

async fn groups(call: Call) -> Result<Response> {
    let (project, _) = place(&call, Permission::View).await?;
    let pipelines = call.part::<Pipelines>()?;
    json(&pipelines.groups(&project).await?)
}

async fn group(call: Call) -> Result<Response> {
    let (project, _) = place(&call, Permission::View).await?;
    let pipelines = call.part::<Pipelines>()?;
    let key = call.param("key")?;
    let all = pipelines.groups(&project).await?;
    let found = all.into_iter().find(|g| g.get("key").and_then(Value::as_str) == Some(key));
    json(&found.ok_or_else(|| unknown_group(key))?)
}

async fn set_group(mut call: Call) -> Result<Response> {
    let (project, _) = place(&call, Permission::Change).await?;
    let pipelines = call.part::<Pipelines>()?;
    let fields = fields(&mut call).await?;
    let mode = fields.get("process_mode").unwrap_or_default();
    json(&pipelines.set_group(&project, call.param("key")?, mode).await?)
}

fn unknown_group(key: &str) -> Error {
    let shown = kernel::shown(key);
    let say = text!("there is no resource group {shown}", "{shown} 리소스 그룹이 없습니다");
    Error::not_found("group.unknown", say).hint(Text::fixed(
        "a group is there once a pipeline has a job with it",
        "그룹은 그것을 쓰는 작업이 있는 파이프라인이 생기면 만들어집니다",
    ))
}

impl Pipelines {
    /// The resource groups of a project: `key` and `process_mode`.
    ///
    /// # Errors
    /// The store's.
    pub async fn groups(&self, project: &Name) -> Result<Vec<Value>> {
        let project = project.clone();
        let list = move |v: &View<'_>| {
            let groups = Engine::groups_in(v, &format!("{project}/"), MAX_GROUPS)?;
            Ok(groups.iter().map(|(key, order)| group_of(&project, key, *order)).collect())
        };
        self.0.store.read(list).await
    }

    /// Sets how a group gives its turn.
    ///
    /// # Errors
    /// `group.unknown`, `group.mode`.
    pub async fn set_group(&self, project: &Name, key: &str, mode: &str) -> Result<Value> {
        let order = Order::parse(mode).ok_or_else(|| {
            let say = text!(
                "`process_mode` is one of unordered, oldest_first, newest_first, newest_ready_first",
                "`process_mode`는 unordered, oldest_first, newest_first, newest_ready_first 중 하나입니다"
            );
            Error::invalid("group.mode", say)
        })?;
        let known = self.groups(project).await?;
        if !known.iter().any(|g| g.get("key").and_then(Value::as_str) == Some(key)) {
            return Err(unknown_group(key));
        }
        let whole = format!("{project}/{key}");
        self.engine()?.set_order(&whole, order).await?;
        Ok(group_of(project, &whole, order))
    }
}
