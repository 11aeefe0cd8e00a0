//! Sending a browser back to an application.

use crate::plan::authorize::{Mode, Return};
use crate::plan::params::query;
use crate::plan::redirect;
use http::{HeaderValue, Method, header};
use kernel::{Error, Result};
use maud::{DOCTYPE, html};
use naru_http::{Call, Response, found};
use web::{Page, Reader};

/// The script that sends a form as soon as it is there.
pub(crate) const SCRIPT: &str = "send-form.js";

/// Back to where the request came from, with what came of it, its `state`, and who says so (RFC 9207).
pub(crate) fn leave(
    call: &Call,
    back: &Return,
    more: &[(&str, &str)],
    issuer: &str,
) -> Result<Response> {
    let mut fields: Vec<(&str, &str)> = more.to_vec();
    fields.extend(back.state.as_deref().map(|state| ("state", state)));
    fields.push(("iss", issuer));
    match back.mode {
        Mode::Query => go(call, &redirect::with_query(&back.to, &query(fields))),
        Mode::FormPost => form(call, &back.to, &fields),
    }
}

/// Sends a browser to an address elsewhere.
///
/// Where it comes from a form of ours, over however many redirects, `form-action` of our content security policy
/// would stop it: a page leads on instead, which is another navigation.
pub(crate) fn go(call: &Call, to: &str) -> Result<Response> {
    if !from_ours(call) {
        return found(to);
    }
    let r = Reader::of(call);
    let title = r.t("Back to the application", "애플리케이션으로 돌아가기").to_owned();
    let page = Page { title, ..Page::default() };
    let body = html! {
        p { a.button.main href=(to) { (r.t("Go on", "계속")) } }
    };
    let mut response = web::page(call, &page, body);
    let refresh = HeaderValue::from_str(&format!("0; url={to}")).map_err(Error::internal)?;
    response.headers_mut().insert(header::REFRESH, refresh);
    Ok(response)
}

fn from_ours(call: &Call) -> bool {
    let host = call.header(header::HOST.as_str()).unwrap_or_default();
    let ours = |address: &str| {
        let rest = address.split_once("://").map_or("", |(_, rest)| rest);
        rest.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match call.header("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => {
            call.method == Method::POST || call.header(header::REFERER.as_str()).is_some_and(ours)
        }
    }
}

/// Form Post Response Mode 1.0. The policy of this page alone allows a form to go there.
fn form(call: &Call, to: &str, fields: &[(&str, &str)]) -> Result<Response> {
    let r = Reader::of(call);
    let page = html! {
        (DOCTYPE)
        html lang=(r.lang.tag()) {
            head {
                meta charset="utf-8";
                title { "naru" }
                script src=(call.site.asset(SCRIPT)) defer {}
            }
            body {
                form method="post" action=(to) {
                    @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
                    button { (r.t("Back to the application", "애플리케이션으로 돌아가기")) }
                }
            }
        }
    };
    let mut response = naru_http::html(page.into_string());
    let origin = redirect::origin(to).unwrap_or_else(|| "'none'".to_owned());
    let policy = format!(
        "default-src 'none'; script-src 'self'; form-action {origin}; base-uri 'none'; frame-ancestors 'none'"
    );
    let policy = HeaderValue::from_str(&policy).map_err(Error::internal)?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}
