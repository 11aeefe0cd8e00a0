//! Helpers: plans in few words, a world that records what actors do to it, and an engine in a directory.

mod crash;
mod ending;
mod interpreter;
mod live;
mod logs;
mod queue;

use crate::*;
use kernel::{BoxFuture, Clock, Event, Id, Name, Principal, Text, Time};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Chaos, Durability, Store};
use tokio::sync::{Semaphore, watch};

pub(crate) fn step(name: &str, needs: &[&str]) -> Step {
    Step {
        name: name.to_owned(),
        stage: String::new(),
        needs: needs.iter().map(|n| Need { step: (*n).to_owned(), outputs: true }).collect(),
        when: When::OnSuccess,
        allow_failure: false,
        allow_exit_codes: Vec::new(),
        retry: Retry::default(),
        timeout_ms: None,
        group: None,
        interruptible: false,
        action: Action { uses: "fake".into(), with: Value::Null },
    }
}

/// What the fake actor reads from `with`.
pub(crate) fn with(mut step: Step, with: Value) -> Step {
    step.action.with = with;
    step
}

pub(crate) fn new_run(project: &str, steps: Vec<Step>) -> NewRun {
    NewRun {
        kind: "pipeline".into(),
        project: Name::parse(project).unwrap(),
        change: None,
        title: Text::plain("a run"),
        plan: Plan { steps, ..Plan::default() },
        actor: person(),
        labels: Default::default(),
        subject: None,
        priority: 0,
    }
}

pub(crate) fn person() -> Principal {
    Principal::User(Name::parse("minji").unwrap())
}

/// What actors have done, outside of the store: it survives crashes.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Inner>);

#[derive(Default)]
struct Inner {
    calls: watch::Sender<Vec<(String, String, u32)>>,
    gates: Mutex<HashMap<String, Arc<Semaphore>>>,
    busy: Mutex<BTreeMap<String, (usize, usize)>>,
}

impl World {
    fn gate(&self, step: &str) -> Arc<Semaphore> {
        let mut gates = self.0.gates.lock().unwrap();
        gates.entry(step.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(0))).clone()
    }
    /// Lets one held call of this step go on.
    pub(crate) fn release(&self, step: &str) {
        self.gate(step).add_permits(1);
    }
    /// Waits until the step was called `n` times in all.
    pub(crate) async fn called(&self, step: &str, n: usize) {
        let mut calls = self.0.calls.subscribe();
        let many = |all: &Vec<(String, String, u32)>| all.iter().filter(|c| c.1 == step).count();
        soon(calls.wait_for(|all| many(all) >= n)).await.unwrap();
    }
    /// `(key, step, attempt)` in order.
    pub(crate) fn calls(&self) -> Vec<(String, String, u32)> {
        self.0.calls.borrow().clone()
    }
    /// Most calls at a time that named this group.
    pub(crate) fn peak(&self, group: &str) -> usize {
        self.0.busy.lock().unwrap().get(group).map_or(0, |b| b.1)
    }
    fn enter(&self, group: String) -> Busy {
        let mut busy = self.0.busy.lock().unwrap();
        let (now, peak) = busy.entry(group.clone()).or_default();
        *now += 1;
        *peak = (*peak).max(*now);
        Busy(self.clone(), group)
    }
}

struct Busy(World, String);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.busy.lock().unwrap().get_mut(&self.1).unwrap().0 -= 1;
    }
}

/// Does what `with` says: `infra: n` (the first n calls of an attempt), `fails: n` (the first n attempts,
/// with `class`, `exit`), `panic`, `hold` (until released or canceled), `output`, `note`, `group`.
impl Actor for World {
    fn uses(&self) -> &'static str {
        "fake"
    }
    fn act(&self, task: Task) -> BoxFuture<'static, Outcome> {
        let world = self.clone();
        Box::pin(async move {
            let with = task.with.clone();
            let number = |name: &str| with[name].as_u64().unwrap_or(0);
            let _busy = with["group"].as_str().map(|g| world.enter(g.to_owned()));
            let call = (task.key.clone(), task.step.clone(), task.attempt);
            let mut before = 0;
            world.0.calls.send_modify(|all| {
                before = all.iter().filter(|c| **c == call).count() as u64;
                all.push(call);
            });
            if let Some(note) = with["note"].as_str() {
                task.log.note(&Text::plain(note));
            }
            if before < number("infra") {
                return Outcome::Infrastructure { say: Text::plain("no disk") };
            }
            if with["panic"] == json!(true) {
                panic!("as asked");
            }
            if with["hold"] == json!(true) {
                let gate = world.gate(&task.step);
                tokio::select! {
                    permit = gate.acquire() => permit.unwrap().forget(),
                    () = task.cancel.cancelled() => {
                        return Outcome::failed("script", Text::plain("killed"));
                    }
                }
            } else {
                tokio::task::yield_now().await;
            }
            if u64::from(task.attempt) <= number("fails") {
                return Outcome::Failed {
                    class: with["class"].as_str().unwrap_or("script").to_owned(),
                    exit_code: Some(with["exit"].as_i64().unwrap_or(1) as i32),
                    say: Text::plain("exit code 1"),
                    output: Value::Null,
                };
            }
            match &with["output"] {
                Value::Null => Outcome::Done(json!({ "saw": task.outputs })),
                output => Outcome::Done(output.clone()),
            }
        })
    }
}

/// A clock that jumps to wherever somebody waits for.
#[derive(Clone, Default)]
pub(crate) struct Warp(Arc<AtomicI64>);

impl Clock for Warp {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::SeqCst))
    }
    fn sleep_until(&self, at: Time) -> BoxFuture<'static, ()> {
        let now = self.0.clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            now.fetch_max(at.0, Ordering::SeqCst);
        })
    }
}

pub(crate) struct House {
    pub store: Store,
    pub engine: Engine,
}

pub(crate) async fn house(dir: &Path, world: &World, slots: usize) -> House {
    house_with(dir, world, slots, Arc::new(store::clock::System), None).await
}

pub(crate) async fn house_with(
    dir: &Path,
    world: &World,
    slots: usize,
    clock: Arc<dyn Clock>,
    chaos: Option<Arc<Chaos>>,
) -> House {
    let options = store::Options { clock, durability: Durability::Process, chaos };
    let store = Store::open(&dir.join("naru.db"), options).unwrap();
    let engine = Engine::open(Options {
        store: store.clone(),
        dir: dir.join("logs"),
        slots,
        actors: vec![Arc::new(world.clone())],
    })
    .await
    .unwrap();
    House { store, engine }
}

impl House {
    pub(crate) async fn create(&self, steps: Vec<Step>) -> Id {
        self.engine.create(new_run("shop", steps)).await.unwrap()
    }
    /// The next event of this kind after `seq` about the run.
    pub(crate) async fn event(&self, after: u64, kind: &str, run: &Id) -> Arc<Event> {
        let mut feed = self.store.follow(after);
        soon(async {
            loop {
                let event = feed.next().await.unwrap();
                if event.fact.kind == kind && event.fact.data["run"] == json!(run) {
                    return event;
                }
            }
        })
        .await
    }
    pub(crate) async fn finished(&self, run: &Id) -> Run {
        self.event(0, "run.finished", run).await;
        self.engine.show(run).await.unwrap()
    }
    /// Creates, starts, waits.
    pub(crate) async fn run(&self, steps: Vec<Step>) -> Run {
        self.engine.start();
        let id = self.create(steps).await;
        self.finished(&id).await
    }
    pub(crate) async fn count(&self, kind: &str) -> usize {
        let filter = store::Filter { kind: Some(kind.to_owned()), ..Default::default() };
        self.store.read(move |v| v.events(0, 10_000, &filter)).await.unwrap().len()
    }
}

/// Nothing in these tests takes long.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it should have happened")
}

/// `a:passed b:skipped`
pub(crate) fn states(run: &Run) -> String {
    let words: Vec<String> =
        run.steps.iter().map(|s| format!("{}:{}", s.name, s.state.word())).collect();
    words.join(" ")
}
