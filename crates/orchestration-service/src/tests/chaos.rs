//! The server dies at every commit of a delivery, before and after it; the next one ends in the same
//! state.

use super::fakes::{Balancer, Commits};
use super::node::{Node, app, commit, event, manifest, passed};
use kernel::Event;
use kernel::journey::{Fact, ReleaseMade, RolloutFinished, RolloutStarted, Verdict};
use std::sync::Arc;
use std::time::Duration;
use store::{Chaos, Moment};

/// What is delivered while the server dies: the first release of a service, or the one after it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Which {
    First,
    Second,
}

/// One delivery with a crash at a commit; whether it came to the crash.
async fn deliver(which: Which, at: u64, moment: Moment) -> bool {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let (edge, commits) = (Balancer::new(), Commits::default());
    let node = Node::open(dir.clone(), edge.clone(), commits.clone(), None).await.unwrap();
    node.prepare().await;
    if which == Which::Second {
        node.live("b2", &manifest(""), &app("200 OK", "before"), "web-1").await;
    }
    let id = commit("a1");
    let files = [("naru.yaml", &*manifest("")), ("app.py", &*app("200 OK", "after"))];
    commits.add(&id, &files);
    let since = node.halt_after(event(&passed(&id), &id)).await;

    let chaos = Arc::new(Chaos::new(at, moment));
    let opened = Node::open(dir.clone(), edge.clone(), commits.clone(), Some(chaos.clone())).await;
    match opened {
        Ok(node) => {
            until_over(&node, since, &chaos).await;
            node.halt().await;
        }
        Err(error) => assert_eq!(error.code(), "store.closed"),
    }
    let node = Node::open(dir, edge, commits, None).await.unwrap();
    check(&node, which, since).await;
    chaos.crashed()
}

/// Until the store has died or the rollout is over.
async fn until_over(node: &Node, since: u64, chaos: &Chaos) {
    let mut feed = node.store.follow(since);
    let over = async {
        // An error means that the store is gone.
        while let Ok(event) = feed.next().await {
            if RolloutFinished::of(&event).is_some() {
                return;
            }
        }
    };
    let died = async {
        while !chaos.crashed() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let ended = async {
        tokio::select! { () = over => {} () = died => {} }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
    assert!(ended.is_ok(), "neither crashed nor finished");
}

async fn check(node: &Node, which: Which, since: u64) {
    let (release, instance) = match which {
        Which::First => ("web-1", "shop.web.1.0.1"),
        Which::Second => ("web-2", "shop.web.2.0.1"),
    };
    let done = node.rolled_out(since, release).await;
    assert_eq!(done.verdict, Verdict::Passed, "{:?}", done.reason);
    let only = |u: &[kernel::port::Upstream]| u.len() == 1 && u[0].instance == instance;
    node.edge.until("web", only).await;
    assert_eq!(node.edge.get("web").await.unwrap(), "after");
    let events = node.events(since).await;
    let count = |kind: &str| events.iter().filter(|e: &&Event| e.fact.kind == kind).count();
    for kind in [ReleaseMade::KIND, RolloutStarted::KIND, RolloutFinished::KIND] {
        assert_eq!(count(kind), 1, "{kind}");
    }
    // Started once, and nothing else goes on running.
    for other in node.host.all().into_iter().filter(|w| w.id() != instance) {
        let ended = tokio::time::timeout(Duration::from_secs(20), other.wait()).await;
        assert!(ended.is_ok(), "{} still runs", other.id());
    }
    assert_eq!(node.running(), [instance]);
    node.store.verify().await.unwrap();
}

async fn every_commit(which: Which, moment: Moment) {
    for at in 1.. {
        if !deliver(which, at, moment).await {
            assert!(at > 5, "a delivery takes more commits than {at}");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_any_commit_of_a_first_release_changes_nothing() {
    every_commit(Which::First, Moment::Before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_any_commit_of_a_first_release_changes_nothing() {
    every_commit(Which::First, Moment::After).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_any_commit_of_the_next_release_changes_nothing() {
    every_commit(Which::Second, Moment::Before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_any_commit_of_the_next_release_changes_nothing() {
    every_commit(Which::Second, Moment::After).await;
}
