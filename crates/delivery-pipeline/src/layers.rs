//! Trees that lie unpacked, once for all jobs: caches and artifacts that are laid under a job's files.
//!
//! ```text
//! <dir>/<tree>         the files of a tree; never changed once it has its name
//! <dir>/<tree>.used    its bytes; when it was last laid under a job is this file's time of change
//! <dir>/boot           which start of the machine they are of
//! ```
//! Which of them a job stands on is in the job's place; those are never removed.

use crate::workspace::io;
use blob::{Blobs, Entry, LINK, PROGRAM};
use kernel::{Error, Result};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;
use tokio::sync::Mutex;

const USED: &str = "used";
const BOOT: &str = "boot";

pub struct Layers {
    dir: PathBuf,
    /// One unpacking of a tree at a time.
    making: Mutex<HashMap<String, Arc<Mutex<()>>>>,
    /// There may be more than the budget allows.
    grown: AtomicBool,
}

impl Layers {
    /// Clears what a crash left half made; and all, when the machine was started anew: nobody waits until a layer
    /// is on disk, since it can be made again.
    pub fn open(dir: PathBuf) -> Result<Layers> {
        fs::create_dir_all(&dir).map_err(io)?;
        let (boot, seen) = (boot(), fs::read_to_string(dir.join(BOOT)).unwrap_or_default());
        for entry in fs::read_dir(&dir).map_err(io)?.flatten() {
            if seen != boot || entry.file_name().to_string_lossy().starts_with('.') {
                let _ = fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
            }
        }
        fs::write(dir.join(BOOT), boot).map_err(io)?;
        Ok(Layers { dir, making: Mutex::default(), grown: AtomicBool::new(true) })
    }

    fn path(&self, tree: &str) -> Result<PathBuf> {
        let sound = tree.len() == 64 && tree.bytes().all(|b| b.is_ascii_hexdigit());
        if sound { Ok(self.dir.join(tree)) } else { Err(Error::internal("no name of a tree")) }
    }

    /// Where a tree lies unpacked; unpacked now if it does not yet. The caller keeps [`Layers::prune`] away
    /// until the place that uses it says so.
    ///
    /// # Errors
    /// As [`Blobs::materialise`].
    pub async fn get(&self, blobs: &Blobs, tree: &str) -> Result<PathBuf> {
        let at = self.path(tree)?;
        let lock = self.making.lock().await.entry(tree.to_owned()).or_default().clone();
        let making = lock.lock().await;
        if !at.is_dir() {
            let half = self.half(tree);
            clear(&half).await?;
            // A job never writes to what is laid under its files.
            blobs.link(tree, &half).await?;
            let size = blobs.tree(tree).await?.bytes();
            self.name(&half, &at, size)?;
        }
        drop(making);
        self.making.lock().await.remove(tree);
        // The time of this file is all that is wanted of it.
        let touched = fs::File::options().append(true).create(true).open(used(&at));
        touched.and_then(|file| file.set_modified(SystemTime::now())).map_err(io)?;
        Ok(at)
    }

    /// Makes a tree's layer out of files that already lie somewhere: `sources` are looked through in order,
    /// and nobody changes a file in them any more. No bytes are copied. Blocks.
    ///
    /// # Errors
    /// When a file is in none of them; then nothing is kept.
    pub fn link(&self, tree: &str, entries: &[Entry], sources: &[PathBuf]) -> std::io::Result<()> {
        let Ok(at) = self.path(tree) else { return Ok(()) };
        if at.is_dir() {
            return Ok(());
        }
        // Another name than `get` uses, so that neither is in the other's way.
        let half = self.dir.join(format!(".{tree}.linked"));
        let _ = fs::remove_dir_all(&half);
        fs::create_dir(&half)?;
        let linked = entries.iter().try_for_each(|entry| link(entry, sources, &half));
        if linked.is_err() || at.is_dir() {
            let _ = fs::remove_dir_all(&half);
            return linked;
        }
        let size = entries.iter().map(|e| e.size).sum();
        self.name(&half, &at, size).map_err(std::io::Error::other)
    }

    fn half(&self, tree: &str) -> PathBuf {
        self.dir.join(format!(".{tree}"))
    }

    fn name(&self, half: &Path, at: &Path, size: u64) -> Result<()> {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(half, mode).map_err(io)?;
        fs::write(used(at), size.to_string()).map_err(io)?;
        fs::rename(half, at).map_err(io)?;
        self.grown.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The tree that lies in a directory of this place.
    pub fn tree(&self, layer: &Path) -> Option<String> {
        let name = layer.strip_prefix(&self.dir).ok()?.to_str()?;
        self.path(name).ok().map(|_| name.to_owned())
    }

    /// Removes those that were used least lately until at most `budget` bytes are left, but none in `used`.
    /// Nobody may be about to use one meanwhile. Blocks.
    pub fn prune(&self, budget: u64, in_use: &BTreeSet<PathBuf>) {
        if !self.grown.swap(false, Ordering::Relaxed) {
            return;
        }
        let mut all = self.all();
        all.sort_unstable_by_key(|(when, ..)| *when);
        let mut total: u64 = all.iter().map(|(_, size, _)| size).sum();
        for (_, size, at) in all {
            if total <= budget {
                return;
            }
            if in_use.contains(&at) {
                // It may go later.
                self.grown.store(true, Ordering::Relaxed);
                continue;
            }
            let gone = self.half(&at.file_name().unwrap_or_default().to_string_lossy());
            if fs::rename(&at, &gone).is_ok() {
                let _ = fs::remove_dir_all(&gone);
                let _ = fs::remove_file(used(&at));
                total -= size;
            }
        }
    }

    /// When each was used, its bytes, and where it is.
    fn all(&self) -> Vec<(SystemTime, u64, PathBuf)> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let layers = entries.map(|e| e.path()).filter(|path| self.tree(path).is_some());
        let known = |at: PathBuf| {
            let when = fs::metadata(used(&at)).and_then(|m| m.modified());
            let size = fs::read_to_string(used(&at)).ok().and_then(|w| w.parse().ok());
            (when.unwrap_or(SystemTime::UNIX_EPOCH), size.unwrap_or(0), at)
        };
        layers.map(known).collect()
    }
}

/// Names this start of the machine; nothing where there is no such name.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

fn used(layer: &Path) -> PathBuf {
    layer.with_extension(USED)
}

async fn clear(dir: &Path) -> Result<()> {
    match tokio::fs::remove_dir_all(dir).await {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io(e)),
        _ => Ok(()),
    }
}

fn link(entry: &Entry, sources: &[PathBuf], to: &Path) -> std::io::Result<()> {
    let at = to.join(&entry.path);
    if let Some(parent) = at.parent() {
        fs::create_dir_all(parent)?;
    }
    let found = |source: &PathBuf| {
        let from = source.join(&entry.path);
        fs::symlink_metadata(&from).ok().map(|meta| (from, meta))
    };
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let (from, meta) = sources.iter().find_map(found).ok_or_else(missing)?;
    if entry.mode == LINK {
        return std::os::unix::fs::symlink(fs::read_link(from)?, at);
    }
    if !meta.is_file() || meta.len() != entry.size {
        return Err(missing());
    }
    fs::hard_link(&from, &at)?;
    // As unpacking would have made it.
    let mode = if entry.mode == PROGRAM { 0o755 } else { 0o644 };
    if meta.permissions().mode() & 0o7777 != mode {
        fs::set_permissions(&at, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, mode: u32, size: u64) -> Entry {
        Entry { path: path.into(), mode, size, hash: "0".repeat(64) }
    }

    #[test]
    fn a_layer_is_made_of_what_lies_there_and_the_oldest_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let (upper, lower) = (dir.path().join("upper"), dir.path().join("lower"));
        fs::create_dir_all(upper.join("a")).unwrap();
        fs::create_dir_all(&lower).unwrap();
        fs::write(upper.join("a/new"), "12345").unwrap();
        fs::write(lower.join("old"), "123").unwrap();
        std::os::unix::fs::symlink("a/new", upper.join("link")).unwrap();
        let layers = Layers::open(dir.path().join("layers")).unwrap();
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let entries =
            [entry("a/new", PROGRAM, 5), entry("link", LINK, 5), entry("old", 0o100_644, 3)];
        let sources = [upper.clone(), lower];
        layers.link(&one, &entries, &sources).unwrap();
        let at = layers.path(&one).unwrap();
        assert_eq!(fs::read(at.join("link")).unwrap(), b"12345");
        assert_eq!(fs::metadata(at.join("a/new")).unwrap().permissions().mode() & 0o777, 0o755);
        layers.link(&two, &[entry("gone", PROGRAM, 1)], &sources).unwrap_err();
        assert!(!layers.path(&two).unwrap().exists(), "all or nothing");
        layers.link(&two, &entries[..1], &sources).unwrap();
        let used = |tree: &str| fs::File::open(used(&layers.path(tree).unwrap())).unwrap();
        used(&one).set_modified(SystemTime::UNIX_EPOCH).unwrap();
        // 13 and 5 bytes.
        layers.prune(15, &BTreeSet::from([at.clone()]));
        assert!(at.exists(), "what a job stands on stays");
        assert!(!layers.path(&two).unwrap().exists());
        layers.prune(10, &BTreeSet::new());
        assert!(!at.exists());
    }

    #[test]
    fn layers_of_an_earlier_start_of_the_machine_are_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let (top, tree) = (dir.path().join("layers"), "1".repeat(64));
        let lower = dir.path().join("lower");
        fs::create_dir_all(&lower).unwrap();
        fs::write(lower.join("a"), "1").unwrap();
        let layers = Layers::open(top.clone()).unwrap();
        layers.link(&tree, &[entry("a", 0o100_644, 1)], &[lower]).unwrap();
        let at = layers.path(&tree).unwrap();
        fs::create_dir(top.join(".half")).unwrap();
        Layers::open(top.clone()).unwrap();
        assert!(at.exists() && !top.join(".half").exists());
        fs::write(top.join(BOOT), "another").unwrap();
        Layers::open(top.clone()).unwrap();
        assert!(!at.exists() && !used(&at).exists());
    }
}
