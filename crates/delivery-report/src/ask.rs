//! What is asked of reports. Each answer is a struct that the API gives out and a page draws.

pub mod cost;
pub mod coverage;
pub mod run;
pub mod tests;

use crate::judge::Kept;
use crate::record::{COUNT, ENTRY, Entry};
use kernel::{Error, Name, Result, Time, text};
use serde::Serialize;
use store::View;

/// Repositories of a project that have reports.
const REPOSITORIES: usize = 500;

/// A quarantine, as an answer names it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Held {
    pub name: Name,
    pub owner: String,
    pub reason: String,
    pub ends: Time,
    /// It is over: the test's failures count again.
    pub over: bool,
}

impl Held {
    /// Of those that cover the test the one that lasts longest.
    pub(crate) fn of(all: &[Kept], repository: &Name, id: &str, now: Time) -> Option<Held> {
        let covering = all.iter().filter(|k| k.spec.covers(repository, id));
        covering.max_by_key(|k| k.ends).map(|k| Held {
            name: k.name.clone(),
            owner: k.spec.owner.clone(),
            reason: k.spec.reason.clone(),
            ends: k.ends,
            over: k.ends <= now,
        })
    }
}

/// The repositories of a project that have ever reported anything.
pub(crate) fn repositories(v: &View<'_>, project: &Name) -> Result<Vec<Name>> {
    let rows: Vec<(String, u64)> = v.rows(COUNT, &format!("{project}/"), None, REPOSITORIES)?;
    let name = |key: &str| Name::parse(key.split('/').nth(1)?).ok();
    Ok(rows.iter().filter_map(|(key, _)| name(key)).collect())
}

/// The newest entries of a repository, newest first.
pub(crate) fn newest(
    v: &View<'_>,
    project: &Name,
    repository: &Name,
    limit: usize,
) -> Result<Vec<Entry>> {
    let rows: Vec<(String, Entry)> =
        v.rows_back(ENTRY, &format!("{project}/{repository}/"), None, limit)?;
    Ok(rows.into_iter().map(|(_, entry)| entry).collect())
}

/// All repositories, or the one that is asked for.
pub(crate) fn chosen(v: &View<'_>, project: &Name, one: Option<&Name>) -> Result<Vec<Name>> {
    match one {
        Some(one) => Ok(vec![one.clone()]),
        None => repositories(v, project),
    }
}

pub(crate) fn unknown_test(words: &str) -> Error {
    Error::not_found(
        "test.unknown",
        text!("no report has a test {words}", "{words} 테스트를 가진 보고서가 없습니다"),
    )
    .hint(text!("`naru test list` shows the ids", "`naru test list`가 id를 보여 줍니다"))
}
