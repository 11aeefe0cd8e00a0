//! How long the test files of each job took on this machine, for local runs whose jobs share a suite.

use super::junit;
use super::world::World;
use crate::work::{Output, Work};
use kernel::journey::ReportFile;
use kernel::port::{FailedTests, Judgement, Verdicts};
use kernel::{BoxFuture, Error, Id, Name, Result};
use run::{Run, StepState, StepView};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

const FILE: &str = "test-times.json";
/// Bytes of the file; one that grew larger is begun anew.
const MAX_FILE: u64 = 32 << 20;
/// Bytes of one report that is looked into.
const MAX_REPORT: u64 = 32 << 20;

/// Seconds by file or class, by job.
type Known = BTreeMap<String, BTreeMap<String, f64>>;

/// What is known of tests without a server: how long they took here.
pub struct Times(PathBuf);

impl Times {
    /// `dir` is the place of the repository's local runs.
    pub fn of(dir: &Path) -> Times {
        Times(dir.join(FILE))
    }

    /// Nothing, where there is nothing yet that reads: the cache may be thrown away at any time.
    fn read(&self) -> Known {
        let mut words = Vec::new();
        let read = std::fs::File::open(&self.0)
            .and_then(|file| file.take(MAX_FILE).read_to_end(&mut words));
        read.ok().and_then(|_| serde_json::from_slice(&words).ok()).unwrap_or_default()
    }

    /// In one step, so that a run that is cut off leaves what was there.
    fn write(&self, known: &Known) -> std::io::Result<()> {
        let beside = self.0.with_extension("new");
        std::fs::write(&beside, serde_json::to_vec(known)?)?;
        std::fs::rename(beside, &self.0)
    }
}

impl Verdicts for Times {
    fn judge<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        _: &'a [ReportFile],
    ) -> BoxFuture<'a, Result<Judgement>> {
        Box::pin(std::future::ready(Ok(Judgement::default())))
    }

    fn failed_before<'a>(
        &'a self,
        _: &'a Id,
        _: &'a str,
        _: u32,
    ) -> BoxFuture<'a, Result<Option<FailedTests>>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn times<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        job: &'a str,
    ) -> BoxFuture<'a, Result<BTreeMap<String, f64>>> {
        let mut known = self.read();
        let mut found = known.remove(job).unwrap_or_default();
        for (unit, seconds) in known.into_values().flatten() {
            found.entry(unit).or_insert(seconds);
        }
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// Takes in what the jobs of a run measured. Those that failed may have left tests out, and those that were
/// not run again measured nothing.
///
/// # Errors
/// When the cache cannot be written.
pub async fn learn(world: &World, run: &Run) -> Result<()> {
    let times = Times::of(&world.place.dir);
    let mut known = times.read();
    let mut any = false;
    for step in run.steps.iter().filter(|s| s.state == StepState::Passed && !s.copied) {
        let job = job_of(run, step);
        for (unit, seconds) in measured(world, step).await {
            known.entry(job.clone()).or_default().insert(unit, seconds);
            any = true;
        }
    }
    if any { times.write(&known).map_err(Error::internal) } else { Ok(()) }
}

/// The job whose tests it shares with others, else its own name.
fn job_of(run: &Run, step: &StepView) -> String {
    let with = run.plan.steps.get(step.index).map(|s| s.action.with.clone()).unwrap_or_default();
    let shares = serde_json::from_value::<Work>(with).ok().and_then(|work| work.shares);
    shares.unwrap_or_else(|| step.name.clone())
}

async fn measured(world: &World, step: &StepView) -> BTreeMap<String, f64> {
    let output: Output = serde_json::from_value(step.output.clone()).unwrap_or_default();
    let mut all: BTreeMap<String, f64> = BTreeMap::new();
    for report in output.reports.iter().filter(|r| r.format == "junit") {
        if let Ok(bytes) = world.blobs.get(&report.blob, MAX_REPORT).await {
            for (unit, seconds) in junit::seconds(&bytes) {
                *all.entry(unit).or_default() += seconds;
            }
        }
    }
    all
}
