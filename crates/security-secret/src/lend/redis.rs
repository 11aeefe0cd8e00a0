//! Users of Redis' access control list, over its own protocol (RESP2). Redis has no end of its own for them and
//! forgets them when it starts anew.

use super::{Lender, New, Server, failed};
use kernel::{BoxFuture, Error, Result, SecretText, Time};
use percent_encoding::percent_decode_str;
use ring::digest;
use std::time::Duration;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream,
};
use tokio::net::TcpStream;

pub(super) struct Redis;

/// For one conversation.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a line, and of one text of an answer.
const LONGEST: u64 = 64 * 1024;
/// Texts of one answer.
const MOST: usize = 100_000;

fn no(why: impl std::fmt::Display) -> Error {
    failed(Lender::Redis, why)
}

/// `redis://[user[:password]@]host[:port][/…]`, or `rediss` for TLS.
#[derive(Debug, PartialEq)]
struct Place {
    tls: bool,
    host: String,
    port: u16,
    login: Vec<String>,
    /// What stands behind the port.
    rest: String,
}

impl Place {
    fn read(at: &SecretText) -> Result<Place> {
        let wrong =
            || no("its connection is no URL such as rediss://admin:…@cache.example.com:6379");
        let (scheme, rest) = at.reveal().split_once("://").ok_or_else(wrong)?;
        let tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(wrong()),
        };
        let (authority, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (host, port) =
            match place.rsplit_once(':').filter(|(h, _)| !h.contains(':') || h.ends_with(']')) {
                Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
                None => (place, 6379),
            };
        let host = host.trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(wrong());
        }
        let word = |w: &str| {
            percent_decode_str(w).decode_utf8().map(|w| w.into_owned()).map_err(|_| wrong())
        };
        let login = match login.split_once(':') {
            Some(("", password)) => vec![word(password)?],
            Some((user, password)) => vec![word(user)?, word(password)?],
            None => Vec::new(),
        };
        Ok(Place { tls, host, port, login, rest: rest.to_owned() })
    }

    fn url(&self, who: &str, password: &SecretText) -> SecretText {
        let Place { host, port, rest, .. } = self;
        let (scheme, password) = (if self.tls { "rediss" } else { "redis" }, password.reveal());
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        SecretText::new(format!("{scheme}://{who}:{password}@{host}:{port}{rest}"))
    }

    async fn ask(&self, command: &[&str]) -> Result<Answer> {
        let away = || no(format!("{}:{} cannot be reached", kernel::shown(&self.host), self.port));
        let talk = async {
            let stream =
                TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|_| away())?;
            let here = stream.peer_addr().is_ok_and(|a| a.ip().is_loopback());
            match self.tls {
                true => self.talk(outgoing::secure(stream, &self.host).await?, command).await,
                false if here => self.talk(stream, command).await,
                false => Err(no("it is not on this machine: its connection has to be rediss://")),
            }
        };
        tokio::time::timeout(PATIENCE, talk).await.map_err(|_| no("it does not answer"))?
    }

    async fn talk<S>(&self, stream: S, command: &[&str]) -> Result<Answer>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut stream = BufStream::new(stream);
        if !self.login.is_empty() {
            let login: Vec<&str> = self.login.iter().map(String::as_str).collect();
            exchange(&mut stream, &[&["AUTH"][..], &login].concat()).await?;
        }
        exchange(&mut stream, command).await
    }
}

/// What was answered; a complaint is an error.
#[derive(Debug, PartialEq)]
struct Answer(Vec<String>);

async fn exchange<S>(stream: &mut S, command: &[&str]) -> Result<Answer>
where
    S: AsyncBufRead + AsyncWrite + Unpin + Send,
{
    let broken = |_| no("the connection broke off");
    let mut words = format!("*{}\r\n", command.len());
    for word in command {
        words.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(words.as_bytes()).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut texts = Vec::new();
    let mut left = 1_usize;
    while left > 0 {
        left -= 1;
        let line = line(stream).await?;
        let odd = || no("it speaks another protocol");
        let (kind, rest) = line.split_at_checked(1).ok_or_else(odd)?;
        match kind {
            "+" | ":" => texts.push(rest.to_owned()),
            "-" => return Err(no(kernel::shown(rest))),
            "$" => texts.push(text_of(stream, rest.parse().map_err(|_| odd())?).await?),
            "*" => left += rest.parse::<usize>().ok().filter(|n| *n <= MOST).ok_or_else(odd)?,
            _ => return Err(odd()),
        }
        if texts.len() + left > MOST {
            return Err(odd());
        }
    }
    Ok(Answer(texts))
}

async fn line(stream: &mut (impl AsyncBufRead + Unpin + Send)) -> Result<String> {
    let mut line = String::new();
    let read = stream.take(LONGEST).read_line(&mut line).await;
    read.map_err(|_| no("the connection broke off"))?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(no("the connection broke off")),
    }
}

/// `length` bytes and the end of the line; -1 is nothing.
async fn text_of(stream: &mut (impl AsyncBufRead + Unpin + Send), length: i64) -> Result<String> {
    let Ok(length) = u64::try_from(length) else { return Ok(String::new()) };
    if length > LONGEST {
        return Err(no("its answer is too long"));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(no)? + 2];
    stream.read_exact(&mut bytes).await.map_err(|_| no("the connection broke off"))?;
    bytes.truncate(bytes.len() - 2);
    String::from_utf8(bytes).map_err(|_| no("its answer is no text"))
}

impl Server for Redis {
    fn make<'a>(&'a self, at: &'a SecretText, new: New<'a>) -> BoxFuture<'a, Result<SecretText>> {
        Box::pin(async move {
            let New { who, password, grant, .. } = new;
            let place = Place::read(at)?;
            let hash = digest::digest(&digest::SHA256, password.reveal().as_bytes());
            let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
            let hash = format!("#{hash}");
            let mut command = vec!["ACL", "SETUSER", who, "reset", "on", &hash];
            command.extend(grant.iter().map(String::as_str));
            place.ask(&command).await?;
            Ok(place.url(who, password))
        })
    }

    fn extend<'a>(&'a self, _: &'a SecretText, _: &'a str, _: Time) -> BoxFuture<'a, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// What it had open is closed by Redis itself.
    fn drop_account<'a>(&'a self, at: &'a SecretText, who: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { Place::read(at)?.ask(&["ACL", "DELUSER", who]).await.map(drop) })
    }

    fn accounts<'a>(
        &'a self,
        at: &'a SecretText,
        (begin, end): (&'a str, &'a str),
    ) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            let Answer(users) = Place::read(at)?.ask(&["ACL", "USERS"]).await?;
            let ours = |name: &String| name.starts_with(begin) && name.ends_with(end);
            Ok(users.into_iter().filter(ours).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places() {
        let read = |words: &str| Place::read(&SecretText::new(words)).ok();
        let place = read("rediss://ad%40min:p%3Aw@cache:7000/2").unwrap();
        assert_eq!((place.tls, place.host.as_str(), place.port), (true, "cache", 7000));
        assert_eq!(place.login, ["ad@min", "p:w"]);
        assert_eq!(
            place.url("naru_x", &SecretText::new("pw")).reveal(),
            "rediss://naru_x:pw@cache:7000/2"
        );
        assert_eq!(read("redis://:pw@[::1]:1").unwrap().login, ["pw"]);
        assert_eq!(read("redis://[::1]").unwrap().port, 6379);
        for wrong in ["", "redis://", "http://x", "redis://x:port", "redis://:@"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    async fn hear(answer: &[u8]) -> Result<Answer> {
        let (mut here, there) = tokio::io::duplex(1 << 16);
        here.write_all(answer).await.unwrap();
        // Half of it stays open, so that what is asked can be written.
        here.shutdown().await.unwrap();
        exchange(&mut BufStream::new(there), &["PING"]).await
    }

    #[tokio::test]
    async fn answers() {
        assert_eq!(hear(b"+OK\r\n").await.unwrap(), Answer(vec!["OK".into()]));
        let two = hear(b"*2\r\n$1\r\na\r\n$-1\r\n").await.unwrap();
        assert_eq!(two, Answer(vec!["a".into(), String::new()]));
        let error = hear(b"-NOPERM this user has no permissions\r\n").await.unwrap_err();
        assert!(error.say().en.contains("NOPERM"), "{error}");
        for broken in
            [&b""[..], b"+OK", b"*999999999\r\n", b"$99999999\r\n", b"?\r\n", b"\r\n", b"$3\r\na"]
        {
            assert!(hear(broken).await.is_err(), "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let _ = runtime.block_on(hear(&bytes));
        }
    }
}
