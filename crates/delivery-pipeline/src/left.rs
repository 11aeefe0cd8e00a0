//! What pipelines have left for other pipelines: the newest artifacts of each job of each ref.
//!
//! A pipeline that passes puts what its jobs left here, in the transaction that tells of its end. Each
//! entry holds its files itself, so they stay as long as they are the newest, whatever becomes of the run.

use crate::work::{Fetch, Output};
use crate::{KIND, owner};
use kernel::{Error, Id, Name, Principal, Result, Text, shown, text};
use policy::{Permission, Policy};
use run::{Engine, Run, StepState};
use serde::{Deserialize, Serialize};
use store::{Tx, View};

/// [`Left`] by `<project>/<repository>/<refname>//<job>`: a ref has no two slashes in a row.
const NEWEST: &str = "delivery-pipeline.newest";
/// Jobs of one ref looked at together.
const PAGE: usize = 1_000;
/// Retries of retries that are followed back.
const MAX_AGAIN: usize = 100;

/// What a job of a pipeline left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    pub project: Name,
    pub run: Id,
    /// Hash of the tree of artifacts.
    pub tree: String,
    /// The first run of the pipeline, of which `run` may be a retry: what counts for being newer.
    first: Id,
}

/// Of the newest passed pipeline of a branch or tag that had the job. `refname` may be short (`main`).
///
/// # Errors
/// The store's.
pub fn newest(
    view: &View<'_>,
    project: &Name,
    repository: &Name,
    refname: &str,
    job: &str,
) -> Result<Option<Left>> {
    for full in
        [refname.to_owned(), format!("refs/heads/{refname}"), format!("refs/tags/{refname}")]
    {
        if let Some(left) = view.row(NEWEST, &key(project, repository, &full, job))? {
            return Ok(Some(left));
        }
    }
    Ok(None)
}

/// Of one pipeline. `None`: no such run, no such job, or the job left nothing (yet).
///
/// # Errors
/// The store's.
pub fn of_run(view: &View<'_>, run: &Id, job: &str) -> Result<Option<Left>> {
    let Some(found) = Engine::show_in(view, run)?.filter(|r| r.kind == KIND) else {
        return Ok(None);
    };
    let Some(tree) = found.step(job).and_then(|s| tree(&s.output)) else { return Ok(None) };
    let first = run.clone();
    Ok(Some(Left { project: found.project, run: run.clone(), tree, first }))
}

/// What a job of `run` may lay under its files. The names in `fetch` are expanded already.
///
/// # Errors
/// `artifacts.unknown` when there is nothing of that name. The same when whoever started the run may not
/// see the other project: what one may not see looks as if it were not there.
pub fn fetch(policy: &Policy, view: &View<'_>, run: &Id, fetch: &Fetch) -> Result<Left> {
    let missing = || missing(fetch);
    let asker = Engine::head_in(view, run)?.ok_or_else(missing)?;
    let found = match fetch {
        Fetch::Newest { path, refname, job } => match place(path, &asker.project) {
            Some((project, repository)) => newest(view, &project, &repository, refname, job)?,
            None => None,
        },
        Fetch::Run { run, job, .. } => match numbered(view, run.trim())? {
            Some(run) => of_run(view, &run, job)?,
            None => None,
        },
    };
    let found = found.ok_or_else(missing)?;
    if may_read(policy, view, &asker.project, &asker.actor, &found.project)? {
        Ok(found)
    } else {
        Err(missing())
    }
}

/// A pipeline by its run's id or by its number on this server.
///
/// # Errors
/// The store's.
pub fn numbered(view: &View<'_>, words: &str) -> Result<Option<Id>> {
    match Id::parse(words) {
        Some(run) => Ok(Some(run)),
        None if words.bytes().all(|b| b.is_ascii_digit()) => {
            view.row(crate::create::NUMBERED, words)
        }
        None => Ok(None),
    }
}

/// The project and the repository of `project/repository`; a single word is a repository of `own`.
pub fn place(path: &str, own: &Name) -> Option<(Name, Name)> {
    match path.trim().split_once('/') {
        Some((project, repository)) => {
            Some((Name::parse(project).ok()?, Name::parse(repository).ok()?))
        }
        None => Some((own.clone(), Name::parse(path.trim()).ok()?)),
    }
}

/// Whether a pipeline of `project`, started by `who`, may use what is in the project `other`.
///
/// # Errors
/// The store's.
pub fn may_read(
    policy: &Policy,
    view: &View<'_>,
    project: &Name,
    who: &Principal,
    other: &Name,
) -> Result<bool> {
    Ok(project == other || policy.allows(view, who, Permission::View, other)?)
}

fn missing(fetch: &Fetch) -> Error {
    let (job, whose) = match fetch {
        Fetch::Newest { path, refname, job } => (job, format!("{path} {refname}")),
        Fetch::Run { run, job, .. } => (job, run.clone()),
    };
    let (job, whose) = (shown(job), shown(&whose));
    let say = text!(
        "there are no artifacts of “{job}” in {whose}",
        "{whose}에 “{job}” 작업의 아티팩트가 없습니다"
    );
    Error::not_found("artifacts.unknown", say).hint(Text::fixed(
        "the job has to have passed and left artifacts, and whoever started this pipeline must see that project",
        "그 작업이 통과하고 아티팩트를 남겼어야 하며, 이 파이프라인을 시작한 사람이 그 프로젝트를 볼 수 있어야 합니다",
    ))
}

fn key(project: &Name, repository: &Name, refname: &str, job: &str) -> String {
    format!("{project}/{repository}/{refname}//{job}")
}

/// Whoever holds the files of an entry.
fn holder(key: &str) -> String {
    format!("newest/{key}")
}

fn tree(output: &serde_json::Value) -> Option<String> {
    serde_json::from_value::<Output>(output.clone()).ok()?.artifacts
}

/// Takes note of what the jobs of a passed pipeline left.
pub fn note(tx: &mut Tx<'_>, run: &Run, repository: &Name, refname: &str) -> Result<()> {
    // A child's jobs are not the branch's own.
    if run.labels.get("source").is_some_and(|s| s == "parent_pipeline") {
        return Ok(());
    }
    let first = first(tx, run)?;
    let held = blob::owned(tx, &owner(&run.id))?;
    for step in run.steps.iter().filter(|s| s.state == StepState::Passed) {
        // One that has expired already may be gone at any moment.
        let Some(tree) = tree(&step.output).filter(|t| held.contains(t)) else { continue };
        let key = key(&run.project, repository, refname, &step.name);
        let old: Option<Left> = tx.row(NEWEST, &key)?;
        if old.as_ref().is_some_and(|old| old.first > first) {
            continue;
        }
        if let Some(old) = old.filter(|old| old.tree != tree) {
            blob::release(tx, &holder(&key), &old.tree)?;
        }
        blob::refer(tx, &holder(&key), &tree)?;
        let (project, run) = (run.project.clone(), run.id.clone());
        tx.set_row(NEWEST, &key, &Left { project, run, tree, first: first.clone() })?;
    }
    Ok(())
}

/// The run that was not a retry of another one.
fn first(view: &View<'_>, run: &Run) -> Result<Id> {
    let (mut first, mut before) = (run.id.clone(), run.retry_of.clone());
    for _ in 0..MAX_AGAIN {
        let Some(id) = before else { break };
        before = Engine::head_in(view, &id)?.and_then(|run| run.retry_of);
        first = id;
    }
    Ok(first)
}

/// Lets go of what is kept of a ref that is deleted, or, with an empty name, of all refs of a repository.
pub fn forget(tx: &mut Tx<'_>, project: &Name, repository: &Name, refname: &str) -> Result<()> {
    let prefix = match refname {
        "" => format!("{project}/{repository}/"),
        _ => key(project, repository, refname, ""),
    };
    loop {
        let page = tx.rows::<Left>(NEWEST, &prefix, None, PAGE)?;
        for (key, left) in &page {
            blob::release(tx, &holder(key), &left.tree)?;
            tx.delete_row(NEWEST, key)?;
        }
        if page.len() < PAGE {
            return Ok(());
        }
    }
}
