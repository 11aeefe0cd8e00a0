//! Paths inside a tree.

use crate::error;
use kernel::{Result, Text};

/// The longest path, in bytes (Linux' PATH_MAX).
const LONGEST: usize = 4096;
/// The longest component, in bytes (NAME_MAX of the usual file systems).
const LONGEST_NAME: usize = 255;

/// Whether a tree may hold this path: relative, `/`-separated, at most 4096 bytes, every component at most
/// 255 bytes and none of them empty, `.`, `..` or `.git` (in any case, as git itself refuses it).
///
/// # Errors
/// `tree.path`.
pub fn check(path: &str) -> Result<()> {
    let what = if path.len() > LONGEST {
        Text::fixed("the path is longer than 4096 bytes", "경로가 4096바이트보다 깁니다")
    } else if path.contains('\0') {
        Text::fixed("the path has a NUL byte", "경로에 NUL 바이트가 있습니다")
    } else if path.starts_with('/') {
        Text::fixed("the path is absolute", "절대 경로입니다")
    } else if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        Text::fixed(
            "a path has no empty, “.” or “..” part",
            "경로에 빈 부분이나 “.”, “..”를 쓸 수 없습니다",
        )
    } else if path.split('/').any(is_git) {
        Text::fixed("a path has no “.git” part", "경로에 “.git”을 쓸 수 없습니다")
    } else if path.split('/').any(|part| part.len() > LONGEST_NAME) {
        Text::fixed(
            "a name in the path is longer than 255 bytes",
            "경로 안의 이름이 255바이트보다 깁니다",
        )
    } else {
        return Ok(());
    };
    Err(error::path(path, what))
}

pub(crate) fn is_git(part: &str) -> bool {
    part.eq_ignore_ascii_case(".git")
}

/// `a/b/c` → `a`, `a/b`.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(at, _)| path.get(..at))
}
