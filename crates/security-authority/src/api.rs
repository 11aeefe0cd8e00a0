//! `/ca.pem` and its like, for everybody: a root is public, and whoever cannot verify us yet has to get it.
//! `/api/v1/ca`: for administrators.

use crate::Authority;
use crate::open::{Asked, OVERLAP};
use crate::record;
use authority::{Csr, Serial, Usage};
use http::HeaderValue;
use kernel::{Error, Result, Text};
use naru_http::{Access, Body, Call, Response, Route, json};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/ca.pem",
        Access::Public,
        ("the roots of the internal CA, as PEM", "내부 CA의 루트, PEM"),
        |c| Box::pin(pem(c)),
    ),
    Route::get(
        "/ca.der",
        Access::Public,
        ("the root of the internal CA, as DER", "내부 CA의 루트, DER"),
        |c| Box::pin(der(c)),
    ),
    Route::get(
        "/ca/revoked/{root}",
        Access::Public,
        ("what a root has taken back (RFC 5280)", "루트가 폐기한 인증서 목록(RFC 5280)"),
        |c| Box::pin(revocations(c)),
    ),
    Route::get(
        "/api/v1/ca",
        Access::Public,
        ("the roots of the internal CA", "내부 CA의 루트"),
        |c| Box::pin(roots(c)),
    ),
    Route::get(
        "/api/v1/ca/certificates",
        Access::Platform,
        ("what the internal CA has signed", "내부 CA가 서명한 인증서"),
        |c| Box::pin(list(c)),
    ),
    Route::post(
        "/api/v1/ca/certificates",
        Access::Platform,
        ("sign a certificate request", "인증서 요청에 서명"),
        |c| Box::pin(issue(c)),
    ),
    Route::delete(
        "/api/v1/ca/certificates/{serial}",
        Access::Platform,
        ("revoke a certificate", "인증서 폐기"),
        |c| Box::pin(revoke(c)),
    ),
    Route::post(
        "/api/v1/ca/rotate",
        Access::Platform,
        ("make a new root", "새 루트 만들기"),
        |c| Box::pin(rotate(c)),
    ),
];

fn typed(kind: &'static str, name: &'static str, bytes: impl Into<Body>) -> Response {
    let mut response = Response::new(bytes.into());
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(http::header::CONTENT_DISPOSITION, HeaderValue::from_static(name));
    response
}

async fn pem(call: Call) -> Result<Response> {
    let words = call.part::<Authority>()?.bundle()?;
    Ok(typed("application/x-pem-file", "attachment; filename=\"naru-ca.pem\"", words))
}

async fn der(call: Call) -> Result<Response> {
    let bytes = call.part::<Authority>()?.der()?;
    Ok(typed("application/x-x509-ca-cert", "attachment; filename=\"naru-ca.crt\"", bytes))
}

async fn revocations(call: Call) -> Result<Response> {
    let list = call.part::<Authority>()?.revocations(call.param("root")?).await?;
    Ok(typed("application/pkix-crl", "attachment; filename=\"naru-ca.crl\"", list))
}

async fn roots(call: Call) -> Result<Response> {
    json(&json!({ "roots": call.part::<Authority>()?.roots()? }))
}

async fn list(call: Call) -> Result<Response> {
    let limit = call.number("limit")?.unwrap_or(100).clamp(1, 1000) as usize;
    let before = call.query("before").map(|words| Serial::parse(&words)).transpose()?;
    let read = move |v: &store::View<'_>| record::list(v, before.as_ref(), limit);
    let items = call.site.store.read(read).await?;
    let next = items.last().filter(|_| items.len() == limit).map(|last| last.serial.clone());
    json(&json!({ "items": items, "next": next }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// PEM
    csr: String,
    /// Empty: those of the request.
    #[serde(default)]
    names: Vec<String>,
    #[serde(default = "server")]
    usage: Usage,
    #[serde(default = "longest")]
    days: u64,
}

fn server() -> Usage {
    Usage::Server
}

fn longest() -> u64 {
    authority::LONGEST.as_secs() / DAY
}

const DAY: u64 = 24 * 3600;

async fn issue(mut call: Call) -> Result<Response> {
    let wanted: Wanted = call.json().await?;
    let asked = asked(&wanted.csr, &wanted.names, wanted.usage, wanted.days)?;
    let (issued, chain) = call.part::<Authority>()?.issue(asked, call.who.clone()).await?;
    json(&json!({ "certificate": issued, "chain": chain }))
}

/// # Errors
/// `ca.request-invalid`, `ca.name-invalid`, `ca.days`.
pub(crate) fn asked(csr: &str, names: &[String], usage: Usage, days: u64) -> Result<Asked> {
    if !(1..=longest()).contains(&days) {
        return Err(Error::invalid(
            "ca.days",
            Text::fixed(
                "a certificate lives between 1 and 90 days",
                "인증서의 유효 기간은 1일에서 90일까지입니다",
            ),
        ));
    }
    let names = names.iter().map(|name| name.parse()).collect::<Result<_>>()?;
    let life = Duration::from_secs(days * DAY);
    Ok(Asked { csr: Csr::read(csr)?, names, usage, life })
}

async fn revoke(call: Call) -> Result<Response> {
    let serial = Serial::parse(call.param("serial")?)?;
    json(&call.part::<Authority>()?.revoke(serial, call.who.clone()).await?)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rotation {
    /// Domains and networks that the new root may sign for; empty is everything.
    only: Vec<String>,
    /// For how long the one before goes on to be trusted.
    overlap_days: Option<u64>,
}

async fn rotate(mut call: Call) -> Result<Response> {
    let wanted: Rotation = call.json().await?;
    let only = wanted.only.iter().map(|words| words.parse()).collect::<Result<_>>()?;
    let overlap =
        wanted.overlap_days.map_or(OVERLAP, |days| Duration::from_secs(days.min(3650) * DAY));
    let roots = call.part::<Authority>()?.rotate(only, overlap, call.who.clone()).await?;
    json(&json!({ "roots": roots }))
}
