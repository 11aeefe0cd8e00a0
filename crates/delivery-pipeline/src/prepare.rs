//! From a ref to a compiled pipeline: which files it is made of, and what they come to.

use crate::Parts;
use crate::create::Asked;
use crate::gitlab::{self, Compiled, Context, FILE, Files, Gathered, MAX_FILE};
use crate::tip::Tip;
use kernel::{Error, ErrorKind, Name, Principal, Result, Text, text};
use std::collections::{BTreeMap, BTreeSet};
use store::Tx;

/// The last number given: `all`, or `<project>`.
const NUMBERS: &str = "delivery-pipeline.number";
/// Rounds of reading included files.
const MAX_ROUNDS: usize = 20;

/// What came of reading.
pub enum Prepared {
    /// The commit has no pipeline file.
    Absent,
    /// It cannot be read: the place is in the error.
    Broken(Error),
    /// It says that nothing is to run.
    Nothing(Text),
    Ready(Box<Compiled>),
}

/// What a pipeline is made of beside its commit.
#[derive(Clone, Debug, Default)]
pub struct Made {
    /// Its first file in place of the commit's: what errors call it, and its text.
    pub file: Option<(String, String)>,
    /// Files by path, as if the commit had them.
    pub laid: BTreeMap<String, Vec<u8>>,
}

/// # Errors
/// Only faults of ours: what is wrong with the file is [`Prepared::Broken`].
pub async fn prepare(parts: &Parts, asked: &Asked) -> Result<Prepared> {
    let laid = asked.made.laid.iter().map(|(path, bytes)| (path.clone(), Some(bytes.clone())));
    let mut files: Files = laid.collect();
    match &asked.made.file {
        Some((name, text)) => drop(files.insert(name.clone(), Some(text.clone().into_bytes()))),
        None => match read(parts, &asked.tip, FILE).await {
            Ok(None) => return Ok(Prepared::Absent),
            Ok(file) => drop(files.insert(FILE.to_owned(), file)),
            Err(error) => return broken(error),
        },
    }
    let context = context(parts, asked, numbers(parts, &asked.tip.project).await?).await;
    match compile(parts, asked, files, context).await {
        Ok(compiled) => Ok(match &compiled.nothing {
            Some(why) => Prepared::Nothing(why.clone()),
            None => Prepared::Ready(Box::new(compiled)),
        }),
        Err(error) => broken(error),
    }
}

fn broken(error: Error) -> Result<Prepared> {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::TooLarge => Ok(Prepared::Broken(error)),
        _ => Err(error),
    }
}

async fn read(parts: &Parts, tip: &Tip, path: &str) -> Result<Option<Vec<u8>>> {
    let Tip { project, repository, commit, .. } = tip;
    let found = parts.source.file(project, repository, &commit.id, path, MAX_FILE).await;
    found.map_err(|e| if e.kind() == ErrorKind::TooLarge { e.at(path, 1, 1) } else { e })
}

async fn compile(
    parts: &Parts,
    asked: &Asked,
    mut files: Files,
    mut context: Context,
) -> Result<Compiled> {
    let first = asked.made.file.as_ref().map_or(FILE, |(name, _)| name).to_owned();
    for _ in 0..MAX_ROUNDS {
        look(parts, &asked.tip, &files, &mut context).await?;
        let root = match gitlab::gather(&first, &files, &context)? {
            Gathered::Missing(paths) => {
                for path in paths {
                    let file = read(parts, &asked.tip, &path).await?;
                    files.insert(path, file);
                }
                continue;
            }
            Gathered::Whole(root) => root,
        };
        let rules = gitlab::asked(&root, &context);
        crate::answer::answer(parts, &asked.tip, &asked.actor, rules, &mut context).await?;
        // A large file takes a while: not on a thread that serves.
        let work = tokio::task::spawn_blocking(move || {
            let compiled = gitlab::compile(&root, &context)?;
            compiled.plan.check().map_err(|e| e.at(first, 1, 1))?;
            Ok(compiled)
        });
        return work.await.map_err(Error::internal)?;
    }
    let say = text!(
        "includes nest more than {MAX_ROUNDS} levels deep",
        "include가 {MAX_ROUNDS}단계를 넘습니다"
    );
    Err(Error::invalid("pipeline.include", say).at(first, 1, 1))
}

/// Reads of the commit what the files may ask about.
async fn look(parts: &Parts, tip: &Tip, files: &Files, context: &mut Context) -> Result<()> {
    let asks = gitlab::asks(files);
    let Tip { project, repository, commit, before, .. } = tip;
    if asks.tree && context.tree.is_empty() {
        context.tree = parts.source.tree(project, repository, &commit.id).await?;
    }
    if asks.changed && context.changed.is_none() && before.is_some() {
        let changed = parts.source.changed(project, repository, before.as_deref(), &commit.id);
        // After a forced push the old commit may be gone: then there is nothing to compare with.
        context.changed =
            changed.await.ok().map(|paths| paths.into_iter().collect::<BTreeSet<_>>());
    }
    Ok(())
}

async fn context(parts: &Parts, asked: &Asked, (number, project_number): (u64, u64)) -> Context {
    let tip = &asked.tip;
    let actor = match &asked.actor {
        Principal::User(name) | Principal::Service(name) => name.to_string(),
        other => other.to_string(),
    };
    Context {
        project: tip.project.clone(),
        repository: tip.repository.clone(),
        commit: tip.commit.clone(),
        branch: tip.branch.clone(),
        tag: tip.tag(),
        default_branch: default_branch(parts, tip).await,
        before: tip.before.clone(),
        origin: asked.origin,
        number,
        project_number,
        url: parts.url.clone(),
        now: parts.store.now(),
        actor,
        tree: Vec::new(),
        changed: None,
        given: asked.given.clone(),
        protected: tip.default_branch,
        more: gitlab::More {
            merge_request: asked.beside.merge_request.clone(),
            upstream: asked.beside.above.as_ref().map(|above| above.upstream.clone()),
            schedule: asked.beside.schedule.clone(),
            ..gitlab::More::default()
        },
    }
}

async fn default_branch(parts: &Parts, tip: &Tip) -> String {
    if let Some(branch) = tip.branch.as_ref().filter(|_| tip.default_branch) {
        return branch.clone();
    }
    let head = parts.source.git_dir(&tip.project, &tip.repository).join("HEAD");
    let head = tokio::fs::read_to_string(head).await.unwrap_or_default();
    let name = head.trim().strip_prefix("ref: refs/heads/");
    name.unwrap_or("main").to_owned()
}

/// The next numbers of a pipeline: on this server, and in its project. A number may be lost in a crash.
async fn numbers(parts: &Parts, project: &Name) -> Result<(u64, u64)> {
    let project = project.to_string();
    let next = move |tx: &mut Tx<'_>| {
        let mut next = |key: &str| -> Result<u64> {
            let number = tx.row::<u64>(NUMBERS, key)?.unwrap_or(0) + 1;
            tx.set_row(NUMBERS, key, &number)?;
            Ok(number)
        };
        // No project is called that: names have no dots.
        Ok((next(".all")?, next(&project)?))
    };
    parts.store.write(next).await
}
