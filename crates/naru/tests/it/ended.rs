//! An account that is disabled or deleted has nothing open any more, in every protocol: one mechanism ends browser
//! sessions, tokens, streams, fetches and pushes of git in their middle, and terminals. The promise is 5 s.

use crate::shop;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use testkit::{Naru, Repository, request};

const PROMISE: Duration = Duration::from_secs(5);
/// For what has to be there before the account is disabled.
const SETUP: Duration = Duration::from_secs(60);
const CI: &str = "wait: {script: ['echo started; while true; do sleep 0.1; done']}\n";

/// A server with a user `ada`, who is a maintainer of `shop`, and what she has.
pub(crate) struct Hers {
    pub naru: Naru,
    work: Repository,
    token: String,
    cookie: String,
}

impl Hers {
    pub fn new() -> Hers {
        let naru = shop();
        naru.say(&["user", "create", "ada"]).unwrap();
        let members = r#"{"spec":{"members":[{"user":"admin","role":"owner"},{"user":"ada","role":"maintainer"}]}}"#;
        assert_eq!(naru.api("PATCH", "/api/v1/projects/shop", members).unwrap().status, 200);
        // Too much for the buffers between a server and a client that does not read.
        let work = naru.repository("shop", "web", &[(".gitlab-ci.yml", CI)]).unwrap();
        noise(&work.path().join("noise.bin"), 48 * 1024 * 1024);
        work.git(&["add", "."]).unwrap();
        work.git(&["commit", "-qm", "Noise"]).unwrap();
        assert!(work.push(&["naru", "main"]).unwrap().0);
        let token = made(&naru, "laptop");
        let cookie = signed_in(&naru, "ada");
        Hers { naru, work, token, cookie }
    }

    fn ask(&self, header: (&str, &str), path: &str) -> u16 {
        let address = self.naru.address().unwrap();
        let host = address.to_string();
        request(address, &host, "GET", path, &[header], b"").unwrap().status
    }

    fn by_token(&self) -> u16 {
        self.ask(("Authorization", &format!("Bearer {}", self.token)), "/api/v1/me")
    }

    fn by_cookie(&self) -> u16 {
        self.ask(("Cookie", &self.cookie), "/api/v1/me")
    }

    /// A connection on which a request of hers is under way, and the first lines of the answer up to `until`.
    fn open(&self, head: &str, body: &[u8], until: &str) -> BufReader<TcpStream> {
        let address = self.naru.address().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(SETUP)).unwrap();
        let token = &self.token;
        let head = format!("{head}\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut reader = BufReader::new(stream);
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(until) {
            let read = reader.read_until(b'\n', &mut seen).unwrap();
            assert!(read > 0, "no {until}: {}", String::from_utf8_lossy(&seen));
        }
        reader
    }

    pub fn watch(&self) -> BufReader<TcpStream> {
        self.open(
            "GET /api/v1/projects/shop/services?watch=true HTTP/1.1",
            b"",
            "text/event-stream",
        )
    }

    /// A fetch whose client has stopped reading.
    fn fetch(&self) -> BufReader<TcpStream> {
        let head = self.work.git(&["rev-parse", "HEAD"]).unwrap();
        let body = format!("0032want {}\n00000009done\n", head.trim());
        let request = format!(
            "POST /shop/web.git/git-upload-pack HTTP/1.1\r\nContent-Type: application/x-git-upload-pack-request\r\nContent-Length: {}",
            body.len()
        );
        self.open(&request, body.as_bytes(), "NAK")
    }

    /// A push whose client has sent a part of its pack.
    fn push(&self) -> BufReader<TcpStream> {
        let request = "POST /shop/web.git/git-receive-pack HTTP/1.1\r\nContent-Type: application/x-git-receive-pack-request\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue";
        let mut reader = self.open(request, b"", "100 Continue");
        let zero = "0".repeat(40);
        let head = self.work.git(&["rev-parse", "HEAD"]).unwrap();
        let command = format!("{zero} {} refs/heads/late\0report-status", head.trim());
        let lines = format!("{:04x}{command}0000PACK", command.len() + 4);
        write!(reader.get_mut(), "{:x}\r\n{lines}\r\n", lines.len()).unwrap();
        reader
    }

    pub fn terminal(&self) -> BufReader<TcpStream> {
        let naru = &self.naru;
        let runs = naru.json(&["run", "-p", "shop", "list"]).unwrap();
        let run = runs[0]["id"].as_str().unwrap().to_owned();
        let mut log = naru.command(&["run", "-p", "shop", "log", &run, "wait"]);
        let mut log = log.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(log.stdout.take().unwrap()).lines();
        assert!(lines.map(Result::unwrap).any(|line| line == "started"));
        log.kill().unwrap();
        log.wait().unwrap();
        let request = format!(
            "POST /api/v1/projects/shop/runs/{run}/steps/wait/attach HTTP/1.1\r\nContent-Length: 0\r\nConnection: upgrade\r\nUpgrade: naru-pty"
        );
        self.open(&request, b"", "101 Switching")
    }
}

/// Bytes that do not compress, the same each time.
fn noise(file: &std::path::Path, size: usize) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    std::fs::write(file, bytes).unwrap();
}

fn made(naru: &Naru, name: &str) -> String {
    let made = naru.json(&["token", "create", name, "--for", "ada"]).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

/// Somebody's cookie, by a one-time link.
pub(crate) fn signed_in(naru: &Naru, who: &str) -> String {
    let body = serde_json::json!({ "for": who }).to_string();
    let link = naru.api("POST", "/api/v1/sign-in-links", &body).unwrap();
    let path = link.json().unwrap()["path"].as_str().unwrap().to_owned();
    let address = naru.address().unwrap();
    let answer = request(address, &address.to_string(), "GET", &path, &[], b"").unwrap();
    let cookie = answer
        .head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, value)| name.eq_ignore_ascii_case("set-cookie") && value.contains("session"))
        .map(|(_, value)| value.split(';').next().unwrap().to_owned());
    cookie.unwrap_or_else(|| panic!("{}", answer.head))
}

/// Reads a connection until the server has closed it, which is to happen before `until`; gives what came.
pub(crate) fn closed(mut reader: BufReader<TcpStream>, until: Instant, what: &str) -> Vec<u8> {
    let mut all = Vec::new();
    let mut piece = vec![0_u8; 64 * 1024];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "{what} is still open after {PROMISE:?}");
        reader.get_ref().set_read_timeout(Some(left)).unwrap();
        match reader.read(&mut piece) {
            Ok(0) => return all,
            Ok(n) => all.extend_from_slice(&piece[..n]),
            Err(e) if e.kind() == ErrorKind::WouldBlock || e.kind() == ErrorKind::TimedOut => {}
            Err(_) => return all,
        }
    }
}

const ADA: &str = "/api/v1/users/ada";

/// Everything open of hers ends when `end` is done, and none of it comes to its proper end.
fn ends_everything(hers: &Hers, end: impl FnOnce(&Naru)) {
    assert_eq!((hers.by_token(), hers.by_cookie()), (200, 200));
    let streams = [
        (hers.watch(), "a watch"),
        (hers.fetch(), "a fetch"),
        (hers.push(), "a push"),
        (hers.terminal(), "a terminal"),
    ];
    end(&hers.naru);
    let until = Instant::now() + PROMISE;
    assert_eq!((hers.by_token(), hers.by_cookie()), (401, 401));
    for (stream, what) in streams {
        let rest = closed(stream, until, what);
        assert!(what != "a fetch" || rest.len() < 40 * 1024 * 1024, "the pack broke off");
        assert!(what != "a push" || !rest.starts_with(b"HTTP/1.1 200"), "the push was refused");
        if what == "a watch" {
            assert!(!rest.ends_with(b"0\r\n\r\n"), "nobody takes it for a proper end");
        }
    }
}

#[test]
fn a_disabled_account_has_nothing_open_and_starts_anew_when_it_comes_back() {
    let hers = Hers::new();
    ends_everything(&hers, |naru| {
        let off = naru.api("PATCH", ADA, r#"{"spec":{"disabled":true}}"#).unwrap();
        assert_eq!(off.status, 200, "{}", off.body);
    });
    let home = hers.naru.data().join("git/shop/web.git");
    let refs = hers.work.git(&["ls-remote", home.to_str().unwrap()]).unwrap();
    assert!(refs.contains("refs/heads/main") && !refs.contains("refs/heads/late"), "{refs}");
    let on = hers.naru.api("PATCH", ADA, r#"{"spec":{"disabled":false}}"#).unwrap();
    assert_eq!(on.status, 200, "{}", on.body);
    assert_eq!((hers.by_token(), hers.by_cookie()), (401, 401), "what has ended stays so");
    let hers =
        Hers { token: made(&hers.naru, "again"), cookie: signed_in(&hers.naru, "ada"), ..hers };
    assert_eq!((hers.by_token(), hers.by_cookie()), (200, 200));

    ends_everything(&hers, |naru| assert_eq!(naru.api("DELETE", ADA, "").unwrap().status, 204));
    let again = hers.naru.api("PUT", ADA, r#"{"spec":{}}"#).unwrap();
    assert_eq!((again.status, &again.json().unwrap()["code"]), (409, &"account.retired".into()));
}

#[test]
fn a_revoked_token_ends_what_it_opened_and_nothing_else() {
    let naru = shop();
    naru.say(&["user", "create", "ada"]).unwrap();
    let members =
        r#"{"spec":{"members":[{"user":"admin","role":"owner"},{"user":"ada","role":"viewer"}]}}"#;
    assert_eq!(naru.api("PATCH", "/api/v1/projects/shop", members).unwrap().status, 200);
    let work = naru.repository("shop", "web", &[("a", "b")]).unwrap();
    let (token, other) = (made(&naru, "one"), made(&naru, "two"));
    let hers = Hers { cookie: signed_in(&naru, "ada"), token: token.clone(), work, naru };
    let stream = hers.watch();
    let hers = Hers { token: other, ..hers };
    let kept = hers.watch();
    let address = hers.naru.address().unwrap();
    let bearer = format!("Bearer {token}");
    let header = [("Authorization", bearer.as_str())];
    let gone = request(address, &address.to_string(), "DELETE", "/api/v1/tokens/one", &header, b"");
    assert_eq!(gone.unwrap().status, 204, "who ends his own token hears that it has ended");
    closed(stream, Instant::now() + PROMISE, "a watch of the revoked token");
    assert_eq!((hers.by_token(), hers.by_cookie()), (200, 200));
    let spec = r#"{"spec":{"command":"sleep 1000","replicas":0}}"#;
    hers.naru.api("PUT", "/api/v1/projects/shop/services/worker", spec).unwrap();
    let line = kept.lines().map_while(Result::ok).find(|line| line.contains("worker"));
    assert!(line.is_some(), "the other token's watch goes on");
}
