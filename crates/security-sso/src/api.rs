//! The API by which applications are looked after.

use crate::Sso;
use crate::kind::Application;
use crate::secret::LONGEST_OVERLAP;
use http::{HeaderValue, StatusCode, header};
use kernel::time::parse_duration;
use kernel::{Error, Name, NewEvent, Principal, Result, Text, text};
use naru_http::{Access, Call, Response, Route, empty, json, json_status};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/api/v1/application-list",
        Access::SignedIn,
        ("applications that you look after", "내가 관리하는 애플리케이션"),
        |c| Box::pin(list(c)),
    ),
    Route::get(
        "/api/v1/applications/{application}/view",
        Access::SignedIn,
        (
            "an application, its secrets' dates, who is signed in to it",
            "애플리케이션과 비밀 값의 날짜, 로그인한 사람",
        ),
        |c| Box::pin(view(c)),
    ),
    Route::post(
        "/api/v1/applications/{application}/set",
        Access::SignedIn,
        ("make or change an application", "애플리케이션 생성·변경"),
        |c| Box::pin(set(c)),
    ),
    Route::post(
        "/api/v1/applications/{application}/secret",
        Access::SignedIn,
        ("a new secret for an application", "애플리케이션의 새 비밀 값"),
        |c| Box::pin(secret(c)),
    ),
    Route::post(
        "/api/v1/applications/{application}/sign-out",
        Access::SignedIn,
        ("end all sign-ins to an application, or one", "애플리케이션의 로그인 모두 또는 하나 종료"),
        |c| Box::pin(sign_out(c)),
    ),
    Route::post(
        "/api/v1/applications/{application}/remove",
        Access::SignedIn,
        ("remove an application", "애플리케이션 제거"),
        |c| Box::pin(remove(c)),
    ),
    Route::get(
        "/api/v1/me/applications",
        Access::SignedIn,
        ("applications that you have signed in to", "내가 로그인한 애플리케이션"),
        |c| Box::pin(mine(c)),
    ),
    Route::post(
        "/api/v1/me/applications/{application}/withdraw",
        Access::SignedIn,
        ("take back what you have given an application", "애플리케이션에 준 접근 거두기"),
        |c| Box::pin(withdraw(c)),
    ),
    Route::post(
        "/api/v1/signing-keys/rotate",
        Access::Platform,
        ("sign with new keys", "새 키로 서명"),
        |c| Box::pin(rotate(c)),
    ),
];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Set {
    /// Merged into what is there (RFC 7396).
    spec: Value,
    new: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Secret {
    /// How long the old ones work on: `24h`.
    overlap: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SignOut {
    sign_in: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rotate {
    /// What the old keys have signed is worth nothing any more.
    forget: bool,
}

async fn body<T: Default + serde::de::DeserializeOwned>(call: &mut Call) -> Result<T> {
    let bytes = call.bytes(256 * 1024).await?;
    if bytes.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&bytes).map_err(|e| {
        let why = e.to_string();
        Error::invalid(
            "body.invalid",
            text!("the body does not fit: {why}", "본문이 맞지 않습니다: {why}"),
        )
    })
}

async fn list(call: Call) -> Result<Response> {
    let items = call.part::<Sso>()?.looked_after(&call).await?;
    json(&json!({ "items": items }))
}

async fn view(call: Call) -> Result<Response> {
    json(&call.part::<Sso>()?.one(&call, &call.name("application")?).await?)
}

async fn set(mut call: Call) -> Result<Response> {
    let name = call.name("application")?;
    let Set { spec, new } = body(&mut call).await?;
    let sso = call.part::<Sso>()?;
    let before = match new {
        true => Application::default(),
        false => sso.one(&call, &name).await?.spec,
    };
    let spec = merged(before, spec)?;
    let made = sso.set(&call, name.clone(), spec, new).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    never_kept(json_status(status, &json!({ "name": name, "secret": made })))
}

/// `patch` over `before`, as JSON Merge Patch (RFC 7396) has it.
pub(crate) fn merged(before: Application, patch: Value) -> Result<Application> {
    let mut whole = serde_json::to_value(before).map_err(Error::internal)?;
    if let (Some(whole), Value::Object(patch)) = (whole.as_object_mut(), patch) {
        for (field, value) in patch {
            match value {
                Value::Null => drop(whole.remove(&field)),
                value => drop(whole.insert(field, value)),
            }
        }
    }
    serde_json::from_value(whole).map_err(|e| {
        let why = e.to_string();
        crate::kind::wrong(text!("the spec does not fit: {why}", "spec이 맞지 않습니다: {why}"))
    })
}

fn never_kept(response: Result<Response>) -> Result<Response> {
    let mut response = response?;
    let never = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, never);
    Ok(response)
}

/// A length of time that secrets may overlap for.
///
/// # Errors
/// `application.overlap`.
pub(crate) fn overlap(words: Option<&str>) -> Result<Duration> {
    let Some(words) = words.filter(|words| !words.is_empty()) else { return Ok(Duration::ZERO) };
    parse_duration(words).filter(|length| *length <= LONGEST_OVERLAP).ok_or_else(|| {
        let say =
            Text::fixed("an overlap is a length of time up to 30d", "겹침은 30d까지의 기간입니다");
        Error::invalid("application.overlap", say)
    })
}

async fn secret(mut call: Call) -> Result<Response> {
    let name = call.name("application")?;
    let Secret { overlap: words } = body(&mut call).await?;
    let overlap = overlap(words.as_deref())?;
    let made = call.part::<Sso>()?.new_secret(&call, name.clone(), overlap).await?;
    never_kept(json_status(StatusCode::CREATED, &json!({ "name": name, "secret": made })))
}

async fn sign_out(mut call: Call) -> Result<Response> {
    let name = call.name("application")?;
    let SignOut { sign_in } = body(&mut call).await?;
    let ended = call.part::<Sso>()?.end_sign_ins(&call, name, sign_in).await?;
    json(&json!({ "ended": ended }))
}

async fn remove(call: Call) -> Result<Response> {
    call.part::<Sso>()?.remove(&call, call.name("application")?).await?;
    Ok(empty())
}

async fn mine(call: Call) -> Result<Response> {
    let items = call.part::<Sso>()?.given(&call.who).await?;
    json(&json!({ "items": items }))
}

async fn withdraw(call: Call) -> Result<Response> {
    let app: Name = call.name("application")?;
    call.part::<Sso>()?.withdraw(&call.who, app).await?;
    Ok(empty())
}

async fn rotate(mut call: Call) -> Result<Response> {
    let Rotate { forget } = body(&mut call).await?;
    rotated(&call, forget).await?;
    json(&json!({ "forgot": forget }))
}

/// New signing keys, and the event that says so.
pub(crate) async fn rotated(call: &Call, forget: bool) -> Result<()> {
    let sso = call.part::<Sso>()?;
    sso.signer.rotate(forget).await?;
    let who: Principal = call.who.clone();
    let say = match forget {
        true => Text::fixed(
            "new signing keys; what the old ones have signed is worth nothing",
            "새 서명 키. 옛 키의 서명은 무효",
        ),
        false => Text::fixed("new signing keys", "새 서명 키"),
    };
    let event = NewEvent::new("signing-keys.rotated", who, say).data(json!({ "forgot": forget }));
    sso.store().write(move |tx| tx.append(event).map(drop)).await
}
