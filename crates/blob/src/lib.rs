//! Content-addressed blobs, and trees of files made of them.
//!
//! A blob is named by the SHA-256 of its bytes (lower-case hex) and never changes. A tree is a blob that
//! lists files. What is needed is held by references, written in the owner's own transaction; the garbage
//! collector deletes only what no reference, no tree under a reference and no write under way can reach.
//!
//! Invariants:
//! - Nothing gets its name before its bytes are on disk, and no [`Held`] is handed out before its name is
//!   there too: a reference that was committed never points at something a power cut took away.
//! - A held or reachable blob is never deleted; `ledger` has the argument.
//! - No path from a tree and no symbolic link leads a read or a write out of the directory it was given.
//! - One `Blobs` per directory at a time (its clones are one): leases live in memory. Whoever owns the data
//!   directory keeps a second server out of it.

mod batch;
mod collect;
mod disk;
mod error;
mod gather;
mod glob;
mod hash;
mod ledger;
mod path;
mod refer;
mod spread;
mod tree;

pub use collect::Collected;
pub use gather::Choose;
pub use path::check as check_path;
pub use refer::{owned, refer, release, release_all};
pub use tree::{Entry, LINK, PLAIN, PROGRAM, Tree};

use batch::Batch;
use disk::{Disk, Lease};
use hash::Hash;
use kernel::{Error, Result};
use spread::How;
use std::path::Path;
use std::sync::Arc;
use store::Store;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes read from a stream before they are handed to the disk together.
const CHUNK: usize = 256 * 1024;

/// A handle on the blobs of one directory. Clones share it.
#[derive(Clone)]
pub struct Blobs {
    disk: Arc<Disk>,
    store: Store,
    /// Held by the one collection under way.
    collecting: Arc<tokio::sync::Mutex<()>>,
}

/// Something that is stored, durable, and kept from the collector until this and its clones are dropped:
/// take a reference ([`refer`]) in a committed transaction before that.
#[derive(Clone, Debug)]
pub struct Held {
    /// SHA-256, lower-case hex.
    pub hash: String,
    /// Bytes of content: the blob's own, or those of all files of a tree together.
    pub size: u64,
    /// Files in the tree; 1 for a plain blob.
    pub files: u64,
    /// Files that were not taken for their size, see [`Choose::limit_each`].
    pub left_out: u64,
    _lease: Arc<Lease>,
}

impl Held {
    fn blob(hash: Hash, size: u64, lease: Lease) -> Held {
        Held { hash: hash.to_string(), size, files: 1, left_out: 0, _lease: Arc::new(lease) }
    }

    fn tree(hash: Hash, tree: &Tree, lease: Lease) -> Held {
        let files = tree.entries.len() as u64;
        let (hash, size) = (hash.to_string(), tree.bytes());
        Held { hash, size, files, left_out: 0, _lease: Arc::new(lease) }
    }
}

impl Blobs {
    /// Opens or makes the store in `dir` and clears what a crash left half written. References live in
    /// `store`.
    ///
    /// # Errors
    /// `disk.full`, or internal when the directory cannot be used.
    pub async fn open(dir: &Path, store: Store) -> Result<Blobs> {
        let dir = dir.to_owned();
        let disk = blocking(move || Disk::open(&dir).map_err(error::io)).await?;
        Ok(Blobs { disk: Arc::new(disk), store, collecting: Arc::default() })
    }

    /// # Errors
    /// `disk.full`, as of every `put`; then nothing is stored.
    pub async fn put_bytes(&self, bytes: Vec<u8>) -> Result<Held> {
        let disk = self.disk.clone();
        blocking(move || {
            let mut batch = Batch::new(disk);
            let hash = batch.bytes(&bytes)?;
            Ok(Held::blob(hash, bytes.len() as u64, batch.finish()?))
        })
        .await
    }

    /// Stores a regular file; a symbolic link in its last place is not followed.
    ///
    /// # Errors
    /// `blob.not-a-file` when it is none, `disk.full`.
    pub async fn put_file(&self, path: &Path) -> Result<Held> {
        let (disk, path) = (self.disk.clone(), path.to_owned());
        blocking(move || {
            let mut batch = Batch::new(disk);
            let mut file = gather::open_file(&path)?;
            let (hash, size) = batch.file(&mut file, u64::MAX)?;
            Ok(Held::blob(hash, size, batch.finish()?))
        })
        .await
    }

    /// Stores what `reader` gives until its end, in constant memory.
    ///
    /// # Errors
    /// `blob.too-large` beyond `limit` bytes, `blob.cut-short` when the reader fails, `disk.full`.
    pub async fn put_stream(
        &self,
        mut reader: impl AsyncRead + Unpin + Send,
        limit: u64,
    ) -> Result<Held> {
        let disk = self.disk.clone();
        let mut temp = blocking(move || disk.temp().map_err(error::io)).await?;
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            // One byte more than allowed is enough to know that it is too much.
            let room = limit.saturating_sub(temp.size()).saturating_add(1).min(CHUNK as u64);
            (&mut reader)
                .take(room)
                .read_to_end(&mut chunk)
                .await
                .map_err(|e| error::cut_short(&e))?;
            if chunk.is_empty() {
                break;
            }
            if temp.size() + chunk.len() as u64 > limit {
                return Err(error::too_large(limit));
            }
            temp = blocking(move || {
                temp.write(&chunk).map_err(error::io)?;
                Ok(temp)
            })
            .await?;
        }
        let disk = self.disk.clone();
        blocking(move || {
            let (mut batch, size) = (Batch::new(disk), temp.size());
            let hash = batch.temp(temp);
            Ok(Held::blob(hash, size, batch.finish()?))
        })
        .await
    }

    /// The blob's bytes, as stored: [`Blobs::check`] compares them with their name.
    ///
    /// # Errors
    /// `blob.unknown`; `blob.too-large` beyond `limit` bytes.
    pub async fn get(&self, hash: &str, limit: u64) -> Result<Vec<u8>> {
        let (disk, hash) = (self.disk.clone(), Hash::known(hash)?);
        blocking(move || disk.read(hash, limit)).await
    }

    /// The blob for reading; it stays readable even if it is collected meanwhile.
    ///
    /// # Errors
    /// `blob.unknown`.
    pub async fn open_blob(&self, hash: &str) -> Result<tokio::fs::File> {
        let (disk, hash) = (self.disk.clone(), Hash::known(hash)?);
        blocking(move || disk.open_blob(hash).map(tokio::fs::File::from_std)).await
    }

    /// Keeps something that is already stored, with all that a tree lists.
    ///
    /// # Errors
    /// `blob.unknown` when it, or a file of the tree, is not there (any more).
    pub async fn hold(&self, hash: &str) -> Result<Held> {
        let (disk, hash) = (self.disk.clone(), Hash::known(hash)?);
        blocking(move || {
            let mut batch = Batch::new(disk.clone());
            let size = batch.keep(hash)?;
            if !disk.looks_like_tree(hash)? {
                return Ok(Held::blob(hash, size, batch.finish()?));
            }
            let tree = Tree::parse(&disk.read(hash, tree::LIMIT)?)?;
            batch.keep_all(&tree)?;
            Ok(Held::tree(hash, &tree, batch.finish()?))
        })
        .await
    }

    /// Whether the stored bytes still fit their name.
    ///
    /// # Errors
    /// `blob.damaged` when they do not; `blob.unknown`.
    pub async fn check(&self, hash: &str) -> Result<()> {
        let (disk, hash) = (self.disk.clone(), Hash::known(hash)?);
        blocking(move || {
            let mut file = disk.open_blob(hash)?;
            let (found, _) = hash::of_reader(&mut file).map_err(error::io)?;
            if found == hash { Ok(()) } else { Err(error::damaged(&hash.to_string())) }
        })
        .await
    }

    /// Stores the files below `dir` that `choose` takes, and a tree of them. Directories that hold no such
    /// file, sockets, pipes, devices and everything under a `.git` are left out.
    ///
    /// # Errors
    /// `tree.too-large`, `tree.too-many-files`, `glob.invalid`, `tree.path` for a name that is not UTF-8,
    /// `disk.full`.
    pub async fn put_tree(&self, dir: &Path, choose: Choose) -> Result<Held> {
        let (disk, dir) = (self.disk.clone(), dir.to_owned());
        blocking(move || {
            let (mut batch, tree, left_out) = gather::gather(disk, &dir, &choose)?;
            let hash = batch.bytes(&tree.to_bytes()?)?;
            Ok(Held { left_out, ..Held::tree(hash, &tree, batch.finish()?) })
        })
        .await
    }

    /// Stores a tree of blobs that are already here, in any order.
    ///
    /// # Errors
    /// `tree.path` and `tree.conflict` for paths that no tree may have; `blob.unknown` for a file that is
    /// not stored; `tree.size` for one of another size.
    pub async fn put_entries(&self, entries: Vec<Entry>) -> Result<Held> {
        let disk = self.disk.clone();
        blocking(move || put_tree_of(disk, Tree::new(entries)?)).await
    }

    /// # Errors
    /// `blob.unknown`; `tree.invalid` when the blob is no tree.
    pub async fn tree(&self, hash: &str) -> Result<Tree> {
        Tree::parse(&self.get(hash, tree::LIMIT).await?)
    }

    /// The part of a stored tree that `choose` takes, as a tree of its own.
    ///
    /// # Errors
    /// As [`Blobs::tree`] and [`Blobs::put_tree`].
    pub async fn select(&self, tree: &str, choose: Choose) -> Result<Held> {
        let (disk, hash) = (self.disk.clone(), Hash::known(tree)?);
        blocking(move || {
            let tree = Tree::parse(&disk.read(hash, tree::LIMIT)?)?;
            let (entries, left_out) = gather::select(tree.entries, &choose)?;
            Ok(Held { left_out, ..put_tree_of(disk, Tree::new(entries)?)? })
        })
        .await
    }

    /// One tree out of many: a later layer wins. A file that stands where an earlier layer has a directory
    /// removes what was below it, and the other way round.
    ///
    /// # Errors
    /// As [`Blobs::tree`].
    pub async fn overlay(&self, layers: &[String]) -> Result<Held> {
        let disk = self.disk.clone();
        let layers = layers.iter().map(|l| Hash::known(l)).collect::<Result<Vec<_>>>()?;
        blocking(move || {
            let read = |hash: &Hash| Tree::parse(&disk.read(*hash, tree::LIMIT)?);
            let trees = layers.iter().map(read).collect::<Result<Vec<_>>>()?;
            put_tree_of(disk.clone(), Tree::overlay(trees)?)
        })
        .await
    }

    /// Writes the files of a tree below `dir`, which is made. A file that is in the way is replaced; what
    /// the tree does not name is left alone. Files are copies, sharing their disk blocks with the blob
    /// where the file system can; symbolic links are made and never followed.
    ///
    /// # Errors
    /// `tree.in-the-way` when something else than a file stands in a file's place, or a file or link in a
    /// directory's; as [`Blobs::tree`]; `disk.full`.
    pub async fn materialise(&self, tree: &str, dir: &Path) -> Result<()> {
        self.spread(tree, dir, How::Copies).await
    }

    /// As [`Blobs::materialise`], but plain files are the blobs themselves under one name more: no bytes are copied,
    /// and files of the same content may be one. For a directory that everybody only reads, on the file system of
    /// the store; whoever wrote to a file in it would spoil the blob.
    ///
    /// # Errors
    /// As [`Blobs::materialise`].
    pub async fn link(&self, tree: &str, dir: &Path) -> Result<()> {
        self.spread(tree, dir, How::Links).await
    }

    async fn spread(&self, tree: &str, dir: &Path, how: How) -> Result<()> {
        let (disk, dir, hash) = (self.disk.clone(), dir.to_owned(), Hash::known(tree)?);
        blocking(move || {
            let mut lease = Lease::new(disk.clone());
            lease.add(hash);
            let tree = Tree::parse(&disk.read(hash, tree::LIMIT)?)?;
            tree.entries.iter().filter_map(|e| Hash::parse(&e.hash)).for_each(|h| lease.add(h));
            spread::spread(&disk, &tree, &dir, how)
        })
        .await
    }

    /// Deletes what nothing needs. Only one collection runs at a time; a second waits for the first.
    ///
    /// # Errors
    /// Internal when a reference or a tree cannot be read: then nothing is deleted.
    pub async fn collect(&self) -> Result<Collected> {
        collect::run(self).await
    }
}

fn put_tree_of(disk: Arc<Disk>, tree: Tree) -> Result<Held> {
    let mut batch = Batch::new(disk);
    batch.keep_all(&tree)?;
    let hash = batch.bytes(&tree.to_bytes()?)?;
    Ok(Held::tree(hash, &tree, batch.finish()?))
}

/// Disk work, away from the threads that serve.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

#[cfg(test)]
mod tests;
