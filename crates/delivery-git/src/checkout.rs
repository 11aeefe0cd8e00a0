//! A commit's files on disk, written straight from the object reader.

use crate::object::Reader;
use crate::refs::Refs;
use crate::tree::{self, File, Listing};
use crate::{index, io};
use kernel::{Error, Result};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

/// The longest target of a symbolic link (PATH_MAX).
const TARGET: u64 = 4096;

/// Writes the listing's files below `dir`, which is empty.
///
/// Symbolic links come last, so that nothing is ever written through one; files are made anew or not at
/// all.
pub(crate) fn write(reader: &mut Reader, listing: &Listing, dir: &Path) -> Result<()> {
    directories(listing, dir)?;
    let (links, files): (Vec<&File>, Vec<&File>) =
        listing.files.iter().partition(|f| f.mode == tree::LINK);
    let ids: Vec<&str> = files.iter().map(|f| f.object.as_str()).collect();
    reader.contents(&ids, |i, _, body| match files.get(i) {
        Some(file) => write_file(&place(dir, file), file.mode, body),
        None => Ok(()),
    })?;
    let ids: Vec<&str> = links.iter().map(|f| f.object.as_str()).collect();
    reader.contents(&ids, |i, _, body| match links.get(i) {
        Some(file) => write_link(&place(dir, file), body),
        None => Ok(()),
    })
}

fn place(dir: &Path, file: &File) -> PathBuf {
    dir.join(OsStr::from_bytes(&file.path))
}

/// Those of files, and an empty one for each submodule, as git makes them.
fn directories(listing: &Listing, dir: &Path) -> Result<()> {
    let mut made: HashSet<&[u8]> = HashSet::new();
    for file in &listing.files {
        let Some(end) = file.path.iter().rposition(|b| *b == b'/') else { continue };
        let parent = file.path.get(..end).unwrap_or_default();
        if made.insert(parent) {
            let at = dir.join(OsStr::from_bytes(parent));
            fs::create_dir_all(&at).map_err(|e| io(at.display(), e))?;
        }
    }
    for submodule in &listing.submodules {
        let at = place(dir, submodule);
        fs::create_dir_all(&at).map_err(|e| io(at.display(), e))?;
    }
    Ok(())
}

fn write_file(at: &Path, mode: u32, body: &mut dyn Read) -> Result<()> {
    let mode = if mode == tree::EXECUTABLE { 0o755 } else { 0o644 };
    let work = |body: &mut dyn Read| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(at)?;
        std::io::copy(body, &mut file)
    };
    work(body).map(drop).map_err(|e| io(at.display(), e))
}

fn write_link(at: &Path, body: &mut dyn Read) -> Result<()> {
    let mut target = Vec::new();
    body.take(TARGET).read_to_end(&mut target).map_err(|e| io(at.display(), e))?;
    if target.is_empty() || target.contains(&0) {
        return Err(Error::internal(format!("{}: a link without a target", at.display())));
    }
    symlink(OsStr::from_bytes(&target), at).map_err(|e| io(at.display(), e))
}

/// A `.git` that reads the objects of the repository in `source`: detached at `commit`, its branches as
/// `origin/…`, its tags, and an index that matches the files, so that `git status` is clean.
pub(crate) fn metadata(
    dir: &Path,
    source: &Path,
    commit: &str,
    refs: &Refs,
    listing: &Listing,
) -> Result<()> {
    let git = dir.join(".git");
    let source = source.canonicalize().map_err(|e| io(source.display(), e))?;
    let objects = source.join("objects");
    let put = |name: &str, bytes: &[u8]| -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(git.join(name))?;
        file.write_all(bytes)
    };
    let work = || {
        for below in ["objects/info", "objects/pack", "refs/heads", "refs/tags"] {
            fs::create_dir_all(git.join(below))?;
        }
        put("HEAD", format!("{commit}\n").as_bytes())?;
        put(
            "config",
            b"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n",
        )?;
        put("objects/info/alternates", &[objects.as_os_str().as_bytes(), b"\n"].concat())?;
        put("packed-refs", packed(refs).as_bytes())?;
        let mut all: Vec<&File> = listing.entries().collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        put("index", &index::encode(dir, &all)?)
    };
    work().map_err(|e| io(git.display(), e))
}

fn packed(refs: &Refs) -> String {
    let mut lines: Vec<(String, &str)> = refs
        .iter()
        .map(|(name, id)| match name.strip_prefix("refs/heads/") {
            Some(branch) => (format!("refs/remotes/origin/{branch}"), id.as_str()),
            None => (name.clone(), id.as_str()),
        })
        .collect();
    lines.sort();
    lines.iter().map(|(name, id)| format!("{id} {name}\n")).collect()
}
