//! The new root while it is being built, and finding places in it that the workload's own files may have
//! laid links into.

use super::mounts::{Result, why};
use crate::sys::{Writing, mount_attr};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Most entries of a read-only directory that is rebuilt to make room for a mount point.
const MAX_ENTRIES: usize = 512;

/// What is mounted, which the mount point has to be like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Want {
    Directory,
    File,
}

pub struct Root {
    fd: OwnedFd,
    /// Directories rebuilt in memory, to be made read-only at the end.
    rebuilt: Vec<OwnedFd>,
}

impl Root {
    /// The working directory, which is a mount.
    pub fn here() -> Result<Root> {
        Ok(Root { fd: open_path(Path::new("."))?, rebuilt: Vec::new() })
    }

    pub fn set(&self, writing: Writing) -> Result<()> {
        mount_attr(self.fd.as_fd(), writing)
            .map_err(why("cannot make the root read-only (Linux 5.12 can)"))
    }

    /// The root is complete: nothing more is made in it.
    pub fn seal(&self) -> Result<()> {
        for fd in &self.rebuilt {
            mount_attr(fd.as_fd(), Writing::Off).map_err(why("cannot make a place read-only"))?;
        }
        self.set(Writing::Off)
    }

    /// Opens a place as the workload will see it: links lead nowhere outside of the new root.
    pub fn open(&self, at: &Path) -> Result<OwnedFd> {
        self.resolve(at).map_err(|e| e.to_string())
    }

    fn resolve(&self, at: &Path) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.fd, at, flags, Mode::empty(), resolve)
    }

    /// Binds a place of the machine.
    pub fn bind(&mut self, from: &Path, at: &Path) -> Result<()> {
        let found = fs::metadata(from).map_err(|e| format!("{}: {e}", from.display()))?;
        let want = if found.is_dir() { Want::Directory } else { Want::File };
        let target = self.place(at, want)?;
        bind(from, &through(&target))
    }

    /// A mount point, made if it is missing.
    pub fn place(&mut self, at: &Path, want: Want) -> Result<OwnedFd> {
        if !at.is_absolute() || at.components().count() > 64 {
            return Err("a mount point is an absolute path of at most 64 parts".to_owned());
        }
        match self.resolve(at) {
            Ok(fd) => return Ok(fd),
            Err(Errno::NOENT) => {}
            Err(e) => return Err(e.to_string()),
        }
        let (Some(parent_at), Some(name)) = (at.parent(), at.file_name()) else {
            return Err("not a mount point".to_owned());
        };
        let parent = self.place(parent_at, Want::Directory)?;
        match make(&parent, Path::new(name), want) {
            Err(Errno::ROFS) => {
                let parent = self.rebuild(parent, parent_at)?;
                make(&parent, Path::new(name), want).map_err(|e| e.to_string())?;
            }
            Err(Errno::EXIST) => return Err("the mount point is a link to nothing".to_owned()),
            made => made.map_err(|e| e.to_string())?,
        }
        self.open(at)
    }

    /// Puts memory over a read-only directory, with everything it held bound into it, so that a mount
    /// point can be made there.
    fn rebuild(&mut self, old: OwnedFd, at: &Path) -> Result<OwnedFd> {
        let entries = fs::read_dir(through(&old)).map_err(why("cannot make a mount point"))?;
        let entries: Vec<_> = entries.flatten().take(MAX_ENTRIES + 1).collect();
        if entries.len() > MAX_ENTRIES {
            return Err(format!("{} is read-only and too full to make room in", at.display()));
        }
        let flags = rustix::mount::MountFlags::NOSUID;
        rustix::mount::mount("naru", through(&old), "tmpfs", flags, Some(c"mode=0755"))
            .map_err(why("cannot make a mount point"))?;
        let new = self.open(at)?;
        for entry in entries {
            let (from, name) = (entry.path(), PathBuf::from(entry.file_name()));
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_symlink() {
                let target = fs::read_link(&from).map_err(why("cannot make a mount point"))?;
                rustix::fs::symlinkat(target, &new, &name).map_err(why("cannot make a link"))?;
                continue;
            }
            let want = if kind.is_dir() { Want::Directory } else { Want::File };
            make(&new, &name, want).map_err(why("cannot make a mount point"))?;
            bind(&from, &through(&new).join(&name))?;
        }
        self.rebuilt.push(self.open(at)?);
        Ok(new)
    }
}

fn make(parent: &OwnedFd, name: &Path, want: Want) -> rustix::io::Result<()> {
    match want {
        Want::Directory => rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)),
        Want::File => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
        }
    }
}

/// The descriptor as a path: exactly the place that was opened, however its name changes.
pub fn through(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

pub fn open_path(at: &Path) -> Result<OwnedFd> {
    rustix::fs::open(at, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| format!("cannot open {}: {e}", at.display()))
}

pub fn bind(from: &Path, at: &Path) -> Result<()> {
    rustix::mount::mount_bind_recursive(from, at)
        .map_err(|e| format!("cannot bind {}: {e}", from.display()))
}
