//! What pipelines tell of their jobs, and leave for one another.

use super::*;
use crate::left::{self, Left};
use crate::work::Fetch;
use kernel::journey::{EnvironmentDeployed, JobReported, PipelineCreated};
use store::Filter;

/// Makes a project whose members are developers.
pub(super) async fn project(world: &World, project: &str, members: &[&str]) {
    let developer = |m: &&str| serde_json::json!({ "user": m, "role": "developer" });
    let roles: Vec<_> = members.iter().map(developer).collect();
    let put = store::Put {
        key: kernel::Key::global::<policy::Project>(&name(project)),
        labels: Default::default(),
        spec: serde_json::json!({ "members": roles }),
        expected: None,
        actor: Principal::part("test"),
    };
    let puts = people(members).into_iter().chain([put]);
    let write =
        move |tx: &mut store::Tx<'_>| puts.into_iter().try_for_each(|p| tx.put(p).map(drop));
    world.store.write(write).await.unwrap();
}

/// Accounts with nothing but their names.
pub(super) fn people(names: &[&str]) -> Vec<store::Put> {
    let put = |who: &&str| store::Put {
        key: kernel::Key::global::<account::User>(&name(who)),
        labels: Default::default(),
        spec: serde_json::json!({}),
        expected: None,
        actor: Principal::part("test"),
    };
    names.iter().map(put).collect()
}

async fn facts<F: Fact>(world: &World) -> Vec<F> {
    let filter = Filter { kind: Some(F::KIND.to_owned()), ..Filter::default() };
    let events = world.store.read(move |v| v.events(0, 1000, &filter)).await.unwrap();
    events.iter().filter_map(F::of).collect()
}

async fn newest(world: &World, project: &str, refname: &str, job: &str) -> Option<Left> {
    let (project, refname, job) = (name(project), refname.to_owned(), job.to_owned());
    let find = move |v: &store::View<'_>| left::newest(v, &project, &name("web"), &refname, &job);
    world.store.read(find).await.unwrap()
}

async fn fetch(world: &World, run: &Id, fetch: Fetch) -> Result<Left> {
    let (run, policy) = (run.clone(), world.pipelines.0.policy.clone());
    world.store.read(move |v| left::fetch(&policy, v, &run, &fetch)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_told_and_a_deployment_has_what_was_there() {
    let (_dir, world) = world().await;
    let ci = "
a: {stage: build, script: 'echo x > x', artifacts: {paths: [x]}}
b: {stage: test, script: 'test -e ~/once || { touch ~/once; exit 1; }', retry: 1}
c: {stage: test, script: 'true', environment: {name: staging, url: 'https://$CI_COMMIT_REF_SLUG.test'}}
d: {stage: deploy, script: 'echo y > y', artifacts: {paths: [y]}}
e: {stage: deploy, script: 'false', environment: lost, allow_failure: true}
";
    let (end, run) = world.pipeline("shop", ci).await;
    assert_eq!(end.verdict, Verdict::Passed, "{:?}", end.reason);
    let told = |e: &Event| JobReported::of(e).filter(|r| r.step == "e");
    world.wait(0, told).await;
    let mut reported: Vec<_> = facts::<JobReported>(&world).await;
    reported.sort_by(|a, b| (&a.step, a.attempt).cmp(&(&b.step, b.attempt)));
    let seen: Vec<_> = reported.iter().map(|r| (r.step.as_str(), r.attempt, r.passed)).collect();
    let want = [
        ("a", 1, true),
        ("b", 1, false),
        ("b", 2, true),
        ("c", 1, true),
        ("d", 1, true),
        ("e", 1, false),
    ];
    assert_eq!(seen, want);
    assert!(reported.iter().all(|r| r.run == run.id && r.commit == end.commit));
    let deployed = facts::<EnvironmentDeployed>(&world).await;
    let [one] = deployed.as_slice() else { panic!("{deployed:?}") };
    assert_eq!((one.name.as_str(), one.url.as_deref()), ("staging", Some("https://main.test")));
    let layers: Vec<&str> = one.layers.iter().map(|l| l.job.as_str()).collect();
    assert_eq!(layers, ["a"], "what comes later is not part of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_artifacts_of_a_branch_are_there_for_those_who_may_read_them() {
    let (_dir, world) = world().await;
    project(&world, "shop", &["kim"]).await;
    project(&world, "closed", &["lee"]).await;
    let ci = "a: {script: 'echo $CI_COMMIT_SHA > x', artifacts: {paths: [x]}}";
    let (_, old) = world.pipeline("shop", ci).await;
    assert_eq!(newest(&world, "shop", "main", "a").await.unwrap().run, old.id);
    let (_, new) = world.pipeline("shop", ci).await;
    let found = newest(&world, "shop", "refs/heads/main", "a").await.unwrap();
    assert_eq!(found.run, new.id);
    assert_eq!(newest(&world, "shop", "main", "b").await, None);
    assert_eq!(newest(&world, "shop", "other", "a").await, None);

    // The old one run again is not newer than the new one.
    let seq = world.store.head();
    let kim = Principal::User(name("kim"));
    let again = world.engine.retry(&old.id, Some("a"), kim).await.unwrap();
    world.wait(seq, |e| PipelineFinished::of(e).filter(|f| f.run.as_ref() == Some(&again))).await;
    assert_eq!(newest(&world, "shop", "main", "a").await.unwrap().run, new.id);

    // Its files outlive the run.
    world.pipelines.forget(&new.id).await.unwrap();
    world.pipelines.0.blobs.collect().await.unwrap();
    world.pipelines.0.blobs.hold(&found.tree).await.expect("they are held");

    let (_, secret) = world.pipeline("closed", ci).await;
    let of = |project: &str| Fetch::Newest {
        path: format!("{project}/web"),
        refname: "main".into(),
        job: "a".into(),
    };
    let by_id =
        |run: &Run| Fetch::Run { run: run.id.to_string(), job: "a".into(), optional: false };
    assert_eq!(fetch(&world, &old.id, of("shop")).await.unwrap().run, new.id);
    assert_eq!(fetch(&world, &old.id, by_id(&old)).await.unwrap().run, old.id);
    assert_eq!(fetch(&world, &secret.id, of("closed")).await.unwrap().run, secret.id);
    // Kim started it, and may not see the project of Lee.
    for denied in [of("closed"), by_id(&secret), of("nowhere")] {
        assert_eq!(fetch(&world, &old.id, denied).await.unwrap_err().code(), "artifacts.unknown");
    }

    // With the branch goes what it left.
    let gone = |p: &mut Pushed| {
        p.after = None;
        p.head = None;
    };
    world.push("shop", &[], gone).await;
    let (_, last) = world.pipeline("closed", ci).await;
    assert_eq!(last.state, run::RunState::Passed, "pushes are dealt with in order");
    assert_eq!(newest(&world, "shop", "main", "a").await, None);
    assert_eq!(newest(&world, "closed", "main", "a").await.unwrap().run, last.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_holds_up_only_the_project_that_includes_from_it() {
    // It takes connections and never answers.
    let hangs = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = hangs.local_addr().unwrap().to_string();
    let (dir, shelf) = (world_dir(), Arc::new(Shelf::default()));
    shelf.hosts.set(vec![host.clone()]).unwrap();
    let world = World::open(dir.path(), &shelf).await;
    let slow = format!("include: [{{remote: 'http://{host}/a.yml'}}]\na: {{script: 'true'}}\n");
    let quick = [(".gitlab-ci.yml", "a: {script: 'true'}")];
    let (start, first) = world.push("slow", &[(".gitlab-ci.yml", &slow)], |_| ()).await;
    world.push("slow", &quick, |_| ()).await;
    let (_, id) = world.push("shop", &quick, |_| ()).await;
    assert_eq!(world.finished(start, &id).await.verdict, Verdict::Passed);
    let word = |e: &Event| {
        let told =
            PipelineCreated::of(e).map(|_| None).or(PipelineFinished::of(e).map(|f| f.reason));
        told.filter(|_| e.fact.project == Some(name("slow")))
    };
    let said = world.store.read(move |v| v.events(0, 1000, &Filter::default())).await.unwrap();
    assert!(said.iter().all(|e| word(e).is_none()), "it still waits for its server");
    // The connection is cut: the first push fails, and only then the one behind it has its turn.
    drop(hangs);
    let reason = world.wait(start, word).await.expect("the first word is the failure's");
    assert!(reason.en.contains("does not answer"), "{reason:?}");
    let failed = world.finished(start, &first).await;
    assert_eq!((failed.verdict, failed.run), (Verdict::Failed, None));
    world
        .wait(start, |e| PipelineCreated::of(e).filter(|_| e.fact.project == Some(name("slow"))))
        .await;
    world.close().await;
}
