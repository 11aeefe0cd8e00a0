use super::*;
use crate::drive::tests::{fact, open, soon};
use kernel::Time;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use store::clock::Manual;
use store::{Chaos, Filter, Moment};
use tokio::sync::Semaphore;

/// Events name their lane; those of `slow` wait for a permit.
struct Echo {
    slow: Arc<Semaphore>,
    /// Panics and failures to come, one for each.
    broken: Mutex<Vec<bool>>,
    ahead: Mutex<Vec<u64>>,
}

impl Echo {
    fn new(permits: usize) -> Echo {
        let slow = Arc::new(Semaphore::new(permits));
        Echo { slow, broken: Mutex::default(), ahead: Mutex::default() }
    }
}

impl Worker for Arc<Echo> {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn cursor(&self) -> (&'static str, &'static str) {
        ("test.cursor", "echo")
    }

    fn lane(&self, event: &Event) -> Option<String> {
        event.fact.kind.strip_prefix("test.").map(str::to_owned)
    }

    fn ahead<'a>(&'a self, events: &'a [Arc<Event>]) -> BoxFuture<'a, Result<()>> {
        self.ahead.lock().unwrap().extend(events.iter().map(|e| e.seq));
        Box::pin(std::future::ready(Ok(())))
    }

    fn work<'a>(&'a self, event: &'a Event, turn: &'a Turn) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if event.fact.kind == "test.slow" {
                self.slow.acquire().await.unwrap().forget();
            }
            let broken = self.broken.lock().unwrap().pop();
            match broken {
                Some(true) => panic!("on purpose"),
                Some(false) => return Err(kernel::Error::internal("on purpose")),
                None => {}
            }
            let seq = event.seq;
            let effect =
                move |tx: &mut Tx<'_>| tx.append(fact("effect").data(json!(seq))).map(drop);
            turn.once(effect).await.map(drop)
        })
    }
}

async fn append(store: &Store, kinds: &[&'static str]) {
    let kinds = kinds.to_vec();
    let all = move |tx: &mut Tx<'_>| kinds.iter().try_for_each(|k| tx.append(fact(k)).map(drop));
    store.write(all).await.unwrap();
}

async fn effects(store: &Store) -> Vec<u64> {
    let filter = Filter { kind: Some("effect".into()), ..Filter::default() };
    let events = store.read(move |v| v.events(0, 10_000, &filter)).await.unwrap();
    events.iter().filter_map(|e| e.fact.data.as_u64()).collect()
}

async fn count(store: &Store, wanted: usize) {
    let mut feed = store.follow(0);
    let mut left = wanted;
    while left > 0 {
        left -= usize::from(feed.next().await.unwrap().fact.kind == "effect");
    }
}

/// The cursor, and how many events beyond it are done.
async fn place(store: &Store) -> (u64, usize) {
    let read = |v: &store::View<'_>| {
        let cursor = v.row::<u64>("test.cursor", "echo")?.unwrap_or(0);
        Ok((cursor, v.rows::<()>(DONE, "", None, 100)?.len()))
    };
    store.read(read).await.unwrap()
}

#[tokio::test]
async fn a_lane_that_hangs_holds_up_no_other_and_nothing_is_done_twice() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), &Manual::new(Time(0)), None);
    append(&store, &["test.slow", "test.a", "other", "test.b", "test.slow", "test.a"]).await;
    let (echo, stop) = (Arc::new(Echo::new(0)), CancellationToken::new());
    let task = lanes(store.clone(), echo.clone(), stop.clone());
    soon(count(&store, 3)).await;
    let mut done = effects(&store).await;
    assert!(done.iter().position(|s| *s == 2) < done.iter().position(|s| *s == 6), "{done:?}");
    done.sort_unstable();
    assert_eq!(done, [2, 4, 6]);
    assert_eq!(place(&store).await, (0, 3));
    assert_eq!(*echo.ahead.lock().unwrap(), [1, 2, 4, 5, 6], "whatever is begun beside another");
    stop.cancel();
    soon(task).await.unwrap();
    // The next life knows what is done, and goes on with the rest.
    let (echo, stop) = (Arc::new(Echo::new(2)), CancellationToken::new());
    let task = lanes(store.clone(), echo, stop.clone());
    soon(count(&store, 5)).await;
    assert_eq!(effects(&store).await[3..], [1, 5]);
    append(&store, &["test.a"]).await;
    soon(count(&store, 6)).await;
    assert_eq!(place(&store).await, (store.head() - 1, 0), "what the cursor passed is not kept");
    stop.cancel();
    soon(task).await.unwrap();
}

async fn run(dir: &Path, chaos: Option<Arc<Chaos>>, last: usize) -> Store {
    let store = open(dir, &Manual::new(Time(0)), chaos);
    let stop = CancellationToken::new();
    let mut task = lanes(store.clone(), Arc::new(Echo::new(100)), stop.clone());
    soon(async {
        tokio::select! {
            () = async { let _ = tokio::spawn(all_of(store.clone(), last)).await; } => stop.cancel(),
            _ = &mut task => {}
        }
    })
    .await;
    store
}

/// Ends early when the store does.
async fn all_of(store: Store, wanted: usize) {
    let mut feed = store.follow(0);
    let mut left = wanted;
    while left > 0 {
        let Ok(event) = feed.next().await else { return };
        left -= usize::from(event.fact.kind == "effect");
    }
}

#[tokio::test]
async fn each_effect_happens_once_with_a_crash_at_every_commit() {
    let kinds = ["test.slow", "test.a", "test.b", "test.a", "test.slow", "test.c"];
    for moment in [Moment::Before, Moment::After] {
        for at in 1..=6 {
            let dir = tempfile::tempdir().unwrap();
            append(&open(dir.path(), &Manual::new(Time(0)), None), &kinds).await;
            let chaos = Arc::new(Chaos::new(at, moment));
            drop(run(dir.path(), Some(chaos), 6).await);
            let store = run(dir.path(), None, 6).await;
            let mut done = effects(&store).await;
            let at_of = |seq: u64| done.iter().position(|s| *s == seq).unwrap();
            assert!(at_of(2) < at_of(4) && at_of(1) < at_of(5), "{done:?}");
            done.sort_unstable();
            assert_eq!(done, [1, 2, 3, 4, 5, 6], "{moment:?} commit {at}");
        }
    }
}

#[tokio::test]
async fn what_fails_or_panics_is_worked_on_again() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Manual::new(Time(0));
    let store = open(dir.path(), &clock, None);
    append(&store, &["test.a", "test.a"]).await;
    let (echo, stop) = (Arc::new(Echo::new(0)), CancellationToken::new());
    *echo.broken.lock().unwrap() = vec![false, true, false];
    let task = lanes(store.clone(), echo, stop.clone());
    soon(async {
        let mut done = std::pin::pin!(count(&store, 2));
        loop {
            tokio::select! {
                biased;
                () = &mut done => break,
                () = tokio::task::yield_now() => clock.advance(Duration::from_secs(60)),
            }
        }
    })
    .await;
    assert_eq!(effects(&store).await, [1, 2]);
    stop.cancel();
    soon(task).await.unwrap();
}
