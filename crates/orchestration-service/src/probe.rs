//! Asking an instance whether it can serve: a TCP connection, or one HTTP/1.1 request over it.

use crate::kind::Service;
use kernel::{Text, text};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Between the first probes of an instance that starts.
const FIRST: Duration = Duration::from_millis(5);
/// The longest pause between two probes of an instance that is not ready yet.
const STARTING: Duration = Duration::from_millis(250);
/// The longest status line that is read.
const LINE: usize = 1024;

/// What to ask, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub address: SocketAddr,
    /// `None`: accepting a connection is enough.
    pub path: Option<String>,
    pub host: String,
    pub interval: Duration,
    pub timeout: Duration,
    pub failures: u32,
}

impl Probe {
    pub fn new(address: SocketAddr, host: String, config: &Service) -> Probe {
        let health = config.health.clone().unwrap_or_default();
        Probe {
            address,
            path: config.health.as_ref().map(|h| h.path.clone()),
            host,
            interval: health.interval.0,
            timeout: health.timeout.0,
            failures: health.failures,
        }
    }

    /// # Errors
    /// What a developer can use: which probe, and how it failed.
    pub async fn ask(&self) -> Result<(), Text> {
        match tokio::time::timeout(self.timeout, self.exchange()).await {
            Ok(answer) => answer,
            Err(_) => {
                let what = self.what();
                let limit = kernel::time::show_duration(self.timeout);
                Err(text!("{what} gave no answer within {limit}", "{what}: {limit} 안에 응답 없음"))
            }
        }
    }

    /// Probes from a few milliseconds on until the first good answer. Pauses grow with the time gone by, and
    /// not faster: an instance that took a second to start must not wait for another one to be noticed.
    ///
    /// # Errors
    /// How the last probe failed, when none is good `within` that time.
    pub async fn first_answer(&self, within: Duration) -> Result<(), Text> {
        let mut last = Text::fixed("it was not asked", "확인하지 못함");
        let began = tokio::time::Instant::now();
        let longest = STARTING.min(self.interval);
        let asking = async {
            while let Err(why) = self.ask().await {
                last = why;
                let pause = (began.elapsed() / 8).clamp(FIRST, longest.max(FIRST));
                tokio::time::sleep(pause).await;
            }
        };
        let answered = tokio::time::timeout(within, asking).await.is_ok();
        if answered { Ok(()) } else { Err(last) }
    }

    /// Probes at the interval; returns why when too many failed in a row.
    pub async fn loses_health(&self) -> Text {
        let mut failed = 0;
        loop {
            tokio::time::sleep(self.interval).await;
            match self.ask().await {
                Ok(()) => failed = 0,
                Err(why) => {
                    failed += 1;
                    if failed >= self.failures {
                        return why;
                    }
                }
            }
        }
    }

    async fn exchange(&self) -> Result<(), Text> {
        let port = self.address.port();
        let mut stream = TcpStream::connect(self.address).await.map_err(|e| match e.kind() {
            std::io::ErrorKind::ConnectionRefused => {
                text!("nothing listens on $PORT ({port})", "$PORT({port})에서 듣는 프로세스가 없음")
            }
            _ => text!("no connection to port {port}: {e}", "{port}번 포트에 연결할 수 없음: {e}"),
        })?;
        let Some(path) = &self.path else { return Ok(()) };
        let what = self.what();
        let broke = |e: std::io::Error| text!("{what} broke off: {e}", "{what}: 연결이 끊김: {e}");
        let _ = stream.set_nodelay(true);
        let host = &self.host;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: naru-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.map_err(broke)?;
        let mut line = Vec::with_capacity(256);
        while !line.contains(&b'\n') && line.len() < LINE {
            if stream.read_buf(&mut line).await.map_err(broke)? == 0 {
                break;
            }
        }
        match status(&line) {
            Some(200..=399) => Ok(()),
            Some(status) => Err(text!("{what} answered {status}", "{what}: 상태 코드 {status}")),
            None => Err(text!("{what} did not answer in HTTP/1", "{what}: HTTP/1 응답이 아님")),
        }
    }

    /// `GET /healthz`, or the bare connection.
    fn what(&self) -> String {
        match &self.path {
            Some(path) => format!("GET {path}"),
            None => format!("TCP {}", self.address),
        }
    }
}

/// The code of a status line (RFC 9112 §4).
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let code = rest.get(2..5)?;
    std::str::from_utf8(code).ok()?.parse().ok().filter(|c| (100..=599).contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::net::TcpListener;

    #[test]
    fn status_lines() {
        for (line, want) in [
            ("HTTP/1.1 200 OK\r\n", Some(200)),
            ("HTTP/1.0 503 Service Unavailable\r\n", Some(503)),
            ("HTTP/1.1 999 ", None),
            ("HTTP/2 200", None),
            ("SSH-2.0-OpenSSH", None),
            ("", None),
        ] {
            assert_eq!(status(line.as_bytes()), want, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) { status(&bytes); }
    }

    /// A server that answers every connection with these bytes, or takes it and says nothing.
    async fn server(answer: Option<&'static str>) -> Probe {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                if let Some(answer) = answer {
                    let mut head = [0; 1024];
                    let _ = stream.read(&mut head).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                } else {
                    kept.push(stream);
                }
            }
        });
        Probe {
            address,
            path: Some("/healthz".into()),
            host: "web".into(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(200),
            failures: 3,
        }
    }

    #[tokio::test]
    async fn each_failure_says_what_was_asked_and_what_came() {
        assert_eq!(server(Some("HTTP/1.1 204 No Content\r\n\r\n")).await.ask().await, Ok(()));
        for (answer, want) in [
            (Some("HTTP/1.1 500 Oops\r\n\r\n"), "GET /healthz answered 500"),
            (Some("hello\n"), "GET /healthz did not answer in HTTP/1"),
            (None, "GET /healthz gave no answer within 200 ms"),
        ] {
            let said = server(answer).await.ask().await.unwrap_err();
            assert_eq!(said.en, want);
        }
        let mut gone = server(None).await;
        gone.address.set_port(host::free_port().unwrap());
        let said = gone.ask().await.unwrap_err();
        assert!(said.en.starts_with("nothing listens on $PORT"), "{said}");
        let accepting = Probe { path: None, ..server(None).await };
        assert_eq!(accepting.ask().await, Ok(()));
    }
}
