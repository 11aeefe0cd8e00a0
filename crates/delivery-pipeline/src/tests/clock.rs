//! Schedules under a clock that stands still until it is moved, with crashes at every write.

use super::*;
use crate::schedule::{Schedule, ScheduleStatus, Schedules};
use crate::tip::Tip;
use kernel::{Clock, Key, Resource};
use reconcile::{Next, Reconciler};
use store::Put;
use store::clock::Manual;

/// The pipelines of a store whose engine does not run: what is created stays as it is.
struct Still {
    store: Store,
    schedules: Schedules,
}

impl Still {
    async fn open(
        (dir, host): &(tempfile::TempDir, Host),
        shelf: &Arc<Shelf>,
        clock: &Manual,
        chaos: Option<Arc<Chaos>>,
    ) -> Option<Still> {
        let data = dir.path();
        let _ = shelf.git.set(data.join("git"));
        let clock = Arc::new(clock.clone());
        let options = store::Options { durability: Durability::Process, chaos, clock };
        let store = Store::open(&data.join("naru.db"), options).unwrap();
        let blobs = blob::Blobs::open(&data.join("blobs"), store.clone()).await.ok()?;
        let options = options_of(&store, blobs, host.clone(), shelf, data).await.ok()?;
        let pipelines = Pipelines::open(options).await.ok()?;
        Some(Still { store, schedules: Schedules(pipelines.0) })
    }

    /// Looks at the schedule until there is nothing to do: then the answer is for how long.
    async fn settle(&self, name: &str) -> Result<Option<Duration>> {
        let key = (super::name("shop"), super::name(name));
        loop {
            match self.schedules.sync(&key).await? {
                Next::Done => return Ok(None),
                Next::After(Duration::ZERO) => {}
                Next::After(wait) => return Ok(Some(wait)),
                Next::At(at) if at <= self.store.now() => {}
                Next::At(at) => return Ok(Some(at.since(self.store.now()))),
            }
        }
    }

    async fn put(&self, name: &str, spec: serde_json::Value, who: &str) {
        let key = Key::of::<Schedule>(&super::name("shop"), &super::name(name));
        let actor = Principal::User(super::name(who));
        let put = Put { key, labels: Default::default(), spec, expected: None, actor };
        self.store.write(move |tx| tx.put(put)).await.unwrap();
    }

    async fn status(&self, name: &str) -> ScheduleStatus {
        let key = Key::of::<Schedule>(&super::name("shop"), &super::name(name));
        let found: Resource = self.store.read(move |v| v.resource(&key)).await.unwrap().unwrap();
        serde_json::from_value(found.status).unwrap()
    }

    /// A project of Kim's with a branch.
    async fn prepare(&self, shelf: &Shelf, ci: &str) {
        let commit = shelf.add([(".gitlab-ci.yml".to_owned(), ci.to_owned())].into());
        let tip = Tip {
            project: name("shop"),
            repository: name("web"),
            refname: "refs/heads/main".into(),
            branch: Some("main".into()),
            default_branch: true,
            before: None,
            change: change_name(&name("web"), &commit),
            commit: commit_of(&commit, "Add cart"),
            seq: 0,
        };
        let spec = serde_json::json!({ "members": [{ "user": "kim", "role": "developer" }] });
        let key = Key::global::<policy::Project>(&name("shop"));
        let actor = Principal::part("test");
        let put = Put { key, labels: Default::default(), spec, expected: None, actor };
        let write = move |tx: &mut store::Tx<'_>| {
            tip.remember(tx)?;
            for person in super::flow::people(&["kim"]) {
                tx.put(person)?;
            }
            tx.put(put).map(drop)
        };
        self.store.write(write).await.unwrap();
    }

    /// Who started a pipeline and when, in order.
    async fn started(&self) -> Vec<(Principal, Time)> {
        let events = self.store.read(|v| v.events(0, 1000, &of("run.created"))).await.unwrap();
        events.into_iter().map(|e| (e.fact.actor, e.time)).collect()
    }
}

/// A directory, and the processes of none.
async fn house() -> (tempfile::TempDir, Host) {
    let dir = world_dir();
    let shim = tokio::task::spawn_blocking(host::testing::shim).await.unwrap();
    let options = host::Options { dir: dir.path().join("host"), shim, hidden: Vec::new() };
    let host = Host::open(options).await.unwrap();
    (dir, host)
}

fn every_hour() -> serde_json::Value {
    let spec = serde_json::json!({ "repository": "web", "ref": "main", "cron": "0 * * * *" });
    serde_json::to_value(serde_json::from_value::<Schedule>(spec).unwrap()).unwrap()
}

const CI: &str = "a: {script: 'true', rules: [{if: $CI_PIPELINE_SOURCE == \"schedule\"}]}";
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn each_due_time_starts_one_pipeline_and_missed_ones_are_made_up_for_once() {
    let (house, shelf, clock) =
        (house().await, Arc::<Shelf>::default(), Manual::new(Time(1_800_000)));
    let kim = Principal::User(name("kim"));
    let still = Still::open(&house, &shelf, &clock, None).await.unwrap();
    still.prepare(&shelf, CI).await;
    still.put("nightly", every_hour(), "kim").await;
    assert_eq!(still.settle("nightly").await.unwrap(), Some(HOUR / 2));
    assert_eq!(still.started().await, []);
    clock.advance(HOUR / 2);
    assert_eq!(still.settle("nightly").await.unwrap(), Some(HOUR));
    assert_eq!(still.started().await, [(kim.clone(), Time(3_600_000))]);
    let status = still.status("nightly").await;
    assert_eq!((status.last, status.next), (Some(Time(3_600_000)), Some(Time(7_200_000))));
    let run = Id::parse(&status.run.unwrap()).unwrap();
    let run = still.store.read(move |v| Engine::show_in(v, &run)).await.unwrap().unwrap();
    assert_eq!((run.labels["source"].as_str(), run.priority), ("schedule", -10));
    drop(still);

    // Down for five and a half hours.
    clock.advance(HOUR * 5 + HOUR / 2);
    let still = Still::open(&house, &shelf, &clock, None).await.unwrap();
    assert_eq!(still.settle("nightly").await.unwrap(), Some(HOUR / 2));
    assert_eq!(still.started().await.len(), 2);

    // Another time table does not start anything by itself, and one that rests does nothing.
    let mut other = every_hour();
    other["cron"] = "15 * * * *".into();
    still.put("nightly", other.clone(), "kim").await;
    assert_eq!(still.settle("nightly").await.unwrap(), Some(HOUR * 3 / 4));
    other["active"] = false.into();
    still.put("nightly", other, "kim").await;
    assert_eq!(still.settle("nightly").await.unwrap(), None);
    assert_eq!(still.status("nightly").await.next, None);
    assert_eq!(still.started().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_says_why_and_is_tried_at_the_next_time() {
    let (house, shelf, clock) = (house().await, Arc::<Shelf>::default(), Manual::new(Time(0)));
    let still = Still::open(&house, &shelf, &clock, None).await.unwrap();
    still.prepare(&shelf, CI).await;
    let mut lost = every_hour();
    lost["ref"] = "gone".into();
    still.put("lost", lost, "kim").await;
    still.put("foreign", every_hour(), "lee").await;
    for (name, want) in
        [("lost", "no branch or tag “gone”"), ("foreign", "may not start pipelines")]
    {
        still.settle(name).await.unwrap();
        clock.advance(HOUR);
        assert_eq!(still.settle(name).await.unwrap(), Some(HOUR), "{name}");
        let problem = still.status(name).await.problem.unwrap().en;
        assert!(problem.contains(want), "{problem}");
    }
    still
        .put(
            "foreign",
            {
                let mut taken = every_hour();
                taken["description"] = "taken over".into();
                taken
            },
            "kim",
        )
        .await;
    clock.advance(HOUR);
    still.settle("foreign").await.unwrap();
    assert_eq!(still.status("foreign").await.problem, None);
    assert_eq!(still.started().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_write_neither_loses_nor_doubles_a_due_time() {
    let (_, host) = house().await;
    for (at, moment) in (1..=10).flat_map(|at| [(at, Moment::Before), (at, Moment::After)]) {
        let (house, shelf, clock) =
            ((world_dir(), host.clone()), Arc::<Shelf>::default(), Manual::new(Time(1)));
        let still = Still::open(&house, &shelf, &clock, None).await.unwrap();
        still.prepare(&shelf, CI).await;
        still.put("nightly", every_hour(), "kim").await;
        drop(still);
        let chaos = Arc::new(Chaos::new(at, moment));
        let mut still = match Still::open(&house, &shelf, &clock, Some(chaos)).await {
            Some(still) => still,
            // Opening writes, too.
            None => Still::open(&house, &shelf, &clock, None).await.unwrap(),
        };
        for hour in 0..3 {
            if still.settle("nightly").await.is_err() {
                still = Still::open(&house, &shelf, &clock, None).await.unwrap();
                still.settle("nightly").await.unwrap();
            }
            clock.advance(HOUR);
            assert_eq!(clock.now(), Time(1 + 3_600_000 * (hour + 1)));
        }
        if still.settle("nightly").await.is_err() {
            still = Still::open(&house, &shelf, &clock, None).await.unwrap();
            still.settle("nightly").await.unwrap();
        }
        let hours: Vec<i64> =
            still.started().await.iter().map(|(_, at)| at.0 / 3_600_000).collect();
        assert_eq!(hours, [1, 2, 3], "write {at} {moment:?}");
    }
}
