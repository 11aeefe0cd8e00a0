//! What a page needs of one attempt's results, kept in one blob. Pure.

use crate::paths::Paths;
use crate::read::{Case, Finding, Identity, Outcome, Problem, Results};
use crate::record::{Counts, Ratio};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Failed and flaky tests whose words are kept.
const FAILURES: usize = 2_000;
const SLOWEST: usize = 100;

/// The blob.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Digest {
    pub tests: Counts,
    /// Failed ones first, then those that passed after failing.
    pub failures: Vec<Failure>,
    pub slowest: Vec<Slow>,
    pub coverage: Vec<Covered>,
    pub findings: Vec<Finding>,
    pub suppressed: u64,
    pub components: u64,
    pub problems: Vec<Problem>,
}

/// A test that failed, at least at first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    #[serde(flatten)]
    pub identity: Identity,
    /// [`Identity::key`]
    pub test: String,
    pub outcome: Outcome,
    pub ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    pub message: String,
    pub detail: String,
    pub output: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slow {
    pub id: String,
    pub test: String,
    pub ms: u64,
}

/// Inclusive ranges of lines.
pub type Lines = Vec<(u32, u32)>;

/// Coverage of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Covered {
    pub path: String,
    pub hit: Lines,
    pub missed: Lines,
    pub branches: Ratio,
    pub functions: Ratio,
}

impl Covered {
    pub fn lines(&self) -> Ratio {
        let count = |lines: &Lines| {
            lines.iter().map(|(a, b)| u64::from(b.saturating_sub(*a)) + 1).sum::<u64>()
        };
        let covered = count(&self.hit);
        Ratio { covered, all: covered + count(&self.missed) }
    }
}

/// Makes the digest. `paths` knows the commit's files.
pub(crate) fn digest(results: &Results, paths: &Paths) -> Digest {
    let mut tests = Counts::default();
    for case in &results.cases {
        tests.count(case.outcome, case.ms);
    }
    Digest {
        tests,
        failures: failures(&results.cases, paths),
        slowest: slowest(&results.cases),
        coverage: coverage(results, paths),
        findings: findings(&results.findings, paths),
        suppressed: results.suppressed,
        components: results.components,
        problems: results.problems.clone(),
    }
}

fn failures(cases: &[Case], paths: &Paths) -> Vec<Failure> {
    let mut chosen: Vec<&Case> =
        cases.iter().filter(|c| c.outcome.failed() || c.outcome == Outcome::Flaky).collect();
    chosen.sort_by_key(|c| !c.outcome.failed());
    let failure = |c: &&Case| Failure {
        identity: c.identity.clone(),
        test: c.identity.key(),
        outcome: c.outcome,
        ms: c.ms,
        file: c.file.as_deref().map(|f| paths.resolve(f)),
        line: c.line,
        message: c.message.clone(),
        detail: c.detail.clone(),
        output: c.output.clone(),
    };
    chosen.iter().take(FAILURES).map(failure).collect()
}

fn slowest(cases: &[Case]) -> Vec<Slow> {
    let mut timed: Vec<(u64, &Case)> = cases.iter().filter_map(|c| Some((c.ms?, c))).collect();
    timed.sort_by_key(|(ms, _)| std::cmp::Reverse(*ms));
    let slow = |(ms, c): (u64, &Case)| Slow { id: c.identity.id(), test: c.identity.key(), ms };
    timed.into_iter().filter(|(ms, _)| *ms > 0).take(SLOWEST).map(slow).collect()
}

fn findings(findings: &[Finding], paths: &Paths) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut out: Vec<Finding> = findings
        .iter()
        .filter(|f| seen.insert((f.fingerprint.clone(), f.path.clone(), f.line)))
        .map(|f| Finding { path: paths.resolve(&f.path), ..f.clone() })
        .collect();
    out.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then_with(|| (&a.path, a.line).cmp(&(&b.path, b.line)))
    });
    out
}

fn coverage(results: &Results, paths: &Paths) -> Vec<Covered> {
    let mut files: BTreeMap<String, Covered> = BTreeMap::new();
    for (path, cover) in &results.coverage {
        let path = paths.resolve(path);
        let lines = |hit: bool| {
            let lines = cover.lines.iter().filter(move |(_, h)| (**h > 0) == hit).map(|(l, _)| *l);
            ranges(lines)
        };
        let ratio = |(covered, all): (u64, u64)| Ratio { covered, all };
        let one = Covered {
            path: path.clone(),
            hit: lines(true),
            missed: lines(false),
            branches: ratio(cover.branches),
            functions: ratio(cover.functions),
        };
        match files.entry(path) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(one);
            }
            std::collections::btree_map::Entry::Occupied(mut place) => {
                let both = join(place.get(), &one);
                place.insert(both);
            }
        }
    }
    files.into_values().collect()
}

/// Rising numbers as ranges.
pub(crate) fn ranges(lines: impl IntoIterator<Item = u32>) -> Lines {
    let mut out: Lines = Vec::new();
    for line in lines {
        match out.last_mut() {
            Some((_, end)) if *end + 1 == line => *end = line,
            _ => out.push((line, line)),
        }
    }
    out
}

pub(crate) fn each(lines: &Lines) -> impl Iterator<Item = u32> + '_ {
    // A range in a blob is one that [`ranges`] made; one that is not must not run for long.
    lines.iter().flat_map(|(a, b)| (*a..=*b).take(1_000_000))
}

/// A line is covered when one of both says so.
fn join(a: &Covered, b: &Covered) -> Covered {
    let hit: BTreeSet<u32> = each(&a.hit).chain(each(&b.hit)).collect();
    let missed: BTreeSet<u32> = each(&a.missed).chain(each(&b.missed)).collect();
    let missed = missed.difference(&hit).copied();
    // Which branches the other one took is not known: the better of both is what is sure.
    let better = |a: Ratio, b: Ratio| if b.covered > a.covered { b } else { a };
    Covered {
        path: a.path.clone(),
        missed: ranges(missed),
        hit: ranges(hit),
        branches: better(a.branches, b.branches),
        functions: better(a.functions, b.functions),
    }
}

/// The coverage of several jobs as one, by path.
pub(crate) fn merge(parts: impl IntoIterator<Item = Vec<Covered>>) -> Vec<Covered> {
    let mut files: BTreeMap<String, Covered> = BTreeMap::new();
    for one in parts.into_iter().flatten() {
        let both = files.get(&one.path).map_or_else(|| one.clone(), |known| join(known, &one));
        files.insert(one.path, both);
    }
    files.into_values().collect()
}

/// Lines, branches and functions of many files.
pub(crate) fn total(files: &[Covered]) -> (Ratio, Ratio, Ratio) {
    let mut sum = (Ratio::default(), Ratio::default(), Ratio::default());
    for file in files {
        let lines = file.lines();
        sum.0.add(lines.covered, lines.all);
        sum.1.add(file.branches.covered, file.branches.all);
        sum.2.add(file.functions.covered, file.functions.all);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::read;
    use proptest::prelude::*;

    #[test]
    fn a_digest_has_what_a_page_shows() {
        let mut results = Results::default();
        let junit = r#"<testsuite name="s"><testcase name="slow" time="9"/><testcase name="ok" time="0.1"/><testcase name="bad"><failure message="no">stack</failure></testcase><testcase name="odd"><flakyFailure message="once"/></testcase></testsuite>"#;
        read("junit", "j.xml", junit.as_bytes(), &mut results);
        let lcov = "SF:/builds/shop/web/src/a.rs\nDA:1,1\nDA:2,1\nDA:3,0\nDA:5,0\nend_of_record\n";
        read("lcov", "l.info", lcov.as_bytes(), &mut results);
        let paths = Paths::new(["src/a.rs", "src/b.rs"]);
        let found = digest(&results, &paths);
        assert_eq!((found.tests.passed, found.tests.failed, found.tests.flaky), (2, 1, 1));
        let ids: Vec<&str> = found.failures.iter().map(|f| f.identity.name.as_str()).collect();
        assert_eq!(ids, ["bad", "odd"]);
        assert_eq!((found.slowest[0].id.as_str(), found.slowest.len()), ("s::slow", 2));
        assert_eq!(found.coverage[0].path, "src/a.rs");
        assert_eq!(
            (&found.coverage[0].hit, &found.coverage[0].missed),
            (&vec![(1, 2)], &vec![(3, 3), (5, 5)])
        );
        let blob = serde_json::to_vec(&found).unwrap();
        assert_eq!(serde_json::from_slice::<Digest>(&blob).unwrap(), found);
    }

    proptest! {
        #[test]
        fn ranges_hold_what_was_put_in(lines in prop::collection::btree_set(1_u32..300, 0..80)) {
            let packed = ranges(lines.iter().copied());
            prop_assert_eq!(each(&packed).collect::<BTreeSet<u32>>(), lines);
        }

        #[test]
        fn merging_does_not_depend_on_the_order(
            a in prop::collection::btree_map(1_u32..60, any::<bool>(), 0..30),
            b in prop::collection::btree_map(1_u32..60, any::<bool>(), 0..30),
        ) {
            let covered = |lines: &BTreeMap<u32, bool>| Covered {
                path: "a".into(),
                hit: ranges(lines.iter().filter(|(_, h)| **h).map(|(l, _)| *l)),
                missed: ranges(lines.iter().filter(|(_, h)| !**h).map(|(l, _)| *l)),
                ..Covered::default()
            };
            let (a, b) = (covered(&a), covered(&b));
            let one = merge([vec![a.clone()], vec![b.clone()]]);
            prop_assert_eq!(&one, &merge([vec![b], vec![a.clone()]]));
            prop_assert_eq!(&merge([one.clone(), vec![a]]), &one);
        }
    }
}
