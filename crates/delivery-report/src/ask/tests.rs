//! Tests: lists, histories, the flake ledger, durations.

use super::{Held, chosen, newest, unknown_test};
use crate::Reports;
use crate::flake::{Flake, Manner, Standing};
use crate::fold;
use crate::judge::{Kept, quarantines};
use crate::read::{Identity, Outcome};
use crate::record::{ENTRY, Entry, FLAKE, TEST, Test, seq_key};
use crate::stats::{self, Slower};
use kernel::{Id, Name, Result, Time};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use store::View;

/// Rows of one read.
const PAGE: usize = 2_000;
/// Tests of a project that are looked at for one answer.
const TESTS: usize = 300_000;
/// Entries of the ledger.
const FLAKES: usize = 5_000;

/// In which order tests are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// What fails first, then by name.
    #[default]
    Trouble,
    Slowest,
    Newest,
}

/// Which tests are asked for. Empty fields do not restrict.
#[derive(Clone, Debug, Default)]
pub struct Which {
    pub repository: Option<Name>,
    pub job: Option<String>,
    /// Part of the id, in any case.
    pub words: Option<String>,
    /// `passed`, `failed`, `skipped`, `flaky`, as the newest result is; `failed` includes broken ones.
    pub outcome: Option<String>,
    pub order: Order,
    pub limit: usize,
}

/// A test at a glance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TestView {
    /// Sixteen hex digits.
    pub test: String,
    pub id: String,
    #[serde(flatten)]
    pub identity: Identity,
    pub repository: Name,
    pub job: String,
    pub file: Option<String>,
    /// Its newest result.
    pub outcome: Option<Outcome>,
    /// Of its newest results, how many ran, and how many of those failed.
    pub ran: usize,
    pub failed: usize,
    /// The middle of the newest durations.
    pub ms: Option<f64>,
    pub first: Time,
    pub seen: Time,
    pub quarantine: Option<Held>,
    /// On the default branch, when it got slower there.
    pub slower: Option<Slower>,
    /// Its newest results, oldest first.
    pub recent: Vec<Outcome>,
}

/// What a list is of, beside its first rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Listed {
    pub items: Vec<TestView>,
    /// How many fit, listed or not.
    pub total: usize,
}

/// One result with where it came from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    pub at: Time,
    pub outcome: Outcome,
    pub ms: u32,
    pub commit: String,
    pub branch: Option<String>,
    pub run: Id,
    pub step: String,
    pub attempt: u32,
}

/// A test with all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct History {
    #[serde(flatten)]
    pub view: TestView,
    /// Newest first.
    pub points: Vec<Point>,
    pub flake: Option<FlakeView>,
}

/// An entry of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlakeView {
    pub test: String,
    pub id: String,
    /// `open`, `quarantined`, `fixed`
    pub state: &'static str,
    pub rate: f64,
    pub manner: Manner,
    /// Passes in a row that it takes to be fixed.
    pub passes_needed: u32,
    pub quarantine: Option<Held>,
    #[serde(flatten)]
    pub flake: Flake,
}

/// Every test row of a repository.
fn each(
    v: &View<'_>,
    project: &Name,
    repository: &Name,
    mut see: impl FnMut(String, Test),
) -> Result<()> {
    let prefix = format!("{project}/{repository}/");
    let mut after: Option<String> = None;
    for _ in 0..TESTS / PAGE {
        let rows: Vec<(String, Test)> = v.rows(TEST, &prefix, after.as_deref(), PAGE)?;
        let full = rows.len() == PAGE;
        after = rows.last().map(|(key, _)| key.clone());
        for (key, test) in rows {
            see(key.strip_prefix(&prefix).unwrap_or_default().to_owned(), test);
        }
        if !full {
            break;
        }
    }
    Ok(())
}

fn view(key: String, repository: &Name, test: &Test, kept: &[Kept], now: Time) -> TestView {
    let id = test.identity.id();
    let marks = test.recent();
    let recent: Vec<Outcome> = marks.iter().map(|m| m.outcome()).collect();
    let ran = || recent.iter().filter(|o| **o != Outcome::Skipped);
    let times = |marks: &[crate::record::Mark]| -> Vec<f64> {
        let ran = marks.iter().filter(|m| m.outcome().passed());
        ran.map(|m| f64::from(m.2)).collect()
    };
    TestView {
        test: key,
        quarantine: Held::of(kept, repository, &id, now),
        id,
        identity: test.identity.clone(),
        repository: repository.clone(),
        job: test.job.clone(),
        file: test.file.clone(),
        outcome: test.last().map(|m| m.outcome()),
        ran: ran().count(),
        failed: ran().filter(|o| o.failed()).count(),
        ms: stats::median(&times(&marks)),
        first: test.first,
        seen: test.seen,
        slower: stats::slower(&times(&test.main)),
        recent,
    }
}

fn fits(which: &Which, test: &Test) -> bool {
    let last = test.last().map(|m| m.outcome());
    let outcome = match which.outcome.as_deref() {
        None | Some("") => true,
        Some("failed") => last.is_some_and(Outcome::failed),
        Some(word) => last.is_some_and(|o| o.word() == word),
    };
    let words = || {
        let id = test.identity.id().to_lowercase();
        which.words.as_ref().is_none_or(|w| id.contains(&w.to_lowercase()))
    };
    outcome && which.job.as_ref().is_none_or(|j| *j == test.job) && words()
}

/// Keeps the first rows of a list while going through all.
fn rank(order: Order, t: &Test) -> (u64, std::cmp::Reverse<Time>) {
    let failing = t.last().is_some_and(|m| m.outcome().failed());
    let failed = t.recent().iter().filter(|m| m.outcome().failed()).count() as u64;
    let first = match order {
        Order::Trouble => {
            if failing {
                0
            } else {
                1_000 - failed.min(999)
            }
        }
        Order::Slowest => {
            let times: Vec<f64> = t.recent().iter().map(|m| f64::from(m.2)).collect();
            u64::MAX - stats::median(&times).unwrap_or(0.0) as u64
        }
        Order::Newest => 0,
    };
    (first, std::cmp::Reverse(if order == Order::Newest { t.first } else { Time(0) }))
}

pub(crate) fn list(v: &View<'_>, project: &Name, which: &Which, now: Time) -> Result<Listed> {
    let kept = quarantines(v, project)?;
    let mut out = Vec::new();
    let mut total = 0;
    for repository in chosen(v, project, which.repository.as_ref())? {
        each(v, project, &repository, |key, test| {
            if fits(which, &test) {
                total += 1;
                out.push((
                    rank(which.order, &test),
                    test.identity.id(),
                    key,
                    repository.clone(),
                    test,
                ));
            }
            // Bounded, whatever the project has.
            if out.len() > 4 * which.limit + PAGE {
                out.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
                out.truncate(which.limit);
            }
        })?;
    }
    out.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    out.truncate(which.limit);
    let items = out
        .into_iter()
        .map(|(.., key, repository, test)| view(key, &repository, &test, &kept, now));
    Ok(Listed { items: items.collect(), total })
}

/// Those that got slower on the default branch, by how much.
pub(crate) fn slower(
    v: &View<'_>,
    project: &Name,
    limit: usize,
    now: Time,
) -> Result<Vec<TestView>> {
    let mut out = Vec::new();
    for repository in chosen(v, project, None)? {
        each(v, project, &repository, |key, test| {
            let view = view(key, &repository, &test, &[], now);
            if view.slower.is_some() && out.len() < 10_000 {
                out.push(view);
            }
        })?;
    }
    let rise = |t: &TestView| t.slower.map_or(0.0, |s| s.after_ms - s.before_ms);
    out.sort_by(|a, b| rise(b).total_cmp(&rise(a)));
    out.truncate(limit);
    Ok(out)
}

pub(crate) fn flake_view(key: String, flake: Flake, kept: &[Kept], now: Time) -> FlakeView {
    let id = flake.identity.id();
    let quarantine = Held::of(kept, &flake.repository, &id, now);
    let state = match flake.standing {
        Standing::Fixed => "fixed",
        Standing::Open if quarantine.as_ref().is_some_and(|q| !q.over) => "quarantined",
        Standing::Open => "open",
    };
    FlakeView {
        test: key,
        id,
        state,
        rate: flake.rate(),
        manner: flake.manner(),
        passes_needed: flake.passes_needed(),
        quarantine,
        flake,
    }
}

/// The ledger: open entries first, the newest contradictions first.
pub(crate) fn flakes(v: &View<'_>, project: &Name, now: Time) -> Result<Vec<FlakeView>> {
    let kept = quarantines(v, project)?;
    let rows: Vec<(String, Flake)> = v.rows(FLAKE, &format!("{project}/"), None, FLAKES)?;
    let test = |key: &str| key.rsplit('/').next().unwrap_or("").to_owned();
    let mut all: Vec<FlakeView> =
        rows.into_iter().map(|(key, flake)| flake_view(test(&key), flake, &kept, now)).collect();
    all.sort_by_key(|f| (f.flake.standing == Standing::Fixed, std::cmp::Reverse(f.flake.last)));
    Ok(all)
}

/// Finds a test by its key or by its id.
fn find(
    v: &View<'_>,
    project: &Name,
    repository: Option<&Name>,
    words: &str,
) -> Result<Option<(Name, String, Test)>> {
    let key_like = words.len() == 16 && words.bytes().all(|b| b.is_ascii_hexdigit());
    for repository in chosen(v, project, repository)? {
        if key_like {
            let row = v.row::<Test>(TEST, &format!("{project}/{repository}/{words}"))?;
            if let Some(test) = row {
                return Ok(Some((repository, words.to_owned(), test)));
            }
            continue;
        }
        let mut found = None;
        each(v, project, &repository, |key, test| {
            if test.identity.id() == words {
                found = Some((key, test));
            }
        })?;
        if let Some((key, test)) = found {
            return Ok(Some((repository, key, test)));
        }
    }
    Ok(None)
}

pub(crate) fn history(
    v: &View<'_>,
    project: &Name,
    repository: Option<&Name>,
    words: &str,
    now: Time,
) -> Result<History> {
    let found = find(v, project, repository, words)?;
    let (repository, key, test) = found.ok_or_else(|| unknown_test(words))?;
    let kept = quarantines(v, project)?;
    let base = format!("{project}/{repository}");
    let mut points = Vec::new();
    for mark in fold::marks(v, &format!("{base}/{key}"), &test)?.into_iter().rev() {
        let entry = v.row::<Entry>(ENTRY, &format!("{base}/{}", seq_key(mark.0)))?;
        // Results outlive the entries they were in.
        let Some(entry) = entry else { continue };
        points.push(Point {
            at: entry.at,
            outcome: mark.outcome(),
            ms: mark.2,
            commit: entry.commit,
            branch: entry.branch,
            run: entry.run,
            step: entry.step,
            attempt: entry.attempt,
        });
    }
    let flake = v.row::<Flake>(FLAKE, &format!("{base}/{key}"))?;
    let flake = flake.map(|f| flake_view(key.clone(), f, &kept, now));
    Ok(History { view: view(key, &repository, &test, &kept, now), points, flake })
}

/// Seconds of one file or class of tests.
pub type Times = BTreeMap<String, f64>;

/// Whether a job is that one, or one of its matrix: `unit: [3.12]` of `unit`.
fn is_part(job: &str, of: &str) -> bool {
    job.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with(": ["))
}

/// How long the tests of a job usually take, by file, or by class where reports name no files.
pub(crate) fn times(
    v: &View<'_>,
    project: &Name,
    repository: &Name,
    job: Option<&str>,
) -> Result<Times> {
    let mut sums: HashMap<String, f64> = HashMap::new();
    each(v, project, repository, |_, test| {
        if job.is_some_and(|job| !is_part(&test.job, job)) {
            return;
        }
        let recent = test.recent();
        let times: Vec<f64> = recent
            .iter()
            .rev()
            .filter(|m| m.1 != Outcome::Skipped.code())
            .take(7)
            .map(|m| f64::from(m.2))
            .collect();
        let Some(ms) = stats::median(&times) else { return };
        let Identity { class, suite, .. } = &test.identity;
        let unit = test
            .file
            .clone()
            .unwrap_or_else(|| if class.is_empty() { suite.clone() } else { class.clone() });
        *sums.entry(unit).or_default() += ms / 1000.0;
    })?;
    Ok(sums.into_iter().collect())
}

/// How a project's tests are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Health {
    /// Attempts with tests on the default branch, newest first.
    pub newest: Vec<Entry>,
    pub open_flakes: usize,
    pub quarantined: usize,
    pub slowest: Vec<TestView>,
    pub slower: Vec<TestView>,
    pub failing: Listed,
}

pub(crate) fn health(v: &View<'_>, project: &Name, now: Time) -> Result<Health> {
    const LOOKED_AT: usize = 300;
    const SHOWN: usize = 8;
    let mut entries = Vec::new();
    for repository in chosen(v, project, None)? {
        let some = newest(v, project, &repository, LOOKED_AT)?;
        entries.extend(some.into_iter().filter(|e| e.default_branch && e.tests.all() > 0));
    }
    entries.sort_by_key(|e| std::cmp::Reverse(e.seq));
    entries.truncate(60);
    let flakes = flakes(v, project, now)?;
    let state = |word: &str| flakes.iter().filter(|f| f.state == word).count();
    let ask = |order, outcome: Option<&str>| {
        let outcome = outcome.map(str::to_owned);
        list(v, project, &Which { order, outcome, limit: SHOWN, ..Which::default() }, now)
    };
    Ok(Health {
        newest: entries,
        open_flakes: state("open"),
        quarantined: state("quarantined"),
        slowest: ask(Order::Slowest, None)?.items,
        slower: slower(v, project, SHOWN, now)?,
        failing: ask(Order::Trouble, Some("failed"))?,
    })
}

impl Reports {
    pub async fn tests(&self, project: &Name, which: Which) -> Result<Listed> {
        let (project, now) = (project.clone(), self.store.now());
        self.store.read(move |v| list(v, &project, &which, now)).await
    }

    /// The slowest, and those that got slower.
    pub async fn slow(
        &self,
        project: &Name,
        limit: usize,
    ) -> Result<(Vec<TestView>, Vec<TestView>)> {
        let (project, now) = (project.clone(), self.store.now());
        let which = Which { order: Order::Slowest, limit, ..Which::default() };
        self.store
            .read(move |v| {
                Ok((list(v, &project, &which, now)?.items, slower(v, &project, limit, now)?))
            })
            .await
    }

    /// By key or id.
    ///
    /// # Errors
    /// `test.unknown`.
    pub async fn history(
        &self,
        project: &Name,
        repository: Option<Name>,
        test: &str,
    ) -> Result<History> {
        let (project, test, now) = (project.clone(), test.to_owned(), self.store.now());
        self.store.read(move |v| history(v, &project, repository.as_ref(), &test, now)).await
    }

    pub async fn flakes(&self, project: &Name) -> Result<Vec<FlakeView>> {
        let (project, now) = (project.clone(), self.store.now());
        self.store.read(move |v| flakes(v, &project, now)).await
    }

    /// For cutting a job's tests into parts that take equally long.
    pub async fn times(
        &self,
        project: &Name,
        repository: &Name,
        job: Option<String>,
    ) -> Result<Times> {
        let (project, repository) = (project.clone(), repository.clone());
        self.store.read(move |v| times(v, &project, &repository, job.as_deref())).await
    }

    pub async fn health(&self, project: &Name) -> Result<Health> {
        let (project, now) = (project.clone(), self.store.now());
        self.store.read(move |v| health(v, &project, now)).await
    }
}
