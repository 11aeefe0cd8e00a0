//! The disk limit, watched without a quota of the file system.
//!
//! Asking for the free space is cheap and is done often; walking the directories is not, and is done when
//! so much space has gone that the limit could be passed, and now and then in case something else freed
//! space meanwhile. Files that are deleted but still open are not seen by a walk.

use std::collections::HashSet;
use std::fs::{self, ReadDir};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(200);
const WALK: Duration = Duration::from_secs(5);
/// Entries looked at before other work gets its turn.
const STEP: usize = 4000;
/// Trees that are deeper or have more entries count as over the limit: nobody can count them.
const MAX_DEPTH: usize = 200;
const MAX_ENTRIES: usize = 2_000_000;
const MAX_LINKED: usize = 200_000;

pub struct Disk {
    limit: u64,
    dirs: Vec<PathBuf>,
    next: Instant,
    /// As the last walk found them.
    used: u64,
    free: u64,
    next_walk: Instant,
    walk: Option<Walk>,
}

impl Disk {
    pub fn new(limit: Option<u64>, dirs: &[PathBuf], now: Instant) -> Option<Disk> {
        let limit = limit.filter(|l| *l > 0 && !dirs.is_empty())?;
        let dirs = dirs.to_vec();
        let free = free(&dirs);
        let next_walk = now + WALK;
        Some(Disk { limit, dirs, next: now + LOOK, used: 0, free, next_walk, walk: None })
    }

    /// When [`Disk::over`] wants to be asked again.
    pub fn next(&self, now: Instant) -> Instant {
        if self.walk.is_some() { now } else { self.next }
    }

    /// Does a bounded piece of work; true when the limit is passed.
    pub fn over(&mut self, now: Instant) -> bool {
        if let Some(walk) = &mut self.walk {
            if !walk.step(self.limit) {
                return false;
            }
            self.used = walk.bytes;
            self.next_walk = now + WALK.max(now.duration_since(walk.began) * 20);
            self.walk = None;
            self.next = now + LOOK;
            return self.used > self.limit;
        }
        if now < self.next {
            return false;
        }
        self.next = now + LOOK;
        let free = free(&self.dirs);
        let could_be = self.used.saturating_add(self.free.saturating_sub(free));
        if could_be > self.limit || now >= self.next_walk {
            self.free = free;
            self.walk = Some(Walk::new(&self.dirs, now));
        }
        false
    }
}

/// Free bytes of the file systems of `dirs`; one that holds several counts several times, which only makes
/// walks more frequent.
fn free(dirs: &[PathBuf]) -> u64 {
    let of = |dir: &PathBuf| rustix::fs::statvfs(dir).map_or(0, |s| s.f_bavail * s.f_frsize);
    dirs.iter().map(of).fold(0, u64::saturating_add)
}

/// A count of what lies below some directories, in steps. Links are never followed; a directory that is
/// swapped for a link between two looks at it can only make the count wrong.
struct Walk {
    began: Instant,
    open: Vec<ReadDir>,
    left: Vec<PathBuf>,
    linked: HashSet<(u64, u64)>,
    entries: usize,
    bytes: u64,
}

impl Walk {
    fn new(dirs: &[PathBuf], began: Instant) -> Walk {
        let left = dirs.to_vec();
        Walk { began, open: Vec::new(), left, linked: HashSet::new(), entries: 0, bytes: 0 }
    }

    /// True when the count is finished, or cannot come out below `limit`.
    fn step(&mut self, limit: u64) -> bool {
        for _ in 0..STEP {
            let Some(dir) = self.open.last_mut() else {
                match self.left.pop() {
                    Some(dir) => self.open.extend(fs::read_dir(dir).ok()),
                    None => return true,
                }
                continue;
            };
            match dir.next() {
                None => drop(self.open.pop()),
                Some(entry) => self.count(entry),
            }
            if self.bytes > limit {
                return true;
            }
        }
        false
    }

    fn count(&mut self, entry: std::io::Result<fs::DirEntry>) {
        self.entries += 1;
        if self.entries > MAX_ENTRIES || self.open.len() > MAX_DEPTH {
            self.bytes = u64::MAX;
            return;
        }
        let Ok(entry) = entry else { return };
        let Ok(found) = entry.metadata() else { return };
        if found.nlink() > 1 && found.is_file() && self.linked.len() < MAX_LINKED {
            let first = self.linked.insert((found.dev(), found.ino()));
            if !first {
                return;
            }
        }
        self.bytes = self.bytes.saturating_add(found.blocks() * 512);
        if found.is_dir() {
            self.open.extend(fs::read_dir(entry.path()).ok());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(dir: &std::path::Path, limit: u64) -> u64 {
        let mut walk = Walk::new(&[dir.to_owned()], Instant::now());
        while !walk.step(limit) {}
        walk.bytes
    }

    #[test]
    fn a_tree_is_counted_once_per_file_and_never_through_links() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("file"), vec![1; 1 << 20]).unwrap();
        fs::hard_link(inner.join("file"), dir.path().join("same")).unwrap();
        std::os::unix::fs::symlink("/usr", dir.path().join("far")).unwrap();
        let bytes = count(dir.path(), u64::MAX);
        assert!((1 << 20..(1 << 20) + 65536).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_tree_too_deep_to_count_is_over_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("d/".repeat(MAX_DEPTH + 2))).unwrap();
        assert!(count(dir.path(), 1 << 40) > 1 << 40);
    }
}
