//! The API's client.

use crate::{Endpoint, Events, pin};
use authority::Trust;
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
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
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

    /// The addresses of this server: ours, and the one that other people have.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        [Some(self.url()), self.endpoint.outside.as_deref()].into_iter().flatten()
    }

    /// The address of a page for somebody else.
    pub fn link(&self, path: &str) -> String {
        let server = self.endpoint.outside.as_deref().unwrap_or(self.url());
        format!("{}{path}", server.trim_end_matches('/'))
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

    /// An answer that is text.
    ///
    /// # Errors
    /// The server's own, or `server.unreachable`.
    pub async fn text(&self, path: &str) -> Result<String> {
        let response = self.send(Method::GET, path, &[], None::<&()>).await?;
        Ok(String::from_utf8_lossy(&whole(response.into_body()).await?).into_owned())
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
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.place()?.named())
            .header(header::ACCEPT_LANGUAGE, self.lang.tag());
        if !self.endpoint.token.is_empty() {
            let bearer = format!("Bearer {}", self.endpoint.token);
            request = request.header(header::AUTHORIZATION, bearer);
        }
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(body).map_err(Error::internal)?;
        let talk = self.talk(request);
        let response = tokio::time::timeout(patience, talk)
            .await
            .map_err(|_| self.unreachable("no answer in time"))??;
        let status = response.status();
        let fine = status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS;
        if fine { Ok(response) } else { Err(refused(response).await) }
    }

    async fn talk(&self, request: Request<Sent>) -> Result<http::Response<Incoming>> {
        let stream = self.connect(self.trust()?).await?;
        self.converse(stream, request).await
    }

    async fn converse(
        &self,
        stream: Stream,
        request: Request<Sent>,
    ) -> Result<http::Response<Incoming>> {
        let io = TokioIo::new(stream);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(io).await.map_err(|e| self.unreachable(e))?;
        // Ends with the last handle on the answer's body.
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await.map_err(|e| self.unreachable(e))
    }

    /// A connection, over TLS when there is a configuration for it.
    async fn connect(&self, tls: Option<Arc<ClientConfig>>) -> Result<Stream> {
        let place = self.place()?;
        let host = place.host.trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, place.port)).await;
        let stream = stream.map_err(|e| self.unreachable(e))?;
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(host.to_owned()).map_err(|e| self.unreachable(e))?;
        let secure = TlsConnector::from(tls).connect(name, stream).await;
        Ok(Box::new(secure.map_err(|e| self.disbelieved(&e))?))
    }

    /// Whom to believe; `None` without TLS.
    fn trust(&self) -> Result<Option<Arc<ClientConfig>>> {
        if !self.place()?.secure {
            return Ok(None);
        }
        let trust = match self.ca_file() {
            Some(file) => Trust::file(&file)?,
            None => Trust::system().map_err(|e| pin::untrusted(&self.endpoint.url).why(e))?,
        };
        trust.client_config(&[b"http/1.1"]).map(Some)
    }

    /// The file with the roots that the server is believed by, when it is not the system's.
    pub fn ca_file(&self) -> Option<PathBuf> {
        self.endpoint.ca_file.clone().or_else(|| pin::pinned(&self.endpoint.url))
    }

    /// Whether the server proves who it is. Nothing is sent.
    pub(crate) async fn handshake(&self) -> Result<()> {
        let connecting = self.connect(self.trust()?);
        let connected = tokio::time::timeout(PATIENCE, connecting).await;
        connected.map_err(|_| self.unreachable("no answer in time"))?.map(drop)
    }

    /// The roots that a server names which is not believed yet. No token goes with it.
    pub(crate) async fn root_of_stranger(&self) -> Result<String> {
        let asked = async {
            let stream = self.connect(Some(authority::shown_to_strangers()?)).await?;
            let request = Request::get("/ca.pem").header(header::HOST, self.place()?.named());
            let request = request.body(nothing()).map_err(Error::internal)?;
            let response = self.converse(stream, request).await?;
            match response.status() {
                StatusCode::OK => whole(response.into_body()).await,
                // Another program, or a naru with a certificate from elsewhere.
                _ => Err(pin::untrusted(&self.endpoint.url)),
            }
        };
        let answered = tokio::time::timeout(PATIENCE, asked).await;
        let words = answered.map_err(|_| self.unreachable("no answer in time"))??;
        Ok(String::from_utf8_lossy(&words).into_owned())
    }

    fn disbelieved(&self, error: &std::io::Error) -> Error {
        let url = &self.endpoint.url;
        if authority::distrusted(error) {
            let error_of = self.ca_file().map(|file| pin::changed(url, &file));
            return error_of.unwrap_or_else(|| pin::untrusted(url)).why(error);
        }
        Error::new(
            ErrorKind::Unavailable,
            "server.tls",
            text!(
                "there is no safe connection to {url}: {error}",
                "{url}에 안전하게 연결할 수 없습니다: {error}"
            ),
        )
        .hint(Text::fixed(
            "is it the name that its certificate is for, does it speak TLS, and are both clocks right?",
            "인증서에 적힌 이름인지, TLS를 쓰는 서버인지, 양쪽 시계가 맞는지 확인하세요",
        ))
    }

    fn place(&self) -> Result<Place> {
        let bad = || {
            let url = &self.endpoint.url;
            Error::invalid(
                "url.invalid",
                text!(
                    "“{url}” is not the address of a naru",
                    "“{url}”은(는) 나루의 주소가 아닙니다"
                ),
            )
            .hint(Text::fixed(
                "write it as https://HOST:PORT or http://HOST:PORT",
                "https://HOST:PORT나 http://HOST:PORT 꼴로 쓰세요",
            ))
        };
        let uri: Uri = self.endpoint.url.parse().map_err(|_| bad())?;
        let (secure, usual) = match uri.scheme_str() {
            Some("https") => (true, 443),
            Some("http") => (false, 80),
            _ => return Err(bad()),
        };
        let host = uri.host().ok_or_else(bad)?.to_owned();
        Ok(Place { secure, host, port: uri.port_u16().unwrap_or(usual) })
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

/// Where a server is.
struct Place {
    secure: bool,
    /// An IPv6 address in its brackets.
    host: String,
    port: u16,
}

impl Place {
    /// As in `Host`.
    fn named(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// A connection, with or without TLS.
type Stream = Box<dyn Both>;

trait Both: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}

fn nothing() -> Sent {
    Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync()
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
