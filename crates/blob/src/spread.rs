//! From a tree to a directory.
//!
//! Directories are opened one below the other without following links, and files are made new, so that
//! neither the tree nor what already lies in the directory can lead a write out of it.

use crate::disk::Disk;
use crate::error;
use crate::hash::Hash;
use crate::tree::{self, Entry, Tree};
use kernel::Result;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::path::Path;

/// Of files that are no programs, and so of blobs, which may be such files.
pub(crate) const PLAIN_MODE: u32 = 0o644;
/// A link's target, in bytes (PATH_MAX).
const LONGEST_TARGET: u64 = 4096;

/// How files come to their places.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Each is its own, sharing blocks with the blob where the file system can.
    Copies,
    /// Plain files are the blobs themselves under one name more. Programs have another mode, so they are copies.
    Links,
}

/// Fewer files than this are not worth a thread more.
const SHARE: usize = 512;
const MOST_THREADS: usize = 4;

pub(crate) fn spread(disk: &Disk, tree: &Tree, dir: &Path, how: How) -> Result<()> {
    let shown = dir.display().to_string();
    std::fs::create_dir_all(dir).map_err(|e| error::in_the_way(&shown, e))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::openat(CWD, dir, flags, Mode::empty())
        .map_err(|e| error::in_the_way(&shown, e.into()))?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let share = tree.entries.len().div_ceil(threads).max(SHARE);
    let write = |entries: &[Entry]| {
        let mut writer = Writer { disk, top: top.as_fd(), open: Vec::new(), how, clones: true };
        entries.iter().try_for_each(|entry| writer.entry(entry))
    };
    // Entries are sorted, so each thread has directories of its own but for one at either end.
    let mut shares = tree.entries.chunks(share);
    let first = shares.next().unwrap_or_default();
    std::thread::scope(|scope| {
        let others: Vec<_> = shares.map(|entries| scope.spawn(move || write(entries))).collect();
        let mine = write(first);
        let died = |_| Err(kernel::Error::internal("a thread that wrote files died"));
        others.into_iter().map(|other| other.join().unwrap_or_else(died)).fold(mine, Result::and)
    })
}

struct Writer<'a> {
    disk: &'a Disk,
    top: BorrowedFd<'a>,
    /// The directories from `top` down to where the last file went.
    open: Vec<(String, OwnedFd)>,
    how: How,
    /// Until the file system says that it cannot share blocks.
    clones: bool,
}

impl Writer<'_> {
    fn entry(&mut self, entry: &Entry) -> Result<()> {
        let (dirs, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
        let hash = Hash::known(&entry.hash)?;
        let in_the_way = |e| error::in_the_way(&entry.path, e);
        self.enter(dirs).map_err(in_the_way)?;
        if entry.mode == tree::LINK {
            let target = self.disk.read(hash, LONGEST_TARGET)?;
            return self.link(name, &target).map_err(in_the_way);
        }
        if self.how == How::Links
            && entry.mode == tree::PLAIN
            && self.blob(name, hash).map_err(in_the_way)?
        {
            return Ok(());
        }
        let blob = self.disk.open_blob(hash).map_err(|e| match e.code() {
            "blob.unknown" => error::unknown_at(&entry.path, &entry.hash),
            _ => e,
        })?;
        self.file(name, entry.mode, blob).map_err(in_the_way)
    }

    /// Gives a blob this name, too. False when it takes no more names, or is not there: a copy will tell.
    fn blob(&self, name: &str, hash: Hash) -> io::Result<bool> {
        let blob = self.disk.path(hash);
        let made =
            self.anew(name, || rustix::fs::linkat(CWD, &blob, self.here(), name, AtFlags::empty()));
        match made {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::TooManyLinks => return Ok(false),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            // Of another owner, or of another file system.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
            Err(e) if e.kind() == io::ErrorKind::CrossesDevices => return Ok(false),
            Err(e) => return Err(e),
        }
        // A blob of an earlier version is its owner's alone.
        let found = rustix::fs::statat(self.here(), name, AtFlags::SYMLINK_NOFOLLOW)?;
        if found.st_mode & 0o7777 != PLAIN_MODE {
            let mode = Mode::from_raw_mode(PLAIN_MODE);
            rustix::fs::chmodat(self.here(), name, mode, AtFlags::empty())?;
        }
        Ok(true)
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.open.last().map_or(self.top, |(_, fd)| fd.as_fd())
    }

    /// Makes `dirs` the open ones. Trees are sorted, so most of them are already.
    fn enter(&mut self, dirs: &str) -> io::Result<()> {
        let wanted = || dirs.split('/').filter(|d| !d.is_empty());
        let same = self.open.iter().zip(wanted()).take_while(|((a, _), b)| a == b).count();
        self.open.truncate(same);
        for name in wanted().skip(same) {
            match rustix::fs::mkdirat(self.here(), name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(self.here(), name, flags, Mode::empty())?;
            self.open.push((name.to_owned(), fd));
        }
        Ok(())
    }

    /// `make` is to fail if the name is taken; then the name is freed, and it gets a second try.
    fn anew<T>(&self, name: &str, make: impl Fn() -> rustix::io::Result<T>) -> io::Result<T> {
        match make() {
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(self.here(), name, AtFlags::empty())?;
                Ok(make()?)
            }
            made => Ok(made?),
        }
    }

    fn link(&self, name: &str, target: &[u8]) -> io::Result<()> {
        self.anew(name, || rustix::fs::symlinkat(target, self.here(), name))
    }

    fn file(&mut self, name: &str, mode: u32, mut blob: File) -> io::Result<()> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(if mode == tree::PROGRAM { 0o755 } else { PLAIN_MODE });
        let made = self.anew(name, || rustix::fs::openat(self.here(), name, flags, mode))?;
        let mut file = File::from(made);
        self.clones = self.clones && clone(&file, &blob);
        if !self.clones {
            // On Linux this is copy_file_range.
            io::copy(&mut blob, &mut file)?;
        }
        // The umask of the server is not the tree's.
        Ok(rustix::fs::fchmod(&file, mode)?)
    }
}

#[cfg(target_os = "linux")]
fn clone(to: &File, from: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn clone(_: &File, _: &File) -> bool {
    false
}
