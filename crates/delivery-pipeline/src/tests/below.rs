//! Pipelines that pipelines start.

use super::flow::project;
use super::*;
use crate::create::{self, Asked, Beside};
use crate::gitlab::{Compiled, Origin};
use crate::prepare::Made;
use crate::tip::Tip;
use crate::trigger_plan::{FromArtifact, Mirror, Strategy, Target, Trigger};
use crate::work::Shared;
use run::{Action, Need, Plan, RunState, Step};

fn step(name: &str, uses: &str, with: &impl serde::Serialize) -> Step {
    Step {
        name: name.into(),
        stage: "test".into(),
        needs: Vec::new(),
        when: run::When::OnSuccess,
        allow_failure: false,
        allow_exit_codes: Vec::new(),
        retry: run::Retry::default(),
        timeout_ms: None,
        group: None,
        interruptible: false,
        action: Action { uses: uses.into(), with: serde_json::to_value(with).unwrap() },
    }
}

fn trigger(target: Target, strategy: Strategy) -> Trigger {
    Trigger {
        target,
        strategy,
        shared: "key".into(),
        without: Vec::new(),
        own: vec![Variable::new("WHAT", "cart")],
        hand: vec![Variable::new("SAID", "add $WHAT")],
        hand_given: true,
        inputs: BTreeMap::new(),
        environment: None,
        interruptible: false,
    }
}

fn child(file: &str, strategy: Strategy) -> Step {
    let (name, file) = ("child.yml".to_owned(), file.to_owned());
    let target = Target::Child { name, file, artifacts: Vec::new() };
    step("start", crate::trigger_plan::USES, &trigger(target, strategy))
}

fn other(path: &str, refname: Option<&str>) -> Step {
    let target = Target::Repository { path: path.into(), refname: refname.map(str::to_owned) };
    step("start", crate::trigger_plan::USES, &trigger(target, Strategy::Depend))
}

impl World {
    /// A pipeline of these steps on a new commit of `project`, started by Kim.
    async fn plan(&self, project: &str, steps: Vec<Step>) -> Id {
        let commit = self.shelf.add(Files::new());
        let tip = Tip {
            project: name(project),
            repository: name("web"),
            refname: "refs/heads/main".into(),
            branch: Some("main".into()),
            default_branch: true,
            before: None,
            change: change_name(&name("web"), &commit),
            commit: commit_of(&commit, "Add cart"),
            seq: 0,
        };
        let asked = Asked {
            tip,
            origin: Origin::Push,
            given: Vec::new(),
            actor: Principal::User(name("kim")),
            made: Made::default(),
            beside: Beside::default(),
        };
        let compiled = Compiled {
            offered: Vec::new(),
            plan: Plan { steps, ..Plan::default() },
            name: None,
            nothing: None,
            jobs: Vec::new(),
            warnings: Vec::new(),
            shared: Shared { given: vec![Variable::new("GIVEN", "by hand")], ..Shared::default() },
            shared_key: "key".into(),
            auto_cancel: crate::work::AutoCancel::default(),
            number: 77,
            project_number: 7,
        };
        let create = move |tx: &mut store::Tx<'_>| create::create_in(tx, &asked, compiled);
        self.store.write(create).await.unwrap().0
    }

    async fn ended(&self, run: &Id) -> Run {
        self.wait(0, |e| PipelineFinished::of(e).filter(|f| f.run.as_ref() == Some(run))).await;
        self.engine.show(run).await.unwrap()
    }

    async fn children(&self, run: &Id) -> Vec<crate::trigger::Child> {
        let run = run.clone();
        self.store.read(move |v| Pipelines::children(v, &run)).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_gets_what_it_is_handed_and_its_parent_waits_and_has_what_it_left() {
    let (_dir, world) = world().await;
    let file =
        "a: {script: 'echo \"$SAID, $GIVEN, $CI_PIPELINE_SOURCE\" > x', artifacts: {paths: [x]}}";
    let id = world.plan("shop", vec![child(file, Strategy::Depend)]).await;
    let run = world.ended(&id).await;
    assert_eq!(run.state, RunState::Passed, "{:?}", run.reason);
    let children = world.children(&id).await;
    let [one] = children.as_slice() else { panic!("{children:?}") };
    assert_eq!((one.step.as_str(), one.attempt, one.own), ("start", 1, true));
    let below = world.engine.show(&one.run).await.unwrap();
    assert_eq!(world.left(&below, "a", "x").await, "add cart, by hand, parent_pipeline\n");
    assert_eq!(below.labels["upstream_run"], id.as_str());
    assert_eq!(below.actor, Principal::User(name("kim")));
    let end = world.wait(0, |e| PipelineFinished::of(e).filter(|f| f.run.as_ref() == Some(&id)));
    let layers: Vec<String> = end.await.layers.into_iter().map(|l| l.job).collect();
    assert_eq!(layers, ["a"]);
    let end = PipelineFinished::of;
    let child = world.wait(0, |e| end(e).filter(|f| f.run.as_ref() == Some(&below.id))).await;
    assert!(!child.deploys);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_fails_its_parent_only_if_that_waits_for_it() {
    let (_dir, world) = world().await;
    let run = world.plan("shop", vec![child("a: {script: exit 3}", Strategy::Depend)]).await;
    let run = world.ended(&run).await;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.reason.unwrap().en.contains("a failed: exited with code 3"));
    let run = world.plan("shop", vec![child("a: {script: exit 3}", Strategy::Start)]).await;
    assert_eq!(world.ended(&run).await.state, RunState::Passed);
    let run = world.plan("shop", vec![child("a: {scirpt: exit 3}", Strategy::Start)]).await;
    let run = world.ended(&run).await;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.reason.unwrap().en.contains("child.yml:1"), "it says where");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_ends_with_its_parent() {
    let (_dir, world) = world().await;
    for strategy in [Strategy::Depend, Strategy::Start] {
        let mut steps = vec![child("a: {script: sleep 60}", strategy)];
        if strategy == Strategy::Start {
            steps.push(Step { when: run::When::Manual, ..other("nowhere", None) });
            steps[1].name = "hold".into();
        }
        let seq = world.store.head();
        let id = world.plan("shop", steps).await;
        let started = |e: &Event| {
            let data = &e.fact.data;
            (e.fact.kind == "run.step.started" && data["step"] == "a").then_some(())
        };
        world.wait(seq, started).await;
        let kim = Principal::User(name("kim"));
        world.engine.cancel(&id, kim, Text::plain("enough")).await.unwrap();
        assert_eq!(world.ended(&id).await.state, RunState::Canceled);
        let below = world.children(&id).await.remove(0).run;
        assert_eq!(world.ended(&below).await.state, RunState::Canceled, "{strategy:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_repository_is_started_by_those_who_may_and_never_in_circles() {
    let (_dir, world) = world().await;
    project(&world, "shop", &["kim"]).await;
    project(&world, "lib", &["kim"]).await;
    project(&world, "closed", &["lee"]).await;
    let ci = "a: {script: 'echo \"$CI_PIPELINE_SOURCE $SAID\" > x', artifacts: {paths: [x]}}";
    for project in ["lib", "closed"] {
        world.pipeline(project, ci).await;
    }
    let run = world.plan("shop", vec![other("lib/web", None)]).await;
    let run = world.ended(&run).await;
    assert_eq!(run.state, RunState::Passed, "{:?}", run.reason);
    let below = world.children(&run.id).await.remove(0);
    assert_eq!((below.project.as_str(), below.own), ("lib", false));
    let below = world.engine.show(&below.run).await.unwrap();
    assert_eq!(world.left(&below, "a", "x").await, "pipeline add cart\n");

    for (path, refname, want) in [
        ("closed/web", None, "no repository closed/web"),
        ("lib/nothing", None, "no branch or tag"),
        ("lib/web", Some("nothing"), "no branch or tag “nothing”"),
        ("web", Some("main"), "has no branch or tag"),
    ] {
        let run = world.plan("shop", vec![other(path, refname)]).await;
        let reason = world.ended(&run).await.reason.unwrap().en;
        assert!(reason.contains(want), "{path}: {reason}");
    }
    world.push("shop", &[("README", "x")], |_| ()).await;
    let _ = world.pipeline("lib", ci).await;
    let run = world.plan("shop", vec![other("web", Some("main"))]).await;
    let reason = world.ended(&run).await.reason.unwrap().en;
    assert!(reason.contains("for ever"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_job_made_is_a_pipeline_and_another_pipeline_can_be_waited_for() {
    let (_dir, world) = world().await;
    let (made, _) =
        world.pipeline("shop", "gen: {script: 'echo \"b: {script: echo hi}\" > gen.yml', artifacts: {paths: [gen.yml]}}").await;
    let artifact =
        FromArtifact { step: "gen".into(), path: "gen.yml".into(), name: "gen.yml".into() };
    let target = Target::Child {
        name: "start".into(),
        file: "include: {local: gen.yml}".into(),
        artifacts: vec![artifact],
    };
    let start = step("start", crate::trigger_plan::USES, &trigger(target, Strategy::Depend));
    let mirror = Mirror {
        path: "web".into(),
        shared: "key".into(),
        without: Vec::new(),
        own: Vec::new(),
        interruptible: false,
    };
    // Stands in for the job that made the file.
    let work = serde_json::json!({
        "repository": "web", "commit": made.commit, "shared": "key", "dir": "/builds/shop/web",
        "script": ["echo 'b: {script: echo hi}' > gen.yml"], "artifacts": { "paths": ["gen.yml"] },
    });
    let generate = step("gen", crate::work::USES, &work);
    let needs = vec![Need { step: "gen".into(), outputs: true }];
    let run = world.plan("shop", vec![generate, Step { needs, ..start }]).await;
    let run = world.ended(&run).await;
    assert_eq!(run.state, RunState::Passed, "{:?}", run.reason);
    let below = world.children(&run.id).await.remove(0).run;
    assert_eq!(world.engine.show(&below).await.unwrap().steps[0].name, "b");

    let same = || vec![step("same", crate::trigger_plan::MIRRORS, &mirror)];
    let run = world.plan("shop", same()).await;
    let reason = world.ended(&run).await.reason.unwrap().en;
    assert!(reason.contains("would wait for itself"), "{reason}");
    world.pipeline("shop", "a: {script: exit 4}").await;
    project(&world, "shop", &["kim"]).await;
    let elsewhere = Mirror { path: "shop/web".into(), ..mirror.clone() };
    let run = world.plan("lib", vec![step("same", crate::trigger_plan::MIRRORS, &elsewhere)]).await;
    let reason = world.ended(&run).await.reason.unwrap().en;
    assert!(reason.contains("a failed: exited with code 4"), "{reason}");
}
