use super::*;
use crate::drive::tests::{fact, open, soon};
use kernel::Time;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use store::clock::Manual;
use store::{Chaos, Moment};

async fn append(store: &Store, kind: &'static str, count: usize) {
    let all = move |tx: &mut Tx<'_>| (0..count).try_for_each(|_| tx.append(fact(kind)).map(drop));
    store.write(all).await.unwrap();
}

fn tests_only() -> Filter {
    Filter { kind: Some("test.".into()), ..Filter::default() }
}

/// The effect of an event: another one that names it.
fn effect(event: &Event, tx: &mut Tx<'_>) -> Result<()> {
    tx.append(fact("effect").data(json!(event.seq))).map(drop)
}

async fn effects(store: &Store) -> Vec<u64> {
    let filter = Filter { kind: Some("effect".into()), ..Filter::default() };
    let events = store.read(move |v| v.events(0, 10_000, &filter)).await.unwrap();
    events.iter().filter_map(|e| e.fact.data.as_u64()).collect()
}

async fn cursor(store: &Store) -> u64 {
    store.read(|v| v.row(CURSORS, "test")).await.unwrap().unwrap_or(0)
}

/// Waits for that many effects from the journal's start; `false` when the follower ends before.
async fn wait(store: &Store, follower: &mut JoinHandle<()>, count: usize) -> bool {
    let mut feed = store.follow(0);
    let seen = async {
        let mut left = count;
        while left > 0 {
            left -= usize::from(feed.next().await.unwrap().fact.kind == "effect");
        }
    };
    soon(async {
        tokio::select! {
            () = seen => true,
            ended = follower => { ended.unwrap(); false }
        }
    })
    .await
}

async fn run(dir: &Path, chaos: Option<Arc<Chaos>>, count: usize) -> Store {
    let store = open(dir, &Manual::new(Time(0)), chaos);
    let stop = CancellationToken::new();
    let mut follower = follow_some(store.clone(), "test", tests_only(), effect, stop.clone());
    if wait(&store, &mut follower, count).await {
        stop.cancel();
        soon(follower).await.unwrap();
    }
    store
}

#[tokio::test]
async fn each_effect_happens_once_with_a_crash_at_every_commit() {
    const EVENTS: usize = 150;
    for moment in [Moment::Before, Moment::After] {
        let mut crashes = 0;
        for at in 1..=4 {
            let dir = tempfile::tempdir().unwrap();
            append(&open(dir.path(), &Manual::new(Time(0)), None), "test.event", EVENTS).await;
            let chaos = Arc::new(Chaos::new(at, moment));
            drop(run(dir.path(), Some(chaos.clone()), EVENTS).await);
            crashes += usize::from(chaos.crashed());
            let store = run(dir.path(), None, EVENTS).await;
            let wanted: Vec<u64> = (1..=EVENTS as u64).collect();
            assert_eq!(effects(&store).await, wanted, "crash {moment:?} commit {at}");
        }
        assert_eq!(crashes, 3, "64 + 64 + 22 events: three commits");
    }
}

#[tokio::test]
async fn a_bad_event_holds_up_those_behind_it_and_none_before() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Manual::new(Time(0));
    let store = open(dir.path(), &clock, None);
    append(&store, "test.event", 6).await;
    let tries = Arc::new(AtomicU32::new(0));
    let handle = {
        let tries = tries.clone();
        move |event: &Event, tx: &mut Tx<'_>| {
            effect(event, tx)?;
            match (event.seq, tries.load(Ordering::SeqCst)) {
                (4, n @ 0..3) => {
                    tries.store(n + 1, Ordering::SeqCst);
                    assert!(n > 0, "the first time it panics");
                    Err(Error::internal("on purpose"))
                }
                _ => Ok(()),
            }
        }
    };
    let stop = CancellationToken::new();
    let follower = follow_some(store.clone(), "test", tests_only(), handle, stop.clone());
    soon(async {
        while effects(&store).await.len() < 6 {
            if tries.load(Ordering::SeqCst) < 3 {
                assert!(effects(&store).await.iter().all(|seq| *seq < 4));
            }
            clock.advance(std::time::Duration::from_millis(50));
        }
    })
    .await;
    assert_eq!(effects(&store).await, [1, 2, 3, 4, 5, 6]);
    stop.cancel();
    soon(follower).await.unwrap();
}

#[tokio::test]
async fn events_of_no_concern_cost_no_commit() {
    let dir = tempfile::tempdir().unwrap();
    let never = Arc::new(Chaos::new(u64::MAX, Moment::Before));
    let store = open(dir.path(), &Manual::new(Time(0)), Some(never.clone()));
    let stop = CancellationToken::new();
    let mut follower = follow_some(store.clone(), "test", tests_only(), effect, stop.clone());
    append(&store, "other", 300).await;
    append(&store, "test.event", 1).await;
    assert!(wait(&store, &mut follower, 1).await);
    assert_eq!(never.seen(), 3, "two appends and one effect");
    assert_eq!(cursor(&store).await, 301);
    // Its own effect is of no concern either, so nothing happens any more until many have passed.
    append(&store, "other", 2000).await;
    append(&store, "test.event", 1).await;
    assert!(wait(&store, &mut follower, 2).await);
    assert_eq!(effects(&store).await, [301, 2303]);
    stop.cancel();
    soon(follower).await.unwrap();
}

#[tokio::test]
async fn of_two_followers_with_one_name_only_one_acts() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Manual::new(Time(0));
    let store = open(dir.path(), &clock, None);
    append(&store, "test.event", 100).await;
    let stop = CancellationToken::new();
    let start = || follow_some(store.clone(), "test", tests_only(), effect, stop.clone());
    let (mut one, two) = (start(), start());
    assert!(wait(&store, &mut one, 100).await);
    append(&store, "test.event", 1).await;
    assert!(wait(&store, &mut one, 101).await);
    stop.cancel();
    soon(one).await.unwrap();
    soon(two).await.unwrap();
    let mut wanted: Vec<u64> = (1..=100).collect();
    wanted.push(201);
    assert_eq!(effects(&store).await, wanted);
}
