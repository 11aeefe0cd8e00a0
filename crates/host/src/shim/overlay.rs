//! A directory seen through a writable layer, or a copy where the machine has no overlays.

use super::mounts::{Note, Result, why};
use super::root::{bind, open_path, through};
use rustix::mount::MountFlags;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

pub fn mount(
    lower: &Path,
    scratch: &Path,
    target: &OwnedFd,
    root: bool,
    note: Note<'_>,
) -> Result<()> {
    let (upper, work) = (scratch.join("upper"), scratch.join("work"));
    let (marker, half) = (scratch.join("copied"), scratch.join("upper.new"));
    if !marker.exists() || half.exists() {
        fs::create_dir_all(&upper).map_err(why("cannot make the writable layer"))?;
        fs::create_dir_all(&work).map_err(why("cannot make the writable layer"))?;
        match layered(lower, &upper, &work, target, root) {
            Ok(()) => return Ok(()),
            Err(e) if is_empty(&upper) => note(&format!("no overlay here, copying instead: {e}")),
            // A layer without what lies below it would look like lost files.
            Err(e) => return Err(e),
        }
        let copied = copy_aside(lower, &half)
            .and_then(|()| fs::write(&marker, ""))
            .and_then(|()| fs::rename(&half, &upper));
        copied.map_err(|e| format!("cannot copy {}: {e}", lower.display()))?;
    }
    bind(&upper, &through(target))
}

/// Directories are named through descriptors: the options of a mount have one page for all, and commas in
/// paths would end them.
fn layered(lower: &Path, upper: &Path, work: &Path, target: &OwnedFd, root: bool) -> Result<()> {
    let (lower, upper, work) = (open_path(lower)?, open_path(upper)?, open_path(work)?);
    let options = format!(
        "lowerdir=/proc/self/fd/{},upperdir=/proc/self/fd/{},workdir=/proc/self/fd/{}{}",
        lower.as_raw_fd(),
        upper.as_raw_fd(),
        work.as_raw_fd(),
        if root { "" } else { ",userxattr" }
    );
    let options = CString::new(options).map_err(why("options"))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("naru", through(target), "overlay", flags, Some(options.as_c_str()))
        .map_err(why("cannot mount an overlay"))
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

/// A copy that was broken off is begun again.
fn copy_aside(from: &Path, to: &Path) -> std::io::Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    copy(from, to)
}

/// Copies files, directories and links, never through links.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut left = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = left.pop() {
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let (kind, at) = (entry.file_type()?, to.join(entry.file_name()));
            if kind.is_dir() {
                fs::create_dir(&at)?;
                fs::set_permissions(&at, entry.metadata()?.permissions())?;
                left.push((entry.path(), at));
            } else if kind.is_symlink() {
                symlink(fs::read_link(entry.path())?, at)?;
            } else if kind.is_file() {
                fs::copy(entry.path(), at)?;
            }
        }
    }
    Ok(())
}

/// The path without `.` and `..`, by its letters alone.
pub fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                tidy.pop();
            }
            Component::CurDir => {}
            part => tidy.push(part),
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_copy_has_everything_and_follows_no_links() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::write(from.join("a/run"), "x").unwrap();
        fs::set_permissions(from.join("a/run"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("/usr", from.join("a/b/link")).unwrap();
        // What a broken-off copy left does not stay.
        fs::create_dir_all(to.join("old")).unwrap();
        copy_aside(&from, &to).unwrap();
        assert_eq!(fs::read(to.join("a/run")).unwrap(), b"x");
        assert_eq!(fs::metadata(to.join("a/run")).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_link(to.join("a/b/link")).unwrap(), Path::new("/usr"));
        assert!(!to.join("old").exists());
    }

    #[test]
    fn paths_are_tidied_by_their_letters() {
        for (path, want) in [
            ("/etc/../run/systemd/resolve/x", "/run/systemd/resolve/x"),
            ("/etc/./a", "/etc/a"),
            ("/../../a", "/a"),
        ] {
            assert_eq!(tidy(Path::new(path)), Path::new(want), "{path}");
        }
    }
}
