//! What belongs to whom: host names, labels, and services that their repository gave up.

use super::node::{Node, app, commit, manifest, name, passed};
use kernel::journey::{PipelineFinished, ReleaseSkipped, Verdict};
use kernel::resource::Labels;
use kernel::{Event, Principal};
use std::time::Duration;

/// A service of that name, from a file for `web`.
fn named(name: &str, more: &str) -> String {
    manifest(more).replace("name: web", &format!("name: {name}"))
}

const WWW: &str = "  hosts: [www.example.com]\n";

impl Node {
    /// A commit of the repository `other`; the event's sequence.
    async fn deliver_other(&self, word: &str, manifest: &str) -> u64 {
        let id = commit(word);
        let app = app("200 OK", word);
        self.commits.add(&id, &[("naru.yaml", manifest), ("app.py", &app)]);
        let fact = PipelineFinished { repository: name("other"), ..passed(&id) };
        self.append(&fact, &id).await
    }

    async fn refused(&self, seq: u64) -> String {
        let (_, skipped) = self.until::<ReleaseSkipped>(seq, |_| true).await;
        assert_eq!(skipped.verdict, Verdict::Failed);
        skipped.reason.en.into_owned()
    }

    /// The first event of that kind after `seq`.
    async fn event(&self, seq: u64, kind: &str) -> Event {
        let mut feed = self.store.follow(seq);
        let wait = async {
            loop {
                let event = feed.next().await.unwrap();
                if event.fact.kind == kind {
                    return (*event).clone();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect(kind)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_has_one_owner_for_as_long_as_it_wants() {
    let node = Node::new().await;
    node.live("a1", &manifest(WWW), &app("200 OK", "one"), "web-1").await;
    let seq = node.deliver_other("c3", &named("api", WWW)).await;
    let why = node.refused(seq).await;
    assert!(why.contains("www.example.com already leads to the service shop/web"), "{why}");
    let seq = node.deliver_other("c4", &named("api", "  hosts: [web.shop.localhost]\n")).await;
    assert!(node.refused(seq).await.contains("shop/web"));
    let node = node.restart().await;
    let seq = node.deliver_other("c5", &named("api", WWW)).await;
    assert!(node.refused(seq).await.contains("shop/web"));

    // Once it is given up another may have it, and going back does not take it away again.
    node.live("b2", &manifest(""), &app("200 OK", "two"), "web-2").await;
    let seq = node.deliver_other("c6", &named("api", WWW)).await;
    assert_eq!(node.rolled_out(seq, "api-1").await.verdict, Verdict::Passed);
    let who = Principal::User(name("kim"));
    let back = node.services.roll_back(&node.key(), None, who).await.unwrap_err();
    assert_eq!(back.code(), "host.taken");
    assert_eq!(node.edge.get("web").await.unwrap(), "two");

    // A spec that is written by hand is not rolled out, and the service says why.
    let mut spec = node.view().await.spec;
    spec.hosts = vec!["www.example.com".into()];
    let seq = node.store.head();
    node.put(node.key().resource(), serde_json::to_value(&spec).unwrap()).await;
    let mut feed = node.store.follow(seq);
    let said = async {
        loop {
            let status = node.view().await.status;
            if status.message.is_some() {
                return status;
            }
            feed.next().await.unwrap();
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(20), said).await.expect("it says so");
    assert!(status.message.unwrap().en.contains("shop/api"));
    assert_eq!(status.release, Some(name("web-2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_services_of_a_file_cannot_share_a_host_name() {
    let node = Node::new().await;
    let both = format!("{}---\n{}", manifest(WWW), named("api", WWW));
    let seq = node.deliver("a1", &both, &app("200 OK", "one")).await;
    assert!(node.refused(seq).await.contains("shop/web"));
    assert!(node.services.list(&name("shop")).await.unwrap().is_empty(), "all or nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_in_the_file_any_more_runs_on_and_somebody_is_told() {
    let node = Node::new().await;
    let both = format!("{}---\n{}", manifest(""), named("worker", ""));
    node.live("a1", &both, &app("200 OK", "one"), "web-1").await;
    node.rolled_out(0, "worker-1").await;
    let seq = node.deliver("b2", &manifest(""), &app("200 OK", "two")).await;
    let said = node.event(seq, "service.left").await;
    assert_eq!(
        said.fact.say.en,
        "service worker is not in naru.yaml any more and runs on; `naru delete service worker -p shop` stops it"
    );
    assert_eq!(said.fact.change, Some(name("web-b2b2b2b2b2b2")));
    node.rolled_out(seq, "web-2").await;
    assert_eq!(node.edge.get("worker").await.unwrap(), "one");
    // A commit without any leaves both.
    let id = commit("c3");
    node.commits.add(&id, &[("README", "")]);
    node.push(&id).await;
    let seq = node.pass(&id).await;
    node.until::<ReleaseSkipped>(seq, |_| true).await;
    let events = node.events(seq).await;
    let left = events.iter().filter(|e| e.fact.kind == "service.left");
    let left: Vec<String> = left.map(|e| e.fact.data["service"].to_string()).collect();
    assert_eq!(left, ["\"web\"", "\"worker\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_of_the_file_come_and_go_with_it_and_those_of_people_stay() {
    let node = Node::new().await;
    let labeled = |labels: &str| {
        manifest("").replace("name: web\n", &format!("name: web\nlabels: {{{labels}}}\n"))
    };
    let labels = async || -> Labels {
        let key = node.key().resource();
        node.store.read(move |v| v.resource(&key)).await.unwrap().unwrap().labels
    };
    let with_own = |all: &[(&str, &str)]| -> Labels {
        let own = [("naru.dev/repository", "web")];
        own.iter().chain(all).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let first = labeled("tier: front, team: red, naru.dev/repository: mine");
    node.live("a1", &first, &app("200 OK", "one"), "web-1").await;
    assert_eq!(labels().await, with_own(&[("tier", "front"), ("team", "red")]));
    let mut given = labels().await;
    given.insert("pager".into(), "kim".into());
    let key = node.key().resource();
    let who = Principal::User(name("kim"));
    node.store
        .write(move |tx| {
            let spec = tx.resource(&key)?.unwrap().spec;
            tx.put(store::Put { key, labels: given, spec, expected: None, actor: who })
        })
        .await
        .unwrap();
    node.live("b2", &labeled("team: blue"), &app("200 OK", "two"), "web-2").await;
    assert_eq!(labels().await, with_own(&[("pager", "kim"), ("team", "blue")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_after_a_restart_is_going_back_from_what_was_started_again() {
    let node = Node::new().await;
    node.live("a1", &manifest(""), &app("200 OK", "one"), "web-1").await;
    node.live("b2", &manifest(""), &app("200 OK", "two"), "web-2").await;
    let who = Principal::User(name("kim"));
    let seq = node.store.head();
    node.services.restart(&node.key(), who.clone()).await.unwrap();
    let done = node.rolled_out(seq, "web-3").await;
    assert_eq!((done.verdict, done.cause), (Verdict::Passed, kernel::journey::Cause::Restart));
    let back = node.services.roll_back(&node.key(), None, who).await.unwrap();
    assert_eq!(back.release, name("web-1"));
}
