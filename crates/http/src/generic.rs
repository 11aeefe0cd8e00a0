//! One API for every kind of resource.

mod patch;
mod project;
mod watch;

use crate::{Access, Call, Response, Route, empty, json, json_status};
use http::{StatusCode, header};
use kernel::kind::{KindDef, Scope, Writer};
use kernel::resource::{Labels, Selector};
use kernel::{Error, ErrorKind, Key, Name, Result, Text, text};
use policy::{Action, Permission, Target};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Put, Tx};

const PAGE: u64 = 100;
const MOST: u64 = 500;

const VIEW: Access = Access::Project(Permission::View);
const CHANGE: Access = Access::Project(Permission::Change);
const ONE: &str = "/api/v1/projects/{project}/{kinds}/{name}";
const ALL: &str = "/api/v1/projects/{project}/{kinds}";

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/healthz",
        Access::Public,
        ("whether the server answers", "서버가 응답하는지"),
        |_| Box::pin(async { Ok(crate::text("ok\n")) }),
    ),
    Route::get(
        "/api/v1/kinds",
        Access::SignedIn,
        ("kinds of resources", "리소스 종류"),
        |c| Box::pin(kinds(c)),
    ),
    Route::get(ALL, VIEW, ("list or watch resources", "리소스 목록과 감시"), |c| {
        Box::pin(list(c))
    }),
    Route::get(ONE, VIEW, ("read a resource", "리소스 읽기"), |c| Box::pin(get(c))),
    Route::put(ONE, CHANGE, ("create or replace a resource", "리소스 생성·교체"), |c| {
        Box::pin(put(c))
    }),
    Route::patch(ONE, CHANGE, ("merge into a resource", "리소스 일부 변경"), |c| {
        Box::pin(patch(c))
    }),
    Route::delete(ONE, CHANGE, ("delete a resource", "리소스 삭제"), |c| Box::pin(delete(c))),
    Route::get(
        "/api/v1/projects",
        Access::SignedIn,
        ("list projects", "프로젝트 목록"),
        |c| Box::pin(list(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}",
        VIEW,
        ("read a project", "프로젝트 읽기"),
        |c| Box::pin(get(c)),
    ),
    Route::put(
        "/api/v1/projects/{project}",
        Access::SignedIn,
        ("create or replace a project", "프로젝트 생성·교체"),
        |c| Box::pin(put(c)),
    ),
    Route::patch(
        "/api/v1/projects/{project}",
        Access::Project(Permission::Administer),
        ("merge into a project", "프로젝트 일부 변경"),
        |c| Box::pin(patch(c)),
    ),
    Route::delete(
        "/api/v1/projects/{project}",
        Access::Project(Permission::Administer),
        ("delete a project", "프로젝트 삭제"),
        |c| Box::pin(delete(c)),
    ),
    Route::get(
        "/api/v1/{kinds}",
        Access::Platform,
        ("list resources of the platform", "플랫폼 리소스 목록"),
        |c| Box::pin(list(c)),
    ),
    Route::get(
        "/api/v1/{kinds}/{name}",
        Access::Platform,
        ("read a resource of the platform", "플랫폼 리소스 읽기"),
        |c| Box::pin(get(c)),
    ),
    Route::put(
        "/api/v1/{kinds}/{name}",
        Access::Platform,
        ("create or replace a resource of the platform", "플랫폼 리소스 생성·교체"),
        |c| Box::pin(put(c)),
    ),
    Route::patch(
        "/api/v1/{kinds}/{name}",
        Access::Platform,
        ("merge into a resource of the platform", "플랫폼 리소스 일부 변경"),
        |c| Box::pin(patch(c)),
    ),
    Route::delete(
        "/api/v1/{kinds}/{name}",
        Access::Platform,
        ("delete a resource of the platform", "플랫폼 리소스 삭제"),
        |c| Box::pin(delete(c)),
    ),
];

/// What may be written of a resource; everything else in the body is ignored, so that what was read can be
/// sent back.
#[derive(Deserialize)]
struct Body {
    /// Left out, they stay as they are.
    #[serde(default)]
    labels: Option<Labels>,
    #[serde(default)]
    spec: Value,
}

/// The kind of the path. Without `{kinds}` the path is about projects.
fn kind(call: &Call) -> Result<KindDef> {
    let words = call.param("kinds").unwrap_or("projects");
    let kind = *call.site.kind(words)?;
    let in_project = call.param("project").is_ok() && call.param("kinds").is_ok();
    if in_project == (kind.scope == Scope::Project) {
        return Ok(kind);
    }
    let plural = kind.plural;
    Err(Error::not_found(
        "kind.elsewhere",
        text!("{plural} are not found here", "{plural}은(는) 여기에 없습니다"),
    )
    .hint(match kind.scope {
        Scope::Project => text!(
            "use /api/v1/projects/PROJECT/{plural}",
            "/api/v1/projects/PROJECT/{plural}을 쓰세요"
        ),
        Scope::Platform => text!("use /api/v1/{plural}", "/api/v1/{plural}을 쓰세요"),
    }))
}

fn key(call: &Call, kind: &KindDef) -> Result<Key> {
    let (project, name) = match kind.scope {
        Scope::Project => (Some(call.project()?), call.name("name")?),
        Scope::Platform if call.param("kinds").is_ok() => (None, call.name("name")?),
        Scope::Platform => (None, call.project()?),
    };
    Ok(Key { kind: kind.kind.to_owned(), project, name })
}

async fn kinds(call: Call) -> Result<Response> {
    let all: Vec<Value> = call
        .site
        .kinds
        .iter()
        .map(|k| {
            json!({ "kind": k.kind, "plural": k.plural, "about": call.lang.pick(k.about.0, k.about.1),
                "scope": if k.scope == Scope::Project { "project" } else { "platform" },
                "writable": k.writer == Writer::People, "columns": k.columns,
                "leaves": k.leaves.map(|(en, ko)| call.lang.pick(en, ko)) })
        })
        .collect();
    json(&json!({ "items": all }))
}

async fn list(call: Call) -> Result<Response> {
    let kind = kind(&call)?;
    let selector = Selector::parse(&call.query("labelSelector").unwrap_or_default())?;
    if call.flag("watch") {
        return watch::watch(&call, kind, selector);
    }
    let limit = call.number("limit")?.unwrap_or(PAGE).clamp(1, MOST) as usize;
    let project = (kind.scope == Scope::Project).then(|| call.project()).transpose()?;
    let mut after = call.query("continue").map(|n| Name::parse(&n)).transpose()?.map(|name| Key {
        kind: kind.kind.to_owned(),
        project: project.clone(),
        name,
    });
    let words = call.query("search").unwrap_or_default();
    let name = after.as_ref().map(|key| &key.name);
    if !words.trim().is_empty()
        && let Some(names) = call.site.accounts.search(kind.kind, &words, name, limit)
    {
        return found(&call, kind, names, limit, selector).await;
    }
    let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
    // Someone who is no administrator sees their own projects only.
    let visible = match kind.kind {
        "Project" => Some(call.visible().await?),
        _ => None,
    };
    let (items, more) = call
        .site
        .store
        .read(move |v| {
            let mut items = Vec::new();
            loop {
                let page = v.resources(kind.kind, project.as_ref(), after.as_ref(), limit)?;
                let last = page.len() < limit;
                for resource in page {
                    after = Some(resource.key.clone());
                    let seen = visible.as_ref().is_none_or(|s| s.contains(&resource.key.name));
                    if seen && selector.matches(&resource.labels) && has(&resource, &words) {
                        items.push(resource);
                    }
                    if items.len() == limit {
                        return Ok((items, after.map(|k| k.name)));
                    }
                }
                if last {
                    return Ok((items, None));
                }
            }
        })
        .await?;
    json(&json!({ "items": items, "continue": more, "revision": call.site.store.head() }))
}

/// The page of what a search has found, which is read by its names.
async fn found(
    call: &Call,
    kind: KindDef,
    names: Vec<Name>,
    limit: usize,
    selector: Selector,
) -> Result<Response> {
    let more = names.last().filter(|_| names.len() >= limit).cloned();
    let read = move |v: &store::View<'_>| {
        let mut items = Vec::new();
        for name in names {
            let key = Key { kind: kind.kind.to_owned(), project: None, name };
            items.extend(v.resource(&key)?.filter(|r| selector.matches(&r.labels)));
        }
        Ok(items)
    };
    let items = call.site.store.read(read).await?;
    json(&json!({ "items": items, "continue": more, "revision": call.site.store.head() }))
}

/// Whether all words, in lower case, are in the resource's name or title.
fn has(resource: &kernel::Resource, words: &[String]) -> bool {
    let title = resource.spec.get("title").and_then(Value::as_str).unwrap_or("").to_lowercase();
    let name = resource.key.name.as_str();
    words.iter().all(|word| name.contains(word.as_str()) || title.contains(word.as_str()))
}

async fn get(call: Call) -> Result<Response> {
    let key = key(&call, &kind(&call)?)?;
    let wanted = key.clone();
    let found = call.site.store.read(move |v| v.resource(&wanted)).await?;
    tagged(StatusCode::OK, &found.ok_or_else(|| unknown(&key))?)
}

async fn put(mut call: Call) -> Result<Response> {
    let body: Body = call.json().await?;
    write(call, body).await
}

/// JSON merge patch (RFC 7396) over `spec` and `labels`.
async fn patch(mut call: Call) -> Result<Response> {
    let patch: Value = call.json().await?;
    let key = key(&call, &kind(&call)?)?;
    let wanted = key.clone();
    let found = call.site.store.read(move |v| v.resource(&wanted)).await?;
    let old = found.ok_or_else(|| unknown(&key))?;
    let mut whole = json!({ "spec": old.spec, "labels": old.labels });
    patch::merge(&mut whole, &patch);
    let body = serde_json::from_value(whole).map_err(|e| {
        let why = e.to_string();
        Error::invalid(
            "body.invalid",
            text!("the patch does not fit: {why}", "패치가 맞지 않습니다: {why}"),
        )
    })?;
    write(call, body).await
}

async fn write(call: Call, body: Body) -> Result<Response> {
    let kind = kind(&call)?;
    let key = key(&call, &kind)?;
    writable(&kind)?;
    let expected = expected(&call)?;
    let mut spec = (kind.check)(&body.spec)?;
    decides(&call, &key).await?;
    call.site.policy.admit(&key, &spec).await?;
    if kind.kind == "Project" {
        spec = project::admit(&call, &key, spec).await?;
    }
    let labels = match body.labels {
        Some(labels) => labels,
        None => {
            let wanted = key.clone();
            let found = call.site.store.read(move |v| v.resource(&wanted)).await?;
            found.map(|r| r.labels).unwrap_or_default()
        }
    };
    if call.flag("dryRun") {
        return dry_run(call, key, labels, spec).await;
    }
    let put = Put { key, labels, spec, expected, actor: call.who.clone() };
    let accounts = call.site.accounts.clone();
    let (made, resource) = call
        .site
        .store
        .write(move |tx| {
            let made = tx.resource(&put.key)?.is_none();
            Ok((made, accounts.put(tx, put)?))
        })
        .await?;
    tagged(if made { StatusCode::CREATED } else { StatusCode::OK }, &resource)
}

async fn dry_run(call: Call, key: Key, labels: Labels, spec: Value) -> Result<Response> {
    let wanted = key.clone();
    let old = call.site.store.read(move |v| v.resource(&wanted)).await?;
    let (before, verb) = match &old {
        Some(r) => (json!({ "spec": r.spec, "labels": r.labels }), "update"),
        None => (Value::Null, "create"),
    };
    let (actor, accounts) = (call.who.clone(), call.site.accounts.clone());
    let put = Put {
        key: key.clone(),
        labels: labels.clone(),
        spec: spec.clone(),
        expected: expected(&call)?,
        actor,
    };
    rehearse(&call, move |tx| accounts.put(tx, put).map(drop)).await?;
    let after = json!({ "spec": spec, "labels": labels });
    let mut changes = Vec::new();
    patch::differ("", &before, &after, &mut changes);
    let verb = if changes.is_empty() { "nothing" } else { verb };
    json(
        &json!({ "dryRun": true, "would": verb, "kind": key.kind, "name": key.name, "changes": changes }),
    )
}

/// Does it with all its rules in a transaction that is undone.
///
/// # Errors
/// What it would be refused with.
async fn rehearse(
    call: &Call,
    work: impl FnOnce(&mut Tx<'_>) -> Result<()> + Send + 'static,
) -> Result<()> {
    const UNDONE: &str = "dry-run.undone";
    let undone = move |tx: &mut Tx<'_>| -> Result<()> {
        work(tx)?;
        Err(Error::conflict(UNDONE, Text::fixed("undone", "되돌림")))
    };
    match call.site.store.write(undone).await {
        Err(error) if error.code() == UNDONE => Ok(()),
        other => other,
    }
}

async fn delete(call: Call) -> Result<Response> {
    let kind = kind(&call)?;
    let key = key(&call, &kind)?;
    writable(&kind)?;
    let expected = expected(&call)?;
    decides(&call, &key).await?;
    if kind.kind == "Project" {
        let whole = Target::project(&key.name);
        call.site.policy.may_do(&call.who, Action::ProjectDelete, &whole).await?;
    }
    let inside: Vec<&'static str> = match kind.kind {
        "Project" => project::written_by_people(&call),
        _ => Vec::new(),
    };
    let (wanted, actor, accounts) = (key.clone(), call.who.clone(), call.site.accounts.clone());
    let work = move |tx: &mut Tx<'_>| {
        for kind in inside {
            if let Some(found) = tx.resources(kind, Some(&wanted.name), None, 1)?.first() {
                return Err(project::not_empty(&wanted.name, &found.key));
            }
        }
        accounts.delete(tx, &wanted, expected, actor).map(drop)
    };
    if call.flag("dryRun") {
        rehearse(&call, work).await?;
        return json(
            &json!({ "dryRun": true, "would": "delete", "kind": key.kind, "name": key.name }),
        );
    }
    call.site.store.write(work).await?;
    Ok(empty())
}

/// What decides who may do what takes more to write than the rest of a project.
async fn decides(call: &Call, key: &Key) -> Result<()> {
    match (policy::writes(&key.kind), &key.project) {
        (Some(action), Some(project)) => {
            call.site.policy.may_do(&call.who, action, &Target::project(project)).await
        }
        _ => Ok(()),
    }
}

fn writable(kind: &KindDef) -> Result<()> {
    if kind.writer == Writer::People {
        return Ok(());
    }
    let plural = kind.plural;
    Err(Error::forbidden(
        "kind.read-only",
        text!("{plural} are written by naru alone", "{plural}은(는) naru만 씁니다"),
    ))
}

/// The revision in `If-Match` (RFC 9110 §13.1.1); `If-None-Match: *` means that it must not exist.
fn expected(call: &Call) -> Result<Option<u64>> {
    if call.header(header::IF_NONE_MATCH.as_str()) == Some("*") {
        return Ok(Some(0));
    }
    let Some(words) = call.header(header::IF_MATCH.as_str()) else { return Ok(None) };
    let number = words.trim().trim_matches('"').parse().ok().filter(|n| *n > 0);
    number.map(Some).ok_or_else(|| {
        Error::invalid(
            "if-match.invalid",
            Text::fixed("`If-Match` takes a revision", "`If-Match`에는 리비전을 쓰세요"),
        )
    })
}

fn tagged(status: StatusCode, resource: &kernel::Resource) -> Result<Response> {
    let mut response = json_status(status, resource)?;
    let tag = format!("\"{}\"", resource.revision);
    response.headers_mut().insert(header::ETAG, tag.parse().map_err(Error::internal)?);
    Ok(response)
}

fn unknown(key: &Key) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "resource.unknown",
        text!("there is no {key}", "{key}이(가) 없습니다"),
    )
}
