//! Results that jobs report, kept and judged.

use super::*;
use kernel::journey::{Fact, JobReported, LoadVerdict, ReportFile};
use kernel::{Id, Name, Principal, Text};
use load::report::{Block, Report, ScenarioReport, Spread, Wanted};
use store::Filter;

fn file(p50: f64, wanted: Option<Wanted>) -> Vec<u8> {
    let scenario = ScenarioReport {
        name: "browse all".into(),
        requests: 1000,
        rate: 100.0,
        duration: Spread { count: 1000, p50, p95: p50 * 3.0, p99: p50 * 5.0, ..Spread::default() },
        blocks: vec![Block::default()],
        ..ScenarioReport::default()
    };
    let report = Report { format: 1, scenarios: vec![scenario], wanted, ..Report::default() };
    serde_json::to_vec(&serde_json::json!({ "metrics": {}, "naru": report })).unwrap()
}

async fn report(loads: &Loads, n: u128, branch: &str, bytes: Vec<u8>) {
    let held = loads.blobs.put_bytes(bytes).await.unwrap();
    let fact = JobReported {
        repository: Name::parse("web").unwrap(),
        commit: format!("{n:040x}"),
        branch: Some(branch.into()),
        default_branch: branch == "main",
        run: Id::new(1, n),
        step: "perf".into(),
        attempt: 1,
        passed: true,
        took_ms: 1,
        cpu_ms: None,
        files: vec![ReportFile {
            format: "load_performance".into(),
            path: "load-performance.json".into(),
            blob: held.hash.clone(),
            size: held.size,
        }],
    };
    let event = fact.event(Principal::part("test"), Text::plain("reported")).unwrap();
    let event = event.project(&Name::parse("shop").unwrap());
    let hash = held.hash.clone();
    loads
        .store
        .write(move |tx| {
            blob::refer(tx, "run/1", &hash)?;
            tx.append(event).map(drop)
        })
        .await
        .unwrap();
}

async fn verdicts(loads: &Loads, count: usize) -> Vec<LoadVerdict> {
    let mut feed = loads.store.follow(0);
    let filter = Filter { kind: Some("load.verdict".into()), ..Filter::default() };
    let mut out = Vec::new();
    while out.len() < count {
        let event = feed.next().await.unwrap();
        if filter.matches(&event) {
            assert!(event.fact.change.is_some(), "it belongs to the change");
            out.push(LoadVerdict::of(&event).unwrap());
        }
    }
    out
}

#[tokio::test]
async fn a_slow_change_is_worse_than_the_history_of_its_base() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("naru.db"), store::Options::default()).unwrap();
    let blobs = Blobs::open(&dir.path().join("blobs"), store.clone()).await.unwrap();
    let loads = Loads::open(store, blobs).unwrap();
    let stop = CancellationToken::new();
    let task = loads.start(stop.clone());
    for (n, p50) in [10.0, 10.2, 9.9, 10.1, 10.0, 9.8].into_iter().enumerate() {
        report(&loads, n as u128 + 1, "main", file(p50, None)).await;
    }
    let wanted = Some(Wanted { base: "main".into(), effect: 0.05 });
    report(&loads, 77, "slow", file(12.0, wanted.clone())).await;
    report(&loads, 78, "same", file(10.05, wanted)).await;
    report(&loads, 79, "broken", b"not a result".to_vec()).await;
    report(&loads, 80, "main", file(10.0, None)).await;
    // The first result of all has nothing beside it.
    let found = verdicts(&loads, 8).await;
    let of = |n: u128| found.iter().find(|v| v.commit == format!("{n:040x}")).unwrap();
    assert_eq!(of(77).verdict, "worse");
    assert_eq!(of(77).base, "main");
    assert_ne!(of(78).verdict, "worse");
    assert_eq!(of(80).base, "main");
    assert!(
        of(77).address.starts_with("/projects/shop/load/web/browse%20all/"),
        "{}",
        of(77).address
    );
    let shop = Name::parse("shop").unwrap();
    let all = loads.store.read(move |v| record::scenarios(v, &shop)).await.unwrap();
    assert_eq!((all.len(), all[0].count), (1, 9));
    stop.cancel();
    task.await.unwrap();
}
