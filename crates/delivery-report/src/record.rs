//! What is stored of reports: small rows, and a blob with the details of each attempt.

use crate::read::{Identity, Outcome, Severity};
use kernel::{Id, Name, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// [`Entry`] by `<project>/<repository>/<seq>`.
pub(crate) const ENTRY: &str = "report.entry";
/// How many entries a repository has, by `<project>/<repository>`.
pub(crate) const COUNT: &str = "report.count";
/// The default branch of a repository, by `<project>/<repository>`.
pub(crate) const MAIN: &str = "report.main";
/// The repository of each entry of a run: `<run>/<seq>`.
pub(crate) const BY_RUN: &str = "report.by-run";
/// Entries with tests of a commit: `<project>/<repository>/<commit>/<seq>`.
pub(crate) const BY_COMMIT: &str = "report.by-commit";
/// [`Test`] by `<project>/<repository>/<test>`.
pub(crate) const TEST: &str = "report.test";
/// Older marks of a test: `<project>/<repository>/<test>/<lane>/<page>`.
pub(crate) const MARKS: &str = "report.marks";
/// [`crate::flake::Flake`] by `<project>/<repository>/<test>`.
pub(crate) const FLAKE: &str = "report.flake";
/// [`Measured`] by `<project>/<repository>/<branch>/<run>`.
pub(crate) const COVERAGE: &str = "report.coverage";
/// [`Cost`] by `<project>/<monday>/<repository>/<branch>/<job>`.
pub(crate) const COST: &str = "report.cost";

/// One attempt of one job, and what it left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The position of `job.reported` in the journal.
    pub seq: u64,
    pub repository: Name,
    pub commit: String,
    pub branch: Option<String>,
    pub default_branch: bool,
    pub run: Id,
    pub step: String,
    pub attempt: u32,
    pub passed: bool,
    pub at: Time,
    pub took_ms: u64,
    pub cpu_ms: Option<u64>,
    #[serde(default)]
    pub tests: Counts,
    /// Lines.
    #[serde(default)]
    pub coverage: Option<Ratio>,
    #[serde(default)]
    pub findings: BTreeMap<Severity, u32>,
    /// Whether it looked for findings at all.
    #[serde(default)]
    pub analysed: bool,
    /// Problems with its files.
    #[serde(default)]
    pub problems: u32,
    /// Hash of the blob with a [`crate::digest::Digest`].
    #[serde(default)]
    pub digest: Option<String>,
}

impl Entry {
    /// The job, whichever of its parallel parts this is: `unit` of `unit 2/4`.
    pub fn job(&self) -> &str {
        job_of(&self.step)
    }
}

/// `unit` of `unit 2/4`.
pub fn job_of(step: &str) -> &str {
    let part = |words: &str| {
        let (a, b) = words.split_once('/')?;
        (a.parse::<u32>().is_ok() && b.parse::<u32>().is_ok()).then_some(())
    };
    match step.rsplit_once(' ') {
        Some((job, last)) if part(last).is_some() => job,
        _ => step,
    }
}

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub passed: u32,
    /// Failed or broken.
    pub failed: u32,
    pub skipped: u32,
    /// Passed after failing; counted here alone.
    pub flaky: u32,
    /// Milliseconds of all tests.
    pub ms: u64,
}

impl Counts {
    pub fn all(&self) -> u32 {
        self.passed
            .saturating_add(self.failed)
            .saturating_add(self.skipped)
            .saturating_add(self.flaky)
    }

    pub fn add(&mut self, other: &Counts) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
        self.skipped = self.skipped.saturating_add(other.skipped);
        self.flaky = self.flaky.saturating_add(other.flaky);
        self.ms = self.ms.saturating_add(other.ms);
    }

    /// What attempts of one job came to together, when `later` follows this one. An attempt with fewer tests
    /// ran only those that had failed.
    pub fn then(&self, later: &Counts) -> Counts {
        if later.all() == 0 {
            return *self;
        }
        if later.all() >= self.all() {
            return *later;
        }
        Counts {
            passed: self.passed.saturating_add(later.passed),
            failed: later.failed,
            skipped: self.skipped.saturating_add(later.skipped),
            flaky: self.flaky.saturating_add(later.flaky),
            ms: self.ms.saturating_add(later.ms),
        }
    }

    pub(crate) fn count(&mut self, outcome: Outcome, ms: Option<u64>) {
        let place = match outcome {
            Outcome::Passed => &mut self.passed,
            Outcome::Flaky => &mut self.flaky,
            Outcome::Skipped => &mut self.skipped,
            Outcome::Failed | Outcome::Error => &mut self.failed,
        };
        *place = place.saturating_add(1);
        self.ms = self.ms.saturating_add(ms.unwrap_or(0));
    }
}

/// Covered of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ratio {
    pub covered: u64,
    pub all: u64,
}

impl Ratio {
    /// In percent; `None` of nothing.
    pub fn percent(self) -> Option<f64> {
        (self.all > 0).then(|| self.covered as f64 * 100.0 / self.all as f64)
    }

    pub fn add(&mut self, covered: u64, all: u64) {
        self.covered = self.covered.saturating_add(covered);
        self.all = self.all.saturating_add(all);
    }
}

/// One result of one test: the [`Entry`] it was in, the code of its outcome, its milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark(pub u64, pub u8, pub u32);

impl Mark {
    pub fn outcome(self) -> Outcome {
        Outcome::of_code(self.1)
    }
}

/// A test and its newest results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Test {
    #[serde(flatten)]
    pub identity: Identity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    pub first: Time,
    pub seen: Time,
    /// The job of its newest result.
    pub job: String,
    /// On the default branch, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub main: Vec<Mark>,
    /// On all other branches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub side: Vec<Mark>,
    /// Pages of older marks that were ever written, of both.
    #[serde(default)]
    pub pages: (u32, u32),
}

impl Test {
    /// The newest result on any branch.
    pub fn last(&self) -> Option<Mark> {
        self.main.last().into_iter().chain(self.side.last()).max_by_key(|m| m.0).copied()
    }

    /// The newest results of all branches that a row has, oldest first.
    pub fn recent(&self) -> Vec<Mark> {
        let mut all: Vec<Mark> = self.main.iter().chain(&self.side).copied().collect();
        all.sort_by_key(|m| m.0);
        all
    }
}

/// Coverage of one run, of all its jobs together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    pub commit: String,
    pub run: Id,
    pub at: Time,
    pub lines: Ratio,
    #[serde(default)]
    pub branches: Ratio,
    #[serde(default)]
    pub functions: Ratio,
}

/// What a job cost in a week, in milliseconds of one core.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    pub attempts: u64,
    pub core_ms: u64,
    /// Of attempts that failed.
    pub failed_ms: u64,
    /// Of attempts after a first one.
    pub retried_ms: u64,
    /// Wall time.
    pub wall_ms: u64,
    /// Attempts whose processor time is not known: their wall time stands for it.
    pub estimated: u64,
    /// The last entry that is in it.
    pub seq: u64,
}

impl Cost {
    pub(crate) fn add(&mut self, entry: &Entry) {
        if entry.seq <= self.seq {
            return;
        }
        let core = entry.cpu_ms.unwrap_or(entry.took_ms);
        self.seq = entry.seq;
        self.attempts += 1;
        self.core_ms = self.core_ms.saturating_add(core);
        self.wall_ms = self.wall_ms.saturating_add(entry.took_ms);
        self.estimated += u64::from(entry.cpu_ms.is_none());
        if !entry.passed {
            self.failed_ms = self.failed_ms.saturating_add(core);
        }
        if entry.attempt > 1 {
            self.retried_ms = self.retried_ms.saturating_add(core);
        }
    }
}

/// The Monday of an instant's week (UTC): `2026-11-23`.
pub fn monday(at: Time) -> String {
    const DAY: i64 = 86_400_000;
    let day = at.0.div_euclid(DAY);
    // The first of January 1970 was a Thursday.
    let monday = day - (day + 3).rem_euclid(7);
    Time(monday * DAY).to_string().get(..10).unwrap_or("").to_owned()
}

/// A branch as a part of a key.
pub(crate) fn branch_key(branch: Option<&str>) -> String {
    web::segment(branch.unwrap_or("-"))
}

pub(crate) fn seq_key(seq: u64) -> String {
    format!("{seq:014}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_job_are_one_job() {
        for (step, job) in [
            ("unit 2/4", "unit"),
            ("unit", "unit"),
            ("unit: [a/b]", "unit: [a/b]"),
            ("unit tests 1/10", "unit tests"),
            ("x/y", "x/y"),
        ] {
            assert_eq!(job_of(step), job);
        }
    }

    #[test]
    fn attempts_add_up() {
        let counts = |passed, failed| Counts { passed, failed, ..Counts::default() };
        assert_eq!(counts(2, 1).then(&counts(1, 0)), counts(3, 0), "only the failed one again");
        assert_eq!(counts(2, 1).then(&counts(3, 0)), counts(3, 0), "all again");
        assert_eq!(counts(5, 2).then(&counts(1, 1)), counts(6, 1));
        assert_eq!(counts(5, 2).then(&counts(0, 0)), counts(5, 2), "nothing was reported");
    }

    #[test]
    fn weeks_begin_on_monday() {
        for (at, want) in [
            ("2026-11-23T00:00:00Z", "2026-11-23"),
            ("2026-11-29T23:59:59Z", "2026-11-23"),
            ("1970-01-01T00:00:00Z", "1969-12-29"),
        ] {
            assert_eq!(monday(Time::parse(at).unwrap()), want);
        }
    }
}
