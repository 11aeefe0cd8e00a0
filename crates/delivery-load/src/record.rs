//! What is kept of results: a row for each scenario of each, the newest of every scenario counted.

use kernel::journey::JobReported;
use kernel::{Error, Id, Name, Result, Time, text};
use load::judge::{Judgement, Rules, Sample, history};
use load::report::{Grade, Measured, Report};
use serde::{Deserialize, Serialize};
use store::{Tx, View};

/// Results by `<project>/<repository>/<scenario>/<sequence>`.
const RESULT: &str = "load.result";
/// Scenarios by `<project>/<repository>/<scenario>`.
const SCENARIO: &str = "load.scenario";
/// Results of one scenario.
pub const KEPT: u64 = 500;
/// Scenarios of one project that are shown.
const SCENARIOS: usize = 200;
/// Runs of the base that tell its noise.
const HISTORY: usize = 20;

/// One scenario of one result. Milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub seq: u64,
    pub repository: Name,
    pub scenario: String,
    /// Class of machine.
    pub class: String,
    pub branch: Option<String>,
    pub default_branch: bool,
    pub commit: String,
    pub change: Option<Name>,
    pub run: Id,
    pub step: String,
    pub at: Time,
    pub tool: String,
    pub requests: u64,
    pub failed: u64,
    pub rate: f64,
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    #[serde(default)]
    pub dropped: u64,
    /// Of the naru generator alone.
    pub grade: Option<Grade>,
    /// The whole file.
    pub blob: String,
    /// Beside [`Row::base`].
    pub judgement: Option<Judgement>,
    /// The branch it was judged against.
    pub base: Option<String>,
}

impl Row {
    pub fn of(
        seq: u64,
        at: Time,
        fact: &JobReported,
        m: &Measured,
        report: Option<&Report>,
    ) -> Row {
        let own = report.and_then(|r| r.scenarios.iter().find(|s| s.name == m.scenario));
        Row {
            seq,
            repository: fact.repository.clone(),
            scenario: m.scenario.clone(),
            class: report.map_or_else(|| "unknown".to_owned(), |r| r.machine.class.clone()),
            branch: fact.branch.clone(),
            default_branch: fact.default_branch,
            commit: fact.commit.clone(),
            change: kernel::journey::change_name(&fact.repository, &fact.commit),
            run: fact.run.clone(),
            step: fact.step.clone(),
            at,
            tool: m.tool.clone(),
            requests: m.requests,
            failed: m.failed,
            rate: m.rate,
            p50: m.p50,
            p95: m.p95,
            p99: m.p99,
            dropped: own.map_or(0, |s| s.dropped),
            grade: report.map(|r| r.trust.grade),
            blob: String::new(),
            judgement: None,
            base: None,
        }
    }

    /// `None`: it does not say what is compared.
    fn sample(&self) -> Option<Sample> {
        let failed = self.failed as f64 / (self.requests as f64).max(1.0);
        Some(Sample { p50: self.p50?, p95: self.p95.or(self.p99)?, failed })
    }

    pub fn address(&self, project: &Name) -> String {
        format!(
            "/projects/{project}/load/{}/{}/{}",
            self.repository,
            web::segment(&self.scenario),
            self.seq
        )
    }
}

/// A scenario, with how often it was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    pub repository: Name,
    pub scenario: String,
    pub count: u64,
    pub last: Row,
}

fn place(project: &Name, repository: &Name, scenario: &str) -> String {
    format!("{project}/{repository}/{}", web::segment(scenario))
}

fn owner(key: &str) -> String {
    format!("load/{key}")
}

/// What a new result is judged against.
pub fn bases(
    v: &View<'_>,
    project: &Name,
    repository: &Name,
    scenario: &str,
    class: &str,
    base: &str,
    commit: Option<&str>,
) -> Result<Vec<Sample>> {
    let all = results(v, project, repository, scenario, KEPT as usize)?;
    // Results of the same commit say nothing about what came before it.
    let fits = |r: &&Row| {
        r.class == class && r.branch.as_deref() == Some(base) && commit != Some(r.commit.as_str())
    };
    Ok(all.iter().filter(fits).filter_map(Row::sample).take(HISTORY).collect())
}

/// Judges a row against what is kept of its base, and keeps it.
///
/// # Errors
/// Those of the store.
pub fn keep(
    tx: &mut Tx<'_>,
    project: &Name,
    mut row: Row,
    base: &str,
    rules: Rules,
) -> Result<Row> {
    let known =
        bases(tx, project, &row.repository, &row.scenario, &row.class, base, Some(&row.commit))?;
    row.base = Some(base.to_owned());
    row.judgement = row
        .sample()
        .filter(|_| !known.is_empty())
        .map(|head| history(&row.scenario, head, &known, rules));
    let at = place(project, &row.repository, &row.scenario);
    let key = format!("{at}/{:020}", row.seq);
    blob::refer(tx, &owner(&key), &row.blob)?;
    tx.set_row(RESULT, &key, &row)?;
    let count = tx.row::<Scenario>(SCENARIO, &at)?.map_or(0, |s| s.count) + 1;
    let mut kept = count;
    if count > KEPT {
        let oldest: Vec<(String, Row)> = tx.rows(RESULT, &format!("{at}/"), None, 1)?;
        for (key, _) in oldest {
            blob::release_all(tx, &owner(&key))?;
            tx.delete_row(RESULT, &key)?;
            kept -= 1;
        }
    }
    let (repository, scenario) = (row.repository.clone(), row.scenario.clone());
    tx.set_row(SCENARIO, &at, &Scenario { repository, scenario, count: kept, last: row.clone() })?;
    Ok(row)
}

/// Newest first.
pub fn results(
    v: &View<'_>,
    project: &Name,
    repository: &Name,
    scenario: &str,
    limit: usize,
) -> Result<Vec<Row>> {
    let prefix = format!("{}/", place(project, repository, scenario));
    let rows: Vec<(String, Row)> = v.rows_back(RESULT, &prefix, None, limit)?;
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// # Errors
/// `load.unknown`.
pub fn result(
    v: &View<'_>,
    project: &Name,
    repository: &Name,
    scenario: &str,
    seq: u64,
) -> Result<Row> {
    let key = format!("{}/{seq:020}", place(project, repository, scenario));
    v.row(RESULT, &key)?.ok_or_else(|| {
        Error::not_found("load.unknown", text!("there is no such result", "그런 결과가 없습니다"))
    })
}

pub fn scenarios(v: &View<'_>, project: &Name) -> Result<Vec<Scenario>> {
    let rows: Vec<(String, Scenario)> =
        v.rows(SCENARIO, &format!("{project}/"), None, SCENARIOS)?;
    Ok(rows.into_iter().map(|(_, s)| s).collect())
}
