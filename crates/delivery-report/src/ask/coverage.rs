//! Coverage of a commit against that of the default branch, and of the lines that changed between them.

use super::chosen;
use crate::Reports;
use crate::digest::{self, Covered, each};
use crate::follow::entries;
use crate::record::{COVERAGE, Entry, MAIN, Measured, Ratio, branch_key};
use kernel::{Id, Name, Result};
use serde::Serialize;
use similar::{ChangeTag, TextDiff};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use store::View;

/// Files whose changed lines are looked at.
const FILES: usize = 60;
/// Bytes of a file that is compared.
const MAX_FILE: u64 = 1 << 20;
/// For comparing one file.
const PATIENCE: Duration = Duration::from_millis(200);

/// Coverage of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Coverage {
    pub repository: Name,
    pub commit: String,
    pub lines: Ratio,
    pub branches: Ratio,
    pub functions: Ratio,
    /// The newest of the default branch before it.
    pub base: Option<Measured>,
    /// Percentage points of lines, against the base.
    pub delta: Option<f64>,
    /// The least covered first.
    pub files: Vec<FileView>,
    /// Of the lines that differ from the base.
    pub changed: Option<Changed>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileView {
    pub path: String,
    pub lines: Ratio,
    pub branches: Ratio,
    pub functions: Ratio,
    /// Ranges of lines that no test ran.
    pub missed: digest::Lines,
}

/// New and altered lines, as far as the report knows them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Changed {
    pub lines: Ratio,
    /// Uncovered ones, by file.
    pub missed: BTreeMap<String, digest::Lines>,
    /// Only some of the changed files were looked at.
    pub partial: bool,
}

/// The coverage of a branch over time, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trend {
    pub repository: Name,
    pub branch: String,
    pub points: Vec<Measured>,
}

/// Newest coverage of the default branch that is not of this commit and not newer than this run.
fn base(
    v: &View<'_>,
    project: &Name,
    repository: &Name,
    commit: &str,
    run: &Id,
) -> Result<Option<Measured>> {
    let whose = format!("{project}/{repository}");
    let Some(main) = v.row::<String>(MAIN, &whose)? else { return Ok(None) };
    let prefix = format!("{whose}/{}/", branch_key(Some(&main)));
    let before = format!("{prefix}{run}");
    let rows: Vec<(String, Measured)> = v.rows_back(COVERAGE, &prefix, Some(&before), 20)?;
    Ok(rows.into_iter().map(|(_, m)| m).find(|m| m.commit != commit))
}

pub(crate) fn trends(
    v: &View<'_>,
    project: &Name,
    repository: Option<&Name>,
    branch: Option<&str>,
    limit: usize,
) -> Result<Vec<Trend>> {
    let mut out = Vec::new();
    for repository in chosen(v, project, repository)? {
        let whose = format!("{project}/{repository}");
        let main = v.row::<String>(MAIN, &whose)?;
        let Some(branch) = branch.map(str::to_owned).or(main) else { continue };
        let prefix = format!("{whose}/{}/", branch_key(Some(&branch)));
        let rows: Vec<(String, Measured)> = v.rows_back(COVERAGE, &prefix, None, limit)?;
        let points: Vec<Measured> = rows.into_iter().rev().map(|(_, m)| m).collect();
        if !points.is_empty() {
            out.push(Trend { repository, branch, points });
        }
    }
    Ok(out)
}

/// The newest attempt of each step.
pub(crate) fn last_attempts(entries: &[Entry]) -> Vec<&Entry> {
    let mut last: BTreeMap<&str, &Entry> = BTreeMap::new();
    for entry in entries {
        let place = last.entry(&entry.step).or_insert(entry);
        if entry.attempt >= place.attempt {
            *place = entry;
        }
    }
    let mut all: Vec<&Entry> = last.into_values().collect();
    all.sort_by_key(|e| e.seq);
    all
}

impl Reports {
    pub async fn trends(
        &self,
        project: &Name,
        repository: Option<Name>,
        branch: Option<String>,
        limit: usize,
    ) -> Result<Vec<Trend>> {
        let project = project.clone();
        let look =
            move |v: &View<'_>| trends(v, &project, repository.as_ref(), branch.as_deref(), limit);
        self.store.read(look).await
    }

    /// Coverage of a run, all its jobs together; `None` when none measured any.
    pub async fn coverage(&self, project: &Name, run: &Id) -> Result<Option<Coverage>> {
        let id = run.clone();
        let all = self.store.read(move |v| entries(v, &id)).await?;
        self.coverage_of(project, run, &all).await
    }

    pub(crate) async fn coverage_of(
        &self,
        project: &Name,
        run: &Id,
        all: &[Entry],
    ) -> Result<Option<Coverage>> {
        let covering: Vec<&Entry> = all.iter().filter(|e| e.coverage.is_some()).collect();
        let Some(first) = covering.first() else { return Ok(None) };
        let (repository, commit) = (first.repository.clone(), first.commit.clone());
        let mut parts = Vec::new();
        for entry in &covering {
            parts.push(self.digest(entry).await?.coverage);
        }
        let files = digest::merge(parts);
        let (lines, branches, functions) = digest::total(&files);
        let (whose, what, of, at) =
            (project.clone(), repository.clone(), commit.clone(), run.clone());
        let base = self.store.read(move |v| base(v, &whose, &what, &of, &at)).await?;
        let delta = base.as_ref().and_then(|b| Some(lines.percent()? - b.lines.percent()?));
        let changed = match &base {
            Some(base) => self.changed(project, &repository, &base.commit, &commit, &files).await,
            None => None,
        };
        let mut files: Vec<FileView> = files.into_iter().map(file_view).collect();
        let uncovered = |f: &FileView| f.lines.all - f.lines.covered.min(f.lines.all);
        files.sort_by_key(|f| (std::cmp::Reverse(uncovered(f)), f.path.clone()));
        Ok(Some(Coverage {
            repository,
            commit,
            lines,
            branches,
            functions,
            base,
            delta,
            files,
            changed,
        }))
    }

    /// `None` when one of the commits cannot be read.
    async fn changed(
        &self,
        project: &Name,
        repository: &Name,
        base: &str,
        head: &str,
        files: &[Covered],
    ) -> Option<Changed> {
        let paths = self.source.changed(project, repository, Some(base), head).await.ok()?;
        let paths: BTreeSet<String> = paths.into_iter().collect();
        let mut changed = Changed::default();
        for (n, file) in files.iter().filter(|f| paths.contains(&f.path)).enumerate() {
            if n >= FILES {
                changed.partial = true;
                break;
            }
            let read = |commit: &str| {
                let (commit, path) = (commit.to_owned(), file.path.clone());
                async move {
                    let read =
                        self.source.file(project, repository, &commit, &path, MAX_FILE).await;
                    read.ok().flatten().map(|b| String::from_utf8_lossy(&b).into_owned())
                }
            };
            let Some(new) = read(head).await else { continue };
            let old = read(base).await.unwrap_or_default();
            let one = file.clone();
            let lines =
                tokio::task::spawn_blocking(move || among(&new_lines(&old, &new), &one)).await;
            let Ok((ratio, missed)) = lines else { continue };
            changed.lines.add(ratio.covered, ratio.all);
            if !missed.is_empty() {
                changed.missed.insert(file.path.clone(), missed);
            }
        }
        Some(changed)
    }
}

fn file_view(file: Covered) -> FileView {
    FileView {
        lines: file.lines(),
        path: file.path,
        branches: file.branches,
        functions: file.functions,
        missed: file.missed,
    }
}

/// Lines of `new` that `old` does not have, counted from 1.
pub(crate) fn new_lines(old: &str, new: &str) -> BTreeSet<u32> {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let inserted = diff.iter_all_changes().filter(|c| c.tag() == ChangeTag::Insert);
    inserted.filter_map(|c| u32::try_from(c.new_index()? + 1).ok()).collect()
}

/// How well these lines are covered, and which are not.
fn among(lines: &BTreeSet<u32>, file: &Covered) -> (Ratio, digest::Lines) {
    let within = |ranges: &digest::Lines| -> Vec<u32> {
        each(ranges).filter(|l| lines.contains(l)).collect()
    };
    let (hit, missed) = (within(&file.hit), within(&file.missed));
    let (covered, uncovered) = (hit.len() as u64, missed.len() as u64);
    (Ratio { covered, all: covered + uncovered }, digest::ranges(missed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changed_lines_count() {
        let old = "a\nb\nc\n";
        let new = "a\nx\nb\nc\ny\nz\n";
        let lines = new_lines(old, new);
        assert_eq!(lines, BTreeSet::from([2, 5, 6]));
        let file = Covered {
            hit: vec![(1, 2), (5, 5)],
            missed: vec![(3, 3), (6, 6)],
            ..Covered::default()
        };
        assert_eq!(among(&lines, &file), (Ratio { covered: 2, all: 3 }, vec![(6, 6)]));
        assert_eq!(new_lines("", "p\nq\n").len(), 2, "all lines of a new file are new");
    }
}
