//! What a commit changed: the list of files from git, the lines by comparing them here.

use crate::git::Program;
use crate::object::Reader;
use crate::refname;
pub use kernel::diff::{DiffLine, FileDiff, Hunk, LineKind, Status};
use kernel::journey::Commit;
use kernel::{Error, Result};
use similar::{Algorithm, ChangeTag, TextDiff};
use std::path::Path;
use std::time::Duration;

/// Files shown of one commit.
pub(crate) const FILES: usize = 300;
/// Bytes of a file that is compared line by line.
const COMPARED: u64 = 512 * 1024;
/// Lines shown of one commit.
const LINES: usize = 20_000;
/// For comparing one file; a coarser diff follows after that.
const PATIENCE: Duration = Duration::from_millis(250);
const CONTEXT: usize = 3;

/// One entry of `git diff-tree --raw -z`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    status: Status,
    modes: (u32, u32),
    objects: (String, String),
    path: String,
    from: Option<String>,
}

/// What changed against the first parent, renames found.
pub(crate) async fn changes(git: &Program, dir: &Path, commit: &Commit) -> Result<Vec<Change>> {
    between(git, dir, commit.parents.first().map(String::as_str), &commit.id).await
}

/// What differs between two commits, whole ids; all of it, without one before.
pub(crate) async fn between(
    git: &Program,
    dir: &Path,
    from: Option<&str>,
    to: &str,
) -> Result<Vec<Change>> {
    let mut args =
        vec!["diff-tree", "--raw", "-r", "-z", "-M", "-l200", "--no-commit-id", "--root"];
    args.push("--end-of-options");
    args.extend(from);
    args.push(to);
    let out = git.output(dir, &args).await?;
    parse(&out).ok_or_else(|| Error::internal("git diff-tree said something unknown"))
}

fn parse(out: &[u8]) -> Option<Vec<Change>> {
    let text = String::from_utf8_lossy(out);
    let mut fields = text.split('\0');
    let mut changes = Vec::new();
    // `:100644 100755 <id> <id> M\0path\0`, with a second path after R and C.
    while let Some(head) = fields.next().filter(|h| !h.is_empty()) {
        let mut bits = head.strip_prefix(':')?.split(' ');
        let mut mode = || u32::from_str_radix(bits.next()?, 8).ok();
        let modes = (mode()?, mode()?);
        let objects = (bits.next()?.to_owned(), bits.next()?.to_owned());
        let status = match bits.next()?.as_bytes().first()? {
            b'A' => Status::Added,
            b'D' => Status::Removed,
            b'R' => Status::Renamed,
            b'C' => Status::Copied,
            b'T' => Status::Retyped,
            _ => Status::Modified,
        };
        let first = fields.next()?.to_owned();
        let moved = matches!(status, Status::Renamed | Status::Copied);
        let (path, from) =
            if moved { (fields.next()?.to_owned(), Some(first)) } else { (first, None) };
        changes.push(Change { status, modes, objects, path, from });
    }
    Some(changes)
}

/// The first [`FILES`] of the changes, line by line.
pub(crate) fn files(reader: &mut Reader, changes: &[Change]) -> Result<Vec<FileDiff>> {
    let mut room = LINES;
    changes.iter().take(FILES).map(|change| file(reader, change, &mut room)).collect()
}

fn file(reader: &mut Reader, change: &Change, room: &mut usize) -> Result<FileDiff> {
    let mut out = FileDiff {
        path: change.path.clone(),
        from: change.from.clone(),
        status: change.status,
        modes: change.modes,
        added: 0,
        removed: 0,
        binary: false,
        too_large: *room == 0,
        hunks: Vec::new(),
    };
    if out.too_large || change.objects.0 == change.objects.1 {
        return Ok(out);
    }
    let before = side(reader, change.modes.0, &change.objects.0)?;
    let after = side(reader, change.modes.1, &change.objects.1)?;
    let (Some(before), Some(after)) = (before, after) else {
        out.too_large = true;
        return Ok(out);
    };
    out.binary = is_binary(&before) || is_binary(&after);
    if !out.binary {
        let (before, after) = (String::from_utf8_lossy(&before), String::from_utf8_lossy(&after));
        compare(&before, &after, &mut out, room);
    }
    Ok(out)
}

/// One side's bytes; `None` when it is too large.
fn side(reader: &mut Reader, mode: u32, object: &str) -> Result<Option<Vec<u8>>> {
    const SUBMODULE: u32 = 0o160_000;
    if mode == 0 || !refname::is_oid(object) {
        return Ok(Some(Vec::new()));
    }
    if mode == SUBMODULE {
        return Ok(Some(format!("Subproject commit {object}\n").into_bytes()));
    }
    match reader.object(object, COMPARED) {
        Ok((_, bytes)) => Ok(Some(bytes)),
        Err(e) if e.kind() == kernel::ErrorKind::TooLarge => Ok(None),
        Err(e) => Err(e),
    }
}

fn compare(before: &str, after: &str, out: &mut FileDiff, room: &mut usize) {
    let diff = TextDiff::configure()
        .algorithm(Algorithm::Patience)
        .timeout(PATIENCE)
        .diff_lines(before, after);
    for group in diff.grouped_ops(CONTEXT) {
        let mut lines = Vec::new();
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let kind = match change.tag() {
                ChangeTag::Equal => LineKind::Same,
                ChangeTag::Insert => LineKind::Added,
                ChangeTag::Delete => LineKind::Removed,
            };
            out.added += usize::from(kind == LineKind::Added);
            out.removed += usize::from(kind == LineKind::Removed);
            if *room == 0 {
                out.too_large = true;
                continue;
            }
            *room -= 1;
            let text = change.value().trim_end_matches(['\n', '\r']).to_owned();
            let (before, after) = (change.old_index(), change.new_index());
            let number = |i: Option<usize>| i.map(|i| i + 1);
            lines.push(DiffLine { kind, before: number(before), after: number(after), text });
        }
        if !lines.is_empty() {
            out.hunks.push(Hunk { lines });
        }
    }
}

/// git's own test: a zero byte near the front.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(8000).any(|b| *b == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_raw_format() {
        let id = "a".repeat(40);
        let raw = format!(
            ":100644 100644 {id} {id} M\0a b\0:000000 100755 {id} {id} A\0한글\0:100644 100644 {id} {id} R090\0old\0new\0"
        );
        let changes = parse(raw.as_bytes()).unwrap();
        let seen: Vec<_> = changes.iter().map(|c| (c.status, c.path.as_str())).collect();
        assert_eq!(
            seen,
            [(Status::Modified, "a b"), (Status::Added, "한글"), (Status::Renamed, "new")]
        );
        assert_eq!(changes[2].from.as_deref(), Some("old"));
        assert_eq!(parse(b"nonsense\0"), None);
        assert_eq!(parse(b""), Some(vec![]));
    }
}
