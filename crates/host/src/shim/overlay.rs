//! A directory seen through a writable layer, or a copy where the machine has no overlays.

use super::mounts::{Note, Result, why};
use super::root::{bind, open_path, through};
use rustix::mount::MountFlags;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

/// `lowers` from the uppermost down.
pub fn mount(
    lowers: &[&Path],
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
        match layered(lowers, &upper, &work, target, root) {
            Ok(()) => return Ok(()),
            Err(e) if is_empty(&upper) => note(&format!("no overlay here, copying instead: {e}")),
            // A layer without what lies below it would look like lost files.
            Err(e) => return Err(e),
        }
        let copied = copy_aside(lowers, &half)
            .and_then(|()| fs::write(&marker, ""))
            .and_then(|()| fs::rename(&half, &upper));
        copied.map_err(|e| format!("cannot copy what lies below: {e}"))?;
    }
    bind(&upper, &through(target))
}

/// Directories are named through descriptors: the options of a mount have one page for all, and commas in
/// paths would end them.
fn layered(
    lowers: &[&Path],
    upper: &Path,
    work: &Path,
    target: &OwnedFd,
    root: bool,
) -> Result<()> {
    let lowers = lowers.iter().map(|lower| open_path(lower)).collect::<Result<Vec<_>>>()?;
    let names: Vec<String> =
        lowers.iter().map(|fd| format!("/proc/self/fd/{}", fd.as_raw_fd())).collect();
    let (upper, work) = (open_path(upper)?, open_path(work)?);
    let options = format!(
        "lowerdir={},upperdir=/proc/self/fd/{},workdir=/proc/self/fd/{}{}",
        names.join(":"),
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
fn copy_aside(lowers: &[&Path], to: &Path) -> std::io::Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir(to)?;
    // What lies over the others is copied last.
    for from in lowers.iter().rev() {
        fs::set_permissions(to, fs::metadata(from)?.permissions())?;
        copy(from, to)?;
    }
    Ok(())
}

/// Copies files, directories and links, never through links, over what is there.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut left = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = left.pop() {
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let (kind, at) = (entry.file_type()?, to.join(entry.file_name()));
            make_way(&at, kind.is_dir())?;
            if kind.is_dir() {
                fs::create_dir_all(&at)?;
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

/// Removes what stands in a place, unless it is a directory and one is wanted.
fn make_way(at: &Path, directory: bool) -> std::io::Result<()> {
    match fs::symlink_metadata(at) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(found) if found.is_dir() && directory => Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir_all(at),
        Ok(_) => fs::remove_file(at),
    }
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
        let over = dir.path().join("over");
        fs::create_dir_all(over.join("a")).unwrap();
        fs::write(over.join("a/more"), "y").unwrap();
        copy_aside(&[&over, &from], &to).unwrap();
        assert_eq!(fs::read(to.join("a/more")).unwrap(), b"y");
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
