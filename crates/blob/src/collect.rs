//! Garbage collection. Why it is safe is argued in `ledger`.

use crate::disk::{Disk, Round};
use crate::hash::Hash;
use crate::tree::{self, Tree};
use crate::{Blobs, blocking, error, refer};
use kernel::{ErrorKind, Result};
use serde::Serialize;
use std::collections::{BTreeSet, HashSet};
use store::Store;

/// What a collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Blobs that stay.
    pub kept: u64,
    pub deleted: u64,
    /// Bytes of the deleted ones.
    pub freed: u64,
}

pub(crate) async fn run(blobs: &Blobs) -> Result<Collected> {
    let alone = blobs.collecting.clone().lock_owned().await;
    let round = blobs.disk.begin();
    let referred = references(&round, &blobs.store).await?;
    let disk = blobs.disk.clone();
    // The round and the lock go along: a caller that stops waiting does not end them under the sweep.
    blocking(move || {
        let live = reachable(&disk, referred)?;
        let mut done = Collected::default();
        for hash in disk.list().map_err(error::io)? {
            let gone = if live.contains(&hash) { Ok(None) } else { round.delete(hash) };
            match gone.map_err(error::io)? {
                Some(size) => {
                    done.deleted += 1;
                    done.freed += size;
                }
                None => done.kept += 1,
            }
        }
        drop((round, alone));
        Ok(done)
    })
    .await
}

/// Takes the round only to be called after it has begun: read before, they would miss what is referred to
/// in between.
async fn references(_since: &Round, store: &Store) -> Result<BTreeSet<Hash>> {
    store.read(refer::all).await
}

/// What is referred to, and what the trees among it list.
fn reachable(disk: &Disk, referred: BTreeSet<Hash>) -> Result<HashSet<Hash>> {
    let mut live: HashSet<Hash> = referred.iter().copied().collect();
    for hash in referred {
        match entries(disk, hash) {
            Ok(below) => live.extend(below),
            // Lost already; that its files may go too does not make it worse.
            Err(e) if e.kind() == ErrorKind::NotFound => {
                tracing::error!(%hash, "a blob that is referred to is missing");
            }
            // A plain blob that begins like a tree and is none: anyone may store such a thing.
            Err(e) if matches!(e.kind(), ErrorKind::Invalid | ErrorKind::TooLarge) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(live)
}

fn entries(disk: &Disk, hash: Hash) -> Result<Vec<Hash>> {
    if !disk.looks_like_tree(hash)? {
        return Ok(Vec::new());
    }
    let tree = Tree::parse(&disk.read(hash, tree::LIMIT)?)?;
    Ok(tree.entries.iter().filter_map(|e| Hash::parse(&e.hash)).collect())
}
