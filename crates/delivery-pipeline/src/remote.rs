//! Files of other servers, for `include:remote`: only from hosts that the operator of this server allows, each
//! within bounds of size and time. Redirects are not followed, because they lead where nobody allowed.

use crate::gitlab::{Got, MAX_FILE};
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use kernel::{Error, Text, text};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// For one file, from the first packet to the last.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where systems keep the certificates they trust. `SSL_CERT_FILE` goes before them.
const TRUSTED: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// A file of another server. `hosts` are those that may be asked: `example.com`, or `example.com:8443` for
/// another port than the scheme's own.
pub async fn fetch(url: &str, hosts: &[String]) -> Got {
    match tokio::time::timeout(PATIENCE, ask(url, hosts)).await {
        Ok(Ok(bytes)) => Got::File(bytes),
        Ok(Err(error)) => Got::Refused(error),
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            Got::Refused(failed(text!(
                "the server of the file did not answer within {seconds} s",
                "파일이 있는 서버가 {seconds}초 안에 응답하지 않았습니다"
            )))
        }
    }
}

fn failed(say: Text) -> Error {
    Error::invalid("pipeline.include", say)
}

async fn ask(url: &str, hosts: &[String]) -> Result<Vec<u8>, Error> {
    let uri: Uri = url.parse().map_err(|_| failed(not_an_address()))?;
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err(failed(not_an_address()));
    };
    let secure = scheme == "https";
    let usual = if secure { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(usual);
    if !allowed(hosts, host, port, usual) {
        return Err(refused(host));
    }
    let away = |why: &dyn std::fmt::Display| {
        let host = host.to_owned();
        failed(text!("{host} cannot be reached", "{host}에 연결할 수 없습니다")).why(why)
    };
    let stream =
        TcpStream::connect((host.trim_matches(['[', ']']), port)).await.map_err(|e| away(&e))?;
    if !secure {
        return exchange(stream, &uri, host, port).await;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|e| away(&e))?;
    let stream = tls()?.connect(name, stream).await.map_err(|e| {
        let host = host.to_owned();
        failed(text!(
            "{host} does not prove that it is {host}",
            "{host}의 인증서를 믿을 수 없습니다"
        ))
        .why(e)
    })?;
    exchange(stream, &uri, host, port).await
}

fn not_an_address() -> Text {
    Text::fixed("this is not the address of a file", "파일의 주소가 아닙니다")
}

fn allowed(hosts: &[String], host: &str, port: u16, usual: u16) -> bool {
    hosts.iter().any(|known| match known.rsplit_once(':') {
        Some((name, at)) if at.parse::<u16>().is_ok() => {
            name.eq_ignore_ascii_case(host) && at.parse() == Ok(port)
        }
        _ => known.eq_ignore_ascii_case(host) && port == usual,
    })
}

fn refused(host: &str) -> Error {
    let shown: String = host.chars().take(80).flat_map(char::escape_debug).collect();
    failed(text!(
        "this server does not include files from {shown}",
        "이 서버는 {shown}에 있는 파일을 포함하지 않습니다"
    ))
    .hint(text!(
        "push the file to a repository here and use `include:project`, or ask the operator for `--include-from {shown}`",
        "파일을 이 서버의 저장소에 푸시하고 `include:project`를 쓰거나, 운영자에게 `--include-from {shown}`을 요청하세요"
    ))
}

/// The system's own certificates, read anew each time: they change while a server runs.
fn tls() -> Result<TlsConnector, Error> {
    let named = std::env::var("SSL_CERT_FILE").ok();
    let files = named.as_deref().into_iter().chain(TRUSTED.iter().copied());
    let mut roots = RootCertStore::empty();
    for file in files {
        let found = CertificateDer::pem_file_iter(file).into_iter().flatten().flatten();
        roots.add_parsable_certificates(found);
        if !roots.is_empty() {
            break;
        }
    }
    if roots.is_empty() {
        let say = Text::fixed(
            "this machine has no list of certificates to trust",
            "이 컴퓨터에 신뢰할 인증서 목록이 없습니다",
        );
        return Err(failed(say)
            .hint(Text::fixed("install ca-certificates", "ca-certificates를 설치하세요")));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn exchange<S>(stream: S, uri: &Uri, host: &str, port: u16) -> Result<Vec<u8>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let away = |why: &dyn std::fmt::Display| {
        let host = host.to_owned();
        failed(text!("{host} does not answer properly", "{host}의 응답이 올바르지 않습니다"))
            .why(why)
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::builder()
        .method(Method::GET)
        .uri(path)
        .header(header::HOST, format!("{host}:{port}"))
        .header(header::USER_AGENT, concat!("naru/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| away(&e))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| away(&e))?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|e| away(&e))?;
        let status = response.status();
        if status != StatusCode::OK {
            let (host, number) = (host.to_owned(), status.as_u16());
            return Err(failed(text!(
                "{host} answers {number} instead of a file",
                "{host}이(가) 파일 대신 {number}으로 응답합니다"
            )));
        }
        let limit = usize::try_from(MAX_FILE).unwrap_or(usize::MAX);
        match Limited::new(response.into_body(), limit).collect().await {
            Ok(body) => Ok(body.to_bytes().to_vec()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(failed(text!(
                "the file has more than {limit} bytes",
                "파일이 {limit}바이트를 넘습니다"
            ))),
            Err(error) => Err(away(&error)),
        }
    };
    // The connection ends with the answer, whichever way that goes.
    tokio::select! {
        answer = answer => answer,
        Err(error) = connection => Err(away(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn server(answer: &'static str) -> (String, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        (format!("http://{address}/ci.yml"), address.to_string())
    }

    fn words(got: Got) -> String {
        match got {
            Got::File(bytes) => String::from_utf8(bytes).unwrap(),
            Got::Refused(error) => error.say().en.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn only_hosts_that_are_allowed_are_asked() {
        let (url, host) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na:").await;
        assert!(words(fetch(&url, &[]).await).contains("does not include files from 127.0.0.1"));
        let elsewhere = ["127.0.0.1".to_owned(), "127.0.0.1:1".to_owned()];
        assert!(words(fetch(&url, &elsewhere).await).contains("does not include"));
        assert_eq!(words(fetch(&url, &[host]).await), "a:");
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let (url, host) = server("HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\n\r\n").await;
        assert!(words(fetch(&url, &[host]).await).contains("answers 302"));
    }

    #[tokio::test]
    async fn a_file_without_end_is_refused() {
        let (url, host) = server("HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n").await;
        assert!(words(fetch(&url, &[host]).await).contains("does not answer properly"));
    }
}
