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
use kernel::{Error, Event, Kind, Name, Principal, Resource, Result, Text, text};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use store::Feed;
use tokio_util::sync::CancellationToken;

/// The sequence of the last event that was folded.
const CURSOR: &str = "report.cursor";
const PLACE: &str = "jobs";
/// Events of no concern that are passed before the cursor is written for their sake alone.
const PASSED: u64 = 1_024;
/// Entries without files that are written together.
const BATCH: usize = 64;
/// Bytes of a digest.
pub(crate) const MAX_DIGEST: u64 = 128 << 20;
/// Bytes of all files of one attempt.
const MAX_ALL: u64 = 256 << 20;
/// Between tries when something fails.
const PAUSE: Duration = Duration::from_secs(5);

/// Until `stop`. A try that fails is made again; what was written stays written once.
pub(crate) async fn run(reports: Reports, stop: CancellationToken) {
    loop {
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            ended = follow(&reports) => ended,
        };
        let Err(error) = ended else { return };
        if error.code() == "store.closed" {
            return;
        }
        tracing::warn!(%error, "folding reports failed; it will be tried again");
        let wake = reports.store.clock().sleep_until(reports.store.now().plus(PAUSE));
        tokio::select! {
            () = stop.cancelled() => return,
            () = wake => {}
        }
    }
}

async fn follow(reports: &Reports) -> Result<()> {
    let mut cursor = reports.store.read(|v| v.row::<u64>(CURSOR, PLACE)).await?.unwrap_or(0);
    let mut feed = reports.store.follow(cursor);
    reports.folded.send_replace(cursor);
    let mut small: Vec<(Name, Entry)> = Vec::new();
    loop {
        let event = next(&mut feed, small.is_empty(), reports).await?;
        let done = match event {
            Some(event) => match interest(&event) {
                Interest::Nothing => None,
                Interest::Quarantine(resource) => {
                    quarantined(reports, resource, &event).await?;
                    None
                }
                Interest::Job(project, fact) if fact.files.is_empty() => {
                    small.push((project.clone(), plain(&event, &fact)));
                    None
                }
                Interest::Job(project, fact) => Some((project, fact, event)),
            },
            None => None,
        };
        let place = feed.place();
        if done.is_none() && small.is_empty() {
            reports.folded.send_replace(place);
        }
        let caught_up = place >= reports.store.head();
        let due = done.is_some() || small.len() >= BATCH || (caught_up && !small.is_empty());
        if due || place - cursor >= PASSED {
            let before = done.as_ref().map_or(place, |(.., event)| event.seq - 1);
            flush(reports, std::mem::take(&mut small), before).await?;
            cursor = before;
            reports.folded.send_replace(before);
        }
        if let Some((project, fact, event)) = done {
            take(reports, &project, &event, fact).await?;
            cursor = event.seq;
            reports.folded.send_replace(cursor);
        }
    }
}

/// The next event. When entries wait to be written, only one that is there already.
async fn next(feed: &mut Feed, patient: bool, reports: &Reports) -> Result<Option<Arc<Event>>> {
    if patient || feed.place() < reports.store.head() {
        return feed.next().await.map(Some);
    }
    Ok(None)
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

async fn flush(reports: &Reports, small: Vec<(Name, Entry)>, place: u64) -> Result<()> {
    let work = move |tx: &mut store::Tx<'_>| {
        for (project, entry) in &small {
            fold::entry(tx, project, entry, None)?;
        }
        tx.set_row(CURSOR, PLACE, &place)
    };
    reports.store.write(work).await
}

/// One attempt with files.
async fn take(reports: &Reports, project: &Name, event: &Event, fact: JobReported) -> Result<()> {
    let results = gather(reports, &fact.files).await?;
    let paths = paths(reports, project, &fact).await;
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
    let (project, seq) = (project.clone(), event.seq);
    let work = move |tx: &mut store::Tx<'_>| {
        fold::entry(tx, &project, &entry, measured.as_ref())?;
        tx.set_row(CURSOR, PLACE, &seq)
    };
    reports.store.write(work).await?;
    drop(held);
    Ok(())
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
async fn quarantined(reports: &Reports, resource: Resource, event: &Event) -> Result<()> {
    let Ok(spec) = Quarantine::deserialize(&resource.spec) else { return Ok(()) };
    let status = kind::ends(&spec, event.time);
    let work = move |tx: &mut store::Tx<'_>| {
        // Deleted since: there is nothing to say any more.
        if tx.resource(&resource.key)?.is_none() {
            return Ok(());
        }
        tx.put_status(&resource.key, &status, Principal::part("delivery-report")).map(drop)
    };
    reports.store.write(work).await
}
