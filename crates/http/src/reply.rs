//! Answers.

use crate::{Body, Head};
use http::{HeaderValue, StatusCode, header};
use kernel::error::Wire;
use kernel::{Error, Result};
use serde::Serialize;

pub type Response = http::Response<Body>;

pub fn json(value: &impl Serialize) -> Result<Response> {
    json_status(StatusCode::OK, value)
}

pub fn json_status(status: StatusCode, value: &impl Serialize) -> Result<Response> {
    let bytes = serde_json::to_vec(value).map_err(Error::internal)?;
    Ok(typed(status, "application/json", bytes))
}

pub fn html(page: impl Into<String>) -> Response {
    typed(StatusCode::OK, "text/html; charset=utf-8", page.into())
}

pub fn text(words: impl Into<String>) -> Response {
    typed(StatusCode::OK, "text/plain; charset=utf-8", words.into())
}

/// 204
pub fn empty() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// 303: after a form, look there.
///
/// # Errors
/// Internal, when `to` cannot stand in a header.
pub fn found(to: &str) -> Result<Response> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::from_str(to).map_err(Error::internal)?;
    response.headers_mut().insert(header::LOCATION, to);
    Ok(response)
}

fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An error as the caller can read it: a page for a browser, JSON for the rest. Our own faults are logged.
pub(crate) fn error(error: &Error, head: &Head) -> Response {
    if let Some(why) = error.get_why() {
        tracing::warn!(code = error.code(), path = head.uri.path(), why, "request failed");
    }
    let status = match error.code() {
        // The one thing that is wrong with a request because of the time it took.
        crate::call::SLOW => StatusCode::REQUEST_TIMEOUT,
        _ => {
            StatusCode::from_u16(error.kind().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        }
    };
    let page = head.site.error_page.filter(|_| head.wants_page()).map(|draw| draw(head, error));
    let mut response = match page {
        Some(page) => typed(status, "text/html; charset=utf-8", page),
        None => match serde_json::to_vec(&wire(error, head)) {
            Ok(bytes) => typed(status, "application/json", bytes),
            Err(_) => typed(status, "application/json", "{}"),
        },
    };
    if let Some(seconds) = error.get_retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED && !head.wants_page() {
        // Basic, because git asks for nothing else; the password is a token.
        let realm = HeaderValue::from_static("Basic realm=\"naru\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
    }
    response
}

fn wire(error: &Error, head: &Head) -> Wire {
    Wire { request: Some(head.request.clone()), ..error.wire(head.lang) }
}
