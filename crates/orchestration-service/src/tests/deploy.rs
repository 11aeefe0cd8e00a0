//! From a passed pipeline to production, and back.

use super::fakes::Told;
use super::node::{Node, app, commit, manifest, name, passed};
use crate::kind::{Condition, InstanceState, Service};
use kernel::Kind;
use kernel::journey::{
    Cause, Fact, PipelineFinished, ReleaseMade, ReleaseSkipped, RolloutFinished, RolloutStarted,
    Verdict,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[tokio::test(flavor = "multi_thread")]
async fn a_passed_pipeline_goes_to_production() {
    let node = Node::new().await;
    let seq = node.deliver("a1", &manifest("  replicas: 2\n"), &app("200 OK", "one")).await;
    let done = node.rolled_out(seq, "web-1").await;
    assert_eq!((done.verdict, done.cause, done.previous), (Verdict::Passed, Cause::Change, None));
    assert!(done.first_ready.is_some());
    assert_eq!(node.edge.get("web").await.unwrap(), "one");

    let events = node.events(seq).await;
    let at = |kind: &str| events.iter().position(|e| e.fact.kind == kind).unwrap();
    assert!(at(ReleaseMade::KIND) < at(RolloutStarted::KIND));
    assert!(at(RolloutStarted::KIND) < at(RolloutFinished::KIND));
    let made = ReleaseMade::of(&events[at(ReleaseMade::KIND)]).unwrap();
    assert_eq!((made.release.as_str(), made.services.len()), ("web-1", 1));
    let change = events[at(RolloutFinished::KIND)].fact.change.clone().unwrap();
    assert_eq!(change.as_str(), "web-a1a1a1a1a1a1");

    let view = node.view().await;
    assert_eq!(view.status.condition, Condition::Healthy);
    assert_eq!(view.status.instances, "2/2");
    assert_eq!(view.url.as_deref(), Some("http://web.shop.localhost:8000"));
    assert!(view.instances.iter().all(|i| i.state == InstanceState::Ready));
    assert_eq!(view.repository, Some(name("web")));
    assert!(view.releases[0].current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_ends_again_releases_only_what_is_new() {
    let node = Node::new().await;
    let one = manifest("  replicas: 1\n");
    node.live("a1", &one, &app("200 OK", "one"), "web-1").await;
    // As when an optional job is played after the end, or the pipeline is run again.
    let seq = node.pass(&commit("a1")).await;
    let (_, skipped) = node.until(seq, |_: &ReleaseSkipped| true).await;
    assert_eq!(skipped.verdict, Verdict::Passed);
    assert!(skipped.reason.en.contains("released already"), "{}", skipped.reason);
    // One that a schedule started deploys nothing, whatever it left.
    let nightly = PipelineFinished { deploys: false, ..passed(&commit("b2")) };
    node.append(&nightly, &commit("b2")).await;
    node.live("c3", &one, &app("200 OK", "three"), "web-2").await;
    let made = node.events(seq).await.iter().filter(|e| e.fact.kind == ReleaseMade::KIND).count();
    assert_eq!(made, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_release_takes_over_without_a_failed_request() {
    let node = Node::new().await;
    let two = manifest("  replicas: 2\n");
    node.live("a1", &two, &app("200 OK", "one"), "web-1").await;
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load = {
        let (edge, stop, served) = (node.edge.clone(), stop.clone(), served.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                edge.get("web").await.map_err(|e| e.to_string())?;
                served.fetch_add(1, Ordering::SeqCst);
            }
            Ok::<(), String>(())
        })
    };
    node.live("b2", &two, &app("200 OK", "two"), "web-2").await;
    let only_new = |u: &[kernel::port::Upstream]| {
        u.len() == 2 && u.iter().all(|u| u.instance.starts_with("shop.web.2."))
    };
    node.edge.until("web", only_new).await;
    stop.store(true, Ordering::SeqCst);
    assert_eq!(load.await.unwrap(), Ok(()));
    assert!(served.load(Ordering::SeqCst) > 0);
    assert_eq!(node.edge.get("web").await.unwrap(), "two");

    let told = node.edge.told();
    let first = told
        .iter()
        .position(|t| matches!(t, Told::Publish { instances, .. } if !instances.is_empty()));
    let empty = |t: &Told| matches!(t, Told::Publish { instances, .. } if instances.is_empty());
    assert!(!told[first.unwrap()..].iter().any(empty), "the served set was empty: {told:#?}");
    for instance in ["shop.web.1.0.1", "shop.web.1.1.1"] {
        let drained = told
            .iter()
            .position(|t| matches!(t, Told::Drain { instance: i, alive: true } if i == instance));
        let drained = drained.unwrap_or_else(|| panic!("{instance} was not drained alive"));
        let Told::Publish { instances, .. } =
            told[..drained].iter().rev().find(|t| matches!(t, Told::Publish { .. })).unwrap()
        else {
            unreachable!()
        };
        assert!(!instances.contains(&instance.to_owned()), "published while drained");
    }
    assert_eq!(node.view().await.status.previous, Some(name("web-1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signal_comes_after_the_drain() {
    let node = Node::new().await;
    node.live("a1", &manifest(""), &app("200 OK", "one"), "web-1").await;
    let old = node.host.find("shop.web.1.0.1").unwrap();
    node.edge.hold(true);
    node.live("b2", &manifest(""), &app("200 OK", "two"), "web-2").await;
    let said_bye = |id: String| {
        let (services, key) = (node.services.clone(), node.key());
        async move {
            let lines = services.log_tail(&key, Some(&id), 100).await.unwrap();
            lines.iter().any(|l| l.line.text == "bye")
        }
    };
    assert!(old.exit().is_none());
    assert!(!said_bye(old.id().to_owned()).await);
    node.edge.hold(false);
    assert_eq!(old.wait().await.reason, host::Reason::Stopped);
    assert!(said_bye(old.id().to_owned()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_fails_its_health_check_leaves_the_old_one_serving() {
    let node = Node::new().await;
    node.live("a1", &manifest("  replicas: 2\n"), &app("200 OK", "one"), "web-1").await;
    let before = node.running();
    let bad = manifest("  replicas: 2\n  ready_within: 400ms\n");
    let seq = node.deliver("b2", &bad, &app("500 Broken", "two")).await;
    let done = node.rolled_out(seq, "web-2").await;
    assert_eq!(done.verdict, Verdict::Failed);
    assert_eq!(done.previous, Some(name("web-1")));
    let reason = done.reason.unwrap();
    assert!(reason.en.contains("GET /healthz answered 500"), "{reason}");
    assert!(reason.en.contains("400 ms"), "{reason}");
    assert_eq!(node.edge.upstreams("web").len(), 2);
    assert_eq!(node.edge.get("web").await.unwrap(), "one");
    assert!(before.iter().all(|id| node.running().contains(id)), "old instances were touched");
    let view = node.view().await;
    assert_eq!(view.status.release, Some(name("web-1")));
    assert!(view.status.message.unwrap().en.contains("answered 500"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_says_what_the_program_said() {
    let node = Node::new().await;
    let dies = "import sys\nsys.stderr.write('KeyError: DATABASE_URL\\n')\nsys.exit(3)\n";
    let seq = node.deliver("a1", &manifest(""), dies).await;
    let done = node.rolled_out(seq, "web-1").await;
    assert_eq!(done.verdict, Verdict::Failed);
    let reason = done.reason.unwrap();
    for words in ["exited with code 3", "3 times", "KeyError: DATABASE_URL"] {
        assert!(reason.en.contains(words), "{reason}");
    }
    assert!(reason.ko.contains("종료 코드 3"), "{}", reason.ko);
    assert!(node.edge.upstreams("web").is_empty());
    assert_eq!(node.view().await.status.release, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_never_listens_is_told_so() {
    let node = Node::new().await;
    let sleeps = "import time\nprint('thinking', flush=True)\ntime.sleep(60)\n";
    let seq = node.deliver("a1", &manifest("  ready_within: 400ms\n"), sleeps).await;
    let done = node.rolled_out(seq, "web-1").await;
    let reason = done.reason.unwrap();
    assert!(reason.en.contains("nothing listens on $PORT"), "{reason}");
    assert!(reason.en.contains("thinking"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_brings_the_earlier_release() {
    let node = Node::new().await;
    node.live("a1", &manifest(""), &app("200 OK", "one"), "web-1").await;
    node.live("b2", &manifest(""), &app("200 OK", "two"), "web-2").await;
    let who = kernel::Principal::User(name("kim"));
    let seq = node.store.head();
    let begun = node.services.roll_back(&node.key(), None, who.clone()).await.unwrap();
    assert_eq!(begun.release, name("web-1"));
    let done = node.rolled_out(seq, "web-1").await;
    assert_eq!((done.verdict, done.cause), (Verdict::Passed, Cause::Rollback));
    assert_eq!(node.edge.get("web").await.unwrap(), "one");
    let again = node.services.roll_back(&node.key(), Some(name("web-1")), who.clone()).await;
    assert_eq!(again.unwrap_err().code(), "rollback.current");
    let never = node.services.roll_back(&node.key(), Some(name("web-9")), who).await;
    assert_eq!(never.unwrap_err().code(), "release.unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_release_overtakes_one_that_is_stuck() {
    let node = Node::new().await;
    let stuck = "import time\ntime.sleep(60)\n";
    let seq = node.deliver("a1", &manifest(""), stuck).await;
    node.until::<RolloutStarted>(seq, |_| true).await;
    node.live("b2", &manifest(""), &app("200 OK", "two"), "web-2").await;
    assert_eq!(node.rolled_out(seq, "web-1").await.verdict, Verdict::Canceled);
    assert_eq!(node.edge.get("web").await.unwrap(), "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_commit_does_not_overtake_a_newer_one() {
    let node = Node::new().await;
    let (old, new) = (commit("a1"), commit("b2"));
    for (id, body) in [(&old, "old"), (&new, "new")] {
        let files = [("naru.yaml", &*manifest("")), ("app.py", &*app("200 OK", body))];
        node.commits.add(id, &files);
        node.push(id).await;
    }
    let seq = node.pass(&new).await;
    node.rolled_out(seq, "web-1").await;
    let seq = node.pass(&old).await;
    let (_, skipped) = node.until::<ReleaseSkipped>(seq, |s| s.commit == old).await;
    assert_eq!(skipped.verdict, Verdict::Passed);
    assert!(skipped.reason.en.contains("web-1"), "{}", skipped.reason);
    assert_eq!(node.edge.get("web").await.unwrap(), "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leads_to_no_release_says_why() {
    let node = Node::new().await;
    let good = manifest("");
    for (word, file, text, fact, verdict, words) in [
        (
            "a1",
            "naru.yaml",
            "kind: Service\nname: web\nspec:\n  comand: x\n",
            None,
            Verdict::Failed,
            "naru.yaml:",
        ),
        ("a2", "naru.yaml", "kind: Bucket\nname: b\nspec: {}\n", None, Verdict::Failed, "Bucket"),
        ("a3", "README", "", None, Verdict::Passed, "no service"),
        ("a4", "Procfile", "web\n", None, Verdict::Failed, "Procfile:1"),
        (
            "a5",
            "naru.yaml",
            &*good,
            Some(PipelineFinished { default_branch: false, ..passed(&commit("a5")) }),
            Verdict::Passed,
            "default branch",
        ),
    ] {
        let id = commit(word);
        node.commits.add(&id, &[(file, text)]);
        let seq = node.append(&fact.unwrap_or_else(|| passed(&id)), &id).await;
        let (event, skipped) = node.until::<ReleaseSkipped>(seq, |s| s.commit == id).await;
        assert_eq!(skipped.verdict, verdict, "{}", skipped.reason);
        assert!(skipped.reason.en.contains(words), "{}", skipped.reason);
        assert!(event.fact.change.is_some());
    }
    assert!(node.running().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn editing_the_configuration_releases_the_same_files_and_scaling_does_not() {
    let node = Node::new().await;
    node.live("a1", &manifest(""), &app("200 OK", "one"), "web-1").await;
    let who = kernel::Principal::User(name("kim"));
    node.services.scale(&node.key(), 3, who.clone()).await.unwrap();
    node.edge.until("web", |u| u.len() == 3).await;
    node.services.scale(&node.key(), 1, who.clone()).await.unwrap();
    node.edge.until("web", |u| u.len() == 1).await;
    assert_eq!(node.view().await.releases.len(), 1);

    let seq = node.store.head();
    let mut spec: Service = node.view().await.spec;
    spec.env.insert("COLOUR".into(), "red".into());
    spec.check().unwrap();
    node.put(node.key().resource(), serde_json::to_value(&spec).unwrap()).await;
    let (_, started) = node.until::<RolloutStarted>(seq, |_| true).await;
    assert_eq!((started.cause, started.release.as_str()), (Cause::Config, "web-2"));
    assert_eq!(node.rolled_out(seq, "web-2").await.verdict, Verdict::Passed);
    let view = node.view().await;
    assert_eq!(view.releases[0].commit, view.releases[1].commit);
    let env = node.host.find(&view.instances[0].id).unwrap().spec().env.clone();
    assert!(env.contains(&("COLOUR".into(), "red".into())));
    assert!(!env.iter().any(|(k, _)| k == "CARGO_TARGET_DIR"), "the server's environment leaked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_procfile_makes_a_service_of_each_process() {
    let node = Node::new().await;
    let id = commit("a1");
    let procfile = "web: /usr/bin/python3 -S app.py\nworker: sleep 60\n";
    node.commits.add(&id, &[("Procfile", procfile), ("app.py", &app("200 OK", "one"))]);
    node.push(&id).await;
    let seq = node.pass(&id).await;
    assert_eq!(node.rolled_out(seq, "web-1").await.verdict, Verdict::Passed);
    assert_eq!(node.rolled_out(seq, "worker-1").await.verdict, Verdict::Passed);
    assert!(node.edge.upstreams("worker").is_empty());
    assert_eq!(node.edge.get("web").await.unwrap(), "one");
    assert_eq!(node.services.list(&name("shop")).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_of_the_pipeline_lie_over_the_commit() {
    let node = Node::new().await;
    let id = commit("a1");
    node.commits.add(&id, &[("naru.yaml", &manifest("")), ("app.py", &app("200 OK", "source"))]);
    let built = tempfile::tempdir().unwrap();
    std::fs::write(built.path().join("app.py"), app("200 OK", "built")).unwrap();
    let layer = node.blobs.put_tree(built.path(), blob::Choose::all(1 << 20, 10)).await.unwrap();
    let layers = vec![kernel::journey::Layer { job: "build".into(), tree: layer.hash.clone() }];
    let seq = node.append(&PipelineFinished { layers, ..passed(&id) }, &id).await;
    assert_eq!(node.rolled_out(seq, "web-1").await.verdict, Verdict::Passed);
    assert_eq!(node.edge.get("web").await.unwrap(), "built");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_another_repository_is_not_taken() {
    let node = Node::new().await;
    node.live("a1", &manifest(""), &app("200 OK", "one"), "web-1").await;
    let id = commit("b2");
    node.commits.add(&id, &[("naru.yaml", &manifest("")), ("app.py", &app("200 OK", "two"))]);
    let fact = PipelineFinished { repository: name("other"), ..passed(&id) };
    let seq = node.append(&fact, &id).await;
    let (_, skipped) = node.until::<ReleaseSkipped>(seq, |_| true).await;
    assert_eq!(skipped.verdict, Verdict::Failed);
    assert!(skipped.reason.en.contains("belongs to the repository web"), "{}", skipped.reason);
    assert_eq!(node.edge.get("web").await.unwrap(), "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn restarting_replaces_every_instance_and_loses_none() {
    let node = Node::new().await;
    node.live("a1", &manifest(""), &app("200 OK", "one"), "web-1").await;
    let who = kernel::Principal::User(name("kim"));
    let seq = node.store.head();
    node.services.restart(&node.key(), who).await.unwrap();
    assert_eq!(node.rolled_out(seq, "web-2").await.verdict, Verdict::Passed);
    let new = |u: &[kernel::port::Upstream]| u.len() == 1 && u[0].instance == "shop.web.2.0.1";
    node.edge.until("web", new).await;
    let empty = |t: &&Told| matches!(t, Told::Publish { instances, .. } if instances.is_empty());
    let told = node.edge.told();
    let ready = told.iter().position(|t| !empty(&t)).unwrap();
    assert_eq!(told[ready..].iter().filter(empty).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_releases_are_kept_and_what_is_in_use() {
    use crate::state::{self, State};
    let node = Node::new().await;
    node.live("a1", &manifest(""), &app("200 OK", "one"), "web-1").await;
    let key = node.key();
    let kept = node
        .store
        .write(move |tx| {
            let first = state::release(tx, &key, &name("web-1"))?.unwrap();
            for _ in 0..14 {
                let mut state = State::load(tx, &key)?;
                crate::release::put_release(tx, &key, &mut state, first.clone())?;
                state.save(tx, &key)?;
                crate::release::prune(tx, &key, &state)?;
            }
            let names = state::kept(tx, &key, 100)?.into_iter().map(|(_, n)| n.to_string());
            let gone = blob::owned(tx, "release:shop/web-2")?;
            let there = blob::owned(tx, "release:shop/web-1")?;
            Ok((names.collect::<Vec<_>>(), gone.len(), there.len()))
        })
        .await
        .unwrap();
    let wanted: Vec<String> = (6..=15).rev().chain([1]).map(|n| format!("web-{n}")).collect();
    assert_eq!(kept, (wanted, 0, 1));
}
