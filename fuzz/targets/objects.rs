//! What a push puts into a repository: trees, commits, names of refs. And paths of those who read it.

#![no_main]

use delivery_git::fuzz::{commit, is_refname, path, tree};
use libfuzzer_sys::fuzz_target;
use std::path::{Component, Path};

fuzz_target!(|bytes: &[u8]| {
    for name in tree(bytes).into_iter().flatten() {
        assert!(!name.is_empty() && !name.contains(&b'/') && !name.contains(&0), "{name:?}");
        assert!(
            !matches!(name.to_ascii_lowercase().as_slice(), b"." | b".." | b".git"),
            "{name:?}"
        );
    }
    if let Some(commit) = commit(bytes) {
        assert!(commit.subject.chars().count() <= 500 && !commit.subject.contains('\n'));
    }
    let Ok(words) = std::str::from_utf8(bytes) else { return };
    if is_refname(words) {
        let odd =
            words.contains("..") || words.contains("//") || words.chars().any(char::is_control);
        assert!(!odd && words.contains('/') && !words.starts_with('/'), "{words:?}");
    }
    if let Some(path) = path(words) {
        let inside = |c| matches!(c, Component::Normal(_));
        assert!(Path::new(&path).components().all(inside), "{path:?}");
    }
});
