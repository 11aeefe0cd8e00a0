use super::*;
use kernel::{Key, Name, NewEvent, Principal, Time};
use serde_json::json;

fn open(dir: &Path) -> Store {
    let options = Options { durability: Durability::Process, ..Options::default() };
    Store::open(&dir.join("naru.db"), options).unwrap()
}

fn fact(kind: &str) -> NewEvent {
    NewEvent::new(kind, Principal::part("test"), Text::plain(kind))
}

fn key(name: &str) -> Key {
    Key {
        kind: "Thing".into(),
        project: Some(Name::parse("shop").unwrap()),
        name: Name::parse(name).unwrap(),
    }
}

fn put(name: &str, spec: serde_json::Value, expected: Option<u64>) -> Put {
    Put {
        key: key(name),
        labels: Default::default(),
        spec,
        expected,
        actor: Principal::part("test"),
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let made = store.write(|tx| tx.put(put("a", json!({"x": 1}), Some(0)))).await.unwrap();
    store.write(|tx| tx.set_row("test.rows", "k", &7)).await.unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.head(), made.revision);
    let (thing, row) = store
        .read(|v| Ok((v.resource(&key("a"))?, v.row::<u32>("test.rows", "k")?)))
        .await
        .unwrap();
    assert_eq!((thing, row), (Some(made), Some(7)));
}

#[tokio::test]
async fn a_revision_that_moved_is_a_conflict_and_the_same_again_is_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let one = store.write(|tx| tx.put(put("a", json!(1), Some(0)))).await.unwrap();
    let again = store.write(|tx| tx.put(put("a", json!(1), None))).await.unwrap();
    assert_eq!(one, again);
    let two = store.write(|tx| tx.put(put("a", json!(2), Some(1)))).await.unwrap();
    assert_eq!((two.generation, two.revision), (2, 2));
    let late = store.write(|tx| tx.put(put("a", json!(3), Some(1)))).await.unwrap_err();
    assert_eq!(late.code(), "resource.changed");
    let twice = store.write(|tx| tx.put(put("a", json!(3), Some(0)))).await.unwrap_err();
    assert_eq!(twice.code(), "resource.exists");
}

#[tokio::test]
async fn a_refused_write_leaves_nothing_and_its_neighbours_stand() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let writes = (0..200_u64).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let wrote = store.write(move |tx| {
                tx.append(fact("test.written"))?;
                tx.set_row("test.rows", &format!("{n:04}"), &n)?;
                if n % 3 == 0 { Err(Error::internal("no")) } else { Ok(n) }
            });
            wrote.await.is_ok()
        })
    });
    let mut stood = 0;
    for write in writes.collect::<Vec<_>>() {
        stood += u64::from(write.await.unwrap());
    }
    let rows = store.read(|v| v.rows::<u64>("test.rows", "", None, 1000)).await.unwrap();
    assert_eq!(rows.len() as u64, stood);
    assert_eq!(store.head(), stood, "one event for each write that stands, without gaps");
    assert_eq!(store.verify().await.unwrap().entries, stood);
}

#[tokio::test]
async fn a_panicking_write_is_one_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bad = store.write::<(), _>(|_| panic!("on purpose")).await.unwrap_err();
    assert_eq!(bad.code(), "internal");
    store.write(|tx| tx.append(fact("test.after"))).await.unwrap();
}

#[tokio::test]
async fn a_follower_misses_nothing_and_sees_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for _ in 0..3000 {
        let _ = store.write(|tx| tx.append(fact("test.old"))).await.unwrap();
    }
    let mut feed = store.follow(0);
    let writer = store.clone();
    let more = tokio::spawn(async move {
        for _ in 0..500 {
            writer.write(|tx| tx.append(fact("test.new"))).await.unwrap();
        }
    });
    for wanted in 1..=3500 {
        assert_eq!(feed.next().await.unwrap().seq, wanted);
    }
    more.await.unwrap();
}

#[tokio::test]
async fn a_changed_entry_breaks_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for _ in 0..10 {
        store.write(|tx| tx.append(fact("test.fact"))).await.unwrap();
    }
    store.verify().await.unwrap();
    let vandal = Connection::open(dir.path().join("naru.db")).unwrap();
    vandal
        .execute("UPDATE journal SET body = replace(body, 'fact', 'lies') WHERE seq = 4", [])
        .unwrap();
    let broken = store.verify().await.unwrap_err();
    assert_eq!(broken.code(), "journal.broken");
    assert!(broken.say().en.contains("entry 4"), "{broken}");
}

#[tokio::test]
async fn a_crash_at_any_commit_loses_nothing_acknowledged() {
    for moment in [Moment::Before, Moment::After] {
        for at in 1..=12 {
            let dir = tempfile::tempdir().unwrap();
            let chaos = Arc::new(Chaos::new(at, moment));
            let options = Options {
                durability: Durability::Process,
                chaos: Some(chaos.clone()),
                ..Options::default()
            };
            let store = Store::open(&dir.path().join("naru.db"), options).unwrap();
            let mut acknowledged = 0;
            for n in 0..10_u64 {
                let wrote = store.write(move |tx| {
                    tx.append(fact("test.fact"))?;
                    tx.set_row("test.rows", &format!("{n:02}"), &n)
                });
                acknowledged += u64::from(wrote.await.is_ok());
            }
            drop(store);
            let store = open(dir.path());
            let rows = store.read(|v| v.rows::<u64>("test.rows", "", None, 100)).await.unwrap();
            let verified = store.verify().await.unwrap();
            assert_eq!(rows.len() as u64, verified.entries, "rows and events agree");
            let extra = u64::from(moment == Moment::After && at <= 10);
            assert_eq!(verified.entries, acknowledged + extra, "crash {moment:?} commit {at}");
        }
    }
}

#[tokio::test]
async fn prefixes_pages_and_reverse_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store
        .write(|tx| {
            for key in ["a/1", "a/2", "a/3", "ab", "b/1"] {
                tx.set_row("test.rows", key, &key)?;
            }
            Ok(())
        })
        .await
        .unwrap();
    let keys = |rows: Vec<(String, String)>| rows.into_iter().map(|r| r.0).collect::<Vec<_>>();
    let all = store.read(|v| v.rows("test.rows", "a/", None, 9)).await.unwrap();
    assert_eq!(keys(all), ["a/1", "a/2", "a/3"]);
    let next = store.read(|v| v.rows("test.rows", "a/", Some("a/1"), 1)).await.unwrap();
    assert_eq!(keys(next), ["a/2"]);
    let back = store.read(|v| v.rows_back("test.rows", "a/", None, 2)).await.unwrap();
    assert_eq!(keys(back), ["a/3", "a/2"]);
}

#[tokio::test]
async fn events_are_found_by_kind_change_and_subject() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let change = Name::parse("web-0123456789ab").unwrap();
    let shop = Name::parse("shop").unwrap();
    let wanted = change.clone();
    store
        .write(move |tx| {
            tx.append(fact("git.pushed").project(&shop).change(Some(change)))?;
            tx.append(fact("github.unrelated"))?;
            tx.append(fact("git.deleted").subject(key("a")))
        })
        .await
        .unwrap();
    let seqs = |f: Filter| async {
        let events = store.read(move |v| v.events(0, 10, &f)).await.unwrap();
        events.iter().map(|e| e.seq).collect::<Vec<_>>()
    };
    assert_eq!(seqs(Filter { kind: Some("git.".into()), ..Filter::default() }).await, [1, 3]);
    assert_eq!(seqs(Filter { change: Some(wanted), ..Filter::default() }).await, [1]);
    assert_eq!(seqs(Filter { subject: Some(key("a")), ..Filter::default() }).await, [3]);
}

#[tokio::test]
async fn a_lease_has_one_owner_and_its_epoch_grows_when_it_moves() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock::Manual::new(Time(1_000_000));
    let options =
        Options { durability: Durability::Process, clock: Arc::new(clock.clone()), chaos: None };
    let store = Store::open(&dir.path().join("naru.db"), options).unwrap();
    let take = |owner: &'static str| {
        let store = store.clone();
        async move {
            store
                .write(move |tx| tx.lease("n", owner, std::time::Duration::from_secs(10)))
                .await
                .unwrap()
        }
    };
    assert_eq!(take("a").await.map(|l| l.epoch), Some(1));
    assert_eq!(take("b").await, None);
    assert_eq!(take("a").await.map(|l| l.epoch), Some(1));
    clock.advance(std::time::Duration::from_secs(11));
    assert_eq!(take("b").await.map(|l| l.epoch), Some(2));
    assert!(!store.write(|tx| tx.lease_holds("n", 1)).await.unwrap());
}

#[tokio::test]
async fn an_event_says_where_from_it_was_asked_however_deep_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let known = kernel::Origin { address: Some("192.0.2.7".into()), ..Default::default() };
    let (inner, elsewhere) = (store.clone(), store.clone());
    origin::scope(known, async move {
        origin::amend(|o| o.request = Some("r-1".into()));
        origin::allowed("role owner");
        origin::allowed("role owner");
        inner.write(|tx| tx.append(fact("test.asked"))).await.unwrap();
        let left = async move { elsewhere.write(|tx| tx.append(fact("test.left"))).await };
        tokio::spawn(origin::carried(left)).await.unwrap().unwrap();
    })
    .await;
    store.write(|tx| tx.append(fact("test.own"))).await.unwrap();
    let events = store.read(|v| v.events(0, 10, &Filter::default())).await.unwrap();
    let origins: Vec<_> = events.into_iter().map(|e| e.fact.origin).collect();
    let want = kernel::Origin {
        address: Some("192.0.2.7".into()),
        request: Some("r-1".into()),
        credential: None,
        because: vec!["role owner".into()],
    };
    assert_eq!(origins, [Some(want.clone()), Some(want), None]);
    assert_eq!(store.verify().await.unwrap().entries, 3);
}

#[tokio::test]
async fn a_search_finds_who_what_where_from_and_when_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(clock::Manual::new(Time(0)));
    let options =
        Options { durability: Durability::Process, clock: clock.clone(), ..Options::default() };
    let store = Store::open(&dir.path().join("naru.db"), options).unwrap();
    for n in 0..60_u64 {
        clock.advance(std::time::Duration::from_secs(3600));
        let who = if n % 2 == 0 { "ann" } else { "eve" };
        let kind = ["git.pushed", "token.created", "secret.used"][n as usize % 3];
        let address = Some(format!("192.0.2.{}", n % 4));
        let origin = kernel::Origin { address, ..Default::default() };
        let actor = Principal::User(Name::parse(who).unwrap());
        let event = NewEvent::new(kind, actor, Text::plain("x"));
        origin::scope(origin, store.write(move |tx| tx.append(event))).await.unwrap();
    }
    let all = Search::default();
    let seqs = async |before: u64, limit: usize, search: Search| -> Vec<u64> {
        let found = store.read(move |v| v.search(before, limit, &search)).await.unwrap();
        found.into_iter().map(|e| e.seq).collect()
    };
    assert_eq!(seqs(u64::MAX, 3, all.clone()).await, [60, 59, 58]);
    let ann = Search { actor: Some("user:ann".into()), ..all.clone() };
    assert_eq!(seqs(u64::MAX, 2, ann.clone()).await, [59, 57]);
    assert_eq!(seqs(57, 2, ann.clone()).await, [55, 53]);
    let kinds = Search { kinds: vec!["secret.".into(), "token.created".into()], ..all.clone() };
    assert_eq!(seqs(u64::MAX, 4, kinds.clone()).await, [60, 59, 57, 56]);
    let both = Search { kinds: vec!["secret.".into()], ..ann };
    assert_eq!(seqs(u64::MAX, 2, both).await, [57, 51]);
    assert_eq!(
        seqs(u64::MAX, 9, Search { kinds: vec!["no.".into()], ..all.clone() }).await,
        [0_u64; 0]
    );
    let here = Search { address: Some("192.0.2.3".into()), ..all.clone() };
    assert_eq!(seqs(u64::MAX, 2, here).await, [60, 56]);
    let hours = |h: i64| Some(Time(h * 3_600_000));
    let when = Search { from: hours(10), until: hours(13), ..all.clone() };
    assert_eq!(seqs(u64::MAX, 9, when).await, [12, 11, 10]);
    assert_eq!(seqs(u64::MAX, 9, Search { from: hours(900), ..all.clone() }).await, [0_u64; 0]);
    assert_eq!(seqs(u64::MAX, 9, Search { until: hours(1), ..all }).await, [0_u64; 0]);
}

#[tokio::test]
async fn what_was_let_go_is_gone_and_the_rest_still_hangs_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for _ in 0..100 {
        store.write(|tx| tx.append(fact("test.old"))).await.unwrap();
    }
    let hash = store.read(|v| v.hash_at(40)).await.unwrap().unwrap();
    assert_eq!(store.write(|tx| tx.trim_journal(40)).await.unwrap(), 40);
    for _ in 0..2 {
        let verified = store.verify().await.unwrap();
        assert_eq!((verified.entries, verified.base, verified.last), (60, 40, 100));
        assert_eq!(verified.base_hash, hash);
        let found = store.read(|v| v.entries(0, 1000)).await.unwrap();
        assert_eq!((found.len(), found[0].seq), (60, 41));
        assert_eq!(store.read(|v| v.search(50, 100, &Search::default())).await.unwrap().len(), 9);
        while store.write(|tx| tx.sweep_journal(7)).await.unwrap() > 0 {}
    }
    assert_eq!(store.write(|tx| tx.trim_journal(30)).await.unwrap(), 0, "never back");
    assert_eq!(store.write(|tx| tx.trim_journal(100)).await.unwrap(), 0, "the last one stays");
    drop(store);
    assert_eq!(open(dir.path()).head(), 100);
}
