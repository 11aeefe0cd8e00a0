//! Caches that jobs name: trees in the blob store, by project and key. The last one saved wins.

use crate::work::Cache;
use crate::workspace::Place;
use crate::{Parts, Pipelines};
use blob::Held;
use kernel::{Error, Name, Result, Text, Time, text};
use serde::{Deserialize, Serialize};

/// Keys `<project>/<key>`.
const CACHES: &str = "delivery-pipeline.cache";
/// Longest key, in bytes; what is beyond is cut.
const MAX_KEY: usize = 512;
/// Caches of one project that are shown.
const MAX_SHOWN: usize = 1000;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Saved {
    tree: String,
    size: u64,
    saved: Time,
    #[serde(default)]
    used: Option<Time>,
    #[serde(default)]
    hits: u64,
}

/// A cache, for whoever looks after them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CacheView {
    pub key: String,
    /// Bytes.
    pub size: u64,
    pub saved: Time,
    /// When a job was last given it.
    pub last_used: Option<Time>,
    /// How many jobs were given it since it was first saved.
    pub hits: u64,
}

impl Pipelines {
    /// The caches of a project, by key.
    ///
    /// # Errors
    /// Of the store.
    pub async fn caches(&self, project: &Name) -> Result<Vec<CacheView>> {
        let before = format!("{project}/");
        let rows = {
            let before = before.clone();
            self.0.store.read(move |v| v.rows::<Saved>(CACHES, &before, None, MAX_SHOWN)).await?
        };
        let view = |(row, saved): (String, Saved)| CacheView {
            key: row.strip_prefix(&before).unwrap_or(&row).to_owned(),
            size: saved.size,
            saved: saved.saved,
            last_used: saved.used,
            hits: saved.hits,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    /// Lets a cache go; jobs that stand on it keep it to their end.
    ///
    /// # Errors
    /// `cache.unknown`.
    pub async fn delete_cache(&self, project: &Name, key: &str) -> Result<()> {
        let (row, shown) = (row(project, key), key.to_owned());
        let delete = move |tx: &mut store::Tx<'_>| {
            let Some(saved) = tx.row::<Saved>(CACHES, &row)? else {
                return Err(unknown(&shown));
            };
            blob::release(tx, &format!("cache/{row}"), &saved.tree)?;
            tx.delete_row(CACHES, &row).map(drop)
        };
        self.0.store.write(delete).await
    }
}

fn unknown(key: &str) -> Error {
    let shown = kernel::shown(key);
    Error::not_found("cache.unknown", text!("there is no cache {shown}", "{shown} 캐시가 없습니다"))
}

fn row(project: &Name, key: &str) -> String {
    let key: String = key.chars().filter(|c| !c.is_control()).collect();
    let mut end = key.len().min(MAX_KEY);
    while !key.is_char_boundary(end) {
        end -= 1;
    }
    format!("{project}/{}", key.get(..end).unwrap_or(""))
}

/// Lays the cache of the key, or of the first fallback there is, under the job's files. The answer says so,
/// if there was any.
pub async fn restore(
    parts: &Parts,
    project: &Name,
    cache: &Cache,
    place: &Place,
) -> Result<Option<Text>> {
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
    let Some((key, saved)) = found else { return Ok(None) };
    let began = std::time::Instant::now();
    let laid = match place.lower() {
        Some(_) => parts.workspaces.lay(place, &parts.blobs, &saved.tree).await,
        None => parts.blobs.materialise(&saved.tree, &place.upper()).await,
    };
    if let Err(error) = laid {
        // A cache is never a reason to fail.
        tracing::warn!(%error, key, "a cache cannot be restored");
        return Ok(None);
    }
    let ms = began.elapsed().as_millis();
    let (size, row) = (saved.size, key.clone());
    let counted = parts.store.write(move |tx| {
        let Some(mut saved) = tx.row::<Saved>(CACHES, &row)? else { return Ok(()) };
        (saved.hits, saved.used) = (saved.hits + 1, Some(tx.now()));
        tx.set_row(CACHES, &row, &saved)
    });
    counted.await?;
    let key = key.split_once('/').map_or("", |(_, k)| k);
    Ok(Some(text!(
        "restored cache {key}, {size} bytes in {ms} ms",
        "캐시 {key}, {size}바이트를 {ms}ms 만에 복원했습니다"
    )))
}

/// Keeps a tree under the cache's key.
pub async fn save(
    parts: &Parts,
    project: &Name,
    cache: &Cache,
    place: &Place,
    held: Held,
) -> Result<()> {
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
            let (hits, used) = old.as_ref().map_or((0, None), |old| (old.hits, old.used));
            if let Some(old) = old {
                blob::release(tx, &owner, &old.tree)?;
            }
            blob::refer(tx, &owner, &tree)?;
            let (saved, hits, used) = (tx.now(), hits, used);
            tx.set_row(CACHES, &row, &Saved { tree, size, saved, used, hits })
        })
        .await?;
    ready(parts, &held, place).await;
    Ok(())
}

/// Lays the tree out for the next job, out of the files that this one leaves. Nothing is lost if it fails.
async fn ready(parts: &Parts, held: &Held, place: &Place) {
    let Some(lower) = place.lower() else { return };
    let Ok(tree) = parts.blobs.tree(&held.hash).await else { return };
    let mut sources = vec![place.upper()];
    sources.extend(place.layers());
    sources.push(lower);
    let (parts, hash) = (parts.workspaces.clone(), held.hash.clone());
    let link = move || parts.layers.link(&hash, &tree.entries, &sources);
    if let Ok(Err(error)) = tokio::task::spawn_blocking(link).await {
        tracing::debug!(%error, "a cache is unpacked when it is first wanted");
    }
}
