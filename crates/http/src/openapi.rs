//! The API's description, from the same tables that serve it.

use crate::{Access, Call, Response, Route, json};
use kernel::kind::{KindDef, Writer};
use kernel::{Error, Result};
use serde_json::{Map, Value, json};

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/api/v1/openapi.json",
        Access::SignedIn,
        ("this API as OpenAPI 3.1", "이 API의 OpenAPI 3.1 문서"),
        |c| Box::pin(describe(c)),
    ),
    Route::get(
        "/api/v1/schemas/{kind}",
        Access::SignedIn,
        ("JSON Schema of a kind", "종류의 JSON Schema"),
        |c| Box::pin(schema(c)),
    ),
];

async fn describe(call: Call) -> Result<Response> {
    json(&document(&call.site.routes, &call.site.kinds))
}

async fn schema(call: Call) -> Result<Response> {
    let words = call.param("kind")?;
    let kind = call.site.kind(words.strip_suffix(".json").unwrap_or(words))?;
    json(&resource_schema(kind)?)
}

/// The schema of a whole document in `naru.yaml`: `kind`, `name`, `labels`, `spec`.
pub(crate) fn resource_schema(kind: &KindDef) -> Result<Value> {
    let mut spec = serde_json::to_value((kind.spec_schema)()).map_err(Error::internal)?;
    let mut status = serde_json::to_value((kind.status_schema)()).map_err(Error::internal)?;
    let mut defs = Map::new();
    for part in [&mut spec, &mut status] {
        if let Some(object) = part.as_object_mut() {
            object.remove("$schema");
            if let Some(Value::Object(own)) = object.remove("$defs") {
                defs.extend(own);
            }
        }
    }
    Ok(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.kind,
        "description": kind.about.0,
        "type": "object",
        "required": ["kind", "name"],
        "properties": {
            "kind": { "const": kind.kind },
            "name": { "type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63 },
            "project": { "type": "string" },
            "labels": { "type": "object", "additionalProperties": { "type": "string" } },
            "spec": spec,
            "status": status,
        },
        "$defs": defs,
    }))
}

fn document(routes: &[Route], kinds: &[KindDef]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in
        routes.iter().filter(|r| r.path.starts_with("/api/") && !r.path.contains("{kinds}"))
    {
        add(&mut paths, route.path, route, None);
    }
    for kind in kinds {
        for route in routes.iter().filter(|r| r.path.contains("{kinds}")) {
            let in_project = route.path.contains("{project}");
            let fits = in_project == (kind.scope == kernel::kind::Scope::Project)
                && kind.kind != "Project";
            let allowed = kind.writer == Writer::People || route.method.http() == http::Method::GET;
            if fits && allowed {
                add(&mut paths, &route.path.replace("{kinds}", kind.plural), route, Some(kind));
            }
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "naru", "version": env!("CARGO_PKG_VERSION") },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": { "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } } },
    })
}

fn add(paths: &mut Map<String, Value>, path: &str, route: &Route, kind: Option<&KindDef>) {
    let params: Vec<Value> = path
        .split('/')
        .filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'))
        .map(|n| json!({ "name": n.trim_start_matches('*'), "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    let access = match route.access {
        Access::Public => "public".to_owned(),
        Access::CrossSite => "public, from pages of other sites too".to_owned(),
        Access::SignedIn => "signed in".to_owned(),
        Access::Project(p) => format!("project: {p:?}").to_lowercase(),
        Access::Platform => "platform administrator".to_owned(),
        Access::Action(action) => action.name().to_owned(),
        Access::Inside(p) => format!("decided inside: {p:?}").to_lowercase(),
    };
    let schema = kind.and_then(|k| resource_schema(k).ok()).unwrap_or(json!({}));
    let operation = json!({
        "summary": route.about.0,
        "x-naru-access": access,
        "parameters": params,
        "responses": {
            "200": { "description": "OK", "content": { "application/json": { "schema": schema } } },
            "default": { "description": "an error: code, kind, say, hint" },
        },
    });
    let verb = route.method.http().as_str().to_lowercase();
    let entry = paths.entry(path.to_owned()).or_insert(json!({}));
    if let Some(object) = entry.as_object_mut() {
        object.insert(verb, operation);
    }
}
