//! The directory: `<dir>/ab/cdef…` for blobs, `<dir>/tmp` for what is being written or thrown away.
//!
//! What makes a blob durable: its bytes are synced while it lies in `tmp`, then it gets its name, then the
//! directory with the name is synced. For each of the 256 directories (and the one above them) two
//! counters tell whether a name in it may not be on disk yet: that a name can be seen does not mean that it
//! survives a power cut, if another put, or a process that died, has only just given it.

use crate::error;
use crate::hash::{Hash, Hasher};
use crate::ledger::Ledger;
use crate::spread::PLAIN_MODE;
use kernel::Result;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Up to so many files or directories are synced one by one. Each costs a flush of the device; `syncfs`
/// costs one for all, but also writes out whatever others on the same file system (a build, say) have left
/// in memory.
const FEW: usize = 32;
/// The directory above the 256.
const TOP: usize = 256;

pub(crate) struct Disk {
    dir: PathBuf,
    names: AtomicU64,
    table: Mutex<Table>,
    #[cfg(test)]
    pub(crate) room: AtomicU64,
}

struct Table {
    ledger: Ledger,
    places: Vec<Place>,
}

/// How often a directory got a new name, and up to which of them it is known to be synced. It starts as
/// not synced: a process before this one may have died between the two.
#[derive(Clone, Copy)]
struct Place {
    named: u64,
    synced: u64,
    made: bool,
}

impl Disk {
    pub(crate) fn open(dir: &Path) -> io::Result<Disk> {
        let tmp = dir.join("tmp");
        fs::create_dir_all(&tmp)?;
        // A blob may be a file that a job reads, and has its mode; who may look into the store is said here.
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        for left in fs::read_dir(&tmp)? {
            fs::remove_file(left?.path())?;
        }
        let places = vec![Place { named: 1, synced: 0, made: false }; TOP + 1];
        Ok(Disk {
            dir: dir.to_owned(),
            names: AtomicU64::new(0),
            table: Mutex::new(Table { ledger: Ledger::default(), places }),
            #[cfg(test)]
            room: AtomicU64::new(u64::MAX),
        })
    }

    /// The table stays whole at every step, so a panic elsewhere under the lock spoils nothing.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, shard: u8) -> PathBuf {
        self.dir.join(format!("{shard:02x}"))
    }

    pub(crate) fn path(&self, hash: Hash) -> PathBuf {
        let words = hash.to_string();
        let (shard, rest) = words.split_at(2);
        self.dir.join(shard).join(rest)
    }

    fn temp_path(&self) -> PathBuf {
        let name = self.names.fetch_add(1, Ordering::Relaxed);
        self.dir.join("tmp").join(name.to_string())
    }

    /// An empty file without a name of its own yet.
    pub(crate) fn temp(self: &Arc<Disk>) -> io::Result<Temp> {
        let path = self.temp_path();
        let file = File::options().write(true).create_new(true).mode(PLAIN_MODE).open(&path)?;
        Ok(Temp {
            #[cfg(test)]
            disk: self.clone(),
            path,
            file,
            hasher: Hasher::default(),
            size: 0,
        })
    }

    /// Bytes of the blob; `None` when there is none.
    pub(crate) fn size(&self, hash: Hash) -> io::Result<Option<u64>> {
        match fs::symlink_metadata(self.path(hash)) {
            Ok(found) => Ok(Some(found.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn open_blob(&self, hash: Hash) -> Result<File> {
        File::open(self.path(hash)).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => error::unknown(&hash.to_string()),
            _ => error::io(e),
        })
    }

    pub(crate) fn read(&self, hash: Hash, limit: u64) -> Result<Vec<u8>> {
        let file = self.open_blob(hash)?;
        let size = file.metadata().map_err(error::io)?.len();
        if size > limit {
            return Err(error::too_large(limit));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(limit).read_to_end(&mut bytes).map_err(error::io)?;
        Ok(bytes)
    }

    /// Whether the blob begins as a tree does. One that only looks like a tree is kept a little too well.
    pub(crate) fn looks_like_tree(&self, hash: Hash) -> Result<bool> {
        let mut start = Vec::new();
        let wanted = crate::tree::START;
        let file = self.open_blob(hash)?;
        file.take(wanted.len() as u64).read_to_end(&mut start).map_err(error::io)?;
        Ok(start == wanted)
    }

    /// Gives the file its name, unless the blob is there. The bytes must be synced and the hash leased.
    pub(crate) fn publish(&self, mut temp: Closed, hash: Hash) -> io::Result<()> {
        self.make_shard(hash.shard())?;
        let target = self.path(hash);
        let mut table = self.table();
        if fs::symlink_metadata(&target).is_ok() {
            return Ok(());
        }
        table.named(usize::from(hash.shard()));
        fs::rename(&temp.path, &target)?;
        temp.path = PathBuf::new();
        Ok(())
    }

    fn make_shard(&self, shard: u8) -> io::Result<()> {
        let at = usize::from(shard);
        if self.table().places.get(at).is_some_and(|p| p.made) {
            return Ok(());
        }
        fs::create_dir_all(self.shard(shard))?;
        let mut table = self.table();
        table.named(TOP);
        if let Some(place) = table.places.get_mut(at) {
            place.made = true;
        }
        Ok(())
    }

    /// Returns when every name in these directories is on disk.
    pub(crate) fn settle(&self, shards: &BTreeSet<u8>) -> io::Result<()> {
        let places = shards.iter().map(|s| usize::from(*s)).chain([TOP]);
        let wanted = {
            let table = self.table();
            let open = |at| table.places.get(at).map(|p: &Place| (at, *p));
            places.filter_map(open).filter(|(_, p)| p.synced < p.named).collect::<Vec<_>>()
        };
        if wanted.len() > FEW {
            sync_all(&self.dir)?;
        } else {
            for (at, _) in &wanted {
                let shard = u8::try_from(*at).map(|s| self.shard(s));
                File::open(shard.as_ref().unwrap_or(&self.dir))?.sync_all()?;
            }
        }
        let mut table = self.table();
        for (at, seen) in wanted {
            if let Some(place) = table.places.get_mut(at) {
                place.synced = place.synced.max(seen.named);
            }
        }
        Ok(())
    }

    /// Syncs the bytes of files that are still in `tmp`.
    pub(crate) fn sync<'a>(
        &self,
        temps: impl ExactSizeIterator<Item = &'a Closed>,
    ) -> io::Result<()> {
        if temps.len() > FEW {
            return sync_all(&self.dir);
        }
        for temp in temps {
            File::open(&temp.path)?.sync_all()?;
        }
        Ok(())
    }

    /// Every blob there is.
    pub(crate) fn list(&self) -> io::Result<Vec<Hash>> {
        let mut all = Vec::new();
        for shard in 0..=u8::MAX {
            let names = match fs::read_dir(self.shard(shard)) {
                Ok(names) => names,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            for name in names {
                let name = name?.file_name();
                let words = name.to_str().map(|rest| format!("{shard:02x}{rest}"));
                all.extend(words.and_then(|w| Hash::parse(&w)));
            }
        }
        Ok(all)
    }

    /// Starts a collection's round; `ledger` says what that is.
    pub(crate) fn begin(self: &Arc<Disk>) -> Round {
        self.table().ledger.begin();
        Round(self.clone())
    }
}

impl Table {
    fn named(&mut self, at: usize) {
        if let Some(place) = self.places.get_mut(at) {
            place.named += 1;
        }
    }
}

/// A round under way; ends when dropped.
pub(crate) struct Round(Arc<Disk>);

impl Round {
    /// Deletes a blob that no reference reaches, unless it is or was held during the round. Bytes freed.
    pub(crate) fn delete(&self, hash: Hash) -> io::Result<Option<u64>> {
        let (path, trash) = (self.0.path(hash), self.0.temp_path());
        let table = self.0.table();
        if !table.ledger.may_delete(hash) {
            return Ok(None);
        }
        let size = fs::symlink_metadata(&path)?.len();
        // Under the lock only the name goes: freeing a large file's blocks takes its time.
        fs::rename(&path, &trash)?;
        drop(table);
        fs::remove_file(&trash)?;
        Ok(Some(size))
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        self.0.table().ledger.end();
    }
}

/// Keeps blobs from the collector while it lives.
pub(crate) struct Lease {
    disk: Arc<Disk>,
    hashes: Vec<Hash>,
}

impl Lease {
    pub(crate) fn new(disk: Arc<Disk>) -> Lease {
        Lease { disk, hashes: Vec::new() }
    }

    pub(crate) fn add(&mut self, hash: Hash) {
        self.disk.table().ledger.hold(hash);
        self.hashes.push(hash);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut table = self.disk.table();
        for hash in &self.hashes {
            table.ledger.let_go(*hash);
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "lease on {}", self.hashes.len())
    }
}

/// A file being written; deleted when dropped.
pub(crate) struct Temp {
    #[cfg(test)]
    disk: Arc<Disk>,
    path: PathBuf,
    file: File,
    hasher: Hasher,
    size: u64,
}

/// A written file that waits for its name, without a descriptor; deleted when dropped.
pub(crate) struct Closed {
    path: PathBuf,
}

impl Temp {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        self.disk.take_room(bytes.len() as u64)?;
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn close(mut self) -> (Closed, Hash) {
        let path = std::mem::take(&mut self.path);
        let hash = std::mem::take(&mut self.hasher).finish();
        (Closed { path }, hash)
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// An empty path: `close` or a rename has taken the file over. What stays behind here is cleared by the
/// next opening.
fn remove(path: &Path) {
    if !path.as_os_str().is_empty() {
        let _ = fs::remove_file(path);
    }
}

#[cfg(target_os = "linux")]
fn sync_all(dir: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(dir)?)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_all(_: &Path) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

#[cfg(test)]
impl Disk {
    /// A disk with so much room and no more.
    fn take_room(&self, bytes: u64) -> io::Result<()> {
        let take = |room: u64| room.checked_sub(bytes);
        let taken = self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        taken.map(drop).map_err(|_| io::ErrorKind::StorageFull.into())
    }
}
