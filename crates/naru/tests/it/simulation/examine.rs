//! What must hold at the end of every history.

use super::developer::Changes;
use super::life::{Data, Life, eventually};
use crate::WEB;
use kernel::Event;
use naru::open::Platform;
use serde_json::Value;
use std::collections::BTreeSet;
use store::{Filter, View};

/// What happens exactly once to each change.
const ONCE: [&str; 7] = [
    "git.pushed",
    "pipeline.created",
    "pipeline.finished",
    "release.made",
    "rollout.started",
    "rollout.finished",
    "change.finished",
];

/// What is left of a history, without what a clock or chance decided: the same for all.
pub(super) type Outcome = BTreeSet<String>;

impl Life {
    /// Everything that must hold at the end, whatever happened before.
    pub(super) fn examine(&self, data: &Data, changes: &Changes) -> Outcome {
        let Platform { store, edge_address, .. } = &self.platform;
        let answer = testkit::request(*edge_address, WEB, "GET", "/", &[], b"").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "second"));
        self.runtime.block_on(store.verify()).unwrap();
        let all = |v: &View<'_>| v.events(0, 100_000, &Filter::default());
        let events = self.runtime.block_on(store.read(all)).unwrap();
        each_once(&events, changes);
        no_result_twice(&events);
        each_job_ran_once(&events, data);
        let releases = self.kept_releases(data);
        eventually("one instance runs and no other workload", || {
            let running = data.running();
            running.len() == 1 && running.iter().all(|id| id.starts_with("shop.web.2."))
        });
        let facts = events.iter().filter_map(fact);
        facts.chain(releases).collect()
    }

    /// The releases, whose files are there even after what nothing needs has been deleted.
    fn kept_releases(&self, data: &Data) -> Vec<String> {
        let Platform { store, blobs, .. } = &self.platform;
        self.runtime.block_on(async {
            blobs.collect().await.unwrap();
            let read = |v: &View<'_>| v.resources("Release", None, None, 10);
            let mut found = Vec::new();
            for release in store.read(read).await.unwrap() {
                let (name, tree) = (release.key.name, release.spec["tree"].as_str().unwrap());
                let dir = data.path().join(format!("look-{name}"));
                blobs.materialise(tree, &dir).await.unwrap();
                let words = std::fs::read_to_string(dir.join("answer.txt")).unwrap();
                found.push(format!("{name} {tree} {} {words}", release.spec["config"]));
            }
            found
        })
    }
}

fn each_once(events: &[Event], changes: &Changes) {
    for i in 0..changes.commits.len() {
        let name = changes.name(i);
        for kind in ONCE {
            let ours = |e: &&Event| e.fact.kind == kind && e.fact.change.as_ref() == Some(&name);
            assert_eq!(events.iter().filter(ours).count(), 1, "{kind} of change {i}");
        }
    }
    let pushes = events.iter().filter(|e| e.fact.kind == "git.pushed").count();
    assert_eq!(pushes, changes.commits.len(), "pushes");
}

/// `<run>/<step>` of an event of a step.
fn step(event: &Event) -> String {
    let data = &event.fact.data;
    format!("{}/{}", data["run"].as_str().unwrap(), data["step"].as_str().unwrap())
}

fn no_result_twice(events: &[Event]) {
    let results = events.iter().filter(|e| e.fact.kind == "run.step.finished");
    let mut seen = BTreeSet::new();
    for event in results {
        let key = format!("{} attempt {}", step(event), event.fact.data["attempt"]);
        assert!(seen.insert(key.clone()), "two results of {key}");
    }
}

/// A job leaves its trace in its log each time it really runs: that is once, however often the server that
/// watches it dies.
fn each_job_ran_once(events: &[Event], data: &Data) {
    let jobs = |e: &&Event| e.fact.kind == "run.step.started" && e.fact.data["kind"] == "pipeline";
    let runs = events.iter().filter(jobs).map(|e| e.fact.data["run"].as_str().unwrap());
    let runs: BTreeSet<&str> = runs.collect();
    assert_eq!(runs.len(), 2, "one pipeline per change");
    for run in runs {
        for log in std::fs::read_dir(data.path().join("runs").join(run)).unwrap() {
            let words = std::fs::read_to_string(log.unwrap().path()).unwrap();
            assert_eq!(words.matches("it ran").count(), 1, "{words}");
        }
    }
}

/// What an event says of how things went.
fn fact(event: &Event) -> Option<String> {
    let (fact, data) = (&event.fact, &event.fact.data);
    let change = fact.change.as_ref()?;
    let told = ONCE.contains(&fact.kind.as_str()) || fact.kind == "run.step.finished";
    let words = [
        "kind", "step", "attempt", "verdict", "outcome", "release", "previous", "before", "after",
        "layers",
    ];
    let said = words.map(|w| data.get(w).unwrap_or(&Value::Null).to_string());
    told.then(|| format!("{} of {change}: {}", fact.kind, said.join(" ")))
}
