//! Routes: what writes answers no value, and one route shows one.

use crate::set::{LARGEST, Settings, Value, Wanted, Written};
use crate::{Generate, Secrets, lease, plan};
use http::StatusCode;
use kernel::{Error, Name, Result, SecretText, Text, text};
use naru_http::{Access, Call, Response, Route, empty, json, json_status};
use policy::{Action, Permission};
use serde::Deserialize;
use serde_json::json;

const VIEW: Access = Access::Project(Permission::View);
/// Who may set a value may say whom it is for.
const SET: Access = Access::Action(Action::SecretWrite);
const REVEAL: Access = Access::Action(Action::SecretRead);
/// Secrets in one import.
const MOST_IMPORTED: usize = 200;

pub(crate) const ROUTES: &[Route] =
    &part::concat::<{ SECRETS.len() + lease::ROUTES.len() }>(SECRETS, lease::ROUTES);

const SECRETS: &[Route] = &[
    Route::get(
        "/api/v1/projects/{project}/secrets/{secret}/view",
        VIEW,
        ("a secret's versions and uses, without values", "비밀 값의 버전과 사용처 (값은 없음)"),
        |c| Box::pin(view(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/secret-list",
        VIEW,
        ("secrets with their last use, without values", "비밀 값 목록과 마지막 사용 (값은 없음)"),
        |c| Box::pin(list(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/secrets/{secret}/set",
        SET,
        ("set a secret's value, or whom it is for", "비밀 값이나 그 사용 범위 설정"),
        |c| Box::pin(set(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/secrets/{secret}/rotate",
        SET,
        ("draw a new value that nobody has seen", "아무도 보지 못한 새 값 생성"),
        |c| Box::pin(rotate(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/secrets/{secret}/reveal",
        REVEAL,
        ("read a secret's value; the journal tells of it", "비밀 값 열람 (기록됨)"),
        |c| Box::pin(reveal(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/secrets/{secret}/destroy",
        SET,
        ("destroy one version for good", "버전 하나 완전 파기"),
        |c| Box::pin(destroy(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/secrets/{secret}/remove",
        SET,
        ("remove a secret with all its versions", "비밀 값과 모든 버전 제거"),
        |c| Box::pin(remove(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/secret-import",
        SET,
        ("set several secrets at once, all or none", "여러 비밀 값을 한 번에 설정"),
        |c| Box::pin(import(c)),
    ),
    Route::get(
        "/api/v1/secret-key",
        Access::Platform,
        ("how it stands with the keys of secrets", "비밀 값 키의 상태"),
        |c| Box::pin(key(c)),
    ),
    Route::post(
        "/api/v1/secret-key/rotate",
        Access::Platform,
        ("renew the keys of all secrets", "모든 비밀 값의 키 갱신"),
        |c| Box::pin(rotate_key(c)),
    ),
];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Body {
    value: Option<SecretText>,
    settings: Settings,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Import {
    secrets: Vec<One>,
    settings: Settings,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    name: String,
    value: SecretText,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Which {
    version: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Draw {
    generate: Option<Generate>,
}

/// The project, the secret, and the variable where the path has one that its name does not give.
pub(crate) fn place(call: &Call) -> Result<(Name, Name, Option<String>)> {
    let (name, variable) = plan::named(call.param("secret")?)?;
    Ok((call.project()?, name, variable))
}

/// The body, whose errors name a field and never quote a value.
async fn body<T: Default + serde::de::DeserializeOwned>(call: &mut Call) -> Result<T> {
    let bytes = call.bytes(MOST_IMPORTED * LARGEST).await?;
    if bytes.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&bytes).map_err(|e| unreadable(&e))
}

/// What the reader says may hold a piece of what it read: only where it was is told.
fn unreadable(e: &serde_json::Error) -> Error {
    let (line, column) = (e.line(), e.column());
    Error::invalid(
        "body.invalid",
        text!(
            "the body does not fit at line {line}, column {column}",
            "본문의 {line}행 {column}열이 맞지 않습니다"
        ),
    )
    .hint(Text::fixed(
        "send {\"value\": \"…\", \"settings\": {…}}; what was read is not shown, because it may be secret",
        "{\"value\": \"…\", \"settings\": {…}} 꼴로 보내세요. 비밀일 수 있어 읽은 내용은 보여 주지 않습니다",
    ))
}

async fn list(call: Call) -> Result<Response> {
    let items = call.part::<Secrets>()?.list(&call.project()?).await?;
    json(&json!({ "items": items }))
}

async fn view(call: Call) -> Result<Response> {
    let (project, name, _) = place(&call)?;
    json(&call.part::<Secrets>()?.show(&project, &name).await?)
}

async fn set(mut call: Call) -> Result<Response> {
    let (project, name, variable) = place(&call)?;
    let Body { value, mut settings } = body(&mut call).await?;
    settings.variable = settings.variable.or(variable);
    let value = value.map_or(Value::Same, Value::Given);
    let wanted = Wanted { name, settings, value, known: false };
    let who = call.who.clone();
    let written = call.part::<Secrets>()?.write(&project, vec![wanted], who).await?;
    json_status(StatusCode::CREATED, &first(written)?)
}

async fn rotate(mut call: Call) -> Result<Response> {
    let (project, name, _) = place(&call)?;
    let Draw { generate } = body(&mut call).await?;
    let (settings, value) = (Settings::default(), Value::Drawn(generate));
    let wanted = Wanted { name, settings, value, known: true };
    let who = call.who.clone();
    let written = call.part::<Secrets>()?.write(&project, vec![wanted], who).await?;
    json_status(StatusCode::CREATED, &first(written)?)
}

fn first(written: Vec<Written>) -> Result<Written> {
    written.into_iter().next().ok_or_else(|| Error::internal("nothing was written"))
}

async fn reveal(mut call: Call) -> Result<Response> {
    let (project, name, _) = place(&call)?;
    let Which { version } = body(&mut call).await?;
    let who = call.who.clone();
    let opened = call.part::<Secrets>()?.reveal(&project, &name, version, who).await?;
    let shown = json!({ "version": opened.version, "value": opened.value.reveal() });
    let mut response = json(&shown)?;
    let never = http::HeaderValue::from_static("no-store");
    response.headers_mut().insert(http::header::CACHE_CONTROL, never);
    Ok(response)
}

async fn destroy(mut call: Call) -> Result<Response> {
    let (project, name, _) = place(&call)?;
    let Which { version } = body(&mut call).await?;
    let version = version.ok_or_else(|| {
        let say = Text::fixed("which version?", "어느 버전인가요?");
        Error::invalid("secret.version", say)
    })?;
    call.part::<Secrets>()?.destroy(&project, &name, version, call.who.clone()).await?;
    Ok(empty())
}

async fn remove(call: Call) -> Result<Response> {
    let (project, name, _) = place(&call)?;
    call.part::<Secrets>()?.remove(&project, &name, call.who.clone()).await?;
    Ok(empty())
}

async fn import(mut call: Call) -> Result<Response> {
    let project = call.project()?;
    let Import { secrets, settings } = body(&mut call).await?;
    if secrets.is_empty() || secrets.len() > MOST_IMPORTED {
        return Err(Error::invalid(
            "secret.import",
            text!(
                "an import has 1 to {MOST_IMPORTED} secrets",
                "한 번에 1~{MOST_IMPORTED}개를 가져올 수 있습니다"
            ),
        ));
    }
    let mut all = Vec::with_capacity(secrets.len());
    for One { name, value } in secrets {
        let (name, variable) = plan::named(&name)?;
        let settings = Settings { variable, ..settings.clone() };
        all.push(Wanted { name, settings, value: Value::Given(value), known: false });
    }
    let written = call.part::<Secrets>()?.write(&project, all, call.who.clone()).await?;
    json_status(StatusCode::CREATED, &json!({ "items": written }))
}

async fn key(call: Call) -> Result<Response> {
    json(&call.part::<Secrets>()?.vault.status(call.lang).await?)
}

async fn rotate_key(call: Call) -> Result<Response> {
    let secrets = call.part::<Secrets>()?;
    let id = secrets.vault.renew(call.who.clone()).await?;
    json_status(StatusCode::ACCEPTED, &json!({ "current": id }))
}
