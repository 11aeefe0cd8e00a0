//! A naru with repositories only, on a free port, and the real git client.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use account::Accounts;
use delivery_git::{Git, Limits, Options, PART};
use kernel::journey::{Fact, Pushed};
use kernel::{Key, Name, Principal};
use naru_http::{Site, SiteOptions};
use policy::{Member, Policy, Project, Role};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use store::{Chaos, Durability, Filter, Put, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

pub fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

pub fn user(words: &str) -> Principal {
    Principal::User(name(words))
}

pub fn limits() -> Limits {
    Limits { answer: Duration::ZERO, ..Limits::default() }
}

/// A server on its data directory. Dropping it stops it.
pub struct World {
    pub data: PathBuf,
    pub store: Store,
    pub accounts: Accounts,
    pub git: Git,
    pub address: SocketAddr,
    stop: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub fn store(data: &Path, chaos: Option<Arc<Chaos>>) -> Store {
    let options =
        store::Options { durability: Durability::Process, chaos, ..store::Options::default() };
    Store::open(&data.join("naru.db"), options).unwrap()
}

/// Projects `shop` (ada owns it, dan develops, vic views) and `bank` (nobody's).
pub async fn populate(store: &Store) {
    let member = |user: &str, role| Member::user(name(user), role);
    let members = vec![
        member("ada", Role::Owner),
        member("dan", Role::Developer),
        member("vic", Role::Viewer),
    ];
    for who in ["ada", "dan", "vic"] {
        let key = Key::global::<account::User>(&name(who));
        let (labels, actor) = (Default::default(), Principal::part("test"));
        let put = Put { key, labels, spec: serde_json::json!({}), expected: None, actor };
        store.write(move |tx| tx.put(put)).await.unwrap();
    }
    for (project, members) in [("shop", members), ("bank", Vec::new())] {
        let spec = serde_json::to_value(Project { members, ..Project::default() }).unwrap();
        let key = Key::global::<Project>(&name(project));
        let put = Put {
            key,
            labels: Default::default(),
            spec,
            expected: None,
            actor: Principal::part("test"),
        };
        store.write(move |tx| tx.put(put)).await.unwrap();
    }
}

impl World {
    pub async fn open(data: &Path, limits: Limits) -> World {
        let store = store(data, None);
        populate(&store).await;
        World::serve(data, store, limits).await
    }

    pub async fn serve(data: &Path, store: Store, limits: Limits) -> World {
        World::try_serve(data, store, limits).await.unwrap()
    }

    pub async fn try_serve(data: &Path, store: Store, limits: Limits) -> kernel::Result<World> {
        World::with_git(data, store, limits, "git".into()).await
    }

    /// With another git program.
    pub async fn with_git(
        data: &Path,
        store: Store,
        limits: Limits,
        git: PathBuf,
    ) -> kernel::Result<World> {
        let accounts = Accounts::open(store.clone()).await?;
        let policy = Policy::new(&accounts);
        let options = Options {
            limits,
            git,
            ..Options::new(store.clone(), policy.clone(), data.join("git"))
        };
        let git = Git::open(options).await?;
        let site = SiteOptions {
            store: store.clone(),
            accounts: accounts.clone(),
            policy,
            kinds: [account::KINDS, policy::KINDS, PART.kinds].concat(),
            routes: PART.routes.to_vec(),
            assets: Vec::new(),
            error_page: None,
        };
        let site = Arc::new(Site::new(site).with(git.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(naru_http::serve(site, listener, stop.clone()));
        Ok(World { data: data.to_owned(), store, accounts, git, address, stop })
    }

    /// A token of somebody's, who has an account from then on.
    pub async fn token(&self, who: &str) -> String {
        let (accounts, key) = (self.accounts.clone(), Key::global::<account::User>(&name(who)));
        let make = move |tx: &mut store::Tx<'_>| {
            if tx.resource(&key)?.is_some() {
                return Ok(());
            }
            let spec = serde_json::json!({});
            let (labels, actor) = (Default::default(), kernel::Principal::part("test"));
            accounts.put(tx, store::Put { key, labels, spec, expected: None, actor }).map(drop)
        };
        self.store.write(make).await.unwrap();
        let label = name(&format!("t{}", self.store.head()));
        self.accounts.create_token(user(who), label, None, user(who)).await.unwrap()
    }

    /// The address of a repository with its credentials.
    pub async fn url(&self, who: &str, path: &str) -> String {
        format!("http://naru:{}@{}/{path}", self.token(who).await, self.address)
    }

    pub async fn pushed(&self) -> Vec<(kernel::Event, Pushed)> {
        let filter = Filter { kind: Some(Pushed::KIND.into()), ..Filter::default() };
        let events = self.store.read(move |v| v.events(0, 10_000, &filter)).await.unwrap();
        events.into_iter().map(|e| (e.clone(), Pushed::of(&e).unwrap())).collect()
    }

    pub fn refs(&self, repository: &str) -> String {
        let dir = self.data.join(format!("git/shop/{repository}.git"));
        if !dir.exists() {
            return String::new();
        }
        let out = std::process::Command::new("git")
            .args(["for-each-ref", "--format=%(refname) %(objectname)"])
            .env("GIT_DIR", dir)
            .output()
            .unwrap();
        String::from_utf8(out.stdout).unwrap()
    }

    /// A request by hand on a connection of its own; the whole answer.
    pub async fn raw(&self, head: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let host = self.address;
        let head = format!("{head}\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A `receive-pack` request by hand.
    pub async fn push_by_hand(&self, token: &str, path: &str, body: &[u8]) -> String {
        use base64::Engine as _;
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("x:{token}"));
        let length = body.len();
        let head = format!(
            "POST /{path}/git-receive-pack HTTP/1.1\r\nAuthorization: Basic {basic}\r\n\
             Content-Type: application/x-git-receive-pack-request\r\nContent-Length: {length}"
        );
        self.raw(&head, body).await
    }
}

/// What the client said.
pub struct Said {
    pub ok: bool,
    pub out: String,
    pub err: String,
}

impl Said {
    #[track_caller]
    pub fn fine(self) -> Said {
        assert!(self.ok, "git failed:\n{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn refused(self, because: &str) -> Said {
        assert!(!self.ok, "git should have failed:\n{}{}", self.out, self.err);
        assert!(self.err.contains(because), "no “{because}” in:\n{}", self.err);
        self
    }
}

pub fn client(dir: &Path) -> tokio::process::Command {
    let mut command = tokio::process::Command::new("git");
    command.current_dir(dir).env_clear().kill_on_drop(true).stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap());
    for (key, value) in [
        ("HOME", "/nonexistent"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_AUTHOR_NAME", "Ada"),
        ("GIT_AUTHOR_EMAIL", "ada@example.org"),
        ("GIT_COMMITTER_NAME", "Ada"),
        ("GIT_COMMITTER_EMAIL", "ada@example.org"),
        ("LC_ALL", "C"),
    ] {
        command.env(key, value);
    }
    command
}

pub async fn git(dir: &Path, args: &[&str]) -> Said {
    let out = client(dir).args(args).output().await.unwrap();
    Said {
        ok: out.status.success(),
        out: String::from_utf8_lossy(&out.stdout).into_owned(),
        err: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}

/// A working copy with one commit of `files`.
pub async fn working_copy(dir: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir_all(dir).unwrap();
    git(dir, &["init", "-q", "-b", "main"]).await.fine();
    commit(dir, files, "first").await;
}

/// One more commit; its id.
pub async fn commit(dir: &Path, files: &[(&str, &str)], message: &str) -> String {
    for (path, words) in files {
        let at = dir.join(path);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, words).unwrap();
    }
    git(dir, &["add", "-A"]).await.fine();
    git(dir, &["commit", "-q", "--allow-empty", "-m", message]).await.fine();
    git(dir, &["rev-parse", "HEAD"]).await.fine().out.trim().to_owned()
}

pub fn pkt(payload: &str) -> String {
    format!("{:04x}{payload}", payload.len() + 4)
}

/// Bytes that do not compress.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(length);
    out
}
