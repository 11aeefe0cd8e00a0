//! One attempt's results into the store. [`turn`] is pure; the rest are rows.
//!
//! Tests are folded some at a time, so that a report with fifty thousand of them does not hold up everybody
//! else's writes. Doing it again after a crash changes nothing: a test knows the last entry it has taken in.

use crate::flake::{Evidence, Flake, Seen, Standing, TestFixed, TestFlaked};
use crate::read::{Case, Outcome};
use crate::record::{
    BY_COMMIT, BY_RUN, COST, COUNT, COVERAGE, Cost, ENTRY, Entry, FLAKE, MAIN, MARKS, Mark,
    Measured, TEST, Test, branch_key, monday, seq_key,
};
use kernel::journey::{Fact, change_name};
use kernel::{Name, Principal, Result, text};
use std::collections::HashMap;
use store::{Tx, View};

/// Cases in one transaction.
pub(crate) const CHUNK: usize = 1_000;
/// Marks in a test's row: when there are twice as many, the older half becomes a page.
const PAGE: usize = 16;
/// Pages that are kept of each lane: with the row, at least 500 results.
const PAGES: u32 = 31;
/// Entries that are kept of a repository, with their digests.
const ENTRIES: u64 = 3_000;
/// Entries of the same commit that are compared.
const MATES: usize = 64;

/// The other entries of the same commit and job.
pub(crate) type Mates = HashMap<u64, Entry>;

/// What one attempt's cases are folded with.
pub(crate) struct Around {
    pub project: Name,
    pub entry: Entry,
    pub mates: Mates,
}

impl Around {
    fn key(&self, test: &str) -> String {
        format!("{}/{}/{test}", self.project, self.entry.repository)
    }
}

/// Reads what else is known of the entry's commit.
pub(crate) fn around(v: &View<'_>, project: Name, entry: Entry) -> Result<Around> {
    let base = format!("{project}/{}", entry.repository);
    let prefix = format!("{base}/{}/", entry.commit);
    let rows: Vec<(String, u64)> = v.rows_back(BY_COMMIT, &prefix, None, MATES)?;
    let mut mates = Mates::new();
    for (_, seq) in rows.into_iter().filter(|(_, seq)| *seq != entry.seq) {
        let found = v.row::<Entry>(ENTRY, &format!("{base}/{}", seq_key(seq)))?;
        mates.extend(found.filter(|e| e.job() == entry.job()).map(|e| (seq, e)));
    }
    Ok(Around { project, entry, mates })
}

/// Takes one case into its test. The contradiction it makes, if any; `None` when it was taken in before.
pub(crate) fn turn(
    test: &mut Test,
    case: &Case,
    entry: &Entry,
    mates: &Mates,
) -> Option<Option<Evidence>> {
    if test.last().is_some_and(|m| m.0 >= entry.seq) {
        return None;
    }
    let evidence = contradiction(test, case.outcome, entry, mates);
    let ms = u32::try_from(case.ms.unwrap_or(0)).unwrap_or(u32::MAX);
    let lane = if entry.default_branch { &mut test.main } else { &mut test.side };
    lane.push(Mark(entry.seq, case.outcome.code(), ms));
    test.seen = entry.at;
    if test.job != entry.job() {
        entry.job().clone_into(&mut test.job);
    }
    if case.file.is_some() && case.file != test.file {
        test.file.clone_from(&case.file);
    }
    Some(evidence)
}

/// The newest result of the same commit and job that says otherwise.
fn contradiction(test: &Test, outcome: Outcome, entry: &Entry, mates: &Mates) -> Option<Evidence> {
    let evidence = |failed: Seen, passed: Seen, among: u32| Evidence {
        at: entry.at,
        commit: entry.commit.clone(),
        failed,
        passed,
        among,
    };
    let own = Seen::of(entry);
    if outcome == Outcome::Flaky {
        return Some(evidence(own.clone(), own, entry.tests.failed + entry.tests.flaky));
    }
    if outcome == Outcome::Skipped {
        return None;
    }
    let against = |m: &&Mark| {
        let other = m.outcome();
        other != Outcome::Skipped && other.failed() != outcome.failed()
    };
    let marks = test.recent();
    let mate = marks.iter().rev().filter(against).find_map(|m| mates.get(&m.0))?;
    Some(if outcome.failed() {
        evidence(own, Seen::of(mate), entry.tests.failed)
    } else {
        evidence(Seen::of(mate), own, mate.tests.failed)
    })
}

/// Folds some cases.
pub(crate) fn cases(tx: &mut Tx<'_>, around: &Around, cases: &[Case]) -> Result<()> {
    for case in cases {
        let id = case.identity.key();
        let key = around.key(&id);
        let mut test = match tx.row::<Test>(TEST, &key)? {
            Some(test) => test,
            None => fresh(case, &around.entry),
        };
        let Some(evidence) = turn(&mut test, case, &around.entry, &around.mates) else { continue };
        ledger(tx, around, &test, case.outcome, evidence, &id)?;
        page(tx, &key, &mut test)?;
        tx.set_row(TEST, &key, &test)?;
    }
    Ok(())
}

fn fresh(case: &Case, entry: &Entry) -> Test {
    Test {
        identity: case.identity.clone(),
        file: case.file.clone(),
        first: entry.at,
        seen: entry.at,
        job: entry.job().to_owned(),
        main: Vec::new(),
        side: Vec::new(),
        pages: (0, 0),
    }
}

/// Moves the older half of a lane that is full into a page, and forgets the oldest page.
fn page(tx: &mut Tx<'_>, key: &str, test: &mut Test) -> Result<()> {
    let lanes =
        [(&mut test.main, &mut test.pages.0, "main"), (&mut test.side, &mut test.pages.1, "side")];
    for (lane, pages, name) in lanes {
        if lane.len() < 2 * PAGE {
            continue;
        }
        let older: Vec<Mark> = lane.drain(..PAGE).collect();
        tx.set_row(MARKS, &format!("{key}/{name}/{pages:06}"), &older)?;
        if let Some(past) = pages.checked_sub(PAGES) {
            tx.delete_row(MARKS, &format!("{key}/{name}/{past:06}"))?;
        }
        *pages += 1;
    }
    Ok(())
}

/// All marks of a test that are kept, oldest first.
pub(crate) fn marks(v: &View<'_>, key: &str, test: &Test) -> Result<Vec<Mark>> {
    let pages: Vec<(String, Vec<Mark>)> = v.rows(MARKS, &format!("{key}/"), None, 200)?;
    let mut all: Vec<Mark> = pages.into_iter().flat_map(|(_, marks)| marks).collect();
    all.extend(test.recent());
    all.sort_by_key(|m| m.0);
    Ok(all)
}

/// Keeps the flake ledger. A test that was never caught costs one look at a row, and only when it contradicts
/// itself or has failed lately.
fn ledger(
    tx: &mut Tx<'_>,
    around: &Around,
    test: &Test,
    outcome: Outcome,
    evidence: Option<Evidence>,
    id: &str,
) -> Result<()> {
    let known = test.recent().iter().any(|m| m.outcome() != Outcome::Passed);
    let paged = test.pages != (0, 0);
    if evidence.is_none() && !known && !paged {
        return Ok(());
    }
    let key = around.key(id);
    let (entry, project) = (&around.entry, &around.project);
    let found = tx.row::<Flake>(FLAKE, &key)?;
    let news = evidence.is_some();
    let mut flake = match (found, news) {
        (Some(flake), _) => flake,
        (None, false) => return Ok(()),
        (None, true) => {
            let mut flake = Flake::new(test.identity.clone(), entry.repository.clone(), entry.at);
            // The results that led here count, too.
            for mark in test.recent().iter().filter(|m| m.0 != entry.seq) {
                let job = around.mates.get(&mark.0).map(Entry::job);
                flake.result(mark.outcome(), job, entry.at);
            }
            flake.standing = Standing::Open;
            flake
        }
    };
    let fixed = flake.result(outcome, Some(entry.job()), entry.at);
    let words = test.identity.id();
    let (repository, test_key) = (entry.repository.clone(), id.to_owned());
    let change = change_name(&entry.repository, &entry.commit);
    if let Some(evidence) = evidence {
        let fact = TestFlaked {
            repository,
            test: test_key,
            id: words.clone(),
            evidence: evidence.clone(),
        };
        if flake.contradicted(evidence) {
            let say = text!(
                "{words} failed and passed on the same commit",
                "{words}이(가) 같은 커밋에서 실패하기도, 통과하기도 했습니다"
            );
            let event = fact.event(Principal::part("delivery-report"), say)?;
            tx.append(event.project(project).change(change))?;
        }
    } else if fixed {
        let passes = flake.clean;
        let say = text!(
            "{words} has passed {passes} times in a row: it is no longer flaky",
            "{words}이(가) {passes}번 이어서 통과해 더는 불안정하지 않습니다"
        );
        let fact = TestFixed { repository, test: test_key, id: words, passes };
        let event = fact.event(Principal::part("delivery-report"), say)?;
        tx.append(event.project(project).change(change))?;
    }
    tx.set_row(FLAKE, &key, &flake)
}

/// Writes the entry itself, its indexes, its cost and what is kept of coverage.
pub(crate) fn entry(
    tx: &mut Tx<'_>,
    project: &Name,
    entry: &Entry,
    measured: Option<&Measured>,
) -> Result<()> {
    let base = format!("{project}/{}", entry.repository);
    let seq = seq_key(entry.seq);
    let key = format!("{base}/{seq}");
    if tx.row::<Entry>(ENTRY, &key)?.is_some() {
        return Ok(());
    }
    tx.set_row(ENTRY, &key, entry)?;
    tx.set_row(BY_RUN, &format!("{}/{seq}", entry.run), &key)?;
    if entry.tests.all() > 0 {
        tx.set_row(BY_COMMIT, &format!("{base}/{}/{seq}", entry.commit), &entry.seq)?;
    }
    if let Some(branch) = entry.branch.as_ref().filter(|_| entry.default_branch) {
        tx.set_row(MAIN, &base, branch)?;
    }
    if let Some(hash) = &entry.digest {
        blob::refer(tx, &owner(&key), hash)?;
    }
    if let Some(measured) = measured {
        let branch = branch_key(entry.branch.as_deref());
        tx.set_row(COVERAGE, &format!("{base}/{branch}/{}", measured.run), measured)?;
    }
    let week = monday(entry.at);
    let branch = branch_key(entry.branch.as_deref());
    let place =
        format!("{project}/{week}/{}/{branch}/{}", entry.repository, web::segment(entry.job()));
    let mut cost = tx.row::<Cost>(COST, &place)?.unwrap_or_default();
    cost.add(entry);
    tx.set_row(COST, &place, &cost)?;
    bound(tx, &base)
}

/// Who holds the digest of the entry with this key.
fn owner(key: &str) -> String {
    format!("report/{key}")
}

/// Forgets the oldest entries of a repository that has too many.
fn bound(tx: &mut Tx<'_>, base: &str) -> Result<()> {
    let mut count = tx.row::<u64>(COUNT, base)?.unwrap_or(0) + 1;
    if count > ENTRIES {
        let oldest: Vec<(String, Entry)> = tx.rows(ENTRY, &format!("{base}/"), None, 2)?;
        for (key, old) in oldest {
            let seq = seq_key(old.seq);
            tx.delete_row(ENTRY, &key)?;
            tx.delete_row(BY_RUN, &format!("{}/{seq}", old.run))?;
            tx.delete_row(BY_COMMIT, &format!("{base}/{}/{seq}", old.commit))?;
            let branch = branch_key(old.branch.as_deref());
            tx.delete_row(COVERAGE, &format!("{base}/{branch}/{}", old.run))?;
            blob::release_all(tx, &owner(&key))?;
            count -= 1;
        }
    }
    tx.set_row(COUNT, base, &count)
}
