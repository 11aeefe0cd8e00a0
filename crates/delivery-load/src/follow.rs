//! Follows `job.reported`: keeps the results of performance tests, and says how they compare.

use crate::Loads;
use crate::record::{self, Row};
use kernel::journey::{Fact, JobReported, LoadVerdict, ReportFile};
use kernel::{BoxFuture, Error, Event, Name, NewEvent, Principal, Result, Text, text};
use load::judge::{Judgement, Rules, Verdict};
use load::report::{Measured, Report, measured};
use reconcile::{Effect, Taker, Want, Write};
use store::Tx;

pub(crate) const FORMAT: &str = "load_performance";
/// Bytes of one file.
pub(crate) const MAX_FILE: u64 = 32 << 20;
/// Files of one attempt, and scenarios of one file.
const MAX_FILES: usize = 32;
const MAX_SCENARIOS: usize = 64;

impl Taker for Loads {
    fn name(&self) -> &'static str {
        "performance tests"
    }

    fn cursor(&self) -> (&'static str, &'static str) {
        ("load.cursor", "jobs")
    }

    fn want(&self, event: &Event) -> Want {
        if ours(event).is_some() { Want::Heavy } else { Want::Nothing }
    }

    fn take<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<Effect>> {
        Box::pin(async move {
            let write: Write = match ours(event) {
                Some((project, fact)) => kept(self, project, fact, event).await?,
                None => Box::new(|_| Ok(())),
            };
            Ok(Effect { write, held: None })
        })
    }
}

fn ours(event: &Event) -> Option<(Name, JobReported)> {
    let fact = JobReported::of(event)?;
    let has = fact.files.iter().any(|f| f.format == FORMAT);
    Some((event.fact.project.clone()?, fact)).filter(|_| has)
}

/// What a file says, and where it is.
struct Found {
    blob: String,
    measured: Vec<Measured>,
    report: Option<Report>,
}

async fn kept(loads: &Loads, project: Name, fact: JobReported, event: &Event) -> Result<Write> {
    let mut found = Vec::new();
    for file in fact.files.iter().filter(|f| f.format == FORMAT).take(MAX_FILES) {
        found.extend(read(loads, file).await?);
    }
    let (seq, at) = (event.seq, event.time);
    Ok(Box::new(move |tx| {
        for file in &found {
            for m in file.measured.iter().take(MAX_SCENARIOS) {
                let mut row = Row::of(seq, at, &fact, m, file.report.as_ref());
                row.blob.clone_from(&file.blob);
                one(tx, &project, row, file.report.as_ref())?;
            }
        }
        Ok(())
    }))
}

async fn read(loads: &Loads, file: &ReportFile) -> Result<Option<Found>> {
    let bytes = match loads.blobs.get(&file.blob, MAX_FILE).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == kernel::ErrorKind::Internal => return Err(error),
        Err(error) => {
            tracing::warn!(path = file.path, %error, "a result of a performance test is not read");
            return Ok(None);
        }
    };
    let parse = move || measured(&bytes);
    let (measured, report) = tokio::task::spawn_blocking(parse).await.map_err(Error::internal)?;
    if measured.is_empty() {
        tracing::warn!(path = file.path, "not a result of a performance test that is known here");
        return Ok(None);
    }
    Ok(Some(Found { blob: file.blob.clone(), measured, report }))
}

fn one(tx: &mut Tx<'_>, project: &Name, row: Row, report: Option<&Report>) -> Result<()> {
    let wanted = report.and_then(|r| r.wanted.as_ref());
    let branch = row.branch.clone().unwrap_or_default();
    // The default branch is judged against its own past.
    let base = wanted.map_or_else(|| default_base(tx, project, &row), |w| w.base.clone());
    let effect = wanted.map_or(Rules::default().effect, |w| w.effect.clamp(0.001, 10.0));
    let base = if row.default_branch { branch } else { base };
    let row = record::keep(tx, project, row, &base, Rules { effect, ..Rules::default() })?;
    let Some(judgement) = &row.judgement else { return Ok(()) };
    let fact = LoadVerdict {
        repository: row.repository.clone(),
        commit: row.commit.clone(),
        run: row.run.clone(),
        step: row.step.clone(),
        scenario: row.scenario.clone(),
        base: base.clone(),
        verdict: word(judgement.verdict).to_owned(),
        address: row.address(project),
        judgement: serde_json::to_value(judgement).map_err(Error::internal)?,
    };
    let event = fact.event(Principal::part("delivery-load"), say(judgement, &base))?;
    let event: NewEvent = event.project(project).change(row.change.clone());
    tx.append(event).map(drop)
}

/// The default branch, as far as results have told of it.
fn default_base(tx: &Tx<'_>, project: &Name, row: &Row) -> String {
    let all = record::results(tx, project, &row.repository, &row.scenario, record::KEPT as usize);
    let of = all.unwrap_or_default().into_iter().find(|r| r.default_branch);
    of.and_then(|r| r.branch).unwrap_or_else(|| "main".to_owned())
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "better",
        Verdict::Same => "same",
        Verdict::Worse => "worse",
        Verdict::CannotTell => "cannot_tell",
    }
}

/// `checkout: worse than main (p95 +18.2 %, from +9.1 to +28.4 %)`
pub(crate) fn say(j: &Judgement, base: &str) -> Text {
    let decisive = j.effects.iter().find(|e| e.verdict == j.verdict).or(j.effects.first());
    let numbers = decisive.map_or_else(String::new, |e| {
        let p = |v: f64| format!("{:+.1}", (v * 100.0).clamp(-999.0, 999.0));
        format!("{} {} % [{}, {}]", e.metric, p(e.shift), p(e.low), p(e.high))
    });
    let (name, verdict) = (&j.scenario, j.verdict.text());
    let (en, ko) = (verdict.en, verdict.ko);
    text!("{name} beside {base}: {en} ({numbers})", "{name}, {base} 대비: {ko} ({numbers})")
}
