//! `--upload`: a finished local run becomes a run on the server.

use super::parcel::{Head, Part, Tree, sound};
use super::repository::Snapshot;
use super::world::World;
use cli::Context;
use kernel::{Error, Id, Name, Result, Text, text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};

/// Sends the run; the id that it has on the server.
///
/// # Errors
/// The server's own; `server.unknown`.
pub async fn upload(
    world: &World,
    context: &Context,
    project: &Name,
    run: &Id,
    snapshot: &Snapshot,
    with_artifacts: bool,
) -> Result<String> {
    let client = context.client()?;
    let head = head(world, run, snapshot, with_artifacts).await?;
    let parcel = world.place.dir.join("parcel");
    let packed = pack(world, &parcel, &head).await;
    let sent = match packed {
        Ok(()) => {
            let path = format!("/api/v1/projects/{project}/runs/import");
            client.send_file::<Value>(&path, &parcel).await
        }
        Err(error) => Err(error),
    };
    let _ = tokio::fs::remove_file(&parcel).await;
    let answer = sent?;
    let id = answer.get("run").and_then(Value::as_str).unwrap_or_default();
    Ok(id.to_owned())
}

/// What is sent.
async fn head(world: &World, run: &Id, snapshot: &Snapshot, with_artifacts: bool) -> Result<Head> {
    let mut run = world.engine.show(run).await?;
    let (mut parts, mut trees) = (Vec::new(), Vec::new());
    let mut known: BTreeSet<String> = BTreeSet::new();
    for step in run.steps.iter().filter(|s| !s.copied && s.attempt > 0) {
        let (step, attempt) = (step.index, step.attempt);
        if let Ok(found) = std::fs::metadata(log_of(world, &run.id, step, attempt)) {
            parts.push(Part::Log { step, attempt, size: found.len() });
        }
    }
    let mut wanted: Vec<(String, u64)> = Vec::new();
    for step in &run.steps {
        let output: crate::work::Output =
            serde_json::from_value(step.output.clone()).unwrap_or_default();
        wanted.extend(output.reports.iter().map(|r| (r.blob.clone(), r.size)));
        if let Some(hash) = output.artifacts.filter(|_| with_artifacts)
            && let Ok(tree) = world.blobs.tree(&hash).await
        {
            wanted.extend(tree.entries.iter().map(|e| (e.hash.clone(), e.size)));
            trees.push(Tree { hash, entries: tree.entries });
        }
    }
    for (hash, size) in wanted {
        if known.insert(hash.clone()) {
            parts.push(Part::File { hash, size });
        }
    }
    let tree_hashes: BTreeSet<String> = trees.iter().map(|t| t.hash.clone()).collect();
    for step in &mut run.steps {
        let output = sound(&step.output, &tree_hashes, &known);
        step.output = serde_json::to_value(output).map_err(Error::internal)?;
    }
    // The plan may hold variables of the file that are nobody else's business.
    for step in &mut run.plan.steps {
        step.action.with = Value::Null;
    }
    let commit = snapshot.head.clone();
    let dirty = !snapshot.dirty.is_empty();
    Ok(Head { run, commit, dirty, trees, parts })
}

fn log_of(world: &World, run: &Id, step: usize, attempt: u32) -> PathBuf {
    world.place.dir.join(format!("runs/{run}/{step}.{attempt}.log"))
}

async fn pack(world: &World, parcel: &Path, head: &Head) -> Result<()> {
    let bytes = serde_json::to_vec(head).map_err(Error::internal)?;
    let length = u32::try_from(bytes.len()).map_err(Error::internal)?;
    let file = File::create(parcel).await.map_err(Error::internal)?;
    let mut out = BufWriter::new(file);
    out.write_u32(length).await.map_err(Error::internal)?;
    out.write_all(&bytes).await.map_err(Error::internal)?;
    for part in &head.parts {
        let file = match part {
            Part::Log { step, attempt, .. } => {
                let log = log_of(world, &head.run.id, *step, *attempt);
                File::open(log).await.map_err(Error::internal)?
            }
            Part::File { hash, .. } => world.blobs.open_blob(hash).await?,
        };
        let copied = tokio::io::copy(&mut file.take(part.size()), &mut out).await;
        if copied.map_err(Error::internal)? != part.size() {
            return Err(Error::internal("a part became shorter while it was packed"));
        }
    }
    out.flush().await.map_err(Error::internal)
}

/// Said when it has arrived.
pub fn arrived(url: &str, project: &Name, run: &str) -> Text {
    let at = format!("{}/projects/{project}/runs/{run}", url.trim_end_matches('/'));
    text!("uploaded: {at}", "올렸습니다: {at}")
}
