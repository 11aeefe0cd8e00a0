//! The two ports.

use host::Host;
use kernel::journey::Commit;
use kernel::port::{Edge, Identity, Metadata, RouteSet, Source, TreeEntry, Upstream};
use kernel::{BoxFuture, Error, Name, Result};
use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

/// Commits are maps from paths to contents.
#[derive(Clone, Default)]
pub struct Commits(Arc<Mutex<HashMap<String, BTreeMap<String, String>>>>);

impl Commits {
    pub fn add(&self, commit: &str, files: &[(&str, &str)]) {
        let files = files.iter().map(|(p, c)| ((*p).to_owned(), (*c).to_owned())).collect();
        self.0.lock().unwrap().insert(commit.to_owned(), files);
    }
    fn files(&self, commit: &str) -> Result<BTreeMap<String, String>> {
        let found = self.0.lock().unwrap().get(commit).cloned();
        found.ok_or_else(|| Error::not_found("commit.unknown", kernel::text!("no commit", "없음")))
    }
}

impl Source for Commits {
    fn tree<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Vec<TreeEntry>>> {
        unimplemented!()
    }
    fn file<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        commit: &'a str,
        path: &'a str,
        _: u64,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            Ok(self.files(commit)?.get(path).map(|words| words.clone().into_bytes()))
        })
    }
    fn checkout<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        commit: &'a str,
        dir: &'a Path,
        _: Metadata,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for (path, words) in self.files(commit)? {
                let path = dir.join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, words).unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            }
            Ok(())
        })
    }
    fn commit<'a>(&'a self, _: &'a Name, _: &'a Name, _: &'a str) -> BoxFuture<'a, Result<Commit>> {
        unimplemented!()
    }
    fn changed<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        _: Option<&'a str>,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>>> {
        unimplemented!()
    }
    fn merge_base<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        unimplemented!()
    }
    fn git_dir(&self, _: &Name, _: &Name) -> PathBuf {
        unimplemented!()
    }
}

/// "Signs" with a number, so that a token is told from the one before.
#[derive(Default)]
pub struct Signer(std::sync::atomic::AtomicU64);

impl Identity for Signer {
    fn issuer(&self) -> String {
        "https://naru.example".into()
    }
    fn sign<'a>(
        &'a self,
        mut claims: serde_json::Value,
        life: Duration,
    ) -> BoxFuture<'a, Result<String>> {
        claims["jti"] = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst).into();
        claims["life"] = life.as_secs().into();
        Box::pin(std::future::ready(Ok(claims.to_string())))
    }
    fn job_token(&self, _: &str) -> String {
        unimplemented!()
    }
}

/// What the edge was told, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Publish {
        service: String,
        instances: Vec<String>,
    },
    Withdraw(String),
    /// An instance is to be drained; whether it still runs.
    Drain {
        instance: String,
        alive: bool,
    },
}

#[derive(Default)]
struct Table {
    sets: BTreeMap<(String, String), Vec<Upstream>>,
    under_way: HashMap<String, usize>,
    told: Vec<Told>,
    turn: usize,
}

/// An edge that balances requests in turn and drains for real.
#[derive(Clone)]
pub struct Balancer {
    table: Arc<Mutex<Table>>,
    host: Arc<Mutex<Option<Host>>>,
    moved: watch::Sender<u64>,
    /// While true no drain ends.
    hold: watch::Sender<bool>,
}

impl Balancer {
    pub fn new() -> Balancer {
        Balancer {
            table: Arc::default(),
            host: Arc::default(),
            moved: watch::Sender::new(0),
            hold: watch::Sender::new(false),
        }
    }
    pub fn with(&self, host: Host) {
        *self.host.lock().unwrap() = Some(host);
    }
    pub fn told(&self) -> Vec<Told> {
        self.table.lock().unwrap().told.clone()
    }
    pub fn forget(&self) {
        *self.table.lock().unwrap() = Table::default();
    }
    pub fn hold(&self, hold: bool) {
        self.hold.send_replace(hold);
    }
    pub fn upstreams(&self, service: &str) -> Vec<Upstream> {
        let table = self.table.lock().unwrap();
        table.sets.get(&("shop".to_owned(), service.to_owned())).cloned().unwrap_or_default()
    }
    /// Waits until the set of a service is as wanted.
    pub async fn until(&self, service: &str, done: impl Fn(&[Upstream]) -> bool) -> Vec<Upstream> {
        let mut moved = self.moved.subscribe();
        let wait = async {
            loop {
                moved.borrow_and_update();
                let now = self.upstreams(service);
                if done(&now) {
                    return now;
                }
                moved.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        waited
            .unwrap_or_else(|_| panic!("the set of {service} stays {:?}", self.upstreams(service)))
    }

    /// One request through the edge; the answer's body.
    pub async fn get(&self, service: &str) -> std::io::Result<String> {
        let chosen = {
            let mut table = self.table.lock().unwrap();
            table.turn += 1;
            let turn = table.turn;
            let set = table.sets.get(&("shop".to_owned(), service.to_owned()));
            let set = set.cloned().unwrap_or_default();
            let chosen = set.get(turn % set.len().max(1)).cloned();
            if let Some(up) = &chosen {
                *table.under_way.entry(up.instance.clone()).or_default() += 1;
            }
            chosen
        };
        let Some(up) = chosen else { return Err(std::io::Error::other("503: nobody is ready")) };
        let answer = exchange(&up).await;
        *self.table.lock().unwrap().under_way.get_mut(&up.instance).unwrap() -= 1;
        self.moved.send_modify(|n| *n += 1);
        answer
    }
}

async fn exchange(up: &Upstream) -> std::io::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(up.address).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(std::io::Error::other(answer)),
    }
}

impl Edge for Balancer {
    fn publish(&self, set: RouteSet) {
        let mut table = self.table.lock().unwrap();
        table.told.push(Told::Publish {
            service: set.service.to_string(),
            instances: set.upstreams.iter().map(|u| u.instance.clone()).collect(),
        });
        table.sets.insert((set.project.to_string(), set.service.to_string()), set.upstreams);
        drop(table);
        self.moved.send_modify(|n| *n += 1);
    }
    fn withdraw(&self, project: &Name, service: &Name) {
        let mut table = self.table.lock().unwrap();
        table.told.push(Told::Withdraw(service.to_string()));
        table.sets.remove(&(project.to_string(), service.to_string()));
        drop(table);
        self.moved.send_modify(|n| *n += 1);
    }
    fn drain<'a>(&'a self, instance: &'a str, limit: Duration) -> BoxFuture<'a, usize> {
        let host = self.host.lock().unwrap().clone();
        let alive = host.and_then(|h| h.find(instance)).is_some_and(|w| w.exit().is_none());
        let told = Told::Drain { instance: instance.to_owned(), alive };
        self.table.lock().unwrap().told.push(told);
        let count = || self.table.lock().unwrap().under_way.get(instance).copied().unwrap_or(0);
        Box::pin(async move {
            let (mut moved, mut hold) = (self.moved.subscribe(), self.hold.subscribe());
            let drained = async {
                hold.wait_for(|held| !held).await.unwrap();
                while count() > 0 {
                    moved.changed().await.unwrap();
                }
            };
            let _ = tokio::time::timeout(limit, drained).await;
            count()
        })
    }
    fn url(&self, project: &Name, service: &Name) -> String {
        format!("http://{service}.{project}.localhost:8000")
    }
}
