//! Tags that pipelines ask for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::*;
use kernel::journey::{Fact, TagAsked};
use kernel::{Event, Id, Text};
use std::time::Duration;

impl World {
    async fn ask(&self, who: &str, tag: &str, commit: &str) -> u64 {
        let asked = TagAsked {
            repository: name("web"),
            commit: commit.to_owned(),
            run: Id::new(1, 1),
            tag: tag.to_owned(),
            message: Some(format!("Release {tag}\n\nwith words")),
            name: format!("The {tag}"),
            description: "It is faster".into(),
            links: vec![("notes".into(), "https://example.com/notes".into())],
        };
        let event = asked.event(user(who), Text::plain("asked")).unwrap();
        let event = event.project(&name("shop"));
        self.store.write(move |tx| tx.append(event)).await.unwrap()
    }

    async fn next(&self, after: u64, kind: &str) -> Event {
        let mut feed = self.store.follow(after);
        let found = async {
            loop {
                let event = feed.next().await.unwrap();
                if event.fact.kind == kind {
                    return (*event).clone();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), found).await.expect("it comes in time")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_makes_an_annotated_tag_once_and_never_moves_one() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), limits()).await;
    let stop = tokio_util::sync::CancellationToken::new();
    world.git.start(stop.clone());
    let url = world.url("dan", "shop/web.git").await;
    let work = dir.path().join("work");
    working_copy(&work, &[("a", "a")]).await;
    git(&work, &["push", &url, "main"]).await.fine();
    let first = git(&work, &["rev-parse", "HEAD"]).await.fine().out.trim().to_owned();

    let seq = world.ask("dan", "v1.0", &first).await;
    world.next(seq, "git.pushed").await;
    let (event, pushed) = world.pushed().await.pop().unwrap();
    assert_eq!((pushed.refname.as_str(), event.fact.actor), ("refs/tags/v1.0", user("dan")));
    git(&work, &["fetch", &url, "tag", "v1.0"]).await.fine();
    let shown = git(&work, &["cat-file", "-p", "v1.0"]).await.fine().out;
    assert!(
        shown.contains(&format!("object {first}\ntype commit\ntag v1.0\ntagger dan ")),
        "{shown}"
    );
    assert!(shown.ends_with("Release v1.0\n\nwith words\n"), "{shown}");

    // Again at the same commit is fine; at another one it is told.
    commit(&work, &[("a", "b")], "second").await;
    git(&work, &["push", &url, "main"]).await.fine();
    world.ask("dan", "v1.0", &first).await;
    for (who, tag, target, want) in [
        ("dan", "v1.0", "main", "at another commit"),
        ("dan", "v1..0", "main", "cannot be the name of a ref"),
        ("dan", "v2", "--all", "no commit"),
        ("dan", "v2", "nothing", "no commit"),
        ("vic", "v2", "main", "may not push"),
    ] {
        let seq = world.ask(who, tag, target).await;
        let refused = world.next(seq, "tag.refused").await;
        assert!(refused.fact.say.en.contains(want), "{tag} {target}: {}", refused.fact.say.en);
    }
    let tags = |w: &[(Event, kernel::journey::Pushed)]| {
        w.iter().filter(|(_, p)| p.refname.starts_with("refs/tags/")).count()
    };
    assert_eq!(tags(&world.pushed().await), 1);
    let rows = world.store.read(|v| v.rows::<serde_json::Value>("delivery-git.words", "", None, 9));
    let rows = rows.await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].0.as_str(), &rows[0].1["commit"]), ("shop/web/v1.0", &first.into()));
    stop.cancel();
}
