use super::*;
use crate::lease::{Lease, Leases, NewLease, Revoker};
use kernel::{BoxFuture, Error, Text};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use store::{Filter, Moment};
use tokio_util::sync::CancellationToken;

/// A database that refuses so many times; what is in it are its users.
#[derive(Clone, Default)]
struct Database {
    refuses: Arc<Mutex<u32>>,
    asked: Arc<Mutex<u32>>,
    users: Arc<Mutex<BTreeMap<String, ()>>>,
}

impl Revoker for Database {
    fn kind(&self) -> &'static str {
        "database"
    }
    fn revoke<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            *self.asked.lock().unwrap() += 1;
            let mut refuses = self.refuses.lock().unwrap();
            if *refuses > 0 {
                *refuses -= 1;
                return Err(Error::conflict(
                    "database.away",
                    Text::fixed("it is away", "없습니다"),
                ));
            }
            self.users.lock().unwrap().remove(&lease.subject);
            Ok(())
        })
    }
}

fn new(subject: &str) -> NewLease {
    NewLease {
        project: Name::parse("shop").unwrap(),
        kind: "database".into(),
        subject: subject.into(),
        holder: Principal::User(Name::parse("han").unwrap()),
        life: Duration::from_secs(3600),
        of: None,
        borrower: None,
    }
}

/// Moves the clock from one appointment to the next until no lease is left, or the store has died.
async fn until_empty(store: &Store, clock: &Manual, chaos: Option<&Chaos>) {
    let mut feed = store.follow(0);
    loop {
        if chaos.is_some_and(Chaos::crashed) {
            return;
        }
        match store.read(|v| Leases::list_in(v, None)).await {
            Ok(left) if left.is_empty() => return,
            Ok(_) => {}
            Err(_) => return,
        }
        tokio::select! {
            _ = feed.next() => {}
            () = tokio::time::sleep(Duration::from_millis(1)) => { clock.skip(); }
        }
    }
}

async fn kinds(store: &Store) -> Vec<String> {
    let filter = Filter { kind: Some("lease.".into()), ..Filter::default() };
    let events = store.read(move |v| v.events(0, 1000, &filter)).await.unwrap();
    events.into_iter().map(|e| e.fact.kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_failures_do_not_stop_it() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Manual::default());
    let store = store(dir.path(), &clock, None);
    let database = Database { refuses: Arc::new(Mutex::new(100)), ..Database::default() };
    database.users.lock().unwrap().insert("naru_1".into(), ());
    let lease = store.write(|tx| Leases::grant_in(tx, new("naru_1"))).await.unwrap();
    let leases = Leases::new(store.clone(), vec![Arc::new(database.clone())]);
    let stop = CancellationToken::new();
    let handle = leases.start(stop.clone());
    until_empty(&store, &clock, None).await;
    assert!(database.users.lock().unwrap().is_empty());
    assert_eq!(*database.asked.lock().unwrap(), 101);
    assert!(store.now() >= lease.expires, "not before its time");
    // At most five minutes between two attempts: a hundred take less than nine hours.
    assert!(store.now().since(lease.expires) < Duration::from_secs(9 * 3600));
    let told = kinds(&store).await;
    assert_eq!(told.first().unwrap(), "lease.granted");
    assert_eq!(told.last().unwrap(), "lease.revoked");
    assert_eq!(told.iter().filter(|k| *k == "lease.stuck").count(), 7, "1, 2, 4 … 64");
    stop.cancel();
    handle.join().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_ends_one_does_not_wait_for_its_time() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Manual::default());
    let store = store(dir.path(), &clock, None);
    let database = Database::default();
    let leases = Leases::new(store.clone(), vec![Arc::new(database.clone())]);
    let stop = CancellationToken::new();
    let handle = leases.start(stop.clone());
    let lease = store.write(|tx| Leases::grant_in(tx, new("naru_1"))).await.unwrap();
    let (shop, other) = (Name::parse("shop").unwrap(), Name::parse("other").unwrap());
    let by = Principal::part("test");
    let error = leases.end(&other, &lease.id, by.clone()).await.unwrap_err();
    assert_eq!(error.code(), "lease.unknown");
    leases.end(&shop, &lease.id, by).await.unwrap();
    let mut feed = store.follow(0);
    while feed.next().await.unwrap().fact.kind != "lease.revoked" {}
    assert_eq!(store.now(), lease.made);
    assert_eq!(*database.asked.lock().unwrap(), 1);
    stop.cancel();
    handle.join().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_commit_leaves_nothing_lent() {
    for moment in [Moment::Before, Moment::After] {
        for at in 1.. {
            let (dir, clock) = (tempfile::tempdir().unwrap(), Manual::default());
            let database = Database { refuses: Arc::new(Mutex::new(3)), ..Database::default() };
            let chaos = Arc::new(Chaos::new(at, moment));
            for life in [Some(chaos.clone()), None] {
                let store = store(dir.path(), &clock, life.clone());
                let granted = store.write(|tx| Leases::grant_in(tx, new("naru_1"))).await;
                if granted.is_ok() {
                    database.users.lock().unwrap().insert("naru_1".into(), ());
                }
                let leases = Leases::new(store.clone(), vec![Arc::new(database.clone())]);
                let stop = CancellationToken::new();
                let handle = leases.start(stop.clone());
                until_empty(&store, &clock, life.as_deref()).await;
                stop.cancel();
                handle.join().await;
            }
            assert!(database.users.lock().unwrap().is_empty(), "{moment:?} {at}");
            if !chaos.crashed() {
                assert!(at > 4);
                break;
            }
        }
    }
}
