//! The server's side of `--upload`.

use super::parcel::{self, Head, Part, sound};
use crate::{Pipelines, owner};
use blob::Held;
use futures_util::TryStreamExt;
use kernel::resource::Labels;
use kernel::{Error, Id, Name, Principal, Result, Text, text};
use naru_http::{Call, Response, json};
use run::{Engine, Import};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use store::Tx;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

/// The kind of an uploaded run: not a pipeline, so that nothing is released or counted because of it.
pub(crate) const KIND: &str = "local";
/// For one upload to arrive.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// Characters of a word that is shown beside the run.
const WORD: usize = 200;

/// The route.
pub(crate) async fn receive(mut call: Call) -> Result<Response> {
    let (project, who) = (call.project()?, call.who.clone());
    let body = call.body().into_data_stream().map_err(std::io::Error::other);
    let mut body = StreamReader::new(body);
    let pipelines = call.part::<Pipelines>()?;
    let taken = take(&pipelines, project, who, &mut body);
    let id =
        tokio::time::timeout(PATIENCE, taken).await.map_err(|_| parcel::invalid("too slow"))??;
    json(&json!({ "run": id }))
}

async fn take(
    pipelines: &Pipelines,
    project: Name,
    who: Principal,
    body: &mut (impl AsyncRead + Unpin + Send),
) -> Result<Id> {
    let parts = &pipelines.0;
    let engine = pipelines.engine()?;
    let head = parcel::head(body).await?;
    let id = parts.store.write(|tx| tx.id()).await?;
    let taken = fill(pipelines, &id, (project, who), head, body).await;
    if taken.is_err() {
        engine.import_dropped(&id).await;
    }
    taken.map(|()| id)
}

/// Takes in the parts, and the run when all of them are there.
async fn fill(
    pipelines: &Pipelines,
    id: &Id,
    (project, who): (Name, Principal),
    head: Head,
    body: &mut (impl AsyncRead + Unpin + Send),
) -> Result<()> {
    let (parts, engine) = (&pipelines.0, pipelines.engine()?);
    let Head { mut run, commit, dirty, trees, parts: listed } = head;
    let mut held: Vec<Held> = Vec::new();
    for part in listed {
        match part {
            Part::Log { step, attempt, size } => {
                engine.import_log(id, step, attempt, &mut *body, size).await?;
            }
            Part::File { hash, size } => {
                let file = parts.blobs.put_stream((&mut *body).take(size), size).await?;
                if file.hash != hash {
                    return Err(parcel::invalid("a file is not what it is called"));
                }
                held.push(file);
            }
        }
    }
    let files: BTreeSet<String> = held.iter().map(|h| h.hash.clone()).collect();
    let mut made = BTreeSet::new();
    for tree in trees {
        // Whoever knows the hash of somebody else's file must not get the file for it.
        if tree.entries.iter().any(|e| !files.contains(&e.hash)) {
            return Err(parcel::invalid("a file of the artifacts is missing"));
        }
        let found = parts.blobs.put_entries(tree.entries).await?;
        made.insert(found.hash.clone());
        held.push(found);
    }
    for step in &mut run.steps {
        let output = sound(&step.output, &made, &files);
        step.output = serde_json::to_value(output).map_err(Error::internal)?;
    }
    let labels = labels(&run.labels, commit.as_deref(), dirty);
    run.title = title(&run.title);
    let import = Import { project, kind: KIND.to_owned(), actor: who, labels, run };
    let (imported, hashes) = (id.clone(), files.into_iter().chain(made).collect::<BTreeSet<_>>());
    let work = move |tx: &mut Tx<'_>| {
        for hash in &hashes {
            blob::refer(tx, &owner(&imported), hash)?;
        }
        Engine::import_in(tx, &imported, import)
    };
    parts.store.write(work).await?;
    drop(held);
    Ok(())
}

fn labels(told: &Labels, commit: Option<&str>, dirty: bool) -> Labels {
    let short =
        |words: &str| -> String { words.chars().filter(|c| !c.is_control()).take(WORD).collect() };
    let mut labels = Labels::new();
    for name in ["repository", "ref"] {
        if let Some(words) = told.get(name) {
            labels.insert(name.to_owned(), short(words));
        }
    }
    labels.extend(commit.map(|c| ("commit".to_owned(), short(c))));
    labels.insert("local".to_owned(), "true".to_owned());
    labels.insert("dirty".to_owned(), dirty.to_string());
    labels
}

fn title(told: &Text) -> Text {
    let short =
        |words: &str| -> String { words.chars().filter(|c| !c.is_control()).take(WORD).collect() };
    let (en, ko) = (short(&told.en), short(&told.ko));
    text!("local: {en}", "로컬: {ko}")
}
