use super::*;
use crate::Backoff;
use kernel::{Event, Key, Name, NewEvent, Principal, Text};
use serde_json::json;
use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::clock::Manual;
use store::{Chaos, Durability, Moment, Put};
use tokio::sync::{Semaphore, mpsc};

pub(crate) fn open(dir: &Path, clock: &Manual, chaos: Option<Arc<Chaos>>) -> Store {
    let options =
        store::Options { clock: Arc::new(clock.clone()), durability: Durability::Process, chaos };
    Store::open(&dir.join("naru.db"), options).unwrap()
}

pub(crate) fn fact(kind: &str) -> NewEvent {
    NewEvent::new(kind, Principal::part("test"), Text::plain(kind))
}

/// Fails the test instead of hanging it.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("nothing happened")
}

type Work = Box<dyn Fn(&str) -> BoxFuture<'static, Result<Next>> + Send + Sync>;

/// Touched by events of the key's own kind.
struct Fake {
    all: Arc<Mutex<VecDeque<Result<Vec<String>>>>>,
    work: Work,
}

impl Fake {
    fn new<F>(work: impl Fn(&str) -> F + Send + Sync + 'static) -> Fake
    where
        F: Future<Output = Result<Next>> + Send + 'static,
    {
        Fake { all: Arc::default(), work: Box::new(move |key| Box::pin(work(key))) }
    }
}

impl Reconciler for Fake {
    type Key = String;
    fn name(&self) -> &'static str {
        "fake"
    }
    fn keys(&self, event: &Event) -> Vec<String> {
        assert_ne!(event.fact.kind, "poison");
        vec![event.fact.kind.clone()]
    }
    fn all(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        let next = self.all.lock().unwrap().pop_front();
        Box::pin(async { next.unwrap_or_else(|| Ok(Vec::new())) })
    }
    fn sync<'a>(&'a self, key: &'a String) -> BoxFuture<'a, Result<Next>> {
        (self.work)(key)
    }
}

struct World {
    _dir: tempfile::TempDir,
    clock: Manual,
    store: Store,
    stop: CancellationToken,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let clock = Manual::new(Time(1_000_000));
    let store = open(dir.path(), &clock, None);
    World { _dir: dir, clock, store, stop: CancellationToken::new() }
}

impl World {
    fn spawn(&self, r: Fake, workers: usize) -> Handle<String> {
        let options = Options { workers, ..Options::default() };
        spawn(self.store.clone(), r, options, self.stop.clone())
    }

    async fn append(&self, kind: &'static str) {
        self.store.write(move |tx| tx.append(fact(kind))).await.unwrap();
    }

    /// Lets time pass until something is received.
    async fn pass<T>(&self, from: &mut mpsc::UnboundedReceiver<T>) -> T {
        soon(async {
            loop {
                match from.try_recv() {
                    Ok(got) => return got,
                    Err(_) => self.clock.advance(Duration::from_millis(10)),
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }
}

/// Tells which keys were synced.
fn telling() -> (Fake, mpsc::UnboundedReceiver<String>) {
    let (tell, told) = mpsc::unbounded_channel();
    let fake = Fake::new(move |key| {
        tell.send(key.to_owned()).unwrap();
        async { Ok(Next::Done) }
    });
    (fake, told)
}

#[tokio::test]
async fn keys_come_from_the_listing_from_events_and_from_pokes() {
    let w = world();
    let (fake, mut told) = telling();
    fake.all.lock().unwrap().push_back(Ok(vec!["listed".into()]));
    w.append("before.the.start").await;
    let handle = w.spawn(fake, 1);
    assert_eq!(soon(told.recv()).await.unwrap(), "listed");
    w.append("thing.happened").await;
    assert_eq!(soon(told.recv()).await.unwrap(), "thing.happened");
    handle.poke("poked".to_owned());
    assert_eq!(soon(told.recv()).await.unwrap(), "poked");
    w.append("poison").await;
    w.append("after.poison").await;
    assert_eq!(soon(told.recv()).await.unwrap(), "after.poison", "one bad event is passed over");
    w.stop.cancel();
    soon(handle.join()).await;
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn what_fails_or_panics_is_tried_again_later_and_later() {
    let w = world();
    let (tell, mut told) = mpsc::unbounded_channel();
    let clock = w.clock.clone();
    let tries = Arc::new(AtomicUsize::new(0));
    let fake = Fake::new(move |_| {
        tell.send(clock.now()).unwrap();
        let n = tries.fetch_add(1, Ordering::SeqCst);
        async move {
            match n {
                0 | 2 => panic!("on purpose"),
                1 | 3 => Err(Error::internal("on purpose")),
                4 => Ok(Next::After(Duration::from_secs(30))),
                _ => Ok(Next::Done),
            }
        }
    });
    let handle = w.spawn(fake, 1);
    handle.poke("key".to_owned());
    let mut times = Vec::new();
    for _ in 0..6 {
        times.push(w.pass(&mut told).await);
    }
    let backoff = Backoff::default();
    let waits = (1..5).map(|n| backoff.wait(n, &"key".to_owned()));
    for (pair, wait) in times.windows(2).zip(waits.chain([Duration::from_secs(30)])) {
        assert!(pair[1].since(pair[0]) >= wait, "{times:?}");
    }
}

#[tokio::test]
async fn a_missed_key_is_found_by_the_slow_listing_and_a_failed_listing_comes_again() {
    let w = world();
    let (fake, mut told) = telling();
    let listings = [Err(Error::internal("on purpose")), Ok(vec!["a".into()]), Ok(vec!["b".into()])];
    fake.all.lock().unwrap().extend(listings);
    let begun = w.clock.now();
    let _handle = w.spawn(fake, 1);
    assert_eq!(w.pass(&mut told).await, "a");
    assert_eq!(w.pass(&mut told).await, "b");
    assert!(w.clock.now().since(begun) >= Options::default().resync);
}

#[tokio::test]
async fn no_more_than_the_workers_and_no_key_twice_at_a_time() {
    let w = world();
    let (tell, mut told) = mpsc::unbounded_channel();
    let (go, at_once) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let most = Arc::new(AtomicUsize::new(0));
    let fake = Fake::new({
        let (go, most) = (go.clone(), most.clone());
        move |key| {
            let (go, at_once, most) = (go.clone(), at_once.clone(), most.clone());
            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tell.send(key.to_owned()).unwrap();
            async move {
                go.acquire().await.unwrap().forget();
                at_once.fetch_sub(1, Ordering::SeqCst);
                Ok(Next::Done)
            }
        }
    });
    let handle = w.spawn(fake, 2);
    for key in ["a", "b", "c", "d"] {
        handle.poke(key.to_owned());
    }
    let mut first = [soon(told.recv()).await.unwrap(), soon(told.recv()).await.unwrap()];
    first.sort();
    assert_eq!(first, ["a", "b"]);
    // While `a` is being synced.
    handle.poke("a".to_owned());
    handle.poke("a".to_owned());
    go.add_permits(5);
    let mut rest = Vec::new();
    for _ in 0..3 {
        rest.push(soon(told.recv()).await.unwrap());
    }
    assert_eq!(rest, ["c", "d", "a"]);
    w.stop.cancel();
    soon(handle.join()).await;
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert!(told.try_recv().is_err(), "touched twice while it ran, it runs once more");
}

#[tokio::test]
async fn the_stop_lets_syncs_under_way_end() {
    let w = world();
    let (tell, mut told) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let ended = Arc::new(AtomicUsize::new(0));
    let fake = Fake::new({
        let (go, ended) = (go.clone(), ended.clone());
        move |_| {
            let (go, ended) = (go.clone(), ended.clone());
            tell.send(()).unwrap();
            async move {
                go.acquire().await.unwrap().forget();
                ended.fetch_add(1, Ordering::SeqCst);
                Ok(Next::Done)
            }
        }
    });
    let handle = w.spawn(fake, 1);
    handle.poke("running".to_owned());
    handle.poke("queued".to_owned());
    soon(told.recv()).await.unwrap();
    w.stop.cancel();
    go.add_permits(2);
    soon(handle.join()).await;
    assert_eq!(ended.load(Ordering::SeqCst), 1, "the queued one is not begun");
}

/// Copies `spec` to `status`.
struct Copy {
    store: Store,
    tell: mpsc::UnboundedSender<Result<Name>>,
}

fn thing(name: &Name) -> Key {
    Key { kind: "Thing".into(), project: None, name: name.clone() }
}

impl Copy {
    async fn copy(&self, name: Name) -> Result<Next> {
        let key = thing(&name);
        let work = move |tx: &mut store::Tx<'_>| {
            let spec = tx.resource(&key)?.map(|r| r.spec).unwrap_or_default();
            tx.put_status(&key, &spec, Principal::part("test")).map(drop)
        };
        let done = self.store.write(work).await;
        // The test may have heard enough.
        let _ = self.tell.send(done.clone().map(|()| name));
        done.map(|()| Next::Done)
    }
}

impl Reconciler for Copy {
    type Key = Name;
    fn name(&self) -> &'static str {
        "copy"
    }
    fn keys(&self, event: &Event) -> Vec<Name> {
        event.fact.subject.iter().map(|key| key.name.clone()).collect()
    }
    fn all(&self) -> BoxFuture<'_, Result<Vec<Name>>> {
        let list = |v: &store::View<'_>| v.resources("Thing", None, None, 100);
        Box::pin(async move {
            Ok(self.store.read(list).await?.into_iter().map(|r| r.key.name).collect())
        })
    }
    fn sync<'a>(&'a self, key: &'a Name) -> BoxFuture<'a, Result<Next>> {
        Box::pin(self.copy(key.clone()))
    }
}

const NAMES: [&str; 3] = ["a", "b", "c"];

async fn put_all(store: &Store) -> Result<()> {
    for (n, name) in NAMES.into_iter().enumerate() {
        let put = Put {
            key: thing(&Name::parse(name)?),
            labels: Default::default(),
            spec: json!(n),
            expected: None,
            actor: Principal::part("test"),
        };
        store.write(move |tx| tx.put(put)).await?;
    }
    Ok(())
}

/// Until all statuses are right, or the store has crashed.
async fn settle(store: Store) -> Result<()> {
    let stop = CancellationToken::new();
    let (tell, mut told) = mpsc::unbounded_channel();
    let copy = Copy { store: store.clone(), tell };
    let handle = spawn(store.clone(), copy, Options::default(), stop.clone());
    let wanted: BTreeSet<Name> = NAMES.iter().map(|n| Name::parse(n).unwrap()).collect();
    let work = async {
        put_all(&store).await?;
        let mut right = BTreeSet::new();
        while right != wanted {
            let name = told.recv().await.expect("the loop has ended")?;
            let key = thing(&name);
            let found = store.read(move |v| v.resource(&key)).await?.unwrap();
            if found.status == found.spec {
                right.insert(name);
            }
        }
        Ok(())
    };
    let done = soon(work).await;
    stop.cancel();
    soon(handle.join()).await;
    done
}

#[tokio::test]
async fn it_converges_after_a_crash_at_any_commit() {
    let mut crashes = 0;
    for moment in [Moment::Before, Moment::After] {
        for at in 1..=12 {
            let dir = tempfile::tempdir().unwrap();
            let clock = Manual::new(Time(0));
            let chaos = Arc::new(Chaos::new(at, moment));
            let first = settle(open(dir.path(), &clock, Some(chaos.clone()))).await;
            assert!(first.is_ok() || chaos.crashed());
            crashes += usize::from(chaos.crashed());
            settle(open(dir.path(), &clock, None)).await.unwrap();
        }
    }
    assert!(crashes >= 12, "{crashes}: three puts and three statuses, each lost before and after");
}
