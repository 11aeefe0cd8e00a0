//! What differs between two commits, as people read it.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Added,
    Removed,
    Modified,
    Renamed,
    Copied,
    /// A file became a link, or the reverse.
    Retyped,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDiff {
    pub path: String,
    /// The path before, when it was renamed or copied.
    pub from: Option<String>,
    pub status: Status,
    /// Git's modes before and after, `0` where there is no file.
    pub modes: (u32, u32),
    pub added: usize,
    pub removed: usize,
    pub binary: bool,
    /// Too long to be compared, or the commit's room for lines is used up.
    pub too_large: bool,
    pub hunks: Vec<Hunk>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunk {
    pub lines: Vec<DiffLine>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineKind {
    Same,
    Added,
    Removed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffLine {
    pub kind: LineKind,
    /// Line numbers from 1, before and after.
    pub before: Option<usize>,
    pub after: Option<usize>,
    /// Without its line break.
    pub text: String,
}

/// All that differs between two commits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub files: Vec<FileDiff>,
    /// Lines.
    pub added: usize,
    pub removed: usize,
    /// More files differ than are listed.
    pub truncated: bool,
}
