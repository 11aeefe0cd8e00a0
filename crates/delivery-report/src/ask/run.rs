//! What one run came to: failed tests first, then coverage, findings, cost and the critical path.

use super::coverage::{Coverage, last_attempts};
use super::{Held, newest, tests::flake_view};
use crate::Reports;
use crate::digest::{Digest, Failure};
use crate::flake::Flake;
use crate::follow::entries;
use crate::judge::{Kept, quarantines};
use crate::path::{self, Path};
use crate::read::{Finding, Problem, Severity};
use crate::record::{Counts, Entry, FLAKE};
use crate::select::{Chosen, Format, words};
use kernel::{Error, Id, Name, Result, Text, Time, text};
use run::{Engine, Run, RunState, StepState};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use store::View;

/// Failed tests in one answer.
const FAILURES: usize = 500;
/// Entries that are looked back on for a base of findings.
const BACK: usize = 400;

/// The whole of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunReport {
    pub run: Id,
    pub title: Text,
    pub state: RunState,
    pub repository: Option<Name>,
    pub commit: Option<String>,
    pub branch: Option<String>,
    /// The newest attempt of each job.
    pub jobs: Vec<Entry>,
    pub tests: Counts,
    pub failures: Vec<Failed>,
    /// Failed tests beyond those that are listed.
    pub more_failures: usize,
    pub coverage: Option<Coverage>,
    pub findings: Option<Findings>,
    pub problems: Vec<Problem>,
    pub components: u64,
    pub cost: RunCost,
    pub path: Option<Path>,
}

/// A failed test of a job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failed {
    pub step: String,
    pub id: String,
    #[serde(flatten)]
    pub failure: Failure,
    pub quarantine: Option<Held>,
    /// It is in the ledger: `open`, `quarantined` or `fixed`, and how often it fails.
    pub flaky: Option<(&'static str, f64)>,
}

/// Findings against the newest of the default branch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Findings {
    pub counts: BTreeMap<Severity, usize>,
    /// Worst first; those that the base does not have are new.
    pub items: Vec<Marked>,
    /// How many the base does not have; all, where there is none.
    pub new: usize,
    /// Gone since the base.
    pub fixed: Vec<Finding>,
    /// Suppressed in their tools.
    pub suppressed: u64,
    pub base: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Marked {
    pub new: bool,
    #[serde(flatten)]
    pub finding: Finding,
}

/// Core-seconds of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RunCost {
    pub core_s: f64,
    /// Wall time of its jobs, added up.
    pub wall_s: f64,
    pub failed_s: f64,
    pub canceled_s: f64,
    pub retried_s: f64,
    /// Attempts whose processor time is not known: their wall time stands for it.
    pub estimated: usize,
    pub attempts: usize,
    /// Each step, the dearest first.
    pub steps: Vec<(String, f64)>,
}

/// Pure.
pub(crate) fn cost(entries: &[Entry], run: &Run) -> RunCost {
    let mut cost = RunCost { attempts: entries.len(), ..RunCost::default() };
    let mut steps: BTreeMap<String, f64> = BTreeMap::new();
    for entry in entries {
        let core = entry.cpu_ms.unwrap_or(entry.took_ms) as f64 / 1000.0;
        let attempt = run
            .step(&entry.step)
            .and_then(|s| s.attempts.iter().find(|a| a.attempt == entry.attempt));
        cost.core_s += core;
        cost.wall_s += entry.took_ms as f64 / 1000.0;
        cost.estimated += usize::from(entry.cpu_ms.is_none());
        if attempt.is_some_and(|a| a.state == StepState::Canceled) {
            cost.canceled_s += core;
        } else if !entry.passed {
            cost.failed_s += core;
        }
        if entry.attempt > 1 {
            cost.retried_s += core;
        }
        *steps.entry(entry.step.clone()).or_default() += core;
    }
    cost.steps = steps.into_iter().collect();
    cost.steps.sort_by(|a, b| b.1.total_cmp(&a.1));
    cost
}

/// The tests of all jobs, each with all its attempts. Pure.
pub(crate) fn counts(entries: &[Entry]) -> Counts {
    let mut steps: BTreeMap<&str, Counts> = BTreeMap::new();
    for entry in entries {
        let so_far = steps.entry(&entry.step).or_default();
        *so_far = so_far.then(&entry.tests);
    }
    let mut all = Counts::default();
    steps.values().for_each(|step| all.add(step));
    all
}

/// Compares by fingerprint; where a tool's move with the line, by rule, file and words. Pure.
pub(crate) fn compare(head: &[Finding], base: Option<&[Finding]>) -> (Vec<Marked>, Vec<Finding>) {
    fn about(f: &Finding) -> (&str, &str, &str, &str) {
        (&f.tool, &f.rule, &f.path, &f.message)
    }
    let Some(base) = base else {
        let all = head.iter().map(|f| Marked { new: true, finding: f.clone() }).collect();
        return (all, Vec::new());
    };
    let prints =
        |all: &[Finding]| all.iter().map(|f| f.fingerprint.clone()).collect::<BTreeSet<_>>();
    let words =
        |all: &[Finding]| all.iter().map(|f| format!("{:?}", about(f))).collect::<BTreeSet<_>>();
    let (base_prints, base_words) = (prints(base), words(base));
    let (head_prints, head_words) = (prints(head), words(head));
    let known = |f: &Finding, p: &BTreeSet<String>, w: &BTreeSet<String>| {
        p.contains(&f.fingerprint) || w.contains(&format!("{:?}", about(f)))
    };
    let marked = head
        .iter()
        .map(|f| Marked { new: !known(f, &base_prints, &base_words), finding: f.clone() });
    let fixed = base.iter().filter(|f| !known(f, &head_prints, &head_words)).cloned();
    (marked.collect(), fixed.collect())
}

/// What is read in one snapshot.
struct Known {
    run: Run,
    entries: Vec<Entry>,
    kept: Vec<Kept>,
    now: Time,
}

fn known(v: &View<'_>, project: &Name, id: &Id) -> Result<Known> {
    let run =
        Engine::show_in(v, id)?.filter(|r| r.project == *project).ok_or_else(|| unknown(id))?;
    Ok(Known { run, entries: entries(v, id)?, kept: quarantines(v, project)?, now: v.now() })
}

fn unknown(run: &Id) -> Error {
    Error::not_found("run.unknown", text!("there is no run {run}", "{run} 실행이 없습니다"))
}

impl Reports {
    /// # Errors
    /// `run.unknown`.
    pub async fn run(&self, project: &Name, id: &Id) -> Result<RunReport> {
        let (whose, which) = (project.clone(), id.clone());
        let known = self.store.read(move |v| known(v, &whose, &which)).await?;
        let last: Vec<Entry> = last_attempts(&known.entries).into_iter().cloned().collect();
        let mut digests = Vec::new();
        for entry in last.iter().filter(|e| e.digest.is_some()) {
            digests.push((entry.clone(), self.digest(entry).await?));
        }
        let tests = counts(&known.entries);
        let (failures, more_failures) = self.failures(project, &known, &digests).await?;
        let findings = self.findings_of(project, &known.entries, &digests).await?;
        let begun = known.run.started.is_some();
        let first = last.first();
        Ok(RunReport {
            run: id.clone(),
            title: known.run.title.clone(),
            state: known.run.state,
            repository: first.map(|e| e.repository.clone()),
            commit: first.map(|e| e.commit.clone()),
            branch: first.and_then(|e| e.branch.clone()),
            tests,
            failures,
            more_failures,
            coverage: self.coverage_of(project, id, &known.entries).await?,
            findings,
            problems: digests.iter().flat_map(|(_, d)| d.problems.clone()).collect(),
            components: digests.iter().map(|(_, d)| d.components).sum(),
            cost: cost(&known.entries, &known.run),
            path: begun.then(|| path::analyse(&path::tasks(&known.run, known.now))),
            jobs: last,
        })
    }

    async fn failures(
        &self,
        project: &Name,
        known: &Known,
        digests: &[(Entry, Digest)],
    ) -> Result<(Vec<Failed>, usize)> {
        let all = digests.iter().flat_map(|(entry, d)| d.failures.iter().map(move |f| (entry, f)));
        let mut all: Vec<(&Entry, &Failure)> = all.collect();
        all.sort_by_key(|(_, f)| !f.outcome.failed());
        let more = all.len().saturating_sub(FAILURES);
        let mut out = Vec::new();
        for (entry, failure) in all.into_iter().take(FAILURES) {
            let id = failure.identity.id();
            let quarantine = Held::of(&known.kept, &entry.repository, &id, known.now);
            let key = format!("{project}/{}/{}", entry.repository, failure.test);
            let flake = self.store.read(move |v| v.row::<Flake>(FLAKE, &key)).await?;
            let flaky = flake.map(|f| {
                let view = flake_view(failure.test.clone(), f, &known.kept, known.now);
                (view.state, view.rate)
            });
            let (step, failure) = (entry.step.clone(), failure.clone());
            out.push(Failed { step, id, failure, quarantine, flaky });
        }
        Ok((out, more))
    }

    async fn findings_of(
        &self,
        project: &Name,
        all: &[Entry],
        digests: &[(Entry, Digest)],
    ) -> Result<Option<Findings>> {
        let Some(first) = all.iter().find(|e| e.analysed) else { return Ok(None) };
        let (project, repository) = (project.clone(), first.repository.clone());
        let (commit, run, seq) = (first.commit.clone(), first.run.clone(), first.seq);
        let older = self.store.read(move |v| newest(v, &project, &repository, BACK)).await?;
        let fits = |e: &&Entry| {
            e.default_branch && e.analysed && e.commit != commit && e.seq < seq && e.run != run
        };
        let base_run = older.iter().find(fits).map(|e| e.run.clone());
        let of_base: Vec<Entry> =
            older.into_iter().filter(|e| e.analysed && Some(&e.run) == base_run.as_ref()).collect();
        let base = last_attempts(&of_base);
        let mut before: Option<Vec<Finding>> = None;
        for entry in &base {
            before.get_or_insert_default().extend(self.digest(entry).await?.findings);
        }
        let mut head: Vec<Finding> = digests.iter().flat_map(|(_, d)| d.findings.clone()).collect();
        head.sort_by(|a, b| {
            b.severity.cmp(&a.severity).then_with(|| (&a.path, a.line).cmp(&(&b.path, b.line)))
        });
        let (mut items, fixed) = compare(&head, before.as_deref());
        items.sort_by_key(|m| !m.new);
        let mut counts = BTreeMap::new();
        head.iter().for_each(|f| *counts.entry(f.severity).or_default() += 1);
        Ok(Some(Findings {
            counts,
            new: items.iter().filter(|m| m.new).count(),
            items,
            fixed,
            suppressed: digests.iter().map(|(_, d)| d.suppressed).sum(),
            base: base.first().map(|e| e.commit.clone()),
        }))
    }

    /// The failed tests of a job's attempt, or of its newest, in a runner's words; and how many.
    ///
    /// # Errors
    /// `run.unknown`, `report.none`.
    pub async fn failed_tests(
        &self,
        project: &Name,
        run: &Id,
        step: Option<&str>,
        attempt: Option<u32>,
        format: Format,
    ) -> Result<(usize, String)> {
        let (whose, which) = (project.clone(), run.clone());
        let known = self.store.read(move |v| known(v, &whose, &which)).await?;
        let asked = |e: &&Entry| {
            let ours = step.is_none_or(|s| s == e.step || s == e.job());
            ours && e.tests.all() > 0 && attempt.is_none_or(|a| a == e.attempt)
        };
        let fitting: Vec<Entry> = known.entries.iter().filter(asked).cloned().collect();
        if fitting.is_empty() {
            let step = step.unwrap_or("-");
            return Err(Error::not_found(
                "report.none",
                text!(
                    "{step} of this run has left no test report",
                    "이 실행의 {step}은(는) 테스트 보고서를 남기지 않았습니다"
                ),
            )
            .hint(Text::fixed(
                "a job leaves one with `artifacts: reports: junit:`",
                "작업에 `artifacts: reports: junit:`을 쓰면 남습니다",
            )));
        }
        let mut tests = Vec::new();
        for entry in last_attempts(&fitting) {
            let digest = self.digest(entry).await?;
            let failed = digest.failures.into_iter().filter(|f| f.outcome.failed());
            tests.extend(failed.map(|f| Chosen { identity: f.identity, file: f.file }));
        }
        let said = if tests.is_empty() { String::new() } else { words(format, &tests) };
        Ok((tests.len(), said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &str, fingerprint: &str, line: u32) -> Finding {
        Finding {
            severity: Severity::Major,
            tool: "lint".into(),
            rule: rule.into(),
            message: format!("{rule} is broken"),
            path: "a.c".into(),
            line,
            fingerprint: fingerprint.into(),
            link: None,
        }
    }

    #[test]
    fn findings_are_new_fixed_or_known() {
        let base = [finding("R1", "1", 1), finding("R2", "2", 5)];
        // R1 has moved and its tool gave it another fingerprint.
        let head = [finding("R1", "9", 3), finding("R3", "3", 8)];
        let (marked, fixed) = compare(&head, Some(&base));
        assert_eq!(marked.iter().map(|m| m.new).collect::<Vec<_>>(), [false, true]);
        assert_eq!(fixed, [finding("R2", "2", 5)]);
        let (all, none) = compare(&head, None);
        assert!(all.iter().all(|m| m.new) && none.is_empty());
    }
}
