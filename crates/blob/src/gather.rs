//! From a directory to a tree.
//!
//! Every step down opens one name in an open directory without following links, so a workload that swaps
//! a directory for a link meanwhile gains nothing.

use crate::batch::Batch;
use crate::disk::Disk;
use crate::glob::{Below, Globs, State};
use crate::tree::{self, Entry, Tree};
use crate::{error, path};
use kernel::{Result, Text};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

/// Each level holds a descriptor while what is below it is read.
const DEEPEST: usize = 128;

/// Which files to take. A pattern is relative to the directory; `*`, `?`, `[a-z]`, `{a,b}` and `**` work as
/// in GitLab's `artifacts:paths`.
#[derive(Clone, Debug)]
pub struct Choose {
    /// A directory that matches is taken with all that is below it. An empty list takes nothing.
    pub include: Vec<String>,
    /// Files that match are left out; so is what is below a match that ends in `/` or whose last part has
    /// no wildcard.
    pub exclude: Vec<String>,
    /// Bytes of all files together.
    pub limit_bytes: u64,
    pub limit_files: u64,
    /// Bytes of one file; a larger one is left out and counted, not refused.
    pub limit_each: u64,
}

impl Choose {
    /// Everything, within these limits.
    pub fn all(limit_bytes: u64, limit_files: u64) -> Choose {
        Choose {
            include: vec!["**".into()],
            exclude: Vec::new(),
            limit_bytes,
            limit_files,
            limit_each: u64::MAX,
        }
    }
}

/// The files, their tree, and how many were left out for their size.
pub(crate) fn gather(disk: Arc<Disk>, dir: &Path, choose: &Choose) -> Result<(Batch, Tree, u64)> {
    let include = Globs::parse(&choose.include, Below::Included)?;
    let exclude = Globs::parse(&choose.exclude, Below::IfPlain)?;
    let shown = dir.display().to_string();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::openat(CWD, dir, flags, Mode::empty())
        .map_err(|e| error::unreadable(&shown, e.into()))?;
    let states = (include.start(), exclude.start());
    let mut walk = Walk {
        batch: Batch::new(disk),
        include,
        exclude,
        choose,
        entries: Vec::new(),
        bytes: 0,
        left_out: 0,
    };
    walk.dir(&top, "", &states, 0)?;
    Ok((walk.batch, Tree::new(walk.entries)?, walk.left_out))
}

/// The entries that are chosen, and how many were left out for their size.
pub(crate) fn select(entries: Vec<Entry>, choose: &Choose) -> Result<(Vec<Entry>, u64)> {
    let include = Globs::parse(&choose.include, Below::Included)?;
    let exclude = Globs::parse(&choose.exclude, Below::IfPlain)?;
    let taken = |path: &str| {
        let mut states = (include.start(), exclude.start());
        for name in path.split('/') {
            states = (include.step(&states.0, name), exclude.step(&states.1, name));
            if states.0.is_dead() || exclude.covers(&states.1) {
                return false;
            }
        }
        include.matches(&states.0) && !exclude.matches(&states.1)
    };
    let (mut kept, mut left_out, mut bytes) = (Vec::new(), 0, 0_u64);
    for entry in entries.into_iter().filter(|e| taken(&e.path)) {
        if entry.size > choose.limit_each {
            left_out += 1;
            continue;
        }
        bytes = bytes.saturating_add(entry.size);
        if bytes > choose.limit_bytes {
            return Err(error::tree_too_large(choose.limit_bytes));
        }
        if kept.len() as u64 >= choose.limit_files {
            return Err(error::too_many_files(choose.limit_files));
        }
        kept.push(entry);
    }
    Ok((kept, left_out))
}

struct Walk<'a> {
    batch: Batch,
    include: Globs,
    exclude: Globs,
    choose: &'a Choose,
    entries: Vec<Entry>,
    bytes: u64,
    left_out: u64,
}

impl Walk<'_> {
    fn dir(
        &mut self,
        dir: &OwnedFd,
        at: &str,
        states: &(State, State),
        depth: usize,
    ) -> Result<()> {
        if depth > DEEPEST {
            return Err(error::too_deep(at));
        }
        for name in names(dir).map_err(|e| error::unreadable(at, e))? {
            let shown = String::from_utf8_lossy(&name);
            let path = if at.is_empty() { shown.to_string() } else { format!("{at}/{shown}") };
            let include = self.include.step(&states.0, &shown);
            let exclude = self.exclude.step(&states.1, &shown);
            if include.is_dead() || self.exclude.covers(&exclude) || path::is_git(&shown) {
                continue;
            }
            let Ok(stat) = rustix::fs::statat(dir, &*name, AtFlags::SYMLINK_NOFOLLOW) else {
                // Gone since the directory was read.
                continue;
            };
            let taken = self.include.matches(&include) && !self.exclude.matches(&exclude);
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind == FileType::Directory {
                if let Some(below) = open(dir.as_fd(), &name, &path, OFlags::DIRECTORY)? {
                    self.dir(&below, &path, &(include, exclude), depth + 1)?;
                }
            } else if taken && matches!(kind, FileType::RegularFile | FileType::Symlink) {
                if std::str::from_utf8(&name).is_err() {
                    let what = Text::fixed("the name is not UTF-8", "이름이 UTF-8이 아닙니다");
                    return Err(error::path(&path, what));
                }
                path::check(&path)?;
                self.entry(dir.as_fd(), &name, path, kind)?;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        path: String,
        kind: FileType,
    ) -> Result<()> {
        if self.entries.len() as u64 >= self.choose.limit_files {
            return Err(error::too_many_files(self.choose.limit_files));
        }
        let room = self.choose.limit_bytes.saturating_sub(self.bytes);
        let (mode, hash, size) = if kind == FileType::Symlink {
            let target = rustix::fs::readlinkat(dir, name, Vec::new())
                .map_err(|e| error::unreadable(&path, e.into()))?;
            let target = target.to_bytes();
            (tree::LINK, self.batch.bytes(target)?, target.len() as u64)
        } else {
            let Some(fd) = open(dir, name, &path, OFlags::NONBLOCK)? else { return Ok(()) };
            let mut file = File::from(fd);
            let meta = file.metadata().map_err(|e| error::unreadable(&path, e))?;
            if !meta.is_file() {
                return Ok(());
            }
            if meta.len() > self.choose.limit_each {
                self.left_out += 1;
                return Ok(());
            }
            let (hash, size) = self.batch.file(&mut file, room).map_err(|e| self.whole(e))?;
            let program = meta.permissions().mode() & 0o100 != 0;
            (if program { tree::PROGRAM } else { tree::PLAIN }, hash, size)
        };
        if size > room {
            return Err(error::tree_too_large(self.choose.limit_bytes));
        }
        self.bytes += size;
        self.entries.push(Entry { path, mode, size, hash: hash.to_string() });
        Ok(())
    }

    /// The file that was one too many is not the one to blame.
    fn whole(&self, e: kernel::Error) -> kernel::Error {
        match e.code() {
            "blob.too-large" => error::tree_too_large(self.choose.limit_bytes),
            _ => e,
        }
    }
}

/// Sorted, so that the same directory is always met in the same order, and fails at the same place.
fn names(dir: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// `None` when it is gone, or is not what it was a moment ago.
fn open(dir: BorrowedFd<'_>, name: &[u8], path: &str, more: OFlags) -> Result<Option<OwnedFd>> {
    use rustix::io::Errno;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
    match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => Ok(None),
        Err(e) => Err(error::unreadable(path, e.into())),
    }
}

/// A regular file for reading; neither a link nor something that would block.
pub(crate) fn open_file(path: &Path) -> Result<File> {
    let shown = path.display().to_string();
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(rustix::io::Errno::LOOP) => return Err(error::not_a_file(&shown)),
        Err(e) => return Err(error::unreadable(&shown, e.into())),
    };
    let meta = file.metadata().map_err(|e| error::unreadable(&shown, e))?;
    if meta.is_file() { Ok(file) } else { Err(error::not_a_file(&shown)) }
}
