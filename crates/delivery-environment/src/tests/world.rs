//! A server with nothing but this part, on a clock that the test moves.

use crate::place::Place;
use crate::{Environments, Limits, Options};
use kernel::journey::{EnvironmentAction, EnvironmentDeployed, Fact, Pushed, change_name};
use kernel::port::{Edge, RouteSet};
use kernel::{BoxFuture, Event, Id, Key, Name, NewEvent, Principal, Result, Text, Time};
use run::{Actor, Engine, NewRun, Outcome, Plan, Step, Task};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::clock::Manual;
use store::{Chaos, Durability, Put, Store};
use tokio_util::sync::CancellationToken;

pub fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

pub const START: Time = Time(1_764_000_000_000);
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Notes routes, and says that services were used when the test does.
#[derive(Clone, Default)]
pub struct Notebook {
    pub routes: Arc<Mutex<BTreeMap<String, RouteSet>>>,
    pub used: Arc<Mutex<BTreeMap<String, Time>>>,
}

impl Edge for Notebook {
    fn publish(&self, set: RouteSet) {
        self.routes.lock().unwrap().insert(set.service.to_string(), set);
    }
    fn withdraw(&self, _: &Name, service: &Name) {
        self.routes.lock().unwrap().remove(service.as_str());
    }
    fn drain<'a>(&'a self, _: &'a str, _: Duration) -> BoxFuture<'a, usize> {
        Box::pin(async { 0 })
    }
    fn url(&self, project: &Name, service: &Name) -> String {
        format!("http://{service}.{project}.localhost:8000")
    }
    fn last_use(&self, _: &Name, service: &Name) -> Option<Time> {
        self.used.lock().unwrap().get(service.as_str()).copied()
    }
}

/// The stop job: passes, or does not.
#[derive(Clone, Default)]
pub struct StopJob {
    pub fails: Arc<Mutex<bool>>,
    pub runs: Arc<Mutex<u32>>,
}

impl Actor for StopJob {
    fn uses(&self) -> &'static str {
        "stop"
    }
    fn act(&self, _: Task) -> BoxFuture<'static, Outcome> {
        *self.runs.lock().unwrap() += 1;
        let fails = *self.fails.lock().unwrap();
        Box::pin(async move {
            match fails {
                true => Outcome::failed("script", Text::plain("exit code 1")),
                false => Outcome::Done(serde_json::Value::Null),
            }
        })
    }
}

pub struct World {
    pub store: Store,
    pub clock: Manual,
    pub edge: Notebook,
    pub job: StopJob,
    pub blobs: blob::Blobs,
    pub part: Environments,
    pub engine: Engine,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl World {
    pub async fn new(dir: &Path) -> World {
        let world = World::open(dir, None).await.unwrap();
        world.prepare().await;
        world
    }

    /// On an existing directory; the store dies as `chaos` says.
    pub async fn open(dir: &Path, chaos: Option<Arc<Chaos>>) -> Result<World> {
        let clock = Manual::new(START);
        let options = store::Options {
            clock: Arc::new(clock.clone()),
            durability: Durability::Process,
            chaos,
        };
        let store = Store::open(&dir.join("naru.db"), options)?;
        let blobs = blob::Blobs::open(&dir.join("blobs"), store.clone()).await?;
        let job = StopJob::default();
        let engine = Engine::open(run::Options {
            store: store.clone(),
            dir: dir.join("runs"),
            slots: 2,
            actors: vec![Arc::new(job.clone())],
        })
        .await?;
        let edge = Notebook::default();
        let part = Environments::open(Options {
            store: store.clone(),
            blobs: blobs.clone(),
            engine: engine.clone(),
            edge: Arc::new(edge.clone()),
            limits: Limits { environments: 2 },
        })?;
        let stop = CancellationToken::new();
        let task = part.start(stop.clone()).await;
        engine.start();
        Ok(World { store, clock, edge, job, blobs, part, engine, stop, task })
    }

    pub async fn prepare(&self) {
        let key = Key::global::<policy::Project>(&name("shop"));
        let spec = serde_json::to_value(policy::Project::default()).unwrap();
        let actor = Principal::User(name("kim"));
        let put = Put { key, labels: Default::default(), spec, expected: None, actor };
        self.store.write(move |tx| tx.put(put)).await.unwrap();
    }

    pub async fn halt(self) {
        self.stop.cancel();
        self.engine.drain().await;
        let _ = self.task.await;
    }

    /// A run whose only step is manual and stops the environment.
    pub async fn run(&self) -> Id {
        let step = serde_json::json!({
            "name": "stop it", "when": "manual", "allow_failure": true, "action": { "uses": "stop" }
        });
        let step: Step = serde_json::from_value(step).unwrap();
        let new = NewRun {
            kind: "pipeline".into(),
            project: name("shop"),
            change: None,
            title: Text::plain("a pipeline"),
            plan: Plan { steps: vec![step], ..Plan::default() },
            actor: Principal::User(name("kim")),
            labels: Default::default(),
            subject: None,
            priority: 0,
        };
        self.engine.create(new).await.unwrap()
    }

    /// A job has deployed.
    pub async fn deploy(&self, title: &str, change: impl FnOnce(&mut EnvironmentDeployed)) -> u64 {
        let mut fact = EnvironmentDeployed {
            repository: name("web"),
            commit: COMMIT.into(),
            refname: "refs/heads/fix".into(),
            run: Id::new(START.0, 7),
            step: "review".into(),
            name: title.into(),
            url: None,
            tier: None,
            action: EnvironmentAction::Start,
            on_stop: None,
            auto_stop_ms: None,
            layers: Vec::new(),
        };
        change(&mut fact);
        self.tell(&fact).await
    }

    pub async fn tell(&self, fact: &impl Fact) -> u64 {
        let event = say(fact);
        self.store.write(move |tx| tx.append(event)).await.unwrap()
    }

    pub async fn delete_branch(&self, branch: &str) -> u64 {
        self.tell(&Pushed {
            repository: name("web"),
            refname: format!("refs/heads/{branch}"),
            branch: Some(branch.into()),
            default_branch: false,
            before: Some(COMMIT.into()),
            after: None,
            received: self.store.now(),
            head: None,
            commits: Vec::new(),
            options: Vec::new(),
        })
        .await
    }

    pub async fn place(&self, environment: &str) -> Option<Place> {
        let environment = name(environment);
        self.store.read(move |v| Place::load(v, &name("shop"), &environment)).await.unwrap()
    }

    /// Waits until the environment is as wanted.
    pub async fn until(&self, environment: &str, done: impl Fn(&Place) -> bool) -> Place {
        let mut feed = self.store.follow(self.store.head());
        let wait = async {
            loop {
                if let Some(place) = self.place(environment).await.filter(&done) {
                    return place;
                }
                feed.next().await.unwrap();
            }
        };
        match tokio::time::timeout(Duration::from_secs(20), wait).await {
            Ok(place) => place,
            Err(_) => panic!("{:#?}\n{:#?}", self.place(environment).await, self.kinds().await),
        }
    }

    /// The first event of that kind after `seq`.
    pub async fn event(&self, seq: u64, kind: &str) -> Event {
        let mut feed = self.store.follow(seq);
        let wait = async {
            loop {
                let event = feed.next().await.unwrap();
                if event.fact.kind == kind {
                    return (*event).clone();
                }
            }
        };
        match tokio::time::timeout(Duration::from_secs(20), wait).await {
            Ok(event) => event,
            Err(_) => panic!("no {kind}; {:#?}", self.kinds().await),
        }
    }

    pub async fn count(&self, kind: &str) -> usize {
        let kind = kind.to_owned();
        let all = self.store.read(|v| v.events(0, 10_000, &Default::default())).await.unwrap();
        all.iter().filter(|e| e.fact.kind == kind).count()
    }

    async fn kinds(&self) -> Vec<String> {
        let all = self.store.read(|v| v.events(0, 10_000, &Default::default())).await.unwrap();
        all.iter().map(|e| format!("{} {} {}", e.seq, e.fact.kind, e.fact.say.en)).collect()
    }
}

pub fn say(fact: &impl Fact) -> NewEvent {
    let event = fact.event(Principal::User(name("kim")), Text::plain("told")).unwrap();
    event.project(&name("shop")).change(change_name(&name("web"), COMMIT))
}
