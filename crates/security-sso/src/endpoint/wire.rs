//! What the endpoints that programs call have in common: forms, errors in the words of OAuth, other sites' pages.

use crate::Sso;
use crate::kind::Application;
use crate::plan::params::Params;
use crate::plan::{Refusal, redirect};
use http::{HeaderValue, StatusCode, header};
use kernel::{Error, Kind, Principal, Result};
use naru_http::{Call, Response, empty, json_status};
use serde_json::{Value, json};

/// The longest form, in bytes.
const FORM: usize = 128 * 1024;
/// Applications whose addresses are looked through for a page's.
const APPLICATIONS: usize = 500;

/// Why there is no answer.
pub(crate) enum Fail {
    Refused(Refusal),
    Broken(Error),
}

impl From<Refusal> for Fail {
    fn from(refusal: Refusal) -> Fail {
        Fail::Refused(refusal)
    }
}

impl From<Error> for Fail {
    fn from(error: Error) -> Fail {
        Fail::Broken(error)
    }
}

pub(crate) type Outcome = std::result::Result<Value, Fail>;

/// The fields of a form.
pub(crate) async fn form(call: &mut Call) -> std::result::Result<Params, Fail> {
    let wrong = |code, say| Refusal::new("invalid_request", code, say);
    let kind = call.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(wrong("sso.form", ("the body is no form", "본문이 폼이 아닙니다")).into());
    }
    let bytes = call.bytes(FORM).await?;
    let words = std::str::from_utf8(&bytes);
    let words = words
        .map_err(|_| wrong("sso.encoding", ("the form is no text", "폼이 텍스트가 아닙니다")))?;
    Ok(Params::read(words)?)
}

/// The answer, or the refusal, which is written down. `app` is the application that asked, for pages of its own.
pub(crate) fn answer(
    call: &Call,
    sso: &Sso,
    action: &str,
    app: Option<&Application>,
    outcome: Outcome,
) -> Result<Response> {
    let mut response = match outcome {
        Ok(value) => json_status(StatusCode::OK, &value)?,
        Err(Fail::Broken(error)) => return Err(error),
        Err(Fail::Refused(refusal)) => {
            // A device that waits is no news.
            if refusal.error != "authorization_pending" {
                sso.refused(&Principal::Anonymous, action, &refusal);
            }
            refused(call, &refusal)?
        }
    };
    never_kept(&mut response);
    if let Some(app) = app {
        open_to(call, &mut response, |origin| is_of(app, origin));
    }
    Ok(response)
}

fn never_kept(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
}

/// RFC 6749 §5.2
fn refused(call: &Call, refusal: &Refusal) -> Result<Response> {
    let status = match refusal.error {
        "invalid_client" => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    let body = json!({ "error": refusal.error, "error_description": refusal.say.en });
    let mut response = json_status(status, &body)?;
    if status == StatusCode::UNAUTHORIZED && call.header(header::AUTHORIZATION.as_str()).is_some() {
        let realm = HeaderValue::from_static("Basic realm=\"naru\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
    }
    Ok(response)
}

/// Whether pages of `origin` are the application's.
pub(crate) fn is_of(app: &Application, origin: &str) -> bool {
    let own = app.redirects.iter().filter_map(|to| redirect::origin(to));
    // A page of a loopback address may be on any port, as its `redirect_uri` may.
    let near = |own: &str| redirect::matches(own, origin);
    app.origins.iter().any(|o| o == origin) || own.into_iter().any(|own| near(&own))
}

/// Lets a page of another site read the answer. Cookies never count: `Access-Control-Allow-Credentials` is not sent.
pub(crate) fn open_to(call: &Call, response: &mut Response, ours: impl Fn(&str) -> bool) {
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = call.headers.get(header::ORIGIN) else { return };
    if origin.to_str().is_ok_and(ours) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let seen = HeaderValue::from_static("WWW-Authenticate");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, seen);
        headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    }
}

/// What a browser asks first: whether any application has pages there.
pub(crate) async fn preflight(call: Call) -> Result<Response> {
    let sso = call.part::<Sso>()?;
    let read = |v: &store::View<'_>| v.resources(Application::KIND, None, None, APPLICATIONS);
    let all = sso.store().read(read).await?;
    let all: Vec<Application> = all.iter().filter_map(|r| r.spec().ok()).collect();
    let mut response = empty();
    open_to(&call, &mut response, |origin| {
        all.iter().any(|app| !app.disabled && is_of(app, origin))
    });
    let headers = response.headers_mut();
    if headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        let allow = |words| HeaderValue::from_static(words);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, allow("GET, POST"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allow("authorization, content-type"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, allow("600"));
    }
    Ok(response)
}
