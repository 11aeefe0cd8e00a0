use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn entry(path: &str, content: &str) -> Entry {
    let hash = Hash::of(content.as_bytes()).to_string();
    Entry { path: path.into(), mode: PLAIN, size: content.len() as u64, hash }
}

fn code(entries: Vec<Entry>) -> Option<&'static str> {
    Tree::new(entries).err().map(|e| e.code())
}

#[test]
fn paths_that_no_tree_may_have() {
    let long = format!("{}x", "a/".repeat(2048));
    let name = "x".repeat(256);
    for bad in [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../x",
        "a/../b",
        "a/..",
        ".",
        "./a",
        "a/./b",
        "a//b",
        "a/",
        ".git",
        ".git/config",
        "a/.git/hooks/x",
        ".GIT/config",
        "a\0b",
        &long,
        &name,
    ] {
        assert_eq!(code(vec![entry(bad, "x")]), Some("tree.path"), "{bad:?}");
    }
    let words = ["a", "a/b", ".gitignore", "...", "a..b", " ", "-rf", "한글/이름", "c:\\x"];
    for good in words {
        assert_eq!(code(vec![entry(good, "x")]), None, "{good:?}");
    }
}

#[test]
fn hostile_trees_are_refused() {
    assert_eq!(code(vec![entry("a", "1"), entry("a", "2")]), Some("tree.conflict"));
    let link = Entry { mode: LINK, ..entry("a", "/etc") };
    // `a-` sorts between the two.
    let below = vec![link, entry("a-", "x"), entry("a/passwd", "x")];
    assert_eq!(code(below), Some("tree.conflict"));
    let setuid = Entry { mode: 0o104_755, ..entry("a", "x") };
    assert_eq!(code(vec![setuid]), Some("tree.mode"));
    let traversal = Entry { hash: "../../../etc/passwd".into(), ..entry("a", "x") };
    assert_eq!(code(vec![traversal]), Some("blob.unknown"));
}

#[test]
fn only_the_canonical_spelling_is_a_tree() {
    let tree = Tree::new(vec![entry("b", "1"), entry("a", "2")]).unwrap();
    let bytes = tree.to_bytes().unwrap();
    assert_eq!(Tree::parse(&bytes).unwrap(), tree);
    let words = String::from_utf8(bytes).unwrap();
    let hash = Hash::of(b"2");
    assert!(words.starts_with(&format!(
        r#"{{"entries":[{{"path":"a","mode":33188,"size":1,"hash":"{hash}"}},{{"path":"b","#
    )));
    let reversed = Tree { entries: tree.entries.iter().rev().cloned().collect() };
    let refused = |bytes: &[u8]| Tree::parse(bytes).err().map(|e| e.code());
    assert_eq!(refused(&reversed.to_bytes().unwrap()), Some("tree.invalid"));
    assert_eq!(refused(b"plain"), Some("tree.invalid"));
    assert_eq!(refused(br#"{"entries":[{"path":"a"}]}"#), Some("tree.invalid"));
}

/// Few names, so that files and directories meet.
fn layer() -> impl Strategy<Value = Tree> {
    let path = proptest::collection::vec("[ab]", 1..4).prop_map(|parts| parts.join("/"));
    let files = proptest::collection::vec((path, "[xyz]"), 0..8);
    files.prop_map(|files| {
        let mut entries: Vec<Entry> = Vec::new();
        for (path, content) in files {
            entries.push(entry(&path, &content));
            if Tree::new(entries.clone()).is_err() {
                entries.pop();
            }
        }
        Tree::new(entries).unwrap()
    })
}

/// Unpacking one layer after the other, told slowly.
fn model(layers: &[Tree]) -> BTreeSet<(String, String)> {
    let mut files: BTreeSet<(String, String)> = BTreeSet::new();
    for entry in layers.iter().flat_map(|l| &l.entries) {
        let new = &entry.path;
        let below = |a: &str, b: &str| a == b || a.starts_with(&format!("{b}/"));
        files.retain(|(old, _)| !below(old, new) && !below(new, old));
        files.insert((new.clone(), entry.hash.clone()));
    }
    files
}

proptest! {
    #[test]
    fn overlay_is_unpacking_in_order(layers in proptest::collection::vec(layer(), 0..4)) {
        let wanted = model(&layers);
        let merged = Tree::overlay(layers).unwrap();
        let found: BTreeSet<_> =
            merged.entries.iter().map(|e| (e.path.clone(), e.hash.clone())).collect();
        prop_assert_eq!(found, wanted);
        prop_assert!(Tree::parse(&merged.to_bytes().unwrap()).is_ok());
    }

    #[test]
    fn a_tree_reads_back_as_written(tree in layer()) {
        prop_assert_eq!(Tree::parse(&tree.to_bytes().unwrap()).unwrap(), tree);
    }

    #[test]
    fn no_bytes_break_the_reader(bytes: Vec<u8>, tail: String) {
        let _ = Tree::parse(&bytes);
        let _ = Tree::parse(format!(r#"{{"entries":[{tail}"#).as_bytes());
    }
}
