//! The server dies at every commit of a delivery, before and after it; the next one ends in the same
//! state.

use super::fakes::{Balancer, Commits};
use super::node::{Node, app, commit, event, manifest, passed};
use kernel::Event;
use kernel::journey::{Fact, ReleaseMade, RolloutFinished, RolloutStarted, Verdict};
use std::sync::Arc;
use std::time::Duration;
use store::{Chaos, Moment};

/// One delivery with a crash at a commit; whether it came to the crash.
async fn deliver(at: u64, moment: Moment) -> bool {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let (edge, commits) = (Balancer::new(), Commits::default());
    let id = commit("a1");
    let files = [("naru.yaml", &*manifest("")), ("app.py", &*app("200 OK", "one"))];
    commits.add(&id, &files);
    let first = Node::open(dir.clone(), edge.clone(), commits.clone(), None).await.unwrap();
    first.prepare().await;
    let push = event(&passed(&id), &id);
    first.halt_after(push).await;

    let chaos = Arc::new(Chaos::new(at, moment));
    let crashed =
        match Node::open(dir.clone(), edge.clone(), commits.clone(), Some(chaos.clone())).await {
            Ok(node) => {
                until_over(&node, &chaos).await;
                let crashed = chaos.crashed();
                node.halt().await;
                crashed
            }
            Err(error) => {
                assert_eq!(error.code(), "store.closed");
                true
            }
        };
    let node = Node::open(dir, edge, commits, None).await.unwrap();
    check(&node).await;
    crashed
}

/// Until the store has died or the rollout is over.
async fn until_over(node: &Node, chaos: &Chaos) {
    let mut feed = node.store.follow(0);
    let over = async {
        loop {
            match feed.next().await {
                Ok(event) if RolloutFinished::of(&event).is_some() => return,
                Ok(_) => {}
                Err(_) => return,
            }
        }
    };
    let died = async {
        // The writer is gone when a write is refused.
        while !chaos.crashed() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let limit = Duration::from_secs(20);
    let ended = async {
        tokio::select! { () = over => {} () = died => {} }
    };
    assert!(tokio::time::timeout(limit, ended).await.is_ok(), "neither crashed nor finished");
}

async fn check(node: &Node) {
    let done = node.rolled_out(0, "web-1").await;
    assert_eq!(done.verdict, Verdict::Passed, "{:?}", done.reason);
    node.edge.until("web", |u| u.len() == 1).await;
    assert_eq!(node.edge.get("web").await.unwrap(), "one");
    let events = node.events(0).await;
    let count = |kind: &str| events.iter().filter(|e: &&Event| e.fact.kind == kind).count();
    for kind in [ReleaseMade::KIND, RolloutStarted::KIND, RolloutFinished::KIND] {
        assert_eq!(count(kind), 1, "{kind}");
    }
    assert_eq!(node.running(), ["shop.web.1.0.1"], "started once, and nothing else runs");
    node.store.verify().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_commit_ends_in_the_same_state() {
    for moment in [Moment::Before, Moment::After] {
        for at in 1.. {
            if !deliver(at, moment).await {
                assert!(at > 4, "the delivery takes some commits");
                break;
            }
        }
    }
}
