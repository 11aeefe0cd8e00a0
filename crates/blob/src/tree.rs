//! Trees: what they hold, how they are written, how they are laid over each other.

use crate::hash::Hash;
use crate::{error, path};
use kernel::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

/// A file.
pub const PLAIN: u32 = 0o100_644;
/// A file that may be executed.
pub const PROGRAM: u32 = 0o100_755;
/// A symbolic link; its blob holds the target.
pub const LINK: u32 = 0o120_000;

/// The longest written tree, in bytes: about a million files.
pub(crate) const LIMIT: u64 = 256 << 20;
/// How every written tree begins; the collector knows one by it.
pub(crate) const START: &[u8] = br#"{"entries":["#;

/// One file of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// As [`crate::check_path`] allows.
    pub path: String,
    /// [`PLAIN`], [`PROGRAM`] or [`LINK`]: git's modes.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// SHA-256, lower-case hex.
    pub hash: String,
}

/// Files by path. Written as compact JSON with the entries sorted by the bytes of their path and the fields
/// in this order, so that equal trees are one blob.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    pub entries: Vec<Entry>,
}

impl Tree {
    /// Sorts and checks.
    ///
    /// # Errors
    /// `tree.path`, `tree.mode`, `tree.conflict`, or `blob.unknown` for words that are no hash.
    pub fn new(mut entries: Vec<Entry>) -> Result<Tree> {
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let tree = Tree { entries };
        tree.check()?;
        Ok(tree)
    }

    /// Reads a written tree, which may come from anywhere.
    ///
    /// # Errors
    /// `tree.invalid`, and as [`Tree::new`].
    pub fn parse(bytes: &[u8]) -> Result<Tree> {
        if !bytes.starts_with(START) {
            return Err(error::not_a_tree("it begins otherwise"));
        }
        let tree: Tree = serde_json::from_slice(bytes).map_err(error::not_a_tree)?;
        if !tree.entries.is_sorted_by(|a, b| a.path < b.path) {
            return Err(error::not_a_tree("its entries are not sorted, or one is there twice"));
        }
        tree.check()?;
        Ok(tree)
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        let bytes = serde_json::to_vec(self).map_err(Error::internal)?;
        if bytes.len() as u64 > LIMIT {
            return Err(error::too_many_files(self.entries.len() as u64));
        }
        Ok(bytes)
    }

    /// Bytes of all files together.
    pub fn bytes(&self) -> u64 {
        self.entries.iter().fold(0, |sum, e| sum.saturating_add(e.size))
    }

    /// The file at exactly this path.
    pub fn find(&self, path: &str) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|e| e.path.as_str().cmp(path)).ok()?;
        self.entries.get(at)
    }

    fn check(&self) -> Result<()> {
        let mut files = HashSet::with_capacity(self.entries.len());
        for entry in &self.entries {
            path::check(&entry.path)?;
            if !matches!(entry.mode, PLAIN | PROGRAM | LINK) {
                return Err(error::mode(&entry.path, entry.mode));
            }
            if Hash::parse(&entry.hash).is_none() {
                return Err(error::unknown_at(&entry.path, &entry.hash));
            }
            if !files.insert(entry.path.as_str()) {
                return Err(error::conflict(&entry.path));
            }
        }
        // A link that is also a directory would lead whoever writes the tree out of it.
        let both = |e: &&Entry| path::ancestors(&e.path).any(|dir| files.contains(dir));
        match self.entries.iter().find(both) {
            Some(entry) => Err(error::conflict(&entry.path)),
            None => Ok(()),
        }
    }

    /// Later trees win.
    pub(crate) fn overlay(layers: Vec<Tree>) -> Result<Tree> {
        let mut merged: BTreeMap<String, Entry> = BTreeMap::new();
        for entry in layers.into_iter().flat_map(|layer| layer.entries) {
            for dir in path::ancestors(&entry.path) {
                merged.remove(dir);
            }
            remove_below(&mut merged, &entry.path);
            merged.insert(entry.path.clone(), entry);
        }
        Tree::new(merged.into_values().collect())
    }
}

fn remove_below(files: &mut BTreeMap<String, Entry>, path: &str) {
    // `0` is the byte after `/`.
    let (from, to) = (format!("{path}/"), format!("{path}0"));
    let below = files
        .range::<str, _>((Bound::Included(from.as_str()), Bound::Excluded(to.as_str())))
        .map(|(path, _)| path.clone())
        .collect::<Vec<_>>();
    for path in below {
        files.remove(&path);
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
