//! One API for every kind of resource.

use crate::{Access, Call, Frame, Response, Route, empty, json, json_status, sse};
use futures_util::Stream;
use http::{StatusCode, header};
use kernel::kind::{KindDef, Scope, Writer};
use kernel::resource::{Labels, Selector};
use kernel::{Error, ErrorKind, Key, Name, Result, Text, text};
use policy::Permission;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::{Filter, Put};

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
                "writable": k.writer == Writer::People, "columns": k.columns })
        })
        .collect();
    json(&json!({ "items": all }))
}

async fn list(call: Call) -> Result<Response> {
    let kind = kind(&call)?;
    let selector = Selector::parse(&call.query("labelSelector").unwrap_or_default())?;
    if call.flag("watch") {
        return watch(&call, kind, selector);
    }
    let limit = call.number("limit")?.unwrap_or(PAGE).clamp(1, MOST) as usize;
    let project = (kind.scope == Scope::Project).then(|| call.project()).transpose()?;
    let mut after = call.query("continue").map(|n| Name::parse(&n)).transpose()?.map(|name| Key {
        kind: kind.kind.to_owned(),
        project: project.clone(),
        name,
    });
    // Someone who is no administrator sees their own projects only.
    let visible = match kind.kind {
        "Project" => Some(call.site.policy.visible(&call.who).await?),
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
                    if seen && selector.matches(&resource.labels) {
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

/// Every write of the kind after `from` (default: now), as it happens. `id` is the revision to come back
/// with.
fn watch(call: &Call, kind: KindDef, selector: Selector) -> Result<Response> {
    let resumed = call.header("last-event-id").and_then(|v| v.parse().ok());
    let from = match call.number("from")?.or(resumed) {
        Some(from) => from,
        None => call.site.store.head(),
    };
    let project = (kind.scope == Scope::Project).then(|| call.project()).transpose()?;
    Ok(sse(watched(call.site.store.follow(from), kind.kind, project, selector)))
}

fn watched(
    feed: store::Feed,
    kind: &'static str,
    project: Option<Name>,
    selector: Selector,
) -> impl Stream<Item = Result<Frame>> + Send {
    let filter = Filter { project, kind: Some("resource.".into()), ..Filter::default() };
    futures_util::stream::unfold(
        (feed, filter, selector),
        move |(mut feed, filter, selector)| async move {
            loop {
                let event = match feed.next().await {
                    Ok(event) => event,
                    Err(error) => return Some((Err(error), (feed, filter, selector))),
                };
                let ours = event.fact.subject.as_ref().is_some_and(|s| s.kind == kind);
                let labels = event.fact.data.get("labels").cloned().unwrap_or(json!({}));
                let labels: BTreeMap<String, String> =
                    serde_json::from_value(labels).unwrap_or_default();
                if ours && filter.matches(&event) && selector.matches(&labels) {
                    let name = match event.fact.kind.as_str() {
                        "resource.created" => "created",
                        "resource.deleted" => "deleted",
                        "resource.status" => "status",
                        _ => "updated",
                    };
                    let frame = Frame {
                        id: Some(event.seq.to_string()),
                        event: Some(name),
                        data: event.fact.data.to_string(),
                    };
                    return Some((Ok(frame), (feed, filter, selector)));
                }
            }
        },
    )
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
    merge(&mut whole, &patch);
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
    if kind.kind == "Project" {
        spec = admit_project(&call, &key, spec).await?;
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
    let (made, resource) = call
        .site
        .store
        .write(move |tx| {
            let made = tx.resource(&put.key)?.is_none();
            Ok((made, tx.put(put)?))
        })
        .await?;
    tagged(if made { StatusCode::CREATED } else { StatusCode::OK }, &resource)
}

/// Anybody signed in may create a project and becomes its owner; changing one takes its owner.
async fn admit_project(call: &Call, key: &Key, spec: Value) -> Result<Value> {
    let name = &key.name;
    // Repositories live at /PROJECT/REPOSITORY.git, beside the addresses of naru itself.
    let ours = call.site.routes.iter().filter_map(|r| r.path.split('/').nth(1));
    if ours.chain(["git", "new", "help"]).any(|word| word == name.as_str()) {
        return Err(Error::invalid(
            "project.reserved",
            text!(
                "{name} is a word of naru's own addresses",
                "{name}은(는) naru 주소에 쓰이는 말입니다"
            ),
        )
        .hint(Text::fixed("choose another name", "다른 이름을 고르세요")));
    }
    let wanted = key.clone();
    if call.site.store.read(move |v| v.resource(&wanted)).await?.is_some() {
        call.site.policy.may(&call.who, Permission::Administer, name).await?;
        let project: policy::Project =
            serde_json::from_value(spec.clone()).map_err(Error::internal)?;
        let owned = project.members.iter().any(|m| m.role == policy::Role::Owner);
        if !owned && call.site.policy.may_administer(&call.who).await.is_err() {
            return Err(Error::invalid(
                "project.ownerless",
                text!(
                    "project {name} would have no owner left",
                    "{name} 프로젝트에 소유자가 남지 않습니다"
                ),
            )
            .hint(Text::fixed(
                "keep yourself or name another owner in `members`",
                "자신을 남기거나 `members`에 다른 소유자를 쓰세요",
            )));
        }
        return Ok(spec);
    }
    let mut project: policy::Project = serde_json::from_value(spec).map_err(Error::internal)?;
    if let kernel::Principal::User(user) = &call.who
        && project.members.is_empty()
    {
        project.members.push(policy::Member { user: user.clone(), role: policy::Role::Owner });
    }
    serde_json::to_value(project).map_err(Error::internal)
}

async fn dry_run(call: Call, key: Key, labels: Labels, spec: Value) -> Result<Response> {
    let wanted = key.clone();
    let old = call.site.store.read(move |v| v.resource(&wanted)).await?;
    let (before, verb) = match &old {
        Some(r) => (json!({ "spec": r.spec, "labels": r.labels }), "update"),
        None => (Value::Null, "create"),
    };
    let after = json!({ "spec": spec, "labels": labels });
    let mut changes = Vec::new();
    differ("", &before, &after, &mut changes);
    let verb = if changes.is_empty() { "nothing" } else { verb };
    json(
        &json!({ "dryRun": true, "would": verb, "kind": key.kind, "name": key.name, "changes": changes }),
    )
}

async fn delete(call: Call) -> Result<Response> {
    let kind = kind(&call)?;
    let key = key(&call, &kind)?;
    writable(&kind)?;
    let expected = expected(&call)?;
    if call.flag("dryRun") {
        let wanted = key.clone();
        let found = call.site.store.read(move |v| v.resource(&wanted)).await?;
        found.ok_or_else(|| unknown(&key))?;
        return json(
            &json!({ "dryRun": true, "would": "delete", "kind": key.kind, "name": key.name }),
        );
    }
    let actor = call.who.clone();
    let inside: Vec<&'static str> = match kind.kind {
        "Project" => written_by_people(&call),
        _ => Vec::new(),
    };
    call.site
        .store
        .write(move |tx| {
            for kind in inside {
                if let Some(found) = tx.resources(kind, Some(&key.name), None, 1)?.first() {
                    return Err(not_empty(&key.name, &found.key));
                }
            }
            tx.delete(&key, expected, actor)
        })
        .await?;
    Ok(empty())
}

fn written_by_people(call: &Call) -> Vec<&'static str> {
    let ours = |k: &&KindDef| k.scope == Scope::Project && k.writer == Writer::People;
    call.site.kinds.iter().filter(ours).map(|k| k.kind).collect()
}

/// A project goes last: whoever made one of its name again would find what is left.
fn not_empty(project: &Name, first: &Key) -> Error {
    Error::conflict(
        "project.not-empty",
        text!(
            "project {project} still has {first}",
            "{project} 프로젝트에 아직 {first}이(가) 있습니다"
        ),
    )
    .hint(Text::fixed(
        "delete its services and repositories first",
        "서비스와 저장소를 먼저 지우세요",
    ))
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

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Leaves that differ, each with its JSON pointer.
fn differ(path: &str, before: &Value, after: &Value, out: &mut Vec<Value>) {
    match (before, after) {
        (Value::Object(b), Value::Object(a)) => {
            let keys: std::collections::BTreeSet<&String> = b.keys().chain(a.keys()).collect();
            for key in keys {
                let (b, a) =
                    (b.get(key).unwrap_or(&Value::Null), a.get(key).unwrap_or(&Value::Null));
                differ(&format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), b, a, out);
            }
        }
        (b, a) if b == a => {}
        (Value::Null, Value::Object(_)) => differ(path, &json!({}), after, out),
        _ => out.push(json!({ "path": path, "before": before, "after": after })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_patch_of_the_rfc() {
        // RFC 7396, appendix A.
        for (target, patch, want) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": [1]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
            (json!(["a"]), json!(["c"]), json!(["c"])),
        ] {
            let mut got = target.clone();
            merge(&mut got, &patch);
            assert_eq!(got, want, "{target} + {patch}");
        }
    }

    #[test]
    fn differences_name_their_leaves() {
        let mut out = Vec::new();
        differ(
            "",
            &json!({"a": 1, "b": {"c": 2}}),
            &json!({"a": 1, "b": {"c": 3, "d/e": 4}}),
            &mut out,
        );
        let paths: Vec<_> = out.iter().map(|c| c["path"].as_str().unwrap()).collect();
        assert_eq!(paths, ["/b/c", "/b/d~1e"]);
    }
}
