//! Caches that jobs name: trees in the blob store, by project and key. The last one saved wins.

use crate::Parts;
use crate::keep;
use crate::work::Cache;
use crate::workspace::Place;
use kernel::{Name, Result, Time, text};
use run::StepLog;
use serde::{Deserialize, Serialize};

/// Keys `<project>/<key>`.
const CACHES: &str = "delivery-pipeline.cache";
/// Longest key, in bytes; what is beyond is cut.
const MAX_KEY: usize = 512;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Saved {
    tree: String,
    size: u64,
    saved: Time,
}

fn row(project: &Name, key: &str) -> String {
    let key: String = key.chars().filter(|c| !c.is_control()).collect();
    let mut end = key.len().min(MAX_KEY);
    while !key.is_char_boundary(end) {
        end -= 1;
    }
    format!("{project}/{}", key.get(..end).unwrap_or(""))
}

/// Lays the cache of the key, or of the first fallback there is, under the job's files.
pub async fn restore(
    parts: &Parts,
    project: &Name,
    cache: &Cache,
    place: &Place,
    log: &StepLog,
) -> Result<()> {
    let keys: Vec<String> =
        [&cache.key].into_iter().chain(&cache.fallback).map(|k| row(project, k)).collect();
    let found = parts
        .store
        .read(move |v| {
            for key in keys {
                if let Some(saved) = v.row::<Saved>(CACHES, &key)? {
                    return Ok(Some((key, saved)));
                }
            }
            Ok(None)
        })
        .await?;
    let Some((key, saved)) = found else { return Ok(()) };
    if let Err(error) = parts.blobs.materialise(&saved.tree, &place.upper()).await {
        // A cache is never a reason to fail.
        tracing::warn!(%error, key, "a cache cannot be restored");
        return Ok(());
    }
    let (key, size) = (key.split_once('/').map_or("", |(_, k)| k), saved.size);
    log.note(&text!(
        "restored cache {key}, {size} bytes",
        "캐시 {key}, {size}바이트를 복원했습니다"
    ));
    Ok(())
}

/// Keeps the files that match `globs` under the cache's key.
pub async fn save(
    parts: &Parts,
    project: &Name,
    cache: &Cache,
    place: &Place,
    globs: Vec<String>,
) -> Result<()> {
    let choose = parts.limits.artifacts.choose(globs, Vec::new());
    let Some(held) = keep::collect(&parts.blobs, place, choose).await? else {
        return Ok(());
    };
    let row = row(project, &cache.key);
    let (tree, size) = (held.hash.clone(), held.size);
    parts
        .store
        .write(move |tx| {
            let old = tx.row::<Saved>(CACHES, &row)?;
            if old.as_ref().is_some_and(|old| old.tree == tree) {
                return Ok(());
            }
            let owner = format!("cache/{row}");
            if let Some(old) = old {
                blob::release(tx, &owner, &old.tree)?;
            }
            blob::refer(tx, &owner, &tree)?;
            let saved = tx.now();
            tx.set_row(CACHES, &row, &Saved { tree, size, saved })
        })
        .await?;
    drop(held);
    Ok(())
}
