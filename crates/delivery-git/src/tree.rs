//! A commit's files as a flat list.

use crate::object::{self, Reader};
use crate::refname;
use kernel::port::TreeEntry;
use kernel::{Error, ErrorKind, Result, Text, text};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Files of one commit.
const FILES: usize = 500_000;
/// Directories below each other.
const DEPTH: usize = 200;
/// Listings kept per repository, and the entries they may have together.
const KEPT: usize = 8;
const KEPT_ENTRIES: usize = 100_000;

pub(crate) const LINK: u32 = 0o120_000;
pub(crate) const EXECUTABLE: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const DIRECTORY: u32 = 0o040_000;
pub(crate) const SUBMODULE: u32 = 0o160_000;

/// One file. Its path is what the tree says, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub path: Vec<u8>,
    pub mode: u32,
    pub object: String,
    pub size: u64,
}

impl File {
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
    pub fn entry(&self) -> TreeEntry {
        let (path, object) = (self.shown(), self.object.clone());
        TreeEntry { path, mode: self.mode, object, size: self.size }
    }
}

/// Every file of a commit, sorted by path.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub files: Vec<File>,
    /// Submodules, sorted by path: their commits live elsewhere, so their files are none of these.
    pub submodules: Vec<File>,
}

impl Listing {
    pub fn find(&self, path: &[u8]) -> Option<&File> {
        let at = self.files.binary_search_by(|f| f.path.as_slice().cmp(path)).ok()?;
        self.files.get(at)
    }

    /// Files and submodules, in no order.
    pub fn entries(&self) -> impl Iterator<Item = &File> {
        self.files.iter().chain(&self.submodules)
    }
}

/// The newest listings, by commit.
#[derive(Default)]
pub(crate) struct Cache(Mutex<VecDeque<(String, Arc<Listing>)>>);

impl Cache {
    pub fn get(&self, commit: &str) -> Option<Arc<Listing>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(c, _)| c == commit)?;
        let found = kept.remove(at)?;
        kept.push_front(found.clone());
        Some(found.1)
    }

    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub fn put(&self, commit: &str, listing: Arc<Listing>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front((commit.to_owned(), listing));
        let total = |k: &VecDeque<(String, Arc<Listing>)>| -> usize {
            k.iter().map(|(_, l)| l.files.len()).sum()
        };
        while kept.len() > KEPT || (kept.len() > 1 && total(&kept) > KEPT_ENTRIES) {
            kept.pop_back();
        }
    }
}

/// One line of a tree object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub mode: u32,
    pub name: Vec<u8>,
    pub object: String,
}

impl Line {
    pub fn is_directory(&self) -> bool {
        self.mode == DIRECTORY
    }
    pub fn is_submodule(&self) -> bool {
        self.mode == SUBMODULE
    }
    /// Modes that old tools wrote (`100664`) are read as what git makes of them.
    pub fn file_mode(&self) -> u32 {
        match self.mode {
            LINK => LINK,
            m if m & 0o100 != 0 => EXECUTABLE,
            _ => FILE,
        }
    }
}

/// A tree object: `<octal mode> <name>\0<20 bytes>`, again and again.
///
/// # Errors
/// `tree.unsafe` for a name that no file may have; internal when the object is damaged.
pub(crate) fn parse(mut bytes: &[u8]) -> Result<Vec<Line>> {
    let damaged = || Error::internal("a damaged tree object");
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().take(8).position(|b| *b == b' ').ok_or_else(damaged)?;
        let (mode, rest) = bytes.split_at(space);
        let rest = rest.get(1..).unwrap_or_default();
        let end = rest.iter().position(|b| *b == 0).ok_or_else(damaged)?;
        let (name, rest) = rest.split_at(end);
        let raw = rest.get(1..21).ok_or_else(damaged)?;
        let mode = std::str::from_utf8(mode).ok().and_then(|m| u32::from_str_radix(m, 8).ok());
        safe(name)?;
        lines.push(Line {
            mode: mode.ok_or_else(damaged)?,
            name: name.to_owned(),
            object: hex(raw),
        });
        bytes = rest.get(21..).unwrap_or_default();
    }
    Ok(lines)
}

fn hex(raw: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS.get(usize::from(n)).copied().unwrap_or(b'0'));
    raw.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// Names that would leave the directory or be taken for git's own, on any file system.
fn safe(name: &[u8]) -> Result<()> {
    let lower = name.to_ascii_lowercase();
    let trimmed: &[u8] = lower.trim_ascii_end();
    let trimmed = trimmed.strip_suffix(b".").unwrap_or(trimmed);
    let bad = name.is_empty()
        || name.contains(&b'/')
        || matches!(name, b"." | b"..")
        || trimmed == b".git"
        || lower == b"git~1";
    if !bad {
        return Ok(());
    }
    let shown = kernel::shown(&String::from_utf8_lossy(name));
    Err(Error::invalid(
        "tree.unsafe",
        text!("the commit has a file named “{shown}”", "커밋에 “{shown}”라는 파일이 있습니다"),
    )
    .hint(Text::fixed(
        "such a name is never written to disk",
        "이런 이름은 디스크에 쓰지 않습니다",
    )))
}

/// Every file below the tree object `root`, level by level.
pub(crate) fn list(reader: &mut Reader, root: &str) -> Result<Listing> {
    let mut listing = Listing::default();
    let mut level: Vec<(Vec<u8>, String)> = vec![(Vec::new(), root.to_owned())];
    for _ in 0..DEPTH {
        if level.is_empty() {
            return finish(reader, listing);
        }
        let ids: Vec<&str> = level.iter().map(|(_, id)| id.as_str()).collect();
        let mut trees = Vec::with_capacity(ids.len());
        reader.tree_bytes(&ids, &mut trees)?;
        let mut below = Vec::new();
        for ((prefix, _), bytes) in level.iter().zip(&trees) {
            for line in parse(bytes)? {
                let path = join(prefix, &line.name);
                if line.is_directory() {
                    below.push((path, line.object));
                } else if line.is_submodule() {
                    let (mode, object) = (SUBMODULE, line.object);
                    listing.submodules.push(File { path, mode, object, size: 0 });
                } else {
                    let mode = line.file_mode();
                    listing.files.push(File { path, mode, object: line.object, size: 0 });
                }
            }
            if listing.files.len() + listing.submodules.len() + below.len() > FILES {
                return Err(too_many());
            }
        }
        level = below;
    }
    Err(too_many())
}

/// Sizes, and the order of paths.
fn finish(reader: &mut Reader, mut listing: Listing) -> Result<Listing> {
    let ids: Vec<&str> = listing.files.iter().map(|f| f.object.as_str()).collect();
    let found = reader.info(&ids)?;
    for (file, found) in listing.files.iter_mut().zip(found) {
        file.size = found.ok_or_else(|| object::missing(&file.object))?.size;
    }
    listing.files.sort_by(|a, b| a.path.cmp(&b.path));
    listing.submodules.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listing)
}

pub(crate) fn join(prefix: &[u8], name: &[u8]) -> Vec<u8> {
    if prefix.is_empty() { name.to_owned() } else { [prefix, b"/", name].concat() }
}

fn too_many() -> Error {
    Error::new(
        ErrorKind::TooLarge,
        "tree.too-large",
        text!(
            "the commit has more than {FILES} files or is nested too deeply",
            "커밋의 파일이 {FILES}개를 넘거나 너무 깊습니다"
        ),
    )
}

/// A path from a reader of pages: relative, `/`-separated, nothing that climbs.
///
/// # Errors
/// `path.invalid`.
pub(crate) fn path(words: &str) -> Result<String> {
    let words = words.trim_matches('/');
    let sound = words.len() <= 4096
        && !words.contains('\0')
        && (words.is_empty() || words.split('/').all(|c| !matches!(c, "" | "." | "..")));
    if sound {
        return Ok(words.to_owned());
    }
    let shown = kernel::shown(words);
    Err(Error::invalid(
        "path.invalid",
        text!(
            "“{shown}” is not a path in a repository",
            "“{shown}”은(는) 저장소 안의 경로가 아닙니다"
        ),
    ))
}

/// Whether a listing's commit id can name a commit at all.
pub(crate) fn whole(commit: &str) -> Result<()> {
    if refname::is_oid(commit) { Ok(()) } else { Err(object::missing(commit)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(mode: &str, name: &[u8]) -> Vec<u8> {
        [mode.as_bytes(), b" ", name, b"\0", &[0xab; 20]].concat()
    }

    #[test]
    fn trees_as_git_writes_them() {
        let bytes =
            [line("100644", "나루.md".as_bytes()), line("40000", b"src"), line("160000", b"lib")]
                .concat();
        let lines = parse(&bytes).unwrap();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            (lines[0].file_mode(), lines[0].object.as_str()),
            (FILE, "ab".repeat(20).as_str())
        );
        assert!(lines[1].is_directory() && lines[2].is_submodule());
        assert_eq!(parse(&line("100775", b"x")).unwrap()[0].file_mode(), EXECUTABLE);
    }

    #[test]
    fn names_that_would_escape_are_refused() {
        for bad in [&b".."[..], b".", b"", b"a/b", b".git", b".GIT", b".Git. ", b"GIT~1"] {
            assert!(parse(&line("100644", bad)).is_err(), "{bad:?}");
        }
        for good in [&b".gitignore"[..], b"..a", b"git", b".github"] {
            assert!(parse(&line("100644", good)).is_ok(), "{good:?}");
        }
    }

    proptest! {
        #[test]
        fn bytes_never_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
