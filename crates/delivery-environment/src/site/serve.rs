//! Answering for sites: the edge passes requests on, and their host says which site they mean.

use super::range::{self, Part};
use super::resolve::{self, File, Found};
use super::{Served, Shelf, Sites, media};
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use kernel::{Error, Result};
use naru_http::{Body, Response};
use std::io::{SeekFrom, Write};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::net::TcpListener;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

/// The largest file that is packed on its way.
const PACKED: u64 = 1 << 20;
/// Smaller ones are not worth it.
const WORTH: u64 = 512;

pub(super) async fn serve(sites: Sites, listener: TcpListener, stop: CancellationToken) {
    let answer = move |request: Request<Body>| {
        let sites = sites.clone();
        async move {
            let asked = Asked::of(&request);
            match answer(&sites, &asked).await {
                Ok(response) => response,
                Err(error) => {
                    tracing::warn!(%error, path = %asked.path, "a site could not answer");
                    plain(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong\n")
                }
            }
        }
    };
    naru_http::listen(listener, answer, stop).await;
}

/// What matters of a request.
struct Asked {
    method: Method,
    host: String,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
}

impl Asked {
    fn of(request: &Request<Body>) -> Asked {
        let uri = request.uri();
        let named = request.headers().get(header::HOST).and_then(|h| h.to_str().ok());
        let host = uri.host().or(named).unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default().trim_end_matches('.');
        Asked {
            method: request.method().clone(),
            host: host.to_ascii_lowercase(),
            path: uri.path().to_owned(),
            query: uri.query().map(str::to_owned),
            headers: request.headers().clone(),
        }
    }

    fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// Whether a content coding is welcome: named, and not with `q=0` (RFC 9110 §12.5.3).
    fn accepts(&self, coding: &str) -> bool {
        let all = self.header(header::ACCEPT_ENCODING).unwrap_or_default();
        all.split(',').any(|one| {
            let mut parts = one.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
            let weight =
                parts.find_map(|p| p.strip_prefix("q=")).and_then(|q| q.parse::<f32>().ok());
            named && weight.unwrap_or(1.0) > 0.0
        })
    }
}

async fn answer(sites: &Sites, asked: &Asked) -> Result<Response> {
    if asked.method != Method::GET && asked.method != Method::HEAD {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "a site is only read\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    let Some(site) = sites.table().get(&asked.host).cloned() else { return Ok(nothing()) };
    let Some(path) = resolve::decode(&asked.path) else { return Ok(nothing()) };
    match resolve::split(&site.editions, &path) {
        Some((_, shelf, Some(rest))) => edition(sites, asked, shelf, rest).await,
        Some((_, _, None)) => slash(asked),
        None => missing_site(sites, asked, &site).await,
    }
}

/// No edition has this path, not even the root: its own page says so, when there is one.
async fn missing_site(sites: &Sites, asked: &Asked, site: &Served) -> Result<Response> {
    match site.editions.get("").and_then(|root| Some((root, root.files.get("404.html")?))) {
        Some((shelf, page)) => file(sites, asked, shelf, page, StatusCode::NOT_FOUND).await,
        None => Ok(nothing()),
    }
}

async fn edition(sites: &Sites, asked: &Asked, shelf: &Arc<Shelf>, path: &str) -> Result<Response> {
    match shelf.files.find(path) {
        Found::File(found) => file(sites, asked, shelf, &found, StatusCode::OK).await,
        Found::Slash => slash(asked),
        Found::Missing(Some(page)) => file(sites, asked, shelf, &page, StatusCode::NOT_FOUND).await,
        Found::Missing(None) => Ok(nothing()),
    }
}

/// The same with a slash at its end: relative, so that it holds behind any proxy.
fn slash(asked: &Asked) -> Result<Response> {
    let last = asked.path.rsplit('/').next().unwrap_or_default();
    let query = asked.query.as_ref().map(|q| format!("?{q}")).unwrap_or_default();
    let mut response = plain(StatusCode::MOVED_PERMANENTLY, "");
    // A first part with a colon would be taken for a scheme.
    let to = HeaderValue::from_str(&format!("./{last}/{query}")).map_err(Error::internal)?;
    response.headers_mut().insert(header::LOCATION, to);
    Ok(response)
}

/// How a file's bytes are sent.
enum Form {
    Plain(File),
    /// A file beside it that holds the same, packed: `app.js.br`.
    Beside(File, &'static str),
    /// Packed here.
    Gzip(File),
}

fn form(asked: &Asked, shelf: &Shelf, found: &File, media_type: &str) -> Form {
    let ranged = asked.headers.contains_key(header::RANGE);
    if !ranged && media::packs(media_type) {
        for (coding, end) in [("br", ".br"), ("gzip", ".gz")] {
            if let Some(beside) = shelf.files.get(&format!("{}{end}", found.path))
                && asked.accepts(coding)
            {
                return Form::Beside(beside.clone(), coding);
            }
        }
        if (WORTH..=PACKED).contains(&found.size) && asked.accepts("gzip") {
            return Form::Gzip(found.clone());
        }
    }
    Form::Plain(found.clone())
}

async fn file(
    sites: &Sites,
    asked: &Asked,
    shelf: &Arc<Shelf>,
    found: &File,
    status: StatusCode,
) -> Result<Response> {
    let media_type = media::media_type(&found.path);
    let form = form(asked, shelf, found, media_type);
    let (source, coding, mark) = match &form {
        Form::Plain(file) => (file, None, ""),
        Form::Beside(file, coding) => (file, Some(*coding), ""),
        Form::Gzip(file) => (file, Some("gzip"), "-gz"),
    };
    let tag = format!("\"{}{mark}\"", source.hash);
    let mut response = if status == StatusCode::OK && matches_tag(asked, &tag) {
        bare(StatusCode::NOT_MODIFIED)
    } else {
        match &form {
            Form::Gzip(file) => whole(packed(sites, shelf, file).await?, status),
            Form::Plain(file) | Form::Beside(file, _) => {
                bytes(sites, asked, file, (status, &tag)).await?
            }
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::ETAG, HeaderValue::from_str(&tag).map_err(Error::internal)?);
    // A new edition is to be seen at once; what has not changed costs no bytes.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    if media::packs(media_type) {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if asked.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    Ok(response)
}

/// RFC 9110 §13.1.2, with weak comparison.
fn matches_tag(asked: &Asked, tag: &str) -> bool {
    let asked = asked.header(header::IF_NONE_MATCH).unwrap_or_default();
    asked.trim() == "*" || asked.split(',').any(|t| t.trim().trim_start_matches("W/") == tag)
}

/// A file's own bytes, or the part of them that is asked for.
async fn bytes(
    sites: &Sites,
    asked: &Asked,
    file: &File,
    (status, tag): (StatusCode, &str),
) -> Result<Response> {
    let same = asked.header(header::IF_RANGE).is_none_or(|t| t.trim() == tag);
    let wanted = asked.header(header::RANGE).filter(|_| same && status == StatusCode::OK);
    let size = file.size;
    let (from, to, status) = match range::part(wanted, size) {
        Part::Whole => (0, size, status),
        Part::Some(from, to) => (from, to, StatusCode::PARTIAL_CONTENT),
        Part::Nothing => {
            let mut response = bare(StatusCode::RANGE_NOT_SATISFIABLE);
            let words = HeaderValue::from_str(&format!("bytes */{size}"));
            let words = words.map_err(Error::internal)?;
            response.headers_mut().insert(header::CONTENT_RANGE, words);
            return Ok(response);
        }
    };
    let body = match asked.method == Method::HEAD {
        true => Body::empty(),
        false => stream(sites, file, from, to).await?,
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        let words = format!("bytes {from}-{}/{size}", to.saturating_sub(1));
        let words = HeaderValue::from_str(&words).map_err(Error::internal)?;
        headers.insert(header::CONTENT_RANGE, words);
    }
    Ok(response)
}

/// An open file is there until it is read, whatever becomes of its edition.
async fn stream(sites: &Sites, file: &File, from: u64, to: u64) -> Result<Body> {
    let mut blob = sites.0.options.blobs.open_blob(&file.hash).await?;
    if from > 0 {
        blob.seek(SeekFrom::Start(from)).await.map_err(Error::internal)?;
    }
    Ok(Body::from_stream(ReaderStream::with_capacity(blob.take(to - from), 64 * 1024)))
}

/// The file packed with gzip, from memory when it was packed before.
async fn packed(sites: &Sites, shelf: &Arc<Shelf>, file: &File) -> Result<Bytes> {
    if let Some(known) = shelf.packed(&file.hash) {
        return Ok(known);
    }
    let bytes = sites.0.options.blobs.get(&file.hash, PACKED).await?;
    let pack = move || {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(&bytes).and_then(|()| out.finish())
    };
    let packed = tokio::task::spawn_blocking(pack).await.map_err(Error::internal)?;
    let packed = Bytes::from(packed.map_err(Error::internal)?);
    shelf.keep_packed(&file.hash, &packed);
    Ok(packed)
}

fn whole(bytes: Bytes, status: StatusCode) -> Response {
    let length = HeaderValue::from(bytes.len());
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_LENGTH, length);
    response
}

fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn nothing() -> Response {
    plain(StatusCode::NOT_FOUND, "there is no such page\n")
}

fn plain(status: StatusCode, words: &'static str) -> Response {
    let mut response = Response::new(Body::from(words));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}
