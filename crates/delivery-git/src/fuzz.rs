//! What `fuzz/` throws bytes at: the readers of what clients send, private otherwise.

use crate::{command, object, pkt, refname, tree};
use std::fmt::Debug;

/// The bytes that the pkt-line at the front takes.
pub fn packet(bytes: &[u8]) -> Result<Option<usize>, impl Debug + use<>> {
    pkt::front(bytes).map(|found| found.map(|(_, length)| length))
}

/// `payload` as a pkt-line.
pub fn framed(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    pkt::push(&mut out, payload);
    out
}

/// The command list and the options of a push.
pub fn command_list(
    bytes: &[u8],
) -> Result<Option<impl Debug + PartialEq + use<>>, impl Debug + PartialEq + use<>> {
    command::parse(bytes)
}

/// The names in a tree object, when it is one that may be written to disk.
pub fn tree(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let lines = tree::parse(bytes).ok()?;
    Some(lines.into_iter().map(|line| line.name).collect())
}

/// A commit object, by an id that does not matter.
pub fn commit(bytes: &[u8]) -> Option<kernel::journey::Commit> {
    object::parse_commit("0", bytes).ok().map(|(commit, _, _)| commit)
}

/// Whether a ref may have this name.
pub fn is_refname(words: &str) -> bool {
    refname::check(words).is_ok()
}

/// A path as a reader of pages may give it.
pub fn path(words: &str) -> Option<String> {
    tree::path(words).ok()
}
