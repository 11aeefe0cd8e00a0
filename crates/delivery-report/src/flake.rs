//! The flake ledger: tests that had different results on the same commit. Pure.
//!
//! A result counts against another of the same commit and the same job: what fails in one job and passes in
//! another may depend on the job. An entry is fixed when the test has passed so often in a row that a test that
//! still fails as often as it did would have failed, with nineteen chances of twenty.

use crate::read::{Identity, Outcome};
use crate::record::Entry;
use kernel::journey::Fact;
use kernel::{Id, Name, Text, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Pairs of results that are kept as evidence; older ones are only counted.
const EVIDENCE: usize = 20;
const JOBS: usize = 32;
/// From how many failed tests of one attempt on a failure is one of many.
const MANY: u32 = 5;
/// Passes in a row, at least and at most, after which an entry is fixed.
const FEWEST: u32 = 10;
const MOST: u32 = 300;

/// Where a result was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub run: Id,
    pub step: String,
    pub attempt: u32,
}

impl Seen {
    pub(crate) fn of(entry: &Entry) -> Seen {
        Seen { run: entry.run.clone(), step: entry.step.clone(), attempt: entry.attempt }
    }
}

/// Two results that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub at: Time,
    pub commit: String,
    pub failed: Seen,
    /// The same attempt, when its runner tried the test again.
    pub passed: Seen,
    /// Tests that failed together with it.
    pub among: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Open,
    Fixed,
}

/// One entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flake {
    #[serde(flatten)]
    pub identity: Identity,
    pub repository: Name,
    pub standing: Standing,
    pub first: Time,
    pub last: Time,
    /// When it was found fixed.
    pub fixed: Option<Time>,
    /// Contradictions seen.
    pub times: u32,
    /// Results since a little before the first contradiction, and failures among them.
    pub ran: u32,
    pub failed: u32,
    /// Passes since the last failure.
    pub clean: u32,
    /// Jobs in which it failed, and in which it never did.
    pub failing_jobs: BTreeSet<String>,
    pub passing_jobs: BTreeSet<String>,
    /// Contradictions in which it was one of many that failed.
    pub together: u32,
    /// Newest last.
    pub evidence: Vec<Evidence>,
}

/// What the failures of a flaky test have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// By itself: look at the test.
    Alone,
    /// Only with many others: look at what they share.
    Together,
    /// Only in one job, though it runs in others: look at the job.
    OneJob,
}

impl Manner {
    pub fn text(self) -> Text {
        match self {
            Manner::Alone => Text::fixed("fails by itself", "혼자 실패"),
            Manner::Together => {
                Text::fixed("fails only with many others", "여럿과 함께일 때만 실패")
            }
            Manner::OneJob => Text::fixed("fails only in one job", "한 작업에서만 실패"),
        }
    }
}

impl Flake {
    pub(crate) fn new(identity: Identity, repository: Name, at: Time) -> Flake {
        Flake {
            identity,
            repository,
            standing: Standing::Open,
            first: at,
            last: at,
            fixed: None,
            times: 0,
            ran: 0,
            failed: 0,
            clean: 0,
            failing_jobs: BTreeSet::new(),
            passing_jobs: BTreeSet::new(),
            together: 0,
            evidence: Vec::new(),
        }
    }

    /// The share of failures among its results up to the last failure.
    pub fn rate(&self) -> f64 {
        let ran = self.ran.saturating_sub(self.clean).max(self.failed).max(1);
        f64::from(self.failed) / f64::from(ran)
    }

    /// Passes in a row after which it counts as fixed.
    pub fn passes_needed(&self) -> u32 {
        let rate = self.rate().clamp(0.001, 0.999);
        let needed = (0.05_f64.ln() / (1.0 - rate).ln()).ceil();
        (needed as u32).clamp(FEWEST, MOST)
    }

    pub fn manner(&self) -> Manner {
        let elsewhere = self.passing_jobs.iter().any(|j| !self.failing_jobs.contains(j));
        if self.times > 0 && self.together == self.times {
            Manner::Together
        } else if self.failing_jobs.len() == 1 && elsewhere {
            Manner::OneJob
        } else {
            Manner::Alone
        }
    }

    /// Takes one more result in; of an older one the job may not be known. Whether it is fixed by that.
    pub(crate) fn result(&mut self, outcome: Outcome, job: Option<&str>, at: Time) -> bool {
        let jobs = match outcome {
            Outcome::Skipped => return false,
            Outcome::Passed => {
                self.clean = self.clean.saturating_add(1);
                &mut self.passing_jobs
            }
            Outcome::Failed | Outcome::Error | Outcome::Flaky => {
                self.failed = self.failed.saturating_add(1);
                self.clean = 0;
                &mut self.failing_jobs
            }
        };
        self.ran = self.ran.saturating_add(1);
        if let Some(job) = job.filter(|_| jobs.len() < JOBS) {
            jobs.insert(job.to_owned());
        }
        let fixed = self.standing == Standing::Open && self.clean >= self.passes_needed();
        if fixed {
            (self.standing, self.fixed) = (Standing::Fixed, Some(at));
        }
        fixed
    }

    /// Takes a contradiction in. Whether the entry is new or open again by that.
    pub(crate) fn contradicted(&mut self, evidence: Evidence) -> bool {
        let news = self.times == 0 || self.standing == Standing::Fixed;
        (self.standing, self.fixed) = (Standing::Open, None);
        self.last = evidence.at;
        self.times = self.times.saturating_add(1);
        self.clean = 0;
        self.together += u32::from(evidence.among >= MANY);
        self.evidence.push(evidence);
        if self.evidence.len() > EVIDENCE {
            self.evidence.remove(0);
        }
        news
    }
}

/// `test.flaked`: a test contradicted itself for the first time, or again after it was fixed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestFlaked {
    pub repository: Name,
    /// [`Identity::key`]
    pub test: String,
    pub id: String,
    pub evidence: Evidence,
}

impl Fact for TestFlaked {
    const KIND: &'static str = "test.flaked";
}

/// `test.fixed`: a flaky test has passed often enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestFixed {
    pub repository: Name,
    pub test: String,
    pub id: String,
    /// Passes in a row.
    pub passes: u32,
}

impl Fact for TestFixed {
    const KIND: &'static str = "test.fixed";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(attempt: u32) -> Seen {
        Seen { run: Id::new(0, 1), step: "unit".into(), attempt }
    }

    fn evidence(at: i64, among: u32) -> Evidence {
        let (failed, passed) = (seen(1), seen(2));
        Evidence { at: Time(at), commit: "c".into(), failed, passed, among }
    }

    fn flake() -> Flake {
        let identity = Identity { name: "t".into(), ..Identity::default() };
        Flake::new(identity, Name::parse("web").unwrap(), Time(0))
    }

    #[test]
    fn it_opens_is_fixed_and_opens_again() {
        let mut flake = flake();
        flake.result(Outcome::Failed, Some("unit"), Time(1));
        flake.result(Outcome::Passed, Some("unit"), Time(2));
        assert!(flake.contradicted(evidence(2, 1)));
        assert!(!flake.contradicted(evidence(3, 1)), "it is open already");
        let passes =
            (1..).take(400).find(|i| flake.result(Outcome::Passed, Some("unit"), Time(10 + i)));
        assert_eq!(passes, Some(10), "half of its results failed: ten passes say enough");
        assert_eq!((flake.standing, flake.fixed), (Standing::Fixed, Some(Time(20))));
        assert!(flake.contradicted(evidence(30, 1)));
        assert_eq!((flake.standing, flake.fixed, flake.times), (Standing::Open, None, 3));
    }

    #[test]
    fn the_rarer_it_fails_the_longer_it_has_to_pass() {
        let needed = |failed: u32, ran: u32| Flake { failed, ran, ..flake() }.passes_needed();
        assert_eq!(needed(1, 2), 10);
        assert_eq!(needed(1, 20), 59);
        assert_eq!(needed(1, 100_000), 300);
    }

    #[test]
    fn how_it_fails_says_where_to_look() {
        let mut one = flake();
        one.contradicted(evidence(1, 40));
        assert_eq!(one.manner(), Manner::Together);
        one.contradicted(evidence(2, 1));
        assert_eq!(one.manner(), Manner::Alone);
        one.result(Outcome::Failed, Some("unit: [py38]"), Time(3));
        one.result(Outcome::Passed, Some("unit: [py312]"), Time(3));
        assert_eq!(one.manner(), Manner::OneJob);
        one.result(Outcome::Failed, Some("unit: [py312]"), Time(4));
        assert_eq!(one.manner(), Manner::Alone);
    }

    #[test]
    fn evidence_is_bounded() {
        let mut flake = flake();
        (0..100).for_each(|i| {
            flake.contradicted(evidence(i, 1));
        });
        assert_eq!((flake.evidence.len(), flake.times, flake.last), (EVIDENCE, 100, Time(99)));
    }
}
