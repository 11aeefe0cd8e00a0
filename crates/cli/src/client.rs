//! The API's client.

use crate::{Endpoint, Events};
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use kernel::error::Wire;
use kernel::{Error, ErrorKind, Lang, Result, Text, text};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::io::ReaderStream;

/// For a connection and for the head of an answer. Streams may then last as long as they like.
const PATIENCE: Duration = Duration::from_secs(60);
/// For a file to arrive, and its answer.
const TRANSFER: Duration = Duration::from_secs(30 * 60);
/// The longest JSON answer, in bytes.
const ANSWER: usize = 64 * 1024 * 1024;

/// What is sent: all at once, or as a file is read.
type Sent = UnsyncBoxBody<Bytes, std::io::Error>;

#[derive(Clone)]
pub struct Client {
    endpoint: Endpoint,
    lang: Lang,
}

impl Client {
    pub fn new(endpoint: Endpoint, lang: Lang) -> Client {
        Client { endpoint, lang }
    }

    pub fn url(&self) -> &str {
        &self.endpoint.url
    }

    pub fn token(&self) -> &str {
        &self.endpoint.token
    }

    /// # Errors
    /// The server's own, or `server.unreachable`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        decode(self.send(Method::GET, path, &[], None::<&()>).await?).await
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        decode(self.send(Method::POST, path, &[], Some(body)).await?).await
    }

    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        decode(self.send(Method::PUT, path, &[], Some(body)).await?).await
    }

    pub async fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        decode(self.send(Method::PATCH, path, &[], Some(body)).await?).await
    }

    pub async fn delete(&self, path: &str) -> Result<Value> {
        decode(self.send(Method::DELETE, path, &[], None::<&()>).await?).await
    }

    /// Follows a stream of server-sent events: the data of each, in order.
    pub async fn stream(&self, path: &str) -> Result<Lines> {
        let accept = [(header::ACCEPT, "text/event-stream")];
        let response = self.send(Method::GET, path, &accept, None::<&()>).await?;
        Ok(Lines { body: response.into_body(), events: Events::default() })
    }

    /// An answer of any length, as it comes.
    ///
    /// # Errors
    /// The server's own, or `server.unreachable`.
    pub async fn download(&self, path: &str) -> Result<Pieces> {
        let response = self.send(Method::GET, path, &[], None::<&()>).await?;
        Ok(Pieces { body: response.into_body() })
    }

    /// Asks for another protocol on the connection (RFC 9110 §7.8), and gives the connection out when the
    /// server has agreed.
    ///
    /// # Errors
    /// The server's own; internal, when it answers as if nothing had been asked.
    pub async fn upgrade(
        &self,
        path: &str,
        protocol: &str,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>> {
        let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, protocol)];
        let response = self.send(Method::POST, path, &headers, None::<&()>).await?;
        let upgraded = hyper::upgrade::on(response).await;
        let upgraded = upgraded.map_err(|e| Error::internal(format!("no {protocol}: {e}")))?;
        Ok(TokioIo::new(upgraded))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(header::HeaderName, &str)],
        body: Option<&impl Serialize>,
    ) -> Result<http::Response<Incoming>> {
        let bytes = match body {
            Some(body) => Bytes::from(serde_json::to_vec(body).map_err(Error::internal)?),
            None => Bytes::new(),
        };
        let kind = body.map(|_| "application/json");
        let bytes = Full::new(bytes).map_err(|never| match never {}).boxed_unsync();
        self.exchange(method, path, headers, kind, bytes, PATIENCE).await
    }

    /// Sends a file as it is, and reads the answer.
    ///
    /// # Errors
    /// The server's own, or `server.unreachable`.
    pub async fn send_file<T: DeserializeOwned>(&self, path: &str, file: &Path) -> Result<T> {
        let shown = file.display();
        let file = tokio::fs::File::open(file).await;
        let file = file.map_err(|e| Error::internal(format!("{shown}: {e}")))?;
        let frames = ReaderStream::new(file).map_ok(hyper::body::Frame::data);
        let body = StreamBody::new(frames).boxed_unsync();
        let kind = Some("application/octet-stream");
        decode(self.exchange(Method::POST, path, &[], kind, body, TRANSFER).await?).await
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &[(header::HeaderName, &str)],
        kind: Option<&str>,
        body: Sent,
        patience: Duration,
    ) -> Result<http::Response<Incoming>> {
        let (host, port) = self.host()?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, format!("{host}:{port}"))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.endpoint.token))
            .header(header::ACCEPT_LANGUAGE, self.lang.tag());
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(body).map_err(Error::internal)?;
        let talk = self.talk(&host, port, request);
        let response = tokio::time::timeout(patience, talk)
            .await
            .map_err(|_| self.unreachable("no answer in time"))??;
        let status = response.status();
        let fine = status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS;
        if fine { Ok(response) } else { Err(refused(response).await) }
    }

    async fn talk(
        &self,
        host: &str,
        port: u16,
        request: Request<Sent>,
    ) -> Result<http::Response<Incoming>> {
        let host = host.trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, port)).await.map_err(|e| self.unreachable(e))?;
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(stream);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(io).await.map_err(|e| self.unreachable(e))?;
        // Ends with the last handle on the answer's body.
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await.map_err(|e| self.unreachable(e))
    }

    fn host(&self) -> Result<(String, u16)> {
        let bad = || {
            let url = &self.endpoint.url;
            Error::invalid(
                "url.invalid",
                text!(
                    "“{url}” is not the address of a naru",
                    "“{url}”은(는) naru의 주소가 아닙니다"
                ),
            )
            .hint(Text::fixed("write it as http://HOST:PORT", "http://HOST:PORT 꼴로 쓰세요"))
        };
        let uri: Uri = self.endpoint.url.parse().map_err(|_| bad())?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http"), Some(host)) => Ok((host.to_owned(), uri.port_u16().unwrap_or(80))),
            _ => Err(bad()),
        }
    }

    fn unreachable(&self, why: impl std::fmt::Display) -> Error {
        let url = &self.endpoint.url;
        Error::new(
            ErrorKind::Unavailable,
            "server.unreachable",
            text!("naru at {url} does not answer", "{url}의 naru가 응답하지 않습니다"),
        )
        .hint(Text::fixed(
            "is it running? `naru up` starts it",
            "실행 중인가요? `naru up`으로 시작합니다",
        ))
        .why(why)
    }
}

/// A value as a segment of a path or a query.
pub fn segment(words: &str) -> String {
    const KEEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(words, KEEP).to_string()
}

async fn decode<T: DeserializeOwned>(response: http::Response<Incoming>) -> Result<T> {
    let empty = response.status() == StatusCode::NO_CONTENT;
    let bytes = whole(response.into_body()).await?;
    let bytes: &[u8] = if empty || bytes.is_empty() { b"null" } else { &bytes };
    serde_json::from_slice(bytes).map_err(|e| Error::internal(format!("the server's answer: {e}")))
}

async fn refused(response: http::Response<Incoming>) -> Error {
    let status = response.status();
    let bytes = whole(response.into_body()).await.unwrap_or_default();
    let Ok(wire) = serde_json::from_slice::<Wire>(&bytes) else {
        return Error::internal(format!("the server answered {status}"));
    };
    // Codes are static on the server; here the words are all that is shown.
    let mut error = Error::new(wire.kind, "server.refused", Text::plain(wire.say));
    if let Some(hint) = wire.hint {
        error = error.hint(Text::plain(hint));
    }
    match wire.at {
        Some(at) => error.at(at.file, at.line, at.column),
        None => error,
    }
}

async fn whole(body: Incoming) -> Result<Bytes> {
    let limited = http_body_util::Limited::new(body, ANSWER);
    let whole = limited
        .collect()
        .await
        .map_err(|e| Error::internal(format!("the answer broke off: {e}")))?;
    Ok(whole.to_bytes())
}

/// An answer's bytes as they come.
pub struct Pieces {
    body: Incoming,
}

impl Pieces {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// Internal, when the connection breaks or nothing comes for a minute.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        let broken =
            |e: &dyn std::fmt::Display| Error::internal(format!("the answer broke off: {e}"));
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await;
            match frame.map_err(|e| broken(&e))? {
                None => return Ok(None),
                Some(Err(e)) => return Err(broken(&e)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// Server-sent events as they come.
pub struct Lines {
    body: Incoming,
    events: Events,
}

impl Lines {
    /// The next event's name (`message` when it has none) and data; `None` at the end.
    ///
    /// # Errors
    /// Internal, when the connection breaks or a line has no end.
    pub async fn next(&mut self) -> Result<Option<(String, String)>> {
        loop {
            if let Some(event) = self.events.pull()? {
                return Ok(Some(event));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.events.push(data);
                    }
                }
                Some(Err(e)) => return Err(Error::internal(format!("the stream broke off: {e}"))),
            }
        }
    }
}
