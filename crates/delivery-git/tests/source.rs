//! What the rest of naru reads: checkouts, files, changes, and the API of pages and commands.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::*;
use delivery_git::browse::{ItemKind, LineKind, Status};
use kernel::ErrorKind;
use kernel::port::{Gitlink, Metadata, Source};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// A repository with one of everything.
async fn rich(dir: &Path) -> (World, std::path::PathBuf, Vec<String>) {
    let world = World::open(dir, limits()).await;
    let url = world.url("dan", "shop/web.git").await;
    let work = dir.join("work");
    working_copy(
        &work,
        &[("README", "hello\n"), ("src/deep/er/코드.txt", "나루\n"), ("gone", "x\n")],
    )
    .await;
    let first = git(&work, &["rev-parse", "HEAD"]).await.out.trim().to_owned();
    std::fs::write(work.join("run.sh"), "#!/bin/sh\necho hi\n").unwrap();
    std::fs::set_permissions(work.join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    symlink("/etc/passwd", work.join("outside")).unwrap();
    symlink("src/deep", work.join("inside")).unwrap();
    std::fs::write(work.join("binary"), [0, 1, 2, 0xff]).unwrap();
    std::fs::write(work.join("with space and \t tab"), "t").unwrap();
    std::fs::write(work.join("empty"), "").unwrap();
    std::fs::remove_file(work.join("gone")).unwrap();
    let second = commit(&work, &[("README", "hello\nworld\n")], "second\n\nwith a body").await;
    git(&work, &["tag", "-a", "v1.0", "-m", "one"]).await.fine();
    let submodule = format!("160000,{first},lib");
    git(&work, &["update-index", "--add", "--cacheinfo", &submodule]).await.fine();
    git(&work, &["commit", "-q", "-m", "third"]).await.fine();
    let third = git(&work, &["rev-parse", "HEAD"]).await.out.trim().to_owned();
    git(&work, &["push", "-q", &url, "main", "v1.0"]).await.fine();
    (world, work, vec![first, second, third])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_is_the_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (world, _, commits) = rich(dir.path()).await;
    let (shop, web) = (name("shop"), name("web"));
    let [first, second, third] = &commits[..] else { panic!() };
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    world.git.checkout(&shop, &web, second, &out, Metadata::With).await.unwrap();
    assert_eq!(git(&out, &["status", "--porcelain"]).await.fine().out, "");
    assert_eq!(git(&out, &["describe"]).await.fine().out, "v1.0\n");
    assert_eq!(git(&out, &["log", "--format=%s"]).await.fine().out, "second\nfirst\n");
    assert_eq!(std::fs::read_to_string(out.join("src/deep/er/코드.txt")).unwrap(), "나루\n");
    assert_eq!(std::fs::metadata(out.join("run.sh")).unwrap().mode() & 0o111, 0o111);
    assert_eq!(std::fs::metadata(out.join("README")).unwrap().mode() & 0o111, 0);
    assert_eq!(std::fs::read_link(out.join("outside")).unwrap(), Path::new("/etc/passwd"));
    std::fs::write(out.join("README"), "changed").unwrap();
    assert_eq!(git(&out, &["status", "--porcelain"]).await.out, " M README\n");

    let plain = dir.path().join("plain");
    std::fs::create_dir(&plain).unwrap();
    world.git.checkout(&shop, &web, third, &plain, Metadata::Without).await.unwrap();
    assert!(!plain.join(".git").exists());
    assert_eq!(std::fs::read_dir(plain.join("lib")).unwrap().count(), 0, "an empty directory");
    let again = world.git.checkout(&shop, &web, third, &plain, Metadata::Without).await;
    assert!(again.is_err(), "nothing is written over");

    let with = dir.path().join("with");
    std::fs::create_dir(&with).unwrap();
    world.git.checkout(&shop, &web, third, &with, Metadata::With).await.unwrap();
    assert_eq!(git(&with, &["status", "--porcelain"]).await.fine().out, "");
    let links = world.git.gitlinks(&shop, &web, third).await.unwrap();
    assert_eq!(links, [Gitlink { path: "lib".into(), commit: first.clone() }]);
    let since = world.git.changed(&shop, &web, Some(second), third).await.unwrap();
    assert_eq!(since, ["lib"]);

    let tree = world.git.tree(&shop, &web, second).await.unwrap();
    let paths: Vec<_> = tree.iter().map(|e| (e.path.as_str(), e.mode, e.size)).collect();
    assert!(
        paths.contains(&("run.sh", 0o100_755, 18)) && paths.contains(&("outside", 0o120_000, 11)),
        "{paths:?}"
    );
    assert!(tree.windows(2).all(|w| w[0].path < w[1].path));

    let file = async |path: &str, limit| world.git.file(&shop, &web, second, path, limit).await;
    assert_eq!(file("README", 100).await.unwrap().as_deref(), Some(&b"hello\nworld\n"[..]));
    assert_eq!(file("gone", 100).await.unwrap(), None);
    assert_eq!(file("../../x", 100).await.unwrap(), None);
    assert_eq!(file("README", 3).await.unwrap_err().kind(), ErrorKind::TooLarge);
    let changed = world.git.changed(&shop, &web, Some(first), second).await.unwrap();
    assert_eq!(
        changed,
        [
            "README",
            "binary",
            "empty",
            "gone",
            "inside",
            "outside",
            "run.sh",
            "with space and \t tab"
        ]
    );
    assert_eq!(world.git.changed(&shop, &web, None, first).await.unwrap().len(), 3);
    for bad in [
        "",
        "HEAD",
        "--all",
        &first[..10],
        "0000000000000000000000000000000000000000",
        &format!("{first}\n"),
    ] {
        assert_eq!(
            world.git.commit(&shop, &web, bad).await.unwrap_err().kind(),
            ErrorKind::NotFound,
            "{bad}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trees_that_would_write_elsewhere_never_arrive() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), limits()).await;
    let url = world.url("dan", "shop/web.git").await;
    let work = dir.path().join("work");
    working_copy(&work, &[("a", "a")]).await;
    let blob = git(&work, &["hash-object", "-w", "a"]).await.out.trim().to_owned();
    for bad in ["..", ".git", ".GIT"] {
        let raw: Vec<u8> = {
            let id: Vec<u8> =
                (0..20).map(|i| u8::from_str_radix(&blob[2 * i..2 * i + 2], 16).unwrap()).collect();
            [b"100644 ", bad.as_bytes(), b"\0", &id].concat()
        };
        std::fs::write(work.join(".git/raw"), raw).unwrap();
        let tree = git(&work, &["hash-object", "--literally", "-t", "tree", "-w", ".git/raw"])
            .await
            .fine();
        let commit = git(&work, &["commit-tree", "-m", "bad", tree.out.trim()]).await.fine().out;
        let said = git(&work, &["push", &url, &format!("{}:refs/heads/bad", commit.trim())]).await;
        said.refused("remote rejected");
    }
    assert!(world.pushed().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsing() {
    let dir = tempfile::tempdir().unwrap();
    let (world, _, commits) = rich(dir.path()).await;
    let (shop, web) = (name("shop"), name("web"));
    let git = &world.git;
    let refs = git.refs(&shop, &web).await.unwrap();
    assert_eq!(
        (refs.default_branch.as_str(), refs.branches.len(), refs.tags[0].name.as_str()),
        ("main", 1, "v1.0")
    );
    for revision in
        [None, Some("HEAD"), Some("main"), Some("refs/heads/main"), Some(&commits[2][..7])]
    {
        assert_eq!(git.resolve(&shop, &web, revision).await.unwrap(), commits[2], "{revision:?}");
    }
    assert_eq!(git.resolve(&shop, &web, Some("v1.0")).await.unwrap(), commits[1]);
    for bad in [
        "none",
        "--output=/tmp/x",
        "main..main",
        "main^",
        "@{0}",
        "../../HEAD",
        "HEAD~1",
        "ffffffff",
        "a b",
        "main:README",
    ] {
        assert_eq!(
            git.resolve(&shop, &web, Some(bad)).await.unwrap_err().kind(),
            ErrorKind::NotFound,
            "{bad}"
        );
    }
    let log = git.log(&shop, &web, None, None, 0, 2).await.unwrap();
    let subjects: Vec<_> = log.commits.iter().map(|c| c.subject.as_str()).collect();
    assert_eq!((subjects, log.next), (vec!["third", "second"], Some(2)));
    let log = git.log(&shop, &web, None, Some("README"), 0, 50).await.unwrap();
    assert_eq!((log.commits.len(), log.next), (2, None));

    let top = git.directory(&shop, &web, None, "").await.unwrap();
    let kind = |n: &str| top.items.iter().find(|i| i.name == n).map(|i| i.kind);
    assert_eq!(top.items[0].name, "src");
    assert_eq!(kind("lib"), Some(ItemKind::Submodule));
    assert_eq!(kind("outside"), Some(ItemKind::Link));
    assert_eq!(git.directory(&shop, &web, None, "/src/deep/").await.unwrap().items[0].name, "er");
    assert_eq!(
        git.directory(&shop, &web, None, "src/../..").await.unwrap_err().code(),
        "path.invalid"
    );
    assert_eq!(git.directory(&shop, &web, None, "nope").await.unwrap_err().code(), "path.unknown");
    let file = git.file_view(&shop, &web, None, "src/deep/er/코드.txt").await.unwrap();
    assert_eq!((file.text.as_deref(), file.binary), (Some("나루\n"), false));
    let file = git.file_view(&shop, &web, None, "binary").await.unwrap();
    assert_eq!((file.text, file.binary, file.size), (None, true, 4));

    let view = git.commit_view(&shop, &web, &commits[1]).await.unwrap();
    assert_eq!(view.message, "second\n\nwith a body");
    let readme = view.files.iter().find(|f| f.path == "README").unwrap();
    assert_eq!((readme.status, readme.added, readme.removed), (Status::Modified, 1, 0));
    let lines: Vec<_> = readme.hunks[0]
        .lines
        .iter()
        .map(|l| (l.kind, l.text.as_str(), l.before, l.after))
        .collect();
    assert_eq!(
        lines,
        [(LineKind::Same, "hello", Some(1), Some(1)), (LineKind::Added, "world", None, Some(2))]
    );
    let gone = view.files.iter().find(|f| f.path == "gone").unwrap();
    assert_eq!((gone.status, gone.removed), (Status::Removed, 1));
    assert!(view.files.iter().any(|f| f.path == "binary" && f.binary));
    assert_eq!(git.commit_view(&shop, &web, &commits[0]).await.unwrap().files.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_shows_it_to_who_may_see_it() {
    let dir = tempfile::tempdir().unwrap();
    let (world, _, commits) = rich(dir.path()).await;
    let get = async |who: &str, rest: &str| {
        let token = world.token(who).await;
        let head = format!(
            "GET /api/v1/projects/shop/repositories/web{rest} HTTP/1.1\r\nAuthorization: Bearer {token}"
        );
        world.raw(&head, b"").await
    };
    for rest in [
        "/refs",
        "/commits?limit=1",
        "/tree?path=src",
        "/file?path=README",
        "/raw?path=binary",
        &format!("/commits/{}", commits[1]),
    ] {
        assert!(get("vic", rest).await.starts_with("HTTP/1.1 200"), "{rest}");
        assert!(get("eve", rest).await.starts_with("HTTP/1.1 404"), "{rest}");
    }
    let raw = get("vic", "/raw?path=README").await;
    assert!(raw.contains("attachment") && raw.ends_with("hello\nworld\n"), "{raw}");
    assert!(get("vic", "/file?path=../../naru.db").await.starts_with("HTTP/1.1 400"));
    assert!(get("vic", "/tree?ref=--help").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_histories_part_somewhere_or_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (world, work, commits) = rich(dir.path()).await;
    let url = world.url("dan", "shop/web.git").await;
    let (shop, web) = (name("shop"), name("web"));
    git(&work, &["checkout", "-q", "-b", "side", &commits[1]]).await.fine();
    let side = commit(&work, &[("side", "s\n")], "side").await;
    git(&work, &["checkout", "-q", "--orphan", "alone"]).await.fine();
    let alone = commit(&work, &[("alone", "a\n")], "alone").await;
    git(&work, &["push", "-q", &url, "side", "alone"]).await.fine();
    let base = async |one: &str, other: &str| world.git.merge_base(&shop, &web, one, other).await;
    assert_eq!(base(&side, &commits[2]).await.unwrap().as_deref(), Some(&*commits[1]));
    assert_eq!(base(&side, &side).await.unwrap().as_deref(), Some(&*side));
    assert_eq!(base(&side, &alone).await.unwrap(), None);
    let nowhere = "0123456789012345678901234567890123456789";
    assert_eq!(base(&side, nowhere).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(base("--help", &side).await.unwrap_err().kind(), ErrorKind::NotFound);
}
