//! From a ref to a compiled pipeline: which files it is made of, and what they come to.

use crate::Parts;
use crate::create::Asked;
use crate::gitlab::{self, Compiled, Context, FILE, Files, Given, Got, Wanted};
use crate::library::{self, Library};
use crate::shelf::Shelf;
use crate::tip::Tip;
use kernel::{Error, ErrorKind, Name, Principal, Result, Text};
use std::collections::BTreeMap;
use store::Tx;

/// The last number given: `all`, or `<project>`.
const NUMBERS: &str = "delivery-pipeline.number";

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
    /// Given by hand or by another pipeline.
    pub inputs: serde_json::Map<String, serde_json::Value>,
    /// Its first file in place of the commit's: what errors call it, and its text.
    pub file: Option<(String, String)>,
    /// Files by path, as if the commit had them.
    pub laid: BTreeMap<String, Vec<u8>>,
}

/// # Errors
/// Only faults of ours: what is wrong with the file is [`Prepared::Broken`].
pub async fn prepare(parts: &Parts, asked: &Asked) -> Result<Prepared> {
    let shelf = Shelf { parts, tip: Some(&asked.tip), who: &asked.actor, laid: &asked.made.laid };
    let mut files = Files::default();
    let root = match &asked.made.file {
        Some((name, text)) => {
            files.insert(Wanted::here(name), Got::File(text.clone().into_bytes()));
            name
        }
        None => match shelf.find(&Wanted::here(FILE)).await? {
            Got::Absent => return Ok(Prepared::Absent),
            found => {
                files.insert(Wanted::here(FILE), found);
                FILE
            }
        },
    };
    let context = context(parts, asked, numbers(parts, &asked.tip.project).await?).await;
    match compile(&shelf, asked, root, files, context).await {
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

async fn compile(
    shelf: &Shelf<'_>,
    asked: &Asked,
    root: &str,
    files: Files,
    mut context: Context,
) -> Result<Compiled> {
    let given = Given::by_hand(&asked.made.inputs)?;
    let loaded = library::load(shelf, root, &given, files, &mut context).await?;
    let rules = gitlab::asked(&loaded.root, &context);
    crate::answer::answer(shelf.parts, &asked.tip, &asked.actor, rules, &mut context).await?;
    let root = root.to_owned();
    // A large file takes a while: not on a thread that serves.
    let work = tokio::task::spawn_blocking(move || {
        let compiled = gitlab::compile(&loaded.root, &context)?;
        compiled.plan.check().map_err(|e| e.at(root, 1, 1))?;
        Ok(compiled)
    });
    work.await.map_err(Error::internal)?
}

async fn context(parts: &Parts, asked: &Asked, (number, project_number): (u64, u64)) -> Context {
    let tip = &asked.tip;
    let actor = match &asked.actor {
        Principal::User(name) | Principal::Service(name) => name.to_string(),
        other => other.to_string(),
    };
    let (project, repository) = (tip.project.clone(), tip.repository.clone());
    let branch = tip.branch.clone().unwrap_or_default();
    let open = move |v: &store::View<'_>| crate::request::open(v, &project, &repository, &branch);
    let open_merge_requests = match tip.branch {
        Some(_) => parts.store.read(open).await.unwrap_or_default(),
        None => Vec::new(),
    };
    Context {
        project: tip.project.clone(),
        repository: tip.repository.clone(),
        commit: tip.commit.clone(),
        branch: tip.branch.clone(),
        tag: tip.tag(),
        default_branch: default_branch(parts, tip).await,
        // Only of a push is it known what it changed: whoever starts a pipeline by hand, or a clock, brings
        // nothing new.
        before: tip.before.clone().filter(|_| asked.origin.is_of_a_push()),
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
            open_merge_requests,
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
