//! Blobs on their way in, one or thousands, made durable together.
//!
//! All files of a batch are written first, then synced, then named, then their directories are synced.
//! Syncing each of two hundred small files costs two hundred flushes of the device; for more than a few,
//! one `syncfs` for the bytes and one for the names are cheaper, and just as safe.

use crate::disk::{Closed, Disk, Lease, Temp};
use crate::hash::{self, Hash};
use crate::tree::Tree;
use crate::{CHUNK, error};
use kernel::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek};
use std::sync::Arc;

pub(crate) struct Batch {
    disk: Arc<Disk>,
    lease: Lease,
    waiting: BTreeMap<Hash, Closed>,
    shards: BTreeSet<u8>,
}

impl Batch {
    pub(crate) fn new(disk: Arc<Disk>) -> Batch {
        let lease = Lease::new(disk.clone());
        Batch { disk, lease, waiting: BTreeMap::new(), shards: BTreeSet::new() }
    }

    /// Leases first, then looks: the order the collector relies on.
    fn has(&mut self, hash: Hash) -> Result<bool> {
        self.lease.add(hash);
        self.shards.insert(hash.shard());
        Ok(self.waiting.contains_key(&hash) || self.disk.size(hash).map_err(error::io)?.is_some())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<Hash> {
        let hash = Hash::of(bytes);
        if !self.has(hash)? {
            let mut temp = self.disk.temp().map_err(error::io)?;
            temp.write(bytes).map_err(error::io)?;
            self.waiting.insert(hash, temp.close().0);
        }
        Ok(hash)
    }

    /// What has been written already.
    pub(crate) fn temp(&mut self, temp: Temp) -> Hash {
        let (closed, hash) = temp.close();
        self.lease.add(hash);
        self.shards.insert(hash.shard());
        self.waiting.entry(hash).or_insert(closed);
        hash
    }

    /// A file's bytes and their number. The file may be changing: what is stored is what was hashed.
    pub(crate) fn file(&mut self, file: &mut File, limit: u64) -> Result<(Hash, u64)> {
        let mut small = Vec::new();
        file.take(CHUNK as u64 + 1).read_to_end(&mut small).map_err(error::io)?;
        if small.len() <= CHUNK {
            let size = small.len() as u64;
            return if size > limit {
                Err(error::too_large(limit))
            } else {
                Ok((self.bytes(&small)?, size))
            };
        }
        drop(small);
        // Reading twice is cheaper than writing what is already there.
        file.rewind().map_err(error::io)?;
        let (hash, size) =
            hash::of_reader(&mut file.take(limit.saturating_add(1))).map_err(error::io)?;
        if size > limit {
            return Err(error::too_large(limit));
        }
        if self.has(hash)? {
            return Ok((hash, size));
        }
        file.rewind().map_err(error::io)?;
        let mut temp = self.disk.temp().map_err(error::io)?;
        hash::each_chunk(&mut file.take(limit), |chunk| temp.write(chunk)).map_err(error::io)?;
        let size = temp.size();
        Ok((self.temp(temp), size))
    }

    /// Keeps a blob that must be there already. Its size.
    pub(crate) fn keep(&mut self, hash: Hash) -> Result<u64> {
        self.lease.add(hash);
        self.shards.insert(hash.shard());
        let size = self.disk.size(hash).map_err(error::io)?;
        size.ok_or_else(|| error::unknown(&hash.to_string()))
    }

    /// Keeps all that the tree lists.
    pub(crate) fn keep_all(&mut self, tree: &Tree) -> Result<()> {
        for entry in &tree.entries {
            let unknown = || error::unknown_at(&entry.path, &entry.hash);
            let hash = Hash::parse(&entry.hash).ok_or_else(unknown)?;
            match self
                .keep(hash)
                .map_err(|e| if e.code() == "blob.unknown" { unknown() } else { e })?
            {
                size if size == entry.size => {}
                _ => return Err(error::size(&entry.path)),
            }
        }
        Ok(())
    }

    /// Everything is on disk when this returns, and stays while the lease lives.
    pub(crate) fn finish(self) -> Result<Lease> {
        self.disk.sync(self.waiting.values()).map_err(error::io)?;
        for (hash, temp) in self.waiting {
            self.disk.publish(temp, hash).map_err(error::io)?;
        }
        self.disk.settle(&self.shards).map_err(error::io)?;
        Ok(self.lease)
    }
}
