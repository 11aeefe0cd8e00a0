//! Reading refs from disk, without a process: loose files and `packed-refs` (gitrepository-layout(5)).
//!
//! git writes a packed ref before it removes the loose one, so reading loose ones first misses none.

use crate::{io, refname};
use kernel::Result;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Refs read of one repository.
const MOST: usize = 200_000;
/// Bytes of `packed-refs` read.
const PACKED: u64 = 64 * 1024 * 1024;

/// Full name to object id.
pub(crate) type Refs = BTreeMap<String, String>;

/// Every branch and tag.
pub(crate) fn all(dir: &Path) -> Result<Refs> {
    let mut loose = Refs::new();
    for base in ["refs/heads", "refs/tags"] {
        walk(dir, base, &mut loose)?;
    }
    let mut refs = packed(dir)?;
    refs.extend(loose);
    Ok(refs)
}

/// One ref, by its full name.
pub(crate) fn one(dir: &Path, name: &str) -> Result<Option<String>> {
    if refname::check(name).is_err() {
        return Ok(None);
    }
    match fs::read(dir.join(name)) {
        Ok(bytes) => return Ok(oid(&bytes)),
        Err(e) if absent(&e) => {}
        Err(e) => return Err(io(name, e)),
    }
    Ok(packed(dir)?.remove(name))
}

fn absent(error: &std::io::Error) -> bool {
    // A branch `a` where there is `a/b`, and the reverse, read as a directory and as a file in the way.
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory)
}

fn walk(dir: &Path, base: &str, out: &mut Refs) -> Result<()> {
    let listing = match fs::read_dir(dir.join(base)) {
        Ok(listing) => listing,
        Err(e) if absent(&e) => return Ok(()),
        Err(e) => return Err(io(base, e)),
    };
    for entry in listing {
        let entry = entry.map_err(|e| io(base, e))?;
        let Some(name) = entry.file_name().to_str().map(|n| format!("{base}/{n}")) else {
            continue;
        };
        let kind = entry.file_type().map_err(|e| io(base, e))?;
        if kind.is_dir() {
            walk(dir, &name, out)?;
        } else if out.len() < MOST
            && refname::check(&name).is_ok()
            && let Some(oid) = fs::read(entry.path()).ok().as_deref().and_then(oid)
        {
            out.insert(name, oid);
        }
    }
    Ok(())
}

fn packed(dir: &Path) -> Result<Refs> {
    use std::io::Read;
    let mut words = String::new();
    match fs::File::open(dir.join("packed-refs")) {
        Ok(file) => {
            file.take(PACKED).read_to_string(&mut words).map_err(|e| io("packed-refs", e))?
        }
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Refs::new()),
        Err(e) => return Err(io("packed-refs", e)),
    };
    let entry = |line: &str| {
        let (id, name) = line.split_once(' ')?;
        let ours = name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
        (ours && refname::is_oid(id)).then(|| (name.to_owned(), id.to_owned()))
    };
    Ok(words.lines().filter_map(entry).take(MOST).collect())
}

fn oid(bytes: &[u8]) -> Option<String> {
    let words = std::str::from_utf8(bytes).ok()?.trim_end();
    refname::is_oid(words).then(|| words.to_owned())
}
