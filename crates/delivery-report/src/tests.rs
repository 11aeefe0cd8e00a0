//! Reports as they arrive: a store, blobs, commits in memory, and jobs that have ended.

use crate::Reports;
use crate::ask::tests::{Order, Which};
use crate::flake::{TestFixed, TestFlaked};
use crate::kind::Quarantine;
use crate::read::Outcome;
use crate::select::Format;
use blob::Blobs;
use kernel::journey::{Commit, Fact, JobReported, ReportFile};
use kernel::port::{Metadata, Source, TreeEntry, Verdicts};
use kernel::{BoxFuture, Error, Id, Key, Kind, Name, Principal, Result, Text, Time};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use store::clock::Manual;
use store::{Durability, Filter, Put, Store};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const NOW: Time = Time(1_764_000_000_000);
const PATIENCE: Duration = Duration::from_secs(60);

/// Files of commits.
#[derive(Default)]
struct Shelf(Mutex<BTreeMap<String, BTreeMap<String, String>>>);

impl Shelf {
    fn get(&self, commit: &str) -> Result<BTreeMap<String, String>> {
        let all = self.0.lock().unwrap();
        all.get(commit).cloned().ok_or_else(|| Error::internal("no such commit"))
    }
}

impl Source for Shelf {
    fn tree<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        commit: &'a str,
    ) -> BoxFuture<'a, Result<Vec<TreeEntry>>> {
        let entry = |path| TreeEntry { path, mode: 0o100_644, object: String::new(), size: 0 };
        Box::pin(async move { Ok(self.get(commit)?.into_keys().map(entry).collect()) })
    }

    fn file<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        commit: &'a str,
        path: &'a str,
        _: u64,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move { Ok(self.get(commit)?.remove(path).map(String::into_bytes)) })
    }

    fn checkout<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        _: &'a str,
        _: &'a Path,
        _: Metadata,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Err(Error::internal("nobody asks for it")) })
    }

    fn commit<'a>(&'a self, _: &'a Name, _: &'a Name, _: &'a str) -> BoxFuture<'a, Result<Commit>> {
        Box::pin(async { Err(Error::internal("nobody asks for it")) })
    }

    fn changed<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        before: Option<&'a str>,
        after: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            let old = before.map(|b| self.get(b)).transpose()?.unwrap_or_default();
            let new = self.get(after)?;
            Ok(new.into_iter().filter(|(p, t)| old.get(p) != Some(t)).map(|(p, _)| p).collect())
        })
    }

    fn merge_base<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async { Err(Error::internal("nobody asks for it")) })
    }

    fn git_dir(&self, _: &Name, _: &Name) -> PathBuf {
        PathBuf::new()
    }
}

struct World {
    store: Store,
    blobs: Blobs,
    shelf: Arc<Shelf>,
    reports: Reports,
    clock: Manual,
    stop: CancellationToken,
    _dir: TempDir,
}

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

/// A job that has ended, on `main` of `web`.
#[derive(Clone)]
struct Job<'a> {
    commit: &'a str,
    branch: &'a str,
    run: u128,
    step: &'a str,
    attempt: u32,
    files: Vec<(&'a str, String)>,
}

impl<'a> Job<'a> {
    fn new(commit: &'a str, run: u128, junit: &str) -> Job<'a> {
        let files = vec![("junit", junit.to_owned())];
        Job { commit, branch: "main", run, step: "unit", attempt: 1, files }
    }
}

fn run_id(n: u128) -> Id {
    Id::new(NOW.0 + n as i64, n)
}

/// `+a -b` is a suite in which a passed and b failed.
fn junit(words: &str) -> String {
    let case = |w: &str| {
        let (sign, test) = w.split_at(1);
        let inner = if sign == "-" { "<failure message=\"no\">stack</failure>" } else { "" };
        format!("<testcase classname=\"t.cart\" name=\"{test}\" time=\"0.01\">{inner}</testcase>")
    };
    let cases: String = words.split_whitespace().map(case).collect();
    format!("<testsuite name=\"t\">{cases}</testsuite>")
}

impl World {
    async fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let clock = Manual::new(NOW);
        let options = store::Options {
            clock: Arc::new(clock.clone()),
            durability: Durability::Process,
            chaos: None,
        };
        let store = Store::open(&dir.path().join("naru.db"), options).unwrap();
        let blobs = Blobs::open(&dir.path().join("blobs"), store.clone()).await.unwrap();
        let shelf = Arc::new(Shelf::default());
        let reports = Reports::open(store.clone(), blobs.clone(), shelf.clone());
        let stop = CancellationToken::new();
        reports.start(stop.clone());
        World { store, blobs, shelf, reports, clock, stop, _dir: dir }
    }

    async fn files(&self, run: u128, files: &[(&str, String)]) -> Vec<ReportFile> {
        let mut out = Vec::new();
        for (format, words) in files {
            let held = self.blobs.put_bytes(words.clone().into_bytes()).await.unwrap();
            let (hash, owner) = (held.hash.clone(), format!("run/{run}"));
            self.store.write(move |tx| blob::refer(tx, &owner, &hash)).await.unwrap();
            let (format, path) = (format.to_string(), format!("out/{format}"));
            out.push(ReportFile {
                format,
                path,
                blob: held.hash.clone(),
                size: words.len() as u64,
            });
        }
        out
    }

    /// Tells that the job has ended, and waits until it is folded.
    async fn ended(&self, job: Job<'_>) -> u64 {
        let fact = JobReported {
            repository: name("web"),
            commit: job.commit.to_owned(),
            branch: Some(job.branch.to_owned()),
            default_branch: job.branch == "main",
            run: run_id(job.run),
            step: job.step.to_owned(),
            attempt: job.attempt,
            passed: !job.files.iter().any(|(_, words)| words.contains("<failure")),
            took_ms: 2_000,
            cpu_ms: Some(1_500),
            files: self.files(job.run, &job.files).await,
        };
        let event = fact.event(Principal::part("test"), Text::plain("ended")).unwrap();
        let seq =
            self.store.write(move |tx| tx.append(event.project(&name("shop")))).await.unwrap();
        self.clock.advance(Duration::from_secs(1));
        tokio::time::timeout(PATIENCE, self.reports.folded(seq)).await.unwrap();
        seq
    }

    async fn quarantine(&self, test: &str, until: &str) {
        let spec = Quarantine {
            tests: vec![test.to_owned()],
            repository: None,
            owner: "han".into(),
            until: until.to_owned(),
            reason: "races".into(),
        };
        let key =
            Key { kind: Quarantine::KIND.into(), project: Some(name("shop")), name: name("q") };
        let spec = serde_json::to_value(spec).unwrap();
        let put = Put {
            key,
            labels: Default::default(),
            spec,
            expected: None,
            actor: Principal::part("test"),
        };
        self.store.write(move |tx| tx.put(put)).await.unwrap();
        tokio::time::timeout(PATIENCE, self.reports.folded(self.store.head())).await.unwrap();
    }

    async fn events<F: Fact + Send + 'static>(&self) -> Vec<F> {
        let filter = Filter { kind: Some(F::KIND.into()), ..Filter::default() };
        let events = self.store.read(move |v| v.events(0, 1_000, &filter)).await.unwrap();
        events.iter().filter_map(F::of).collect()
    }

    async fn listed(&self) -> Vec<(String, Option<Outcome>)> {
        let which = Which { order: Order::Trouble, limit: 100, ..Which::default() };
        let found = self.reports.tests(&name("shop"), which).await.unwrap();
        found.items.into_iter().map(|t| (t.id, t.outcome)).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flake_is_found_over_attempts_and_fixed_by_passing() {
    let world = World::new().await;
    let shop = name("shop");
    world.ended(Job::new("c1", 1, &junit("+adds -wobbles"))).await;
    assert_eq!(world.listed().await[0].0, "t.cart::wobbles", "what fails comes first");
    assert!(world.reports.flakes(&shop).await.unwrap().is_empty(), "one failure is no flake");
    let retried = Job { attempt: 2, ..Job::new("c1", 1, &junit("+adds +wobbles")) };
    world.ended(retried).await;
    let flakes = world.reports.flakes(&shop).await.unwrap();
    assert_eq!(flakes.len(), 1);
    let evidence = &flakes[0].flake.evidence[0];
    assert_eq!((evidence.failed.attempt, evidence.passed.attempt, evidence.among), (1, 2, 1));
    assert_eq!((flakes[0].state, flakes[0].rate), ("open", 0.5));
    let flaked = world.events::<TestFlaked>().await;
    assert_eq!((flaked.len(), flaked[0].id.as_str()), (1, "t.cart::wobbles"));
    // Another commit, another job: no contradiction.
    world.ended(Job::new("c2", 2, &junit("-adds"))).await;
    world.ended(Job { step: "other", ..Job::new("c2", 2, &junit("+adds")) }).await;
    assert_eq!(world.reports.flakes(&shop).await.unwrap().len(), 1);
    for run in 10..30 {
        let commit = format!("d{run}");
        world.ended(Job::new(&commit, run, &junit("+adds +wobbles"))).await;
    }
    assert_eq!(world.reports.flakes(&shop).await.unwrap()[0].state, "fixed");
    assert_eq!(world.events::<TestFixed>().await.len(), 1);
    let history = world.reports.history(&shop, None, "t.cart::wobbles").await.unwrap();
    assert_eq!(history.points.len(), 22);
    assert_eq!(
        (history.points[21].outcome, history.points[21].commit.as_str()),
        (Outcome::Failed, "c1")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_runs_of_a_commit_and_a_runners_own_retries_contradict_too() {
    let world = World::new().await;
    let shop = name("shop");
    world.ended(Job { step: "unit 1/2", ..Job::new("c1", 1, &junit("+a")) }).await;
    world.ended(Job { step: "unit 2/2", ..Job::new("c1", 2, &junit("-a")) }).await;
    let own = "<testsuite><testcase classname=\"t\" name=\"b\"><flakyFailure message=\"once\"/></testcase></testsuite>";
    world.ended(Job::new("c9", 3, own)).await;
    let flakes = world.reports.flakes(&shop).await.unwrap();
    let ids: Vec<&str> = flakes.iter().map(|f| f.id.as_str()).collect();
    assert_eq!(ids, ["t::b", "t.cart::a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quarantine_excuses_until_it_ends() {
    let world = World::new().await;
    let (shop, web) = (name("shop"), name("web"));
    let files = world.files(1, &[("junit", junit("+adds -wobbles"))]).await;
    let before = world.reports.judge(&shop, &web, &files).await.unwrap();
    assert_eq!(before.excuse, None);
    world.quarantine("t.cart::wobbles", "2025-12-01").await;
    let within = world.reports.judge(&shop, &web, &files).await.unwrap();
    assert!(within.excuse.unwrap().en.contains("wobbles (han, until 2025-12-01)"));
    world.clock.advance(Duration::from_secs(10 * 86_400));
    let after = world.reports.judge(&shop, &web, &files).await.unwrap();
    assert_eq!(after.excuse, None);
    assert!(after.notes[0].en.contains("han's to mend"), "{after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quarantine_does_not_outlast_ninety_days() {
    let world = World::new().await;
    world.quarantine("t.cart::wobbles", "2030-01-01").await;
    let (shop, web) = (name("shop"), name("web"));
    let files = world.files(1, &[("junit", junit("-wobbles"))]).await;
    assert!(world.reports.judge(&shop, &web, &files).await.unwrap().excuse.is_some());
    world.clock.advance(Duration::from_secs(91 * 86_400));
    assert_eq!(world.reports.judge(&shop, &web, &files).await.unwrap().excuse, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coverage_is_told_against_the_default_branch_and_for_changed_lines() {
    let world = World::new().await;
    let shop = name("shop");
    let commit = |id: &str, text: &str| {
        let files = BTreeMap::from([("src/a.c".to_owned(), text.to_owned())]);
        world.shelf.0.lock().unwrap().insert(id.to_owned(), files);
    };
    commit("c1", "one\ntwo\n");
    commit("c2", "one\ntwo\nthree\nfour\n");
    let lcov = |lines: &str| format!("SF:/builds/x/src/a.c\n{lines}end_of_record\n");
    let job = |commit, branch, run, step, words: &str| Job {
        branch,
        step,
        files: vec![("lcov", lcov(words))],
        ..Job::new(commit, run, "")
    };
    world.ended(job("c1", "main", 1, "unit", "DA:1,1\nDA:2,0\n")).await;
    world.ended(job("c2", "topic", 2, "unit", "DA:1,1\nDA:2,0\nDA:3,0\nDA:4,0\n")).await;
    // A second job of the same run covers more of it.
    world.ended(job("c2", "topic", 2, "whole", "DA:1,0\nDA:2,1\nDA:3,1\nDA:4,0\n")).await;
    let found = world.reports.coverage(&shop, &run_id(2)).await.unwrap().unwrap();
    assert_eq!((found.lines.covered, found.lines.all, found.delta), (3, 4, Some(25.0)));
    let changed = found.changed.unwrap();
    assert_eq!((changed.lines.covered, changed.lines.all), (1, 2));
    assert_eq!(changed.missed["src/a.c"], [(4, 4)]);
    let trends = world.reports.trends(&shop, None, None, 10).await.unwrap();
    assert_eq!((trends[0].branch.as_str(), trends[0].points.len()), ("main", 1));
    let topic = world.reports.trends(&shop, None, Some("topic".into()), 10).await.unwrap();
    assert_eq!(topic[0].points[0].lines.covered, 3, "both jobs of the run together");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn costs_times_and_jobs_without_files() {
    let world = World::new().await;
    let shop = name("shop");
    for run in 0..100 {
        let fact_only = Job { files: vec![], step: "build", ..Job::new("c1", run, "") };
        world.ended(fact_only).await;
    }
    world.ended(Job::new("c1", 200, &junit("-a"))).await;
    world.ended(Job { attempt: 2, ..Job::new("c1", 200, &junit("+a")) }).await;
    let costs = world.reports.costs(&shop, 2).await.unwrap();
    assert_eq!((costs.total.attempts, costs.total.core_s), (102, 153.0));
    assert_eq!((costs.total.failed_s, costs.total.retried_s), (1.5, 1.5));
    assert_eq!(costs.jobs[0].name, "web: build");
    let times = world.reports.times(&shop, &name("web"), Some("unit".into())).await.unwrap();
    assert_eq!(times, BTreeMap::from([("t.cart".to_owned(), 0.01)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folding_again_after_a_crash_changes_nothing() {
    let world = World::new().await;
    world.ended(Job::new("c1", 1, &junit("+a -b"))).await;
    world.ended(Job { attempt: 2, ..Job::new("c1", 1, &junit("+a +b")) }).await;
    let shop = name("shop");
    let known = |flakes: Vec<crate::ask::tests::FlakeView>| flakes[0].flake.clone();
    let before = known(world.reports.flakes(&shop).await.unwrap());
    world.stop.cancel();
    // As if the cursor had not been written.
    world.store.write(|tx| tx.delete_row("report.cursor", "jobs")).await.unwrap();
    let again = Reports::open(world.store.clone(), world.blobs.clone(), world.shelf.clone());
    let stop = CancellationToken::new();
    again.start(stop.clone());
    tokio::time::timeout(PATIENCE, again.folded(world.store.head())).await.unwrap();
    assert_eq!(known(again.flakes(&shop).await.unwrap()), before);
    let history = again.history(&shop, None, "t.cart::b").await.unwrap();
    assert_eq!(history.points.len(), 2);
    assert_eq!(again.costs(&shop, 1).await.unwrap().total.attempts, 2);
    assert_eq!(world.events::<TestFlaked>().await.len(), 1);
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_report_and_one_that_is_gone_are_problems_and_the_next_is_read() {
    let world = World::new().await;
    let broken = Job {
        files: vec![("junit", "<testsuite>\n<testcase name=\"a\"/>".into()), ("sarif", "{".into())],
        ..Job::new("c1", 1, "")
    };
    world.ended(broken).await;
    world.ended(Job::new("c2", 2, &junit("+b"))).await;
    let ids: Vec<String> = world.listed().await.into_iter().map(|t| t.0).collect();
    assert_eq!(ids, ["a", "t.cart::b"]);
    let id = run_id(1);
    let entries = world.store.read(move |v| crate::follow::entries(v, &id)).await.unwrap();
    assert_eq!((entries[0].problems, entries[0].tests.passed), (2, 1));
    let digest = world.reports.digest(&entries[0]).await.unwrap();
    assert_eq!((digest.problems[0].file.as_str(), digest.problems[0].line), ("out/junit", 2));
}

/// Histories are bounded, and long ones are whole up to the bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_history_keeps_five_hundred_results() {
    let world = World::new().await;
    let case = crate::read::Case {
        identity: crate::read::Identity { name: "a".into(), ..Default::default() },
        outcome: Outcome::Passed,
        ms: Some(1),
        file: None,
        line: None,
        message: String::new(),
        detail: String::new(),
        output: String::new(),
    };
    world.ended(Job::new("c1", 1, &junit("+other"))).await;
    let id = run_id(1);
    let entry = world.store.read(move |v| crate::follow::entries(v, &id)).await.unwrap().remove(0);
    let kept = world
        .store
        .write(move |tx| {
            for seq in 10..2_010 {
                let entry = crate::record::Entry { seq, ..entry.clone() };
                let around = crate::fold::around(tx, name("shop"), entry)?;
                crate::fold::cases(tx, &around, std::slice::from_ref(&case))?;
            }
            let key = format!("shop/web/{}", case.identity.key());
            let test = tx.row::<crate::record::Test>(crate::record::TEST, &key)?.unwrap();
            crate::fold::marks(tx, &key, &test)
        })
        .await
        .unwrap();
    assert!((500..540).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last().unwrap().0, 2_009);
    assert!(kept.windows(2).all(|w| w[0].0 + 1 == w[1].0), "no gap");
}

/// Fifty thousand tests are no reason to wait. The bound is for a slow build on a busy machine; the measured
/// time is printed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tests_at_once() {
    let world = World::new().await;
    let words: Vec<String> = (0..5_000).map(|i| format!("+t{i}")).collect();
    let whole = junit(&words.join(" "));
    for run in 1..3 {
        let began = Instant::now();
        let commit = format!("c{run}");
        world.ended(Job::new(&commit, run, &whole)).await;
        println!("5,000 tests folded in {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(30));
    }
    assert_eq!(
        world
            .reports
            .tests(&name("shop"), Which { limit: 5, ..Which::default() })
            .await
            .unwrap()
            .total,
        5_000
    );
}

#[test]
fn formats_have_words() {
    assert!(Format::ALL.iter().all(|f| Format::parse(f.word()) == Some(*f)));
}
