//! One question to another server, over HTTP/1.1 with or without TLS. Redirects are not followed, because they
//! lead where nobody meant. Nothing here waits without an end if the caller sets one: see [`ask`]. What speaks
//! another protocol takes the TLS of it alone: [`secure`].

use authority::Trust;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use kernel::{Error, Result, Text, text};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is asked.
pub struct Outgoing<'a> {
    /// With `http` or `https`, and a host.
    pub uri: &'a Uri,
    pub method: Method,
    /// Beside `Host`, `User-Agent` and `Connection`.
    pub headers: &'a [(&'static str, HeaderValue)],
    pub body: Bytes,
}

/// The status and at most `limit` bytes of the answer. Takes as long as the other side does: bound it.
///
/// # Errors
/// `host.address`, `host.unreachable`, `host.untrusted`, `host.broken`; no error holds anything of what was
/// asked but the host.
pub async fn ask(asked: Outgoing<'_>, limit: usize) -> Result<(StatusCode, Vec<u8>)> {
    let uri = asked.uri;
    let (scheme, host) = match (uri.scheme_str(), uri.host()) {
        (Some(scheme @ ("http" | "https")), Some(host)) => (scheme, host.to_owned()),
        _ => return Err(not_an_address()),
    };
    let safe = scheme == "https";
    let port = uri.port_u16().unwrap_or(if safe { 443 } else { 80 });
    let away = |why: &dyn std::fmt::Display| {
        let say = text!("{host} cannot be reached", "{host}에 연결할 수 없습니다");
        failed("host.unreachable", say).why(why)
    };
    let place = (host.trim_matches(['[', ']']), port);
    let stream = TcpStream::connect(place).await.map_err(|e| away(&e))?;
    if !safe {
        return exchange(stream, asked, &host, port, limit).await;
    }
    exchange(secure(stream, &host).await?, asked, &host, port, limit).await
}

/// TLS over a connection to `host`, which has to prove that it is that.
///
/// # Errors
/// `host.untrusted`
pub async fn secure<S>(stream: S, host: &str) -> Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let untrusted = |why: &dyn std::fmt::Display| {
        let say =
            text!("{host} does not prove that it is {host}", "{host}의 인증서를 믿을 수 없습니다");
        failed("host.untrusted", say).why(why)
    };
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
    let name = name.map_err(|e| untrusted(&e))?;
    tls()?.connect(name, stream).await.map_err(|e| untrusted(&e))
}

fn failed(code: &'static str, say: Text) -> Error {
    Error::invalid(code, say)
}

fn not_an_address() -> Error {
    let say = Text::fixed(
        "this is not an address that begins with http:// or https://",
        "http://나 https://로 시작하는 주소가 아닙니다",
    );
    failed("host.address", say)
}

/// The system's own certificates, read anew each time: they change while a server runs.
fn tls() -> Result<TlsConnector> {
    Ok(TlsConnector::from(Trust::system()?.client_config(&[])?))
}

async fn exchange<S>(
    stream: S,
    asked: Outgoing<'_>,
    host: &str,
    port: u16,
    limit: usize,
) -> Result<(StatusCode, Vec<u8>)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let away = |why: &dyn std::fmt::Display| {
        let host = host.to_owned();
        let say = text!("{host} does not answer properly", "{host}의 응답이 올바르지 않습니다");
        failed("host.broken", say).why(why)
    };
    let path = asked.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(asked.method)
        .uri(path)
        .header(header::HOST, format!("{host}:{port}"))
        .header(header::USER_AGENT, concat!("naru/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close");
    for (name, value) in asked.headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(asked.body)).map_err(|e| away(&e))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| away(&e))?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|e| away(&e))?;
        let status = response.status();
        match Limited::new(response.into_body(), limit).collect().await {
            Ok(body) => Ok((status, body.to_bytes().to_vec())),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                let say = text!(
                    "the answer of {host} has more than {limit} bytes",
                    "{host}의 응답이 {limit}바이트를 넘습니다"
                );
                Err(failed("host.broken", say))
            }
            Err(error) => Err(away(&error)),
        }
    };
    // The connection ends with the answer, whichever way that goes.
    tokio::select! {
        answer = answer => answer,
        Err(error) = connection => Err(away(&error)),
    }
}
