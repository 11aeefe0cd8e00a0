use super::*;
use crate::offline;
use futures_util::StreamExt;
use kernel::Origin;
use std::io::Cursor;
use std::path::Path;
use store::clock::Manual;
use store::{Durability, Filter};

fn store(dir: &Path, clock: &Manual) -> Store {
    let options = store::Options {
        clock: Arc::new(clock.clone()),
        durability: Durability::Process,
        ..store::Options::default()
    };
    Store::open(&dir.join("naru.db"), options).unwrap()
}

async fn audit(dir: &Path, store: &Store) -> Audit {
    let options = Options {
        store: store.clone(),
        key: dir.join("key.json"),
        checkpoints: dir.join("checkpoints.jsonl"),
        keep: None,
    };
    Audit::open(options).await.unwrap()
}

async fn happen(store: &Store, count: u64) {
    for n in 0..count {
        let event = NewEvent::new("test.happened", Principal::part("test"), Text::plain("x"));
        store.write(move |tx| tx.append(event.data(json!({ "n": n })))).await.unwrap();
    }
}

async fn kinds(store: &Store) -> Vec<String> {
    let filter = Filter { kind: Some("audit.".into()), ..Filter::default() };
    let events = store.read(move |v| v.events(0, 1000, &filter)).await.unwrap();
    events.into_iter().map(|e| e.fact.kind).collect()
}

async fn exported(audit: &Audit, after: u64) -> Vec<u8> {
    audit.sign().await.unwrap();
    let pieces: Vec<_> = audit.export(after).collect().await;
    pieces.into_iter().flat_map(|p| p.unwrap()).collect()
}

fn who() -> Principal {
    Principal::part("test")
}

#[tokio::test]
async fn signed_once_where_there_is_news_and_verified_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), &Manual::new(Time(0)));
    let audit = audit(dir.path(), &store).await;
    assert_eq!(audit.sign().await.unwrap(), None, "nothing happened yet");
    happen(&store, 3).await;
    assert_eq!(audit.sign().await.unwrap().unwrap().seq, 3);
    assert_eq!(audit.sign().await.unwrap(), None);
    let report = audit.verify(who()).await.unwrap();
    assert_eq!((report.holds(), report.chain.last, report.unsigned), (true, 3, 0), "{report:?}");
    assert_eq!(kinds(&store).await, ["audit.verified"]);
}

#[tokio::test]
async fn an_older_copy_of_the_store_is_noticed_at_the_start_and_ever_after() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Manual::new(Time(0));
    {
        let store = store(dir.path(), &clock);
        let audit = audit(dir.path(), &store).await;
        happen(&store, 5).await;
        audit.sign().await.unwrap();
    }
    std::fs::copy(dir.path().join("naru.db"), dir.path().join("old")).unwrap();
    {
        let store = store(dir.path(), &clock);
        let audit = audit(dir.path(), &store).await;
        happen(&store, 5).await;
        audit.sign().await.unwrap();
    }
    for name in ["naru.db-wal", "naru.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(name));
    }
    std::fs::rename(dir.path().join("old"), dir.path().join("naru.db")).unwrap();
    let store = store(dir.path(), &clock);
    let audit = audit(dir.path(), &store).await;
    assert_eq!(kinds(&store).await, ["audit.rewound"]);
    happen(&store, 20).await;
    let report = audit.verify(who()).await.unwrap();
    assert!(report.holds(), "{report:?}");
    assert!(report.notes[0].en.contains("up to entry 10"), "{report:?}");
    drop(audit);
    let again = self::audit(dir.path(), &store).await;
    assert_eq!(kinds(&store).await, ["audit.rewound", "audit.verified"], "said once");
    assert!(again.verify(who()).await.unwrap().holds());
}

#[tokio::test]
async fn a_crash_between_file_and_store_or_within_a_line_is_made_good_silently() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), &Manual::new(Time(0)));
    let file = dir.path().join("checkpoints.jsonl");
    let audit = audit(dir.path(), &store).await;
    for _ in 0..2 {
        happen(&store, 2).await;
        audit.sign().await.unwrap();
    }
    let before = std::fs::read(&file).unwrap();
    happen(&store, 2).await;
    let made = audit.sign().await.unwrap().unwrap();
    let line = std::fs::read(&file).unwrap()[before.len()..].to_vec();
    drop(audit);
    for cut in (0..=line.len()).rev().step_by(37) {
        store.write(|tx| tx.delete_row(trail::ROWS, &trail::row_key(3))).await.unwrap();
        std::fs::write(&file, [&before[..], &line[..cut]].concat()).unwrap();
        let audit = self::audit(dir.path(), &store).await;
        // The same entry, signed by the one that was whole or anew.
        let last = audit.sign().await.unwrap();
        assert_eq!(last.is_none(), cut == line.len(), "{cut}");
        assert_eq!(std::fs::read(&file).unwrap(), [&before[..], &line[..]].concat(), "{cut}");
        assert_eq!(store.read(trail::last_row).await.unwrap().unwrap(), made);
    }
    assert_eq!(kinds(&store).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_was_cut_is_made_whole_and_one_that_lies_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), &Manual::new(Time(0)));
    let file = dir.path().join("checkpoints.jsonl");
    let audit = audit(dir.path(), &store).await;
    for _ in 0..3 {
        happen(&store, 2).await;
        audit.sign().await.unwrap();
    }
    drop(audit);
    let whole = std::fs::read(&file).unwrap();
    let first = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
    std::fs::write(&file, &whole[..first]).unwrap();
    let audit = self::audit(dir.path(), &store).await;
    assert_eq!(std::fs::read(&file).unwrap(), whole);
    assert!(audit.verify(who()).await.unwrap().holds());
    drop(audit);
    let mut lying = std::fs::read(&file).unwrap();
    let at = lying.len() - 20;
    lying[at] = if lying[at] == b'A' { b'B' } else { b'A' };
    std::fs::write(&file, &lying).unwrap();
    let audit = self::audit(dir.path(), &store).await;
    let told = kinds(&store).await;
    assert_eq!(told, ["audit.file-cut", "audit.verified", "audit.diverged"]);
    assert!(audit.verify(who()).await.unwrap().holds());
}

#[tokio::test]
async fn an_export_is_checked_by_itself_and_no_change_in_it_goes_unnoticed() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), &Manual::new(Time(0)));
    let audit = audit(dir.path(), &store).await;
    happen(&store, 6).await;
    audit.sign().await.unwrap();
    happen(&store, 4).await;
    let keys = vec![audit.public_key().clone()];
    let file = exported(&audit, 0).await;
    let check = |file: &[u8]| offline::verify(Cursor::new(file), keys.clone());
    let report = check(&file).unwrap();
    assert_eq!((report.holds(), report.chain.last, report.unsigned), (true, 10, 0), "{report:?}");
    let fails = |file: &[u8]| !check(file).is_ok_and(|r| r.holds());
    let lines: Vec<&[u8]> = file.split_inclusive(|b| *b == b'\n').collect();
    for n in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(n);
        // Without its last signature nothing is wrong yet, but the end is not vouched for.
        let unsigned = check(&without.concat()).is_ok_and(|r| r.unsigned > 0);
        assert!(unsigned || fails(&without.concat()), "line {n} was taken out");
        let mut twice = lines.clone();
        twice.insert(n, lines[n]);
        // The same checkpoint told again says nothing new.
        let harmless = lines[n].starts_with(b"{\"checkpoint\"") || n == 0 || n + 1 == lines.len();
        assert!(harmless || fails(&twice.concat()), "line {n} was put in again");
        if n + 1 < lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(n, n + 1);
            let kept = swapped[n].starts_with(b"{\"checkpoint\"")
                != lines[n].starts_with(b"{\"checkpoint\"");
            assert!(kept || fails(&swapped.concat()), "lines {n} and the next were swapped");
        }
        assert!(n == 0 || fails(&lines[..n].concat()), "cut before line {n}");
    }
    for at in (0..file.len()).step_by(7) {
        let mut changed = file.clone();
        changed[at] ^= 1;
        assert!(fails(&changed), "byte {at}");
    }
    assert!(!offline::verify(Cursor::new(&file), vec![stranger()]).unwrap().holds());
}

fn stranger() -> PublicKey {
    let dir = tempfile::tempdir().unwrap();
    SigningKey::open(&dir.path().join("k")).unwrap().0.public().clone()
}

#[tokio::test]
async fn an_export_that_broke_off_goes_on_where_it_stood() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), &Manual::new(Time(0)));
    let audit = audit(dir.path(), &store).await;
    happen(&store, 8).await;
    let mut file = exported(&audit, 0).await;
    file.truncate(file.len() - 300);
    let (whole, last) = offline::resume(&file[..]).unwrap();
    assert!(last < 8 && last > 0);
    file.truncate(whole as usize);
    happen(&store, 2).await;
    file.extend(exported(&audit, last).await);
    let report = offline::verify(Cursor::new(&file), vec![audit.public_key().clone()]).unwrap();
    assert_eq!((report.holds(), report.chain.last), (true, 10), "{report:?}");
}

#[tokio::test]
async fn what_is_old_goes_up_to_a_checkpoint_and_not_beyond_a_follower() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Manual::new(Time(0));
    let store = store(dir.path(), &clock);
    let audit = audit(dir.path(), &store).await;
    happen(&store, 10).await;
    audit.sign().await.unwrap();
    clock.advance(Duration::from_secs(86_400));
    happen(&store, 10).await;
    audit.sign().await.unwrap();
    clock.advance(Duration::from_secs(3600));
    let day = Duration::from_secs(86_400);
    let mut feed = store.follow(3);
    feed.next().await.unwrap();
    assert_eq!(audit.let_go(day).await.unwrap(), 0, "a follower has yet to read");
    drop(feed);
    assert_eq!(audit.let_go(day).await.unwrap(), 10);
    assert_eq!(kinds(&store).await, ["audit.trimmed"]);
    let report = audit.verify(who()).await.unwrap();
    assert_eq!((report.holds(), report.chain.base), (true, 10), "{report:?}");
    let file = exported(&audit, 0).await;
    let report = offline::verify(Cursor::new(&file), vec![audit.public_key().clone()]).unwrap();
    assert!(report.holds(), "{report:?}");
}

#[tokio::test]
async fn refusals_become_events_with_where_from() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Manual::new(Time(0));
    let store = store(dir.path(), &clock);
    let audit = audit(dir.path(), &store).await;
    let stop = CancellationToken::new();
    let task = audit.start(stop.clone());
    let mut feed = store.follow(0);
    let origin = Origin { address: Some("192.0.2.1".into()), ..Origin::default() };
    let refused = Refused {
        who: Principal::Anonymous,
        action: "GET /api/v1/events".into(),
        resource: "/api/v1/events".into(),
        project: None,
        code: "auth.required",
        origin: Some(origin.clone()),
    };
    audit.refused(refused.clone());
    let event = feed.next().await.unwrap();
    assert_eq!(
        (event.fact.kind.as_str(), event.fact.origin.as_ref()),
        ("auth.refused", Some(&origin))
    );
    stop.cancel();
    task.await.unwrap();
}

#[path = "audit_chaos.rs"]
mod chaos;
