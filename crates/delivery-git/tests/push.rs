//! Pushes of the real client: what moves, what is told, what is refused.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::*;
use delivery_git::Limits;
use kernel::journey::{self, ChangeFinished, Fact, Outcome, PipelineFinished, Verdict};
use kernel::{NewEvent, Principal, Text};
use std::time::Duration;
use tokio::io::AsyncReadExt;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_moves_refs_and_tells_each_once() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), limits()).await;
    let url = world.url("dan", "shop/web.git").await;
    let work = dir.path().join("work");
    working_copy(&work, &[("a.txt", "a\n")]).await;
    let first = git(&work, &["rev-parse", "HEAD"]).await.out.trim().to_owned();

    let said = git(&work, &["push", &url, "main"]).await.fine();
    let change = format!("web-{}", &first[..12]);
    let line = format!(
        "remote: change {change} → http://{}/projects/shop/changes/{change}",
        world.address
    );
    assert!(said.err.contains(&line), "{}", said.err);
    assert_eq!(world.refs("web"), format!("refs/heads/main {first}\n"));

    let second = commit(&work, &[("a.txt", "b\n")], "second").await;
    let third = commit(&work, &[("a.txt", "c\n")], "third").await;
    git(&work, &["tag", "-a", "v1", "-m", "one"]).await.fine();
    git(
        &work,
        &["push", "-o", "ci.skip", "-o", "ci.variable=A=b c", &url, "main", "v1", "main:topic"],
    )
    .await
    .fine();
    git(&work, &["push", &url, ":topic"]).await.fine();
    // Nothing to do is no event.
    git(&work, &["push", &url, "main"]).await.fine();

    let events = world.pushed().await;
    let seen: Vec<_> = events
        .iter()
        .map(|(e, p)| {
            (p.refname.as_str(), p.after.as_deref(), p.commits.len(), e.fact.change.is_some())
        })
        .collect();
    let tag = git(&work, &["rev-parse", "v1"]).await.out.trim().to_owned();
    assert_eq!(
        seen,
        [
            ("refs/heads/main", Some(first.as_str()), 1, true),
            ("refs/heads/main", Some(third.as_str()), 2, true),
            ("refs/tags/v1", Some(tag.as_str()), 2, false),
            ("refs/heads/topic", Some(third.as_str()), 2, true),
            ("refs/heads/topic", None, 0, false),
        ]
    );
    let (event, pushed) = &events[1];
    assert_eq!(event.fact.actor, user("dan"));
    assert_eq!(event.fact.change, journey::change_name(&name("web"), &third));
    assert_eq!(pushed.before.as_deref(), Some(first.as_str()));
    assert_eq!(pushed.options, ["ci.skip", "ci.variable=A=b c"]);
    assert!(pushed.default_branch && pushed.received <= event.time);
    let head = pushed.head.as_ref().unwrap();
    assert_eq!((head.subject.as_str(), head.author.as_str()), ("third", "Ada"));
    let commits: Vec<_> = pushed.commits.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(commits, [third.as_str(), second.as_str()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_do_what() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), limits()).await;
    let work = dir.path().join("work");
    working_copy(&work, &[("a", "a")]).await;
    let push = async |who: &str, path: &str| {
        let url = world.url(who, path).await;
        git(&work, &["push", &url, "main"]).await
    };
    push("vic", "shop/web.git").await.refused("403");
    push("dan", "bank/web.git").await.refused("not found");
    push("dan", "nowhere/web.git").await.refused("not found");
    push("dan", "shop/Not%20a%20name.git").await.refused("is not a name");
    let wrong = format!("http://naru:naru_wrong@{}/shop/web.git", world.address);
    git(&work, &["push", &wrong, "main"]).await.refused("Authentication failed");
    let nobody = format!("http://{}/shop/web.git", world.address);
    git(&work, &["push", &nobody, "main"]).await.refused("could not read Username");
    assert!(world.pushed().await.is_empty());
    assert!(!dir.path().join("git/shop").exists(), "a refused push leaves nothing");

    push("dan", "shop/web").await.fine();
    let ask = async |who: &str| {
        let url = world.url(who, "shop/web.git").await;
        git(&work, &["ls-remote", &url]).await
    };
    assert!(ask("vic").await.fine().out.contains("refs/heads/main"));
    ask("eve").await.refused("not found");
    let url = world.url("vic", "shop/none.git").await;
    git(&work, &["ls-remote", &url]).await.refused("has no repository none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_branch_stays_and_moves_forward_only() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), limits()).await;
    let (dan, ada) =
        (world.url("dan", "shop/web.git").await, world.url("ada", "shop/web.git").await);
    let work = dir.path().join("work");
    working_copy(&work, &[("a", "a")]).await;
    git(&work, &["push", &dan, "main", "main:topic"]).await.fine();
    let refs = world.refs("web");
    git(&work, &["push", &dan, ":main"]).await.refused("the default branch cannot be deleted");
    git(&work, &["commit", "-q", "--amend", "-m", "rewritten"]).await.fine();
    git(&work, &["push", "--force", &dan, "main"]).await.refused("only moves forward");
    git(&work, &["push", "--force", "-o", "force", &dan, "main"])
        .await
        .refused("only moves forward");
    assert_eq!(world.refs("web"), refs);
    git(&work, &["push", "--force", &dan, "main:topic"]).await.fine();
    git(&work, &["push", "--force", "-o", "force", &ada, "main"]).await.fine();
    git(&work, &["push", &dan, "main:refs/notes/x"]).await.refused("only branches and tags");
    let korean =
        client(&work).args(["push", &dan, ":main"]).env("LANGUAGE", "ko").output().await.unwrap();
    let korean = String::from_utf8_lossy(&korean.stderr).into_owned();
    assert!(korean.contains("refs/heads/main은(는) 기본 브랜치입니다"), "{korean}");
    assert_eq!(world.pushed().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_is_too_large_or_damaged_moves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let small = Limits { pack: 3 << 20, ..limits() };
    let world = World::open(dir.path(), small).await;
    let url = world.url("dan", "shop/web.git").await;
    let work = dir.path().join("work");
    working_copy(&work, &[("a", "a")]).await;
    git(&work, &["push", &url, "main"]).await.fine();
    let refs = world.refs("web");

    // 4 MiB are taken off by git itself, 12 before it is even started. Both arrive in chunks.
    for megabytes in [4, 12] {
        std::fs::write(work.join("big"), noise(megabytes << 20)).unwrap();
        commit(&work, &[], "big").await;
        let said = git(&work, &["push", &url, "main"]).await;
        assert!(!said.ok && said.err.contains("remote:"), "{}", said.err);
        assert!(said.err.contains("[remote rejected]"), "{}", said.err);
        git(&work, &["reset", "-q", "--hard", "HEAD~1"]).await.fine();
    }

    let next = commit(&work, &[("a", "b")], "next").await;
    let token = world.token("dan").await;
    let old = git(&work, &["rev-parse", "HEAD~1"]).await.out.trim().to_owned();
    let line = format!("{old} {next} refs/heads/main\0report-status side-band-64k agent=test");
    let body = format!("{}0000PACK\0\0\0\u{2}\0\0\0\u{1}damaged beyond repair", pkt(&line));
    let answer = world.push_by_hand(&token, "shop/web.git", body.as_bytes()).await;
    assert!(answer.contains("200 OK") && answer.contains("unpack "), "{answer}");
    assert!(
        answer.contains("ng refs/heads/main") && answer.contains("nothing was changed"),
        "{answer}"
    );
    assert_eq!(world.refs("web"), refs);
    assert_eq!(world.pushed().await.len(), 1);
    git(&work, &["push", &url, "main"]).await.fine();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), Limits { pack: 4 << 20, ..limits() }).await;
    let token = world.token("dan").await;
    let (zero, id) = ("0".repeat(40), "1".repeat(40));
    let list = |names: &[&str]| -> String {
        let line = |(i, n): (usize, &&str)| {
            let caps = if i == 0 { "\0report-status side-band-64k" } else { "" };
            pkt(&format!("{zero} {id} {n}{caps}"))
        };
        names.iter().enumerate().map(line).collect::<String>() + "0000"
    };
    let push =
        async |body: String| world.push_by_hand(&token, "shop/web.git", body.as_bytes()).await;
    for (bad, why) in [
        ("refs/heads/a\x07b", "control character"),
        ("refs/heads/a\u{9b}2Jb", "control character"),
        ("refs/heads/../../../x", "not one that git allows"),
        ("refs/heads/a.lock", "not one that git allows"),
        ("HEAD", "not one that git allows"),
        ("refs/naru/x", "only branches and tags"),
    ] {
        let answer = push(list(&["refs/heads/fine", bad])).await;
        assert!(answer.contains("200 OK") && answer.contains("unpack ok"), "{bad:?}: {answer}");
        assert!(answer.contains(why) && answer.contains("ng refs/heads/fine"), "{bad:?}: {answer}");
        let people = answer.split("ng refs").next().unwrap().split("\r\n\r\n").nth(1).unwrap();
        assert!(!people.contains(['\x07', '\u{9b}']), "{people:?}");
    }
    let many: Vec<String> = (0..3000).map(|i| format!("refs/heads/b{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let answer = push(list(&many)).await;
    assert!(answer.contains("400") && answer.contains("1000 refs at most"), "{answer}");
    for bad in ["zzzz", "0003", "0009PACK0", "", "00"] {
        let answer = push(bad.to_owned()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{bad}: {answer}");
    }
    // How a client asks whether its token is good before it sends a large pack.
    assert!(push("0000".into()).await.starts_with("HTTP/1.1 200"));

    // A bomb: 64 MiB of zeros in 64 KiB.
    let bomb = gzip(&[list(&["refs/heads/a"]).as_bytes(), &vec![b'0'; 64 << 20]].concat());
    let head = |length: usize, service: &str| {
        format!(
            "POST /shop/web.git/git-{service} HTTP/1.1\r\nAuthorization: Bearer {token}\r\nContent-Encoding: gzip\r\n\
             Content-Type: application/x-git-{service}-request\r\nContent-Length: {length}"
        )
    };
    let answer = world.raw(&head(bomb.len(), "receive-pack"), &bomb).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let answer = world.raw(&head(7, "receive-pack"), b"no gzip").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");

    for path in [
        "shop/..%2f..%2fetc.git",
        "shop/%00.git",
        "shop/.git",
        "shop/a%0ab.git",
        "..%2fshop/web.git",
    ] {
        let head = format!(
            "GET /{path}/info/refs?service=git-receive-pack HTTP/1.1\r\nAuthorization: Bearer {token}"
        );
        let answer = world.raw(&head, b"").await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
    }
    let dumb = format!("GET /shop/web.git/info/refs HTTP/1.1\r\nAuthorization: Bearer {token}");
    assert!(world.raw(&dumb, b"").await.starts_with("HTTP/1.1 403"));
    assert!(world.pushed().await.is_empty());
    assert!(!dir.path().join("git/shop").exists());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_push_to_one_repository_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), limits()).await;
    let url = world.url("dan", "shop/web.git").await;
    let work = dir.path().join("work");
    working_copy(&work, &[("a", "a")]).await;
    let main = git(&work, &["rev-parse", "HEAD"]).await.out.trim().to_owned();
    let pushes = (0..6).map(|i| {
        let (work, url) = (work.clone(), url.clone());
        tokio::spawn(async move { git(&work, &["push", &url, &format!("main:b{i}")]).await })
    });
    for push in pushes.collect::<Vec<_>>() {
        push.await.unwrap().fine();
    }
    let refs: String = (0..6).map(|i| format!("refs/heads/b{i} {main}\n")).collect();
    assert_eq!(world.refs("web"), refs);
    let events = world.pushed().await;
    assert_eq!(events.len(), 6);
    // The commit was new to one of them only.
    assert_eq!(events.iter().filter(|(_, p)| p.commits.len() == 1).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follow_tells_the_whole_way_to_its_last_line() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), limits()).await;
    let url = world.url("dan", "shop/web.git").await;
    let work = dir.path().join("work");
    working_copy(&work, &[("a", "a")]).await;
    let store = world.store.clone();
    // The parts further down the way.
    let rest = tokio::spawn(async move {
        let mut feed = store.follow(0);
        loop {
            let event = feed.next().await.unwrap();
            if event.fact.kind != "git.pushed" {
                continue;
            }
            let change = event.fact.change.clone();
            let part = Principal::part("test");
            let say = |kind: &str, words: &str| {
                let other = journey::change_name(&name("web"), &"9".repeat(40));
                let mine = if words.contains("another") { other } else { change.clone() };
                NewEvent::new(kind, part.clone(), Text::plain(words))
                    .project(&name("shop"))
                    .change(mine)
            };
            let finished = ChangeFinished {
                repository: name("web"),
                commit: "1".repeat(40),
                outcome: Outcome::Live,
                reason: None,
                took_ms: 1,
                url: None,
            };
            let last = finished.event(part.clone(), Text::plain("live after 1 ms")).unwrap();
            let events = vec![
                say("pipeline.created", "pipeline with 2 jobs"),
                say("resource.updated", "noise"),
                say("run.step.started", "a job\x1b[2J of another change"),
                say("run.step.started", "build\x1b[2J"),
                last.project(&name("shop")).change(change.clone()),
                say("run.step.started", "after the end"),
            ];
            store
                .write(|tx| events.into_iter().try_for_each(|e| tx.append(e).map(drop)))
                .await
                .unwrap();
            return;
        }
    });
    let said = git(&work, &["push", "-o", "follow", &url, "main"]).await.fine();
    rest.await.unwrap();
    let lines: Vec<_> =
        said.err.lines().filter_map(|l| l.strip_prefix("remote: ")).map(str::trim).collect();
    assert!(lines[0].starts_with("change web-"), "{lines:?}");
    assert_eq!(lines[1..], ["pipeline with 2 jobs", "build\\u{1b}[2J", "live after 1 ms"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_says_why_its_pipeline_cannot_be_read_and_a_client_that_leaves_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let patient = Limits { answer: Duration::from_secs(20), ..limits() };
    let world = World::open(dir.path(), patient).await;
    let url = world.url("dan", "shop/web.git").await;
    let work = dir.path().join("work");
    working_copy(&work, &[("a", "a")]).await;
    let store = world.store.clone();
    let pipeline = tokio::spawn(async move {
        let mut feed = store.follow(0);
        while let Ok(event) = feed.next().await {
            if event.fact.kind != "git.pushed" {
                continue;
            }
            let finished = PipelineFinished {
                repository: name("web"),
                commit: "1".repeat(40),
                branch: None,
                default_branch: true,
                run: None,
                verdict: Verdict::Failed,
                reason: Some(Text::plain(".gitlab-ci.yml:3:1: no such keyword")),
                layers: Vec::new(),
                deploys: true,
                by: None,
            };
            let fact = finished
                .event(Principal::part("test"), Text::plain("the pipeline failed"))
                .unwrap();
            let fact = fact.project(&name("shop")).change(event.fact.change.clone());
            store.write(move |tx| tx.append(fact)).await.unwrap();
        }
    });
    let said = git(&work, &["push", &url, "main"]).await.fine();
    assert!(said.err.contains("remote: the pipeline failed"), "{}", said.err);
    assert!(said.err.contains("remote: .gitlab-ci.yml:3:1: no such keyword"), "{}", said.err);
    pipeline.abort();

    // Ctrl-C after the first line.
    commit(&work, &[("a", "b")], "second").await;
    let mut push = client(&work);
    push.args(["push", "--progress", "-o", "follow", &url, "main"])
        .stderr(std::process::Stdio::piped());
    let mut push = push.spawn().unwrap();
    let mut err = push.stderr.take().unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("remote: change web-") {
        assert_ne!(err.read_buf(&mut seen).await.unwrap(), 0, "{}", String::from_utf8_lossy(&seen));
    }
    push.kill().await.unwrap();
    assert_eq!(world.pushed().await.len(), 2);
    git(&work, &["push", "-o", "ci.skip", &url, "main:other"]).await.fine();
}
