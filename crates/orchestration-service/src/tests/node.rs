//! A server that can be stopped, killed at a commit, and started again.

use super::fakes::{Balancer, Commits};
use crate::{Limits, Options, ServiceKey, Services};
use kernel::journey::{Fact, PipelineFinished, Pushed, RolloutFinished, Verdict, change_name};
use kernel::{Event, Key, Name, NewEvent, Principal, Text};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{Chaos, Durability, Put, Store};
use tokio_util::sync::CancellationToken;

pub fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

/// A commit id out of a short word of hex.
pub fn commit(word: &str) -> String {
    word.repeat(40).chars().take(40).collect()
}

/// Answers every request with `body` and `status`.
pub fn app(status: &str, body: &str) -> String {
    format!(
        r#"
import os, signal, socket, sys
def bye(*_):
    print("bye", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, bye)
print("serving {body} as", os.environ["NARU_RELEASE"], flush=True)
s = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    c, _ = s.accept()
    c.recv(4096)
    c.sendall(b"HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}")
    c.close()
"#,
        body.len()
    )
}

/// The manifest of a service `web` that runs `app.py`; `more` is indented by two.
pub fn manifest(more: &str) -> String {
    format!(
        "kind: Service\nname: web\nspec:\n  command: /usr/bin/python3 -S app.py\n  health: {{path: /healthz, interval: 100ms}}\n  restart: {{first: 20ms}}\n{more}"
    )
}

pub struct Node {
    dir: Arc<tempfile::TempDir>,
    pub store: Store,
    pub host: host::Host,
    pub engine: run::Engine,
    pub services: Services,
    pub blobs: blob::Blobs,
    pub edge: Balancer,
    pub commits: Commits,
    stop: CancellationToken,
    loops: Option<crate::Loops>,
}

impl Node {
    pub async fn new() -> Node {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let node = Node::open(dir, Balancer::new(), Commits::default(), None).await.unwrap();
        node.prepare().await;
        node
    }

    /// On an existing directory; the store dies as `chaos` says, which may be before it is open.
    pub async fn open(
        dir: Arc<tempfile::TempDir>,
        edge: Balancer,
        commits: Commits,
        chaos: Option<Arc<Chaos>>,
    ) -> kernel::Result<Node> {
        let options =
            store::Options { durability: Durability::Process, chaos, ..store::Options::default() };
        let store = Store::open(&dir.path().join("naru.db"), options)?;
        let host = host(dir.path()).await;
        edge.with(host.clone());
        let blobs = blob::Blobs::open(&dir.path().join("blobs"), store.clone()).await?;
        let services = Services::open(Options {
            store: store.clone(),
            blobs: blobs.clone(),
            host: host.clone(),
            source: Arc::new(commits.clone()),
            edge: Arc::new(edge.clone()),
            secrets: None,
            identity: Some(Arc::new(super::fakes::Signer::default())),
            policy: None,
            dir: dir.path().to_owned(),
            limits: Limits { instance_log: 64 << 10, ..Limits::default() },
        })
        .await?;
        let engine = run::Engine::open(run::Options {
            store: store.clone(),
            dir: dir.path().join("runs"),
            slots: 8,
            actors: services.actors(),
        })
        .await?;
        let stop = CancellationToken::new();
        let loops = Some(services.start(engine.clone(), stop.clone()));
        engine.start();
        Ok(Node { dir, store, host, engine, services, blobs, edge, commits, stop, loops })
    }

    pub async fn prepare(&self) {
        let spec = serde_json::to_value(policy::Project::default()).unwrap();
        self.put(Key::global::<policy::Project>(&name("shop")), spec).await;
    }

    pub async fn put(&self, key: Key, spec: serde_json::Value) {
        let labels = {
            let key = key.clone();
            let found = self.store.read(move |v| v.resource(&key)).await.unwrap();
            found.map(|f| f.labels).unwrap_or_default()
        };
        let actor = Principal::User(name("kim"));
        let put = Put { key, labels, spec, expected: None, actor };
        self.store.write(move |tx| tx.put(put)).await.unwrap();
    }

    /// Shuts the server down without a word to the instances, and starts it again.
    pub async fn restart(self) -> Node {
        let (dir, edge, commits) = (self.dir.clone(), self.edge.clone(), self.commits.clone());
        self.halt().await;
        edge.forget();
        Node::open(dir, edge, commits, None).await.unwrap()
    }

    /// The same, with facts that came while it was down.
    pub async fn restart_after(self, events: impl IntoIterator<Item = NewEvent>) -> Node {
        let (dir, edge, commits) = (self.dir.clone(), self.edge.clone(), self.commits.clone());
        let store = self.store.clone();
        self.halt().await;
        for event in events {
            store.write(move |tx| tx.append(event)).await.unwrap();
        }
        drop(store);
        Node::open(dir, edge, commits, None).await.unwrap()
    }

    pub async fn halt(mut self) {
        self.stop.cancel();
        self.engine.drain().await;
        self.loops.take().unwrap().join().await;
    }

    /// The loops end first, so that nobody acts upon the event.
    pub async fn halt_after(mut self, event: NewEvent) -> u64 {
        self.stop.cancel();
        self.engine.drain().await;
        self.loops.take().unwrap().join().await;
        self.store.write(move |tx| tx.append(event)).await.unwrap()
    }

    /// The commit is pushed.
    pub async fn push(&self, commit: &str) -> u64 {
        let pushed = Pushed {
            repository: name("web"),
            refname: "refs/heads/main".into(),
            branch: Some("main".into()),
            default_branch: true,
            before: None,
            after: Some(commit.to_owned()),
            received: self.store.now(),
            head: None,
            commits: Vec::new(),
            options: Vec::new(),
        };
        self.append(&pushed, commit).await
    }

    /// The commit's pipeline passed on the default branch.
    pub async fn pass(&self, commit: &str) -> u64 {
        self.append(&passed(commit), commit).await
    }

    pub async fn append(&self, fact: &impl Fact, commit: &str) -> u64 {
        let event = event(fact, commit);
        self.store.write(move |tx| tx.append(event)).await.unwrap()
    }

    /// A commit with these files arrives and its pipeline passes. The event's sequence.
    pub async fn deliver(&self, word: &str, manifest: &str, app: &str) -> u64 {
        let id = commit(word);
        self.commits.add(&id, &[("naru.yaml", manifest), ("app.py", app)]);
        self.push(&id).await;
        self.pass(&id).await
    }

    /// The first event after `seq` of a fact for which `wanted` holds.
    pub async fn until<F: Fact>(&self, seq: u64, wanted: impl Fn(&F) -> bool) -> (Event, F) {
        let mut feed = self.store.follow(seq);
        let wait = async {
            loop {
                let event = feed.next().await.unwrap();
                if let Some(fact) = F::of(&event).filter(|f| wanted(f)) {
                    return ((*event).clone(), fact);
                }
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        match waited {
            Ok(found) => found,
            Err(_) => panic!("no {} came; events: {:#?}", F::KIND, self.kinds(seq).await),
        }
    }

    async fn kinds(&self, seq: u64) -> Vec<String> {
        let events = self.events(seq).await;
        events.iter().map(|e| format!("{} {} {}", e.seq, e.fact.kind, e.fact.say)).collect()
    }

    pub async fn events(&self, seq: u64) -> Vec<Event> {
        self.store.read(move |v| v.events(seq, 10_000, &Default::default())).await.unwrap()
    }

    /// How the rollout after `seq` of that release ended.
    pub async fn rolled_out(&self, seq: u64, release: &str) -> RolloutFinished {
        self.until::<RolloutFinished>(seq, |f| f.release.as_str() == release).await.1
    }

    /// Delivers, and waits until it serves.
    pub async fn live(&self, word: &str, manifest: &str, app: &str, release: &str) {
        let seq = self.deliver(word, manifest, app).await;
        let done = self.rolled_out(seq, release).await;
        assert_eq!(done.verdict, Verdict::Passed, "{:?}", done.reason);
    }

    pub fn key(&self) -> ServiceKey {
        ServiceKey::new(&name("shop"), &name("web"))
    }

    pub async fn view(&self) -> crate::ServiceView {
        self.services.show(&name("shop"), &name("web")).await.unwrap()
    }

    /// Where the token of an instance lies.
    pub fn token(&self, workload: &str) -> std::path::PathBuf {
        self.dir.path().join("instances").join(workload).join("id-tokens/SHOP_TOKEN")
    }

    /// Returns when nothing is left of an instance but its log.
    pub async fn gone(&self, workload: &str) {
        let crew = self.services.yard.crew(&self.key());
        assert!(crew.wait_for(Duration::from_secs(20), |c| c.member(workload).is_none()).await);
    }

    /// Ids of the workloads that run.
    pub fn running(&self) -> Vec<String> {
        let all = self.host.all().into_iter().filter(|w| w.exit().is_none());
        all.map(|w| w.id().to_owned()).collect()
    }
}

async fn host(dir: &Path) -> host::Host {
    let options =
        host::Options { dir: dir.join("host"), shim: host::testing::shim(), hidden: Vec::new() };
    host::Host::open(options).await.unwrap()
}

pub fn passed(commit: &str) -> PipelineFinished {
    PipelineFinished {
        repository: name("web"),
        commit: commit.to_owned(),
        branch: Some("main".into()),
        default_branch: true,
        run: None,
        verdict: Verdict::Passed,
        reason: None,
        layers: Vec::new(),
        deploys: true,
        by: None,
    }
}

pub fn event(fact: &impl Fact, commit: &str) -> NewEvent {
    let event = fact.event(Principal::part("test"), Text::plain("test")).unwrap();
    event.project(&name("shop")).change(change_name(&name("web"), commit))
}

impl Drop for Node {
    /// Nothing outlives its test; a server that was only halted leaves its instances to the next one.
    fn drop(&mut self) {
        if self.loops.is_none() {
            return;
        }
        self.stop.cancel();
        for workload in self.host.all() {
            let kill = async move { workload.kill().await };
            std::thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let limit = Duration::from_secs(5);
                let _ =
                    runtime.unwrap().block_on(async { tokio::time::timeout(limit, kill).await });
            })
            .join()
            .unwrap();
        }
    }
}
