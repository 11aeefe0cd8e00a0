//! Follows `job.reported`: reads what the job left, and folds it. And follows quarantines, to say when they end.

use crate::Reports;
use crate::digest::{self, Digest};
use crate::fold::{self, Around, CHUNK};
use crate::kind::{self, Quarantine};
use crate::paths::Paths;
use crate::read::{self, Case, Results};
use crate::record::{BY_RUN, ENTRY, Entry, Measured};
use blob::Held;
use kernel::journey::{Fact, JobReported, ReportFile};
use kernel::{BoxFuture, Error, Event, Kind, Name, Principal, Resource, Result, Text, Time, text};
use reconcile::{Effect, Taker, Want, Write};
use serde::Deserialize;
use std::sync::Arc;

/// Bytes of a digest.
pub(crate) const MAX_DIGEST: u64 = 128 << 20;
/// Bytes of all files of one attempt.
const MAX_ALL: u64 = 256 << 20;

impl Taker for Reports {
    fn name(&self) -> &'static str {
        "reports"
    }

    fn cursor(&self) -> (&'static str, &'static str) {
        ("report.cursor", "jobs")
    }

    fn want(&self, event: &Event) -> Want {
        match interest(event) {
            Interest::Nothing => Want::Nothing,
            Interest::Quarantine(resource) => Want::Light(quarantined(resource, event.time)),
            Interest::Job(project, fact) if fact.files.is_empty() => {
                let entry = plain(event, &fact);
                Want::Light(Box::new(move |tx| fold::entry(tx, &project, &entry, None)))
            }
            Interest::Job(..) => Want::Heavy,
        }
    }

    fn take<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<Effect>> {
        Box::pin(async move {
            match interest(event) {
                Interest::Job(project, fact) => folded(self, project, event, fact).await,
                _ => Ok(Effect { write: Box::new(|_| Ok(())), held: None }),
            }
        })
    }
}

enum Interest {
    Nothing,
    Job(Name, JobReported),
    Quarantine(Resource),
}

fn interest(event: &Event) -> Interest {
    let fact = &event.fact;
    if let (Some(project), Some(job)) = (&fact.project, JobReported::of(event)) {
        return Interest::Job(project.clone(), job);
    }
    let written = fact.kind == "resource.created" || fact.kind == "resource.updated";
    let ours = written && fact.subject.as_ref().is_some_and(|s| s.kind == Quarantine::KIND);
    match Resource::deserialize(&fact.data) {
        Ok(resource) if ours => Interest::Quarantine(resource),
        _ => Interest::Nothing,
    }
}

/// An entry without results.
fn plain(event: &Event, fact: &JobReported) -> Entry {
    Entry {
        seq: event.seq,
        repository: fact.repository.clone(),
        commit: fact.commit.clone(),
        branch: fact.branch.clone(),
        default_branch: fact.default_branch,
        run: fact.run.clone(),
        step: fact.step.clone(),
        attempt: fact.attempt,
        passed: fact.passed,
        at: event.time,
        took_ms: fact.took_ms,
        cpu_ms: fact.cpu_ms,
        tests: Default::default(),
        coverage: None,
        findings: Default::default(),
        analysed: fact.files.iter().any(|f| read::analyses(&f.format)),
        problems: 0,
        digest: None,
    }
}

/// One attempt with files.
async fn folded(
    reports: &Reports,
    project: Name,
    event: &Event,
    fact: JobReported,
) -> Result<Effect> {
    let results = gather(reports, &fact.files).await?;
    let paths = paths(reports, &project, &fact).await;
    let (results, found) = tokio::task::spawn_blocking(move || {
        let found = digest::digest(&results, &paths);
        (results, found)
    })
    .await
    .map_err(Error::internal)?;
    let mut entry = plain(event, &fact);
    summarise(&mut entry, &found);
    let held = keep(reports, &found).await?;
    entry.digest = held.as_ref().map(|h| h.hash.clone());
    let measured = measured(reports, &entry, &found).await?;
    let (whose, known) = (project.clone(), entry.clone());
    let around = reports.store.read(move |v| fold::around(v, whose, known)).await?;
    tests(reports, Arc::new(around), results.cases).await?;
    Ok(Effect {
        write: Box::new(move |tx| fold::entry(tx, &project, &entry, measured.as_ref())),
        held: held.map(|held| Box::new(held) as _),
    })
}

/// Reads all files. One that is gone, too large or broken is a problem of its own.
pub(crate) async fn gather(reports: &Reports, files: &[ReportFile]) -> Result<Results> {
    let mut results = Results::default();
    let mut room = MAX_ALL;
    for file in files.iter().filter(|f| read::knows(&f.format)) {
        let limit = read::MAX_FILE.min(room);
        let problem = |say: Text| read::Problem { file: file.path.clone(), line: 0, say };
        if file.size > limit {
            let size = file.size;
            results.problems.push(problem(text!(
                "a file of {size} bytes is not read; {limit} are the limit",
                "{size}바이트 파일은 읽지 않습니다. 한도는 {limit}바이트입니다"
            )));
            continue;
        }
        room = room.saturating_sub(file.size);
        match reports.blobs.get(&file.blob, limit).await {
            Ok(bytes) => {
                let (format, path) = (file.format.clone(), file.path.clone());
                results = tokio::task::spawn_blocking(move || {
                    read::read(&format, &path, &bytes, &mut results);
                    results
                })
                .await
                .map_err(Error::internal)?;
            }
            Err(error) if error.kind() == kernel::ErrorKind::Internal => return Err(error),
            Err(error) => results.problems.push(problem(error.sentence())),
        }
    }
    Ok(results)
}

/// The files of the commit. Reports of a commit that is gone keep the paths they have.
async fn paths(reports: &Reports, project: &Name, fact: &JobReported) -> Paths {
    match reports.source.tree(project, &fact.repository, &fact.commit).await {
        Ok(tree) => Paths::new(tree.into_iter().map(|e| e.path)),
        Err(error) => {
            tracing::debug!(%error, "the commit of a report is not there");
            Paths::default()
        }
    }
}

fn summarise(entry: &mut Entry, found: &Digest) {
    entry.tests = found.tests;
    let (lines, ..) = digest::total(&found.coverage);
    entry.coverage = (lines.all > 0).then_some(lines);
    for finding in &found.findings {
        *entry.findings.entry(finding.severity).or_default() += 1;
    }
    entry.problems = u32::try_from(found.problems.len()).unwrap_or(u32::MAX);
}

async fn keep(reports: &Reports, found: &Digest) -> Result<Option<Held>> {
    if *found == Digest::default() {
        return Ok(None);
    }
    let bytes = serde_json::to_vec(found).map_err(Error::internal)?;
    reports.blobs.put_bytes(bytes).await.map(Some)
}

/// Coverage of the run so far, this attempt included.
async fn measured(reports: &Reports, entry: &Entry, found: &Digest) -> Result<Option<Measured>> {
    if entry.coverage.is_none() {
        return Ok(None);
    }
    let run = entry.run.clone();
    let others = reports.store.read(move |v| entries(v, &run)).await?;
    let mut parts = vec![found.coverage.clone()];
    // Earlier attempts, too: one that ran the failed tests alone adds to what the others covered.
    for other in others.iter().filter(|e| e.coverage.is_some() && e.seq != entry.seq) {
        parts.push(reports.digest(other).await?.coverage);
    }
    let (lines, branches, functions) = digest::total(&digest::merge(parts));
    let (commit, run, at) = (entry.commit.clone(), entry.run.clone(), entry.at);
    Ok(Some(Measured { commit, run, at, lines, branches, functions }))
}

/// The entries of a run, in order.
pub(crate) fn entries(v: &store::View<'_>, run: &kernel::Id) -> Result<Vec<Entry>> {
    const MOST: usize = 2_000;
    let keys: Vec<(String, String)> = v.rows(BY_RUN, &format!("{run}/"), None, MOST)?;
    let mut out = Vec::with_capacity(keys.len());
    for (_, key) in keys {
        out.extend(v.row::<Entry>(ENTRY, &key)?);
    }
    Ok(out)
}

async fn tests(reports: &Reports, around: Arc<Around>, mut cases: Vec<Case>) -> Result<()> {
    while !cases.is_empty() {
        let rest = cases.split_off(cases.len().min(CHUNK));
        let (chunk, around) = (std::mem::replace(&mut cases, rest), around.clone());
        reports.store.write(move |tx| fold::cases(tx, &around, &chunk)).await?;
    }
    Ok(())
}

/// Says when a quarantine ends, counted from when it was written.
fn quarantined(resource: Resource, written: Time) -> Write {
    Box::new(move |tx| {
        let Ok(spec) = Quarantine::deserialize(&resource.spec) else { return Ok(()) };
        // Deleted since: there is nothing to say any more.
        if tx.resource(&resource.key)?.is_none() {
            return Ok(());
        }
        let status = kind::ends(&spec, written);
        tx.put_status(&resource.key, &status, Principal::part("delivery-report")).map(drop)
    })
}
