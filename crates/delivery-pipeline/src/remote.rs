//! Files of other servers, for `include:remote`: only from hosts that the operator of this server allows, each
//! within bounds of size and time. Redirects are not followed, because they lead where nobody allowed.

use crate::gitlab::{Got, MAX_FILE};
use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use kernel::{Error, Text, text};
use outgoing::Outgoing;
use std::time::Duration;

/// For one file, from the first packet to the last.
const PATIENCE: Duration = Duration::from_secs(10);

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
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(usual);
    if !allowed(hosts, host, port, usual) {
        return Err(refused(host));
    }
    let request = Outgoing { uri: &uri, method: Method::GET, headers: &[], body: Bytes::new() };
    let limit = usize::try_from(MAX_FILE).unwrap_or(usize::MAX);
    let (status, body) = outgoing::ask(request, limit).await.map_err(about_the_file)?;
    if status != StatusCode::OK {
        let (host, number) = (host.to_owned(), status.as_u16());
        return Err(failed(text!(
            "{host} answers {number} instead of a file",
            "{host}이(가) 파일 대신 {number}으로 응답합니다"
        )));
    }
    Ok(body)
}

/// What is wrong with the other server is wrong with the include.
fn about_the_file(error: Error) -> Error {
    let again = failed(error.say().clone()).why(error.get_why().unwrap_or_default());
    match error.get_hint() {
        Some(hint) => again.hint(hint.clone()),
        None => again,
    }
}

/// The host that a file is of, when it is none of `hosts`.
pub fn stranger(url: &str, hosts: &[String]) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let host = uri.host()?;
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(usual);
    let named = if port == usual { host.to_owned() } else { format!("{host}:{port}") };
    (!allowed(hosts, host, port, usual)).then_some(named)
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
    let shown = kernel::shown(host);
    failed(text!(
        "this server does not include files from {shown}",
        "이 서버는 {shown}에 있는 파일을 포함하지 않습니다"
    ))
    .hint(text!(
        "push the file to a repository here and use `include:project`, or ask the operator for `--include-from {shown}`",
        "파일을 이 서버의 저장소에 푸시하고 `include:project`를 쓰거나, 운영자에게 `--include-from {shown}`을 요청하세요"
    ))
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
