//! The steady state: what crashes comes back, what is told to go goes, and a restart of naru is not
//! noticed.

use super::node::{Node, app, manifest, name};
use crate::kind::{Condition, InstanceState, Service};
use futures_util::StreamExt;
use kernel::journey::{RolloutStarted, Verdict};
use kernel::{Kind, Principal};

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_dies_comes_back_elsewhere() {
    let node = Node::new().await;
    node.live("a1", &manifest("  replicas: 2\n"), &app("200 OK", "one"), "web-1").await;
    node.host.find("shop.web.1.0.1").unwrap().kill().await;
    let back = node
        .edge
        .until("web", |u| u.len() == 2 && u.iter().all(|u| u.instance != "shop.web.1.0.1"))
        .await;
    assert!(back.iter().any(|u| u.instance == "shop.web.1.0.2"), "{back:?}");
    let view = node.view().await;
    let again = view.instances.iter().find(|i| i.id == "shop.web.1.0.2").unwrap();
    assert_eq!(again.restarts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_loses_its_health_is_replaced() {
    let node = Node::new().await;
    // Answers well until a file appears in its own layer.
    let sick = app("200 OK", "one").replace(
        "    c.recv(4096)\n",
        "    c.recv(4096)\n    n = globals().get('n', 0) + 1\n    if n > 4 and os.environ['NARU_INSTANCE'].endswith('.1'):\n        c.close()\n        continue\n",
    );
    node.live("a1", &manifest(""), &sick, "web-1").await;
    node.edge.until("web", |u| u.iter().any(|u| u.instance == "shop.web.1.0.2")).await;
    let ended = node.events(0).await;
    assert!(
        !ended
            .iter()
            .any(|e| e.fact.kind == "rollout.finished" && e.fact.data["verdict"] != "passed")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_naru_is_not_noticed_by_instances() {
    let node = Node::new().await;
    node.live("a1", &manifest("  replicas: 2\n"), &app("200 OK", "one"), "web-1").await;
    let started = |node: &Node| {
        let all = node.host.all().into_iter();
        let mut all: Vec<_> = all.map(|w| (w.id().to_owned(), w.started(), w.exit())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    let before = started(&node);
    let node = node.restart().await;
    assert_eq!(node.edge.upstreams("web").len(), 2, "routes are there at once");
    assert_eq!(node.edge.get("web").await.unwrap(), "one");
    assert_eq!(started(&node), before);
    // And it is looked after again.
    node.host.find("shop.web.1.1.1").unwrap().kill().await;
    node.edge.until("web", |u| u.iter().any(|u| u.instance == "shop.web.1.1.2")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_goes_on_after_a_restart() {
    let node = Node::new().await;
    node.live("a1", &manifest(""), &app("200 OK", "one"), "web-1").await;
    // Ready only once a file is there, so that the restart falls into the middle.
    let slow = app("200 OK", "two").replace(
        "s = socket",
        "import time\nwhile not os.path.exists('/tmp/go'):\n    time.sleep(0.01)\ns = socket",
    );
    let seq = node.deliver("b2", &manifest(""), &slow).await;
    node.until::<RolloutStarted>(seq, |s| s.release.as_str() == "web-2").await;
    let tmp = tmp_of_instance(&node, "shop.web.2.0.1").await;
    let node = node.restart().await;
    assert_eq!(node.edge.get("web").await.unwrap(), "one");
    std::fs::write(tmp.join("go"), "").unwrap();
    assert_eq!(node.rolled_out(seq, "web-2").await.verdict, Verdict::Passed);
    assert_eq!(node.edge.get("web").await.unwrap(), "two");
    assert!(node.running().contains(&"shop.web.2.0.1".to_owned()), "it was not started twice");
}

/// The instance's `/tmp`, once it runs.
async fn tmp_of_instance(node: &Node, id: &str) -> std::path::PathBuf {
    let crew = node.services.yard.crew(&node.key());
    assert!(crew.wait_for(std::time::Duration::from_secs(10), |c| c.member(id).is_some()).await);
    node.services.yard.files().scratch(id).join("tmp")
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_all_instances_are_followed() {
    let node = Node::new().await;
    node.live("a1", &manifest("  replicas: 2\n"), &app("200 OK", "one"), "web-1").await;
    let key = node.key();
    let mut lines = Box::pin(node.services.log_follow(&key, None, 100).await.unwrap());
    let mut next = async || lines.next().await.unwrap().unwrap();
    let first = [next().await, next().await];
    assert!(first.iter().all(|l| l.line.text == "serving one as web-1"), "{first:?}");
    assert_ne!(first[0].instance, first[1].instance);
    // One that starts later is followed, too.
    node.services.scale(&key, 3, Principal::User(name("kim"))).await.unwrap();
    let third = next().await;
    assert_eq!(
        (third.instance.as_str(), third.line.text.as_str()),
        ("shop.web.1.2.1", "serving one as web-1")
    );
    let other = node.services.log_tail(&key, Some("../../etc/passwd"), 10).await;
    assert_eq!(other.unwrap_err().code(), "instance.unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_may_talk_for_ever_and_is_followed_through_it() {
    let node = Node::new().await;
    // Each answer comes with 200 lines; some 33 KB of log is half of what is kept.
    let talks = app("200 OK", "one").replace(
        "    c.recv(4096)\n",
        "    if b'/healthz' not in c.recv(4096):\n        n = globals().get('n', 0) + 1\n        for i in range(200): print(n, i)\n        sys.stdout.flush()\n",
    );
    node.live("a1", &manifest(""), &talks, "web-1").await;
    let mut lines = Box::pin(node.services.log_follow(&node.key(), None, 1).await.unwrap());
    let mut next = async || lines.next().await.unwrap().unwrap().line.text;
    assert_eq!(next().await, "serving one as web-1");
    for n in 1..=50 {
        node.edge.get("web").await.unwrap();
        for i in 0..200 {
            assert_eq!(next().await, format!("{n} {i}"));
        }
    }
    let log = node.services.yard.files().log("shop.web.1.0.1");
    let older = host::Keep::older(&log);
    let size = |path: &std::path::Path| std::fs::metadata(path).unwrap().len();
    assert!(size(&log) + size(&older) <= 64 << 10);
    // The last lines are found on both sides of where the file began again.
    let kept = node.services.log_tail(&node.key(), None, 10_000).await.unwrap();
    assert!(kept.len() > 1200, "{}", kept.len());
    let want: Vec<String> = (0..10_000).map(|k| format!("{} {}", k / 200 + 1, k % 200)).collect();
    let kept: Vec<String> = kept.into_iter().map(|l| l.line.text).collect();
    assert_eq!(kept, want[want.len() - kept.len()..]);
    // A sweep knows the older half for what it is.
    assert!(crate::sweep::sweep(&node.services.yard).await.unwrap());
    assert!(older.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_service_goes_away_whole() {
    let node = Node::new().await;
    node.live("a1", &manifest(""), &app("200 OK", "one"), "web-1").await;
    let workload = node.host.find("shop.web.1.0.1").unwrap();
    let (key, who) = (node.key().resource(), Principal::User(name("kim")));
    let seq = node.store.head();
    node.store.write(move |tx| tx.delete(&key, None, who)).await.unwrap();
    assert_eq!(workload.wait().await.reason, host::Reason::Stopped);
    // The release is the last thing to go.
    let mut feed = node.store.follow(seq);
    loop {
        let event = feed.next().await.unwrap();
        let gone = event.fact.subject.as_ref().is_some_and(|s| s.kind == "Release");
        if gone && event.fact.kind == "resource.deleted" {
            break;
        }
    }
    assert!(node.services.list(&name("shop")).await.unwrap().is_empty());
    assert!(node.edge.get("web").await.is_err());
    // It may come again, and gets a number of its own.
    node.live("b2", &manifest(""), &app("200 OK", "two"), "web-2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scaled_to_zero_and_back() {
    let node = Node::new().await;
    node.live("a1", &manifest(""), &app("200 OK", "one"), "web-1").await;
    let who = Principal::User(name("kim"));
    node.services.scale(&node.key(), 0, who.clone()).await.unwrap();
    node.edge.until("web", |u| u.is_empty()).await;
    assert_eq!(node.view().await.status.condition, Condition::Idle);
    node.services.scale(&node.key(), 1, who.clone()).await.unwrap();
    node.edge.until("web", |u| u.len() == 1).await;
    assert!(node.view().await.instances.iter().any(|i| i.state == InstanceState::Ready));
    let many = node.services.scale(&node.key(), 101, who).await;
    assert_eq!(many.unwrap_err().code(), "service.spec");
    assert!(Service::new("x").check().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_in_the_steady_state_is_slowed_down_and_told() {
    let node = Node::new().await;
    let once = app("200 OK", "one").replace(
        "s = socket",
        "if not os.environ['NARU_INSTANCE'].endswith('.1'):\n    sys.exit('no more')\ns = socket",
    );
    node.live("a1", &manifest(""), &once, "web-1").await;
    node.host.find("shop.web.1.0.1").unwrap().kill().await;
    let crew = node.services.yard.crew(&node.key());
    let fourth = |c: &crate::crew::Crew| {
        let ended = |p| matches!(p, crate::crew::Phase::Ended(_));
        c.member("shop.web.1.0.4").is_some_and(|m| ended(m.phase()))
    };
    assert!(crew.wait_for(std::time::Duration::from_secs(20), fourth).await);
    // 20 ms, 40 ms, 80 ms, and now 160 ms.
    assert_eq!(crew.trouble_of(1, 0).fails, 4);
    let view = node.view().await;
    assert_eq!(view.status.condition, Condition::Down);
    let crashed = view.instances.iter().find(|i| i.state == InstanceState::Crashed).unwrap();
    assert!(crashed.reason.as_ref().unwrap().en.contains("exited with code 1"));
    let words = node.services.log_tail(&node.key(), Some(&crashed.id), 10).await.unwrap();
    assert!(words.iter().any(|l| l.line.text == "no more"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_leaks_is_killed_alone_and_the_reason_is_told() {
    let node = Node::new().await;
    let leaks = "import time\nheap = []\nwhile True:\n    heap.append(bytearray(b'x' * (8 << 20)))\n    time.sleep(0.001)\n";
    let limited = manifest("  resources: {memory: 64Mi}\n  ready_within: 5s\n");
    if !node.host.abilities().memory {
        // The machine cannot stop it; then its log has to say so.
        let calm = app("200 OK", "one");
        node.live("a1", &limited, &calm, "web-1").await;
        let log = node.services.log_tail(&node.key(), None, 100).await.unwrap();
        assert!(log.iter().any(|l| l.line.stream == kernel::log::Stream::Note), "{log:?}");
        return;
    }
    let seq = node.deliver("a1", &limited, leaks).await;
    let done = node.rolled_out(seq, "web-1").await;
    assert_eq!(done.verdict, Verdict::Failed);
    let reason = done.reason.unwrap();
    assert!(reason.en.contains("used more than its memory limit"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_takes_its_services_with_it() {
    let node = Node::new().await;
    node.live("a1", &manifest(""), &app("200 OK", "one"), "web-1").await;
    let workload = node.host.find("shop.web.1.0.1").unwrap();
    let key = kernel::Key::global::<policy::Project>(&name("shop"));
    let who = Principal::User(name("kim"));
    node.store.write(move |tx| tx.delete(&key, None, who)).await.unwrap();
    assert_eq!(workload.wait().await.reason, host::Reason::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_instances_is_still_known_to_the_edge() {
    let node = Node::new().await;
    let spec = serde_json::to_value(Service::new("x")).unwrap();
    let seq = node.store.head();
    node.put(node.key().resource(), spec).await;
    let mut feed = node.store.follow(seq);
    while feed.next().await.unwrap().fact.kind != "resource.status" {}
    let node = node.restart().await;
    let published = |t: &super::fakes::Told| matches!(t, super::fakes::Told::Publish { service, .. } if service == "web");
    assert!(node.edge.told().iter().any(published), "the edge answers 503, not 404");
    assert_eq!(node.view().await.status.condition, Condition::Empty);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_takes_only_what_nobody_needs() {
    let node = Node::new().await;
    node.live("a1", &manifest(""), &app("200 OK", "one"), "web-1").await;
    let yard = &node.services.yard;
    let member = yard.crew(&node.key()).member("shop.web.1.0.1").unwrap();
    let old = yard.files().release("0".repeat(64).as_str());
    let (gone, log) = (yard.files().scratch("shop.web.9.0.1"), yard.files().log("shop.web.9.0.1"));
    std::fs::create_dir_all(old.join("lib")).unwrap();
    std::fs::create_dir_all(gone.join("tmp")).unwrap();
    std::fs::write(&log, "").unwrap();
    let busy = yard.files().in_use().await;
    assert!(!crate::sweep::sweep(yard).await.unwrap(), "not while files are put in place");
    drop(busy);
    assert!(crate::sweep::sweep(yard).await.unwrap());
    for path in [old, gone, log] {
        assert!(!path.exists(), "{} is still there", path.display());
    }
    assert!(yard.files().release(&member.tree).join("app.py").exists());
    assert!(yard.files().scratch(member.id()).exists());
    assert!(yard.files().log(member.id()).exists());
    assert_eq!(node.edge.get("web").await.unwrap(), "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passed_while_naru_was_down_is_released_in_order() {
    let node = Node::new().await;
    let (first, second) = (super::node::commit("a1"), super::node::commit("b2"));
    for (id, body) in [(&first, "one"), (&second, "two")] {
        node.commits.add(id, &[("naru.yaml", &manifest("")), ("app.py", &app("200 OK", body))]);
        node.push(id).await;
    }
    let passed = |id: &String| super::node::event(&super::node::passed(id), id);
    let node = node.restart_after([passed(&first), passed(&second)]).await;
    assert_eq!(node.rolled_out(0, "web-2").await.verdict, Verdict::Passed);
    assert_eq!(node.edge.get("web").await.unwrap(), "two");
    let (_, made) = node.until::<kernel::journey::ReleaseMade>(0, |_| true).await;
    assert_eq!((made.release.as_str(), made.commit), ("web-1", first));
    node.rolled_out(0, "web-1").await;
}
