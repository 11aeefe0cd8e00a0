use super::*;
use crate::drive::tests::{fact, open, soon};
use kernel::Time;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use store::clock::Manual;
use store::{Chaos, Filter, Moment};

/// Notes the events it takes in: light ones at once, heavy ones after IO that fails at first.
#[derive(Default)]
struct Notes {
    failures: Arc<AtomicU32>,
}

fn note(seq: u64) -> Write {
    Box::new(move |tx| tx.append(fact("effect").data(json!(seq))).map(drop))
}

impl Taker for Notes {
    fn name(&self) -> &'static str {
        "notes"
    }

    fn cursor(&self) -> (&'static str, &'static str) {
        ("test.cursor", "notes")
    }

    fn want(&self, event: &Event) -> Want {
        match event.fact.kind.as_str() {
            "test.light" => Want::Light(note(event.seq)),
            "test.heavy" => Want::Heavy,
            _ => Want::Nothing,
        }
    }

    fn take<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<Effect>> {
        let left = self.failures.load(Ordering::SeqCst);
        if left > 0 {
            self.failures.store(left - 1, Ordering::SeqCst);
            return Box::pin(std::future::ready(Err(Error::internal("on purpose"))));
        }
        let effect = Effect { write: note(event.seq), held: Some(Box::new("a lease")) };
        Box::pin(std::future::ready(Ok(effect)))
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

/// Takes in what there is, or crashes on the way.
async fn run(dir: &Path, chaos: Option<Arc<Chaos>>, last: u64) -> Store {
    let store = open(dir, &Manual::new(Time(0)), chaos);
    let (stop, reached) = (CancellationToken::new(), Reached::default());
    let task = take(store.clone(), Notes::default(), reached.clone(), stop.clone());
    let mut task = std::pin::pin!(task);
    soon(async {
        tokio::select! {
            () = reached.passed(last) => stop.cancel(),
            _ = &mut task => {}
        }
    })
    .await;
    store
}

const MIXED: [&str; 7] = [
    "test.light",
    "test.none",
    "test.light",
    "test.heavy",
    "test.light",
    "test.heavy",
    "test.light",
];

#[tokio::test]
async fn each_effect_happens_once_and_in_order_with_a_crash_at_every_commit() {
    for moment in [Moment::Before, Moment::After] {
        let mut crashes = 0;
        for at in 1..=6 {
            let dir = tempfile::tempdir().unwrap();
            append(&open(dir.path(), &Manual::new(Time(0)), None), &MIXED).await;
            let chaos = Arc::new(Chaos::new(at, moment));
            drop(run(dir.path(), Some(chaos.clone()), 7).await);
            crashes += usize::from(chaos.crashed());
            let store = run(dir.path(), None, 7).await;
            assert_eq!(effects(&store).await, [1, 3, 4, 5, 6, 7], "{moment:?} commit {at}");
        }
        assert_eq!(crashes, 5, "two and one before a heavy one each, and the last: five commits");
    }
}

#[tokio::test]
async fn what_fails_is_taken_again_and_nothing_behind_it_before() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Manual::new(Time(0));
    let store = open(dir.path(), &clock, None);
    append(&store, &["test.light", "test.heavy", "test.light"]).await;
    let (stop, reached) = (CancellationToken::new(), Reached::default());
    let failures = Arc::new(AtomicU32::new(3));
    let notes = Notes { failures: failures.clone() };
    let task = take(store.clone(), notes, reached.clone(), stop.clone());
    soon(async {
        let mut done = std::pin::pin!(reached.passed(3));
        loop {
            tokio::select! {
                biased;
                () = &mut done => break,
                () = tokio::task::yield_now() => clock.advance(Duration::from_secs(60)),
            }
        }
    })
    .await;
    assert_eq!(failures.load(Ordering::SeqCst), 0);
    assert_eq!(effects(&store).await, [1, 2, 3]);
    stop.cancel();
    soon(task).await.unwrap();
}
