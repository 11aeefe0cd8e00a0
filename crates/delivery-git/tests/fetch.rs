//! Clones and fetches of the real client.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_pushed_is_cloned_in_every_manner() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), limits()).await;
    let url = world.url("dan", "shop/web.git").await;
    let (work, at) = (dir.path().join("work"), dir.path());
    working_copy(&work, &[("a.txt", "one\n"), ("나루/배.txt", "배\n")]).await;
    for i in 0..5 {
        commit(&work, &[("a.txt", &format!("{i}\n"))], &format!("c{i}")).await;
    }
    git(&work, &["tag", "-a", "v1", "-m", "one"]).await.fine();
    git(&work, &["push", &url, "main", "v1"]).await.fine();
    let main = git(&work, &["rev-parse", "HEAD"]).await.out;
    let head = async |copy: &str| git(&at.join(copy), &["rev-parse", "HEAD"]).await.fine().out;
    let count = async |copy: &str| git(&at.join(copy), &["rev-list", "--count", "HEAD"]).await.out;

    for version in ["2", "1", "0"] {
        let (copy, protocol) = (format!("v{version}"), format!("protocol.version={version}"));
        git(at, &["-c", &protocol, "clone", "-q", &url, &copy]).await.fine();
        assert_eq!(head(&copy).await, main);
        assert_eq!(std::fs::read_to_string(at.join(&copy).join("나루/배.txt")).unwrap(), "배\n");
        git(&at.join(&copy), &["fsck", "--strict"]).await.fine();
    }
    git(at, &["clone", "-q", "--depth", "2", &url, "shallow"]).await.fine();
    assert_eq!(count("shallow").await.trim(), "2");
    git(&at.join("shallow"), &["fetch", "-q", "--unshallow"]).await.fine();
    assert_eq!(count("shallow").await.trim(), "6");
    git(at, &["clone", "-q", "--filter=blob:none", "--no-checkout", &url, "partial"]).await.fine();
    let missing =
        git(&at.join("partial"), &["rev-list", "--objects", "--missing=print", "HEAD"]).await.out;
    assert!(missing.lines().any(|l| l.starts_with('?')), "{missing}");
    git(&at.join("partial"), &["checkout", "-q", "main"]).await.fine();

    // A fetch of what is new, and of a commit by its id.
    let next = commit(&work, &[("a.txt", "next\n")], "next").await;
    git(&work, &["push", &url, "main"]).await.fine();
    git(&at.join("v2"), &["pull", "-q"]).await.fine();
    assert_eq!(head("v2").await.trim(), next);
    git(&at.join("v0"), &["fetch", "-q", "origin", &next]).await.fine();

    // A push of a shallow clone, and one large enough to arrive in chunks.
    std::fs::write(at.join("shallow/large"), "naru ".repeat(700_000) + &"x\n".repeat(3)).unwrap();
    std::fs::write(at.join("shallow/random"), noise(2_000_000)).unwrap();
    commit(&at.join("shallow"), &[], "large").await;
    git(&at.join("shallow"), &["push", "-q", "origin", "HEAD:large"]).await.fine();
    git(at, &["clone", "-q", "-b", "large", &url, "again"]).await.fine();
    assert_eq!(std::fs::metadata(at.join("again/random")).unwrap().len(), 2_000_000);
    assert!(
        std::fs::read_dir(at.join("git/.incoming")).unwrap().next().is_none(),
        "spools are gone"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_refs_make_the_client_compress_its_request() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), limits()).await;
    let url = world.url("dan", "shop/web.git").await;
    let work = dir.path().join("work");
    working_copy(&work, &[("a", "a")]).await;
    let ids: Vec<String> = {
        let mut ids = Vec::new();
        for i in 0..25 {
            ids.push(commit(&work, &[("a", &i.to_string())], "c").await);
        }
        ids
    };
    let mut push = vec!["push".to_owned(), "-q".into(), url.clone()];
    push.extend(ids.iter().enumerate().map(|(i, id)| format!("{id}:refs/heads/b{i}")));
    let push: Vec<&str> = push.iter().map(String::as_str).collect();
    git(&work, &push).await.fine();
    // A want for each of 25 refs is more than the 1,024 bytes from which git compresses.
    let trace = dir.path().join("trace");
    let mut clone = client(dir.path());
    clone.args(["clone", "-q", &url, "copy", "-b", "b24"]).env("GIT_TRACE_CURL", &trace);
    assert!(clone.status().await.unwrap().success());
    let trace = std::fs::read_to_string(&trace).unwrap().to_lowercase();
    assert!(trace.contains("content-encoding: gzip"), "the client did not compress");
    let copied = git(&dir.path().join("copy"), &["rev-list", "--count", "origin/b24"]).await.fine();
    assert_eq!(copied.out.trim(), "26");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_or_dawdles_holds_no_place() {
    let dir = tempfile::tempdir().unwrap();
    let narrow = delivery_git::Limits {
        processes: 1,
        uploads: 1,
        idle: Duration::from_millis(300),
        ..limits()
    };
    let world = World::open(dir.path(), narrow).await;
    let url = world.url("dan", "shop/web.git").await;
    let work = dir.path().join("work");
    working_copy(&work, &[("a", "a")]).await;
    git(&work, &["push", "-q", &url, "main"]).await.fine();
    let token = world.token("dan").await;
    // Both say that more will come, and then send nothing: the one place is free again after the limit.
    for service in ["upload-pack", "receive-pack"] {
        let head = format!(
            "POST /shop/web.git/git-{service} HTTP/1.1\r\nAuthorization: Bearer {token}\r\nExpect: 100-continue\r\n\
             Content-Type: application/x-git-{service}-request\r\nContent-Length: 9999"
        );
        let list = ["ls-remote", &url];
        let (slow, quick) = tokio::join!(world.raw(&head, b"00"), git(&work, &list));
        assert!(slow.starts_with("HTTP/1.1 100 Continue"), "{slow}");
        quick.fine();
        commit(&work, &[("a", service)], service).await;
        git(&work, &["push", "-q", &url, "main"]).await.fine();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clone_that_is_broken_off_ends_its_process() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), delivery_git::Limits { processes: 1, ..limits() }).await;
    let url = world.url("dan", "shop/web.git").await;
    let work = dir.path().join("work");
    working_copy(&work, &[]).await;
    // Far more than what fits into all the buffers on the way.
    std::fs::write(work.join("random"), noise(16 << 20)).unwrap();
    let id = commit(&work, &[], "random").await;
    git(&work, &["push", "-q", &url, "main"]).await.fine();

    let token = world.token("dan").await;
    let body =
        format!("{}0000{}", pkt(&format!("want {id} side-band-64k ofs-delta\n")), pkt("done\n"));
    let head = format!(
        "POST /shop/web.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/x-git-upload-pack-request\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !seen.windows(4).any(|w| w == b"PACK") {
        assert_ne!(
            stream.read_buf(&mut seen).await.unwrap(),
            0,
            "{}",
            String::from_utf8_lossy(&seen)
        );
    }
    drop(stream);
    // The only place is free again, long before the limit for idle clients.
    git(&work, &["ls-remote", &url]).await.fine();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_or_deleted_repository() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), limits()).await;
    let stop = tokio_util::sync::CancellationToken::new();
    world.git.start(stop.clone());
    let key = kernel::Key::of::<delivery_git::Repository>(&name("shop"), &name("web"));
    let put = store::Put {
        key: key.clone(),
        labels: Default::default(),
        spec: serde_json::json!({"default_branch": "trunk", "description": ""}),
        expected: None,
        actor: user("dan"),
    };
    world.store.write(move |tx| tx.put(put)).await.unwrap();
    let url = world.url("dan", "shop/web.git").await;
    let said = git(dir.path(), &["clone", &url, "empty"]).await.fine();
    assert!(said.err.contains("empty repository"), "{}", said.err);
    let work = dir.path().join("work");
    working_copy(&work, &[("a", "a")]).await;
    git(&work, &["push", "-q", &url, "main:trunk"]).await.fine();
    git(dir.path(), &["clone", "-q", &url, "full"]).await.fine();
    assert_eq!(git(&dir.path().join("full"), &["branch", "--show-current"]).await.out, "trunk\n");

    // What is made again under the name of a deleted one does not inherit from it.
    world.store.write(move |tx| tx.delete(&key, None, user("ada"))).await.unwrap();
    git(&work, &["ls-remote", &url]).await.refused("has no repository web");
    git(&work, &["push", "-q", &url, "main"]).await.fine();
    assert_eq!(world.refs("web").lines().count(), 1, "{}", world.refs("web"));
    stop.cancel();
}
