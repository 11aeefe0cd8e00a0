//! The engine as its users meet it.

use super::*;
use crate::scheduler::{Fact, Message};
use kernel::journey::Verdict;
use store::clock::Manual;

fn hold(name: &str, needs: &[&str]) -> Step {
    with(step(name, needs), json!({ "hold": true }))
}

fn manual(name: &str, needs: &[&str]) -> Step {
    Step { when: When::Manual, ..step(name, needs) }
}

#[tokio::test]
async fn a_run_passes_hands_outputs_on_and_says_so() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    let plan = vec![
        with(step("build", &[]), json!({ "output": { "image": "sha256:1" } })),
        Step { stage: "test".into(), ..step("test", &["build"]) },
    ];
    let run = house.run(plan).await;
    assert_eq!((run.state, states(&run).as_str()), (RunState::Passed, "build:passed test:passed"));
    let saw = json!({ "saw": { "build": { "image": "sha256:1" } } });
    assert_eq!(run.step("test").unwrap().output, saw);
    assert_eq!(world.calls()[1], (format!("{}-1", run.id), "test".to_owned(), 1));

    let finished = house.event(0, "run.finished", &run.id).await;
    assert_eq!(finished.fact.data["verdict"], json!(Verdict::Passed));
    assert_eq!(finished.fact.data["kind"], json!("pipeline"));
    let subject = finished.fact.subject.as_ref().unwrap();
    assert_eq!((subject.kind.as_str(), subject.name.as_str()), ("Run", run.id.as_str()));
    let mut feed = house.store.follow(0);
    let mut kinds = Vec::new();
    while feed.place() < house.store.head() {
        let event = feed.next().await.unwrap();
        kinds.push(event.fact.kind.clone());
        if event.fact.data["step"] == json!("test") && event.fact.data["verdict"] == json!("passed")
        {
            assert!(event.fact.say.en.starts_with("test passed in "), "{}", event.fact.say.en);
            assert!(event.fact.say.ko.starts_with("test 통과 ("), "{}", event.fact.say.ko);
            assert_eq!(event.fact.data["stage"], json!("test"));
        }
    }
    let step = ["run.step.started", "run.step.finished"];
    assert_eq!(kinds.first().unwrap(), "run.created");
    assert_eq!(kinds.last().unwrap(), "run.finished");
    assert_eq!(kinds.iter().filter(|k| step.contains(&k.as_str())).count(), 4);
}

#[tokio::test]
async fn a_failure_names_its_step_and_its_reason() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    let plan =
        vec![with(step("test", &[]), json!({ "fails": 9, "exit": 3 })), step("ship", &["test"])];
    let run = house.run(plan).await;
    assert_eq!((run.state, states(&run).as_str()), (RunState::Failed, "test:failed ship:skipped"));
    assert_eq!(run.reason.unwrap().en, "test failed: exit code 1");
    assert_eq!(run.steps[0].exit_code, Some(3));
}

#[tokio::test]
async fn what_actors_get_wrong_is_a_failure_of_the_step_alone() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    let mut nobody = step("nobody", &[]);
    nobody.action.uses = "teleport".into();
    let plan = vec![
        with(step("panics", &[]), json!({ "panic": true })),
        with(step("large", &[]), json!({ "output": "x".repeat(65_537) })),
        nobody,
        step("fine", &[]),
    ];
    let run = house.run(plan).await;
    assert_eq!(states(&run), "panics:failed large:failed nobody:failed fine:passed");
    let class = |i: usize| run.steps[i].attempts[0].class.clone().unwrap();
    assert_eq!([class(0), class(1), class(2)], ["internal", "output", "internal"]);
    assert!(run.steps[1].reason.as_ref().unwrap().en.contains("65539 bytes, the limit is 65536"));
    assert_eq!(run.steps[1].output, Value::Null);
}

#[tokio::test]
async fn time_is_over_when_the_clock_says_so() {
    let (dir, world, clock) = (tempfile::tempdir().unwrap(), World::default(), Manual::default());
    let house = house_with(dir.path(), &world, 4, Arc::new(clock.clone()), None).await;
    house.engine.start();
    let slow = Step { timeout_ms: Some(60_000), ..hold("slow", &[]) };
    let id = house.create(vec![slow]).await;
    world.called("slow", 1).await;
    clock.advance(Duration::from_secs(60));
    let run = house.finished(&id).await;
    assert_eq!(run.steps[0].attempts[0].class.as_deref(), Some("timeout"));
    let reason = run.steps[0].reason.as_ref().unwrap();
    assert_eq!(reason.en, "it ran longer than 1 m 00 s");
    let log = std::fs::read_to_string(dir.path().join(format!("logs/{id}/0.1.log"))).unwrap();
    assert!(
        log.contains("it ran longer than 1 m 00 s · 제한 시간(1분 00초)을 넘겼습니다"),
        "{log}"
    );
    assert_eq!(reason.ko, "제한 시간(1분 00초)을 넘겼습니다");
}

#[tokio::test]
async fn delays_and_backoff_wait_for_the_clock() {
    let (dir, world, clock) = (tempfile::tempdir().unwrap(), World::default(), Manual::default());
    let house = house_with(dir.path(), &world, 4, Arc::new(clock.clone()), None).await;
    house.engine.start();
    let flaky = Step {
        retry: Retry { max: 1, backoff_ms: 5_000, only: vec!["script".into()], ..Retry::default() },
        ..with(step("flaky", &[]), json!({ "fails": 1, "infra": 1 }))
    };
    let later = Step { when: When::Delayed(60_000), ..step("later", &["flaky"]) };
    let id = house.create(vec![flaky, later]).await;
    // Infrastructure, then the step's own failure, then both again for the second attempt, then the delay.
    for wait in [1_000, 5_000, 1_000, 60_000] {
        soon(async {
            while house.engine.show(&id).await.unwrap().steps.iter().all(|s| s.due.is_none()) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let run = house.engine.show(&id).await.unwrap();
        let due = run.steps.iter().find_map(|s| s.due).unwrap();
        assert_eq!(due.since(clock.now()), Duration::from_millis(wait));
        clock.advance(Duration::from_millis(wait));
        let calls = world.calls().len();
        world_moved(&world, calls).await;
    }
    let run = house.finished(&id).await;
    assert_eq!(run.state, RunState::Passed);
    assert_eq!((run.steps[0].attempt, run.steps[0].attempts.len()), (2, 2));
    assert_eq!(world.calls().iter().map(|c| c.2).collect::<Vec<_>>(), [1, 1, 2, 2, 1]);
    assert_eq!(house.count("run.step.retried").await, 1);
}

async fn world_moved(world: &World, calls: usize) {
    let mut seen = world.0.calls.subscribe();
    soon(seen.wait_for(|all| all.len() > calls)).await.unwrap();
}

#[tokio::test]
async fn cancel_stops_what_runs_and_starts_nothing_more() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    house.engine.start();
    let always = Step { when: When::Always, ..step("always", &["a"]) };
    let id = house.create(vec![hold("a", &[]), step("b", &["a"]), always]).await;
    world.called("a", 1).await;
    let why = || Text::plain("not today");
    house.engine.cancel(&id, person(), why()).await.unwrap();
    let run = house.finished(&id).await;
    assert_eq!(states(&run), "a:canceled b:canceled always:canceled");
    assert_eq!(
        (run.state, run.reason, run.canceled_by),
        (RunState::Canceled, Some(why()), Some(person()))
    );
    house.engine.cancel(&id, person(), why()).await.unwrap();
    assert_eq!(house.count("run.cancel.requested").await, 1);

    let passed = house.run(vec![step("a", &[])]).await;
    let error = house.engine.cancel(&passed.id, person(), why()).await.unwrap_err();
    assert_eq!(error.code(), "run.finished");
    let nobody = Id::new(0, 0);
    let error = house.engine.cancel(&nobody, person(), why()).await.unwrap_err();
    assert_eq!(error.code(), "run.unknown");
}

#[tokio::test]
async fn a_manual_step_waits_for_its_go() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    house.engine.start();
    let id = house.create(vec![step("test", &[]), manual("deploy", &["test"])]).await;
    house.event(0, "run.waiting", &id).await;
    assert_eq!(house.engine.show(&id).await.unwrap().state, RunState::Waiting);
    let play = |step: &'static str| house.engine.play(&id, step, person());
    assert_eq!(play("test").await.unwrap_err().code(), "step.not_waiting");
    assert_eq!(play("nothing").await.unwrap_err().code(), "step.unknown");
    play("deploy").await.unwrap();
    play("deploy").await.unwrap();
    let run = house.finished(&id).await;
    assert_eq!(states(&run), "test:passed deploy:passed");
    assert_eq!(run.steps[1].played_by, Some(person()));
    assert_eq!(house.count("run.step.played").await, 1);
}

#[tokio::test]
async fn a_delayed_step_may_be_started_before_its_time() {
    let (dir, world, clock) = (tempfile::tempdir().unwrap(), World::default(), Manual::default());
    let house = house_with(dir.path(), &world, 4, Arc::new(clock), None).await;
    house.engine.start();
    let later = Step { when: When::Delayed(60_000), ..step("later", &["hold"]) };
    let id = house.create(vec![hold("hold", &[]), later]).await;
    world.called("hold", 1).await;
    world.release("hold");
    house.event(0, "run.step.finished", &id).await;
    house.engine.play(&id, "later", person()).await.unwrap();
    assert_eq!(states(&house.finished(&id).await), "hold:passed later:passed");
}

#[tokio::test]
async fn an_optional_manual_step_opens_a_finished_run_again() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    let optional = Step { allow_failure: true, ..manual("deploy", &["test"]) };
    let run = house.run(vec![step("test", &[]), optional]).await;
    assert_eq!(
        (run.state, states(&run).as_str()),
        (RunState::Passed, "test:passed deploy:waiting_manual")
    );
    assert_eq!(
        house.engine.retry(&run.id, None, person()).await.unwrap_err().code(),
        "run.nothing_to_retry"
    );
    let before = house.store.head();
    house.engine.play(&run.id, "deploy", person()).await.unwrap();
    house.event(before, "run.finished", &run.id).await;
    let run = house.engine.show(&run.id).await.unwrap();
    assert_eq!((run.state, states(&run).as_str()), (RunState::Passed, "test:passed deploy:passed"));
    assert_eq!(world.calls().len(), 2, "test did not run again");
}

#[tokio::test]
async fn a_retry_keeps_what_passed_and_what_does_not_depend_on_the_rest() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    let plan = vec![
        with(step("build", &[]), json!({ "output": 1, "note": "built" })),
        with(step("flaky", &["build"]), json!({ "fails": 9 })),
        Step { when: When::Always, ..step("report", &["flaky"]) },
        Step { when: When::OnFailure, ..step("rescue", &["build"]) },
    ];
    let run = house.run(plan).await;
    assert_eq!(states(&run), "build:passed flaky:failed report:passed rescue:skipped");
    let calls = world.calls().len();
    let again = house.engine.retry(&run.id, None, person()).await.unwrap();
    let again = house.finished(&again).await;
    assert_eq!(again.retry_of, Some(run.id.clone()));
    assert_eq!(states(&again), states(&run));
    let names: Vec<String> = world.calls().drain(calls..).map(|c| c.1).collect();
    assert_eq!(names, ["flaky", "report"]);
    assert!(again.steps[0].copied && again.steps[0].output == json!(1));

    let all = house.engine.retry(&again.id, Some("build"), person()).await.unwrap();
    let all = house.finished(&all).await;
    assert!(all.steps.iter().all(|s| !s.copied));
    let error = house.engine.retry(&again.id, Some("nothing"), person()).await.unwrap_err();
    assert_eq!(error.code(), "step.unknown");
}

#[tokio::test]
async fn groups_never_exceed_their_slots_across_runs() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 8).await;
    house.engine.start();
    let grouped = |i: usize| Step {
        group: Some(Group { key: "db".into(), slots: 2, order: crate::Order::Unordered }),
        ..with(step(&format!("s{i}"), &[]), json!({ "group": "db" }))
    };
    let mut ids = Vec::new();
    for project in ["shop", "blog", "wiki"] {
        let new = new_run(project, (0..6).map(grouped).collect());
        ids.push(house.engine.create(new).await.unwrap());
    }
    for id in &ids {
        assert_eq!(house.finished(id).await.state, RunState::Passed);
    }
    assert!((1..=2).contains(&world.peak("db")), "{}", world.peak("db"));
}

#[tokio::test]
async fn after_a_restart_a_step_goes_on_as_the_same_attempt() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let first = house(dir.path(), &world, 4).await;
    first.engine.start();
    let id = first.create(vec![hold("a", &[]), step("b", &["a"])]).await;
    world.called("a", 1).await;
    first.engine.drain().await;
    assert_eq!(first.engine.show(&id).await.unwrap().steps[0].state, StepState::Running);
    let gone = first.engine.cancel(&id, person(), Text::plain("no")).await.unwrap_err();
    assert_eq!(gone.code(), "run.stopped");
    drop(first);

    let second = house(dir.path(), &world, 4).await;
    second.engine.start();
    world.called("a", 2).await;
    world.release("a");
    let run = second.finished(&id).await;
    assert_eq!(states(&run), "a:passed b:passed");
    let calls = world.calls();
    assert_eq!(calls[0], calls[1], "the same key and the same attempt");
    assert_eq!(second.count("run.step.started").await, 2);
    assert_eq!(second.count("run.step.finished").await, 2);
}

#[tokio::test]
async fn an_engine_that_was_taken_over_records_nothing_more() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let old = house(dir.path(), &world, 4).await;
    old.engine.start();
    let id = old.create(vec![hold("a", &[])]).await;
    world.called("a", 1).await;
    let new = Engine::open(Options {
        store: old.store.clone(),
        dir: dir.path().join("logs"),
        slots: 4,
        actors: vec![Arc::new(world.clone())],
    });
    new.await.unwrap().start();
    world.called("a", 2).await;
    world.release("a");
    world.release("a");
    soon(old.engine.stopped()).await;
    old.finished(&id).await;
    assert_eq!(old.count("run.step.finished").await, 1);
    assert_eq!(old.count("run.finished").await, 1);
}

/// An actor's part may have a handle on the engine: neither may keep the other, and the store, for ever.
#[tokio::test]
async fn an_engine_that_was_drained_has_let_go_of_its_actors() {
    struct Circle(std::sync::OnceLock<Engine>);
    impl Actor for Circle {
        fn uses(&self) -> &'static str {
            "circle"
        }
        fn act(&self, _: Task) -> kernel::BoxFuture<'static, Outcome> {
            Box::pin(async { Outcome::Done(Value::Null) })
        }
    }
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let store = house(dir.path(), &world, 1).await.store;
    let actor = Arc::new(Circle(std::sync::OnceLock::new()));
    let (dir, actors) = (dir.path().join("circle"), vec![actor.clone() as Arc<dyn Actor>]);
    let engine = Engine::open(Options { store, dir, slots: 1, actors }).await.unwrap();
    assert!(actor.0.set(engine.clone()).is_ok());
    engine.start();
    soon(engine.drain()).await;
    assert_eq!(Arc::strong_count(&actor), 1);
}

#[tokio::test]
async fn a_stale_outcome_is_refused() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    house.engine.start();
    let id = house.create(vec![hold("a", &[])]).await;
    world.called("a", 1).await;
    let late = Outcome::failed("script", Text::plain("from an earlier life"));
    let late = Fact::Ended { run: id.clone(), step: 0, epoch: 7, outcome: late };
    house.engine.shared.messages.send(Message::Happened(late)).await.unwrap();
    world.release("a");
    assert_eq!(states(&house.finished(&id).await), "a:passed");
}

#[tokio::test]
async fn a_store_that_refuses_writes_holds_runs_up_and_loses_nothing() {
    let (dir, world, clock) = (tempfile::tempdir().unwrap(), World::default(), Manual::default());
    let house = house_with(dir.path(), &world, 4, Arc::new(clock.clone()), None).await;
    house.engine.start();
    let id = house.create(vec![hold("a", &[]), step("b", &["a"])]).await;
    world.called("a", 1).await;
    let disk = rusqlite::Connection::open(dir.path().join("naru.db")).unwrap();
    disk.execute_batch(
        "CREATE TRIGGER full BEFORE INSERT ON row WHEN NEW.space = 'run.step'
         BEGIN SELECT RAISE(ABORT, 'full'); END;",
    )
    .unwrap();
    world.release("a");
    soon(async {
        while !clock.skip() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(house.engine.show(&id).await.unwrap().steps[0].state, StepState::Running);
    disk.execute_batch("DROP TRIGGER full").unwrap();
    soon(async {
        while house.engine.show(&id).await.unwrap().finished.is_none() {
            clock.skip();
        }
    })
    .await;
    let run = house.finished(&id).await;
    assert_eq!(states(&run), "a:passed b:passed");
    assert_eq!(world.calls().len(), 2, "neither ran twice");
    assert_eq!(house.count("run.step.finished").await, 2);
}

#[tokio::test]
async fn an_engine_whose_store_refuses_writes_still_stops() {
    let (dir, world, clock) = (tempfile::tempdir().unwrap(), World::default(), Manual::default());
    let house = house_with(dir.path(), &world, 4, Arc::new(clock), None).await;
    let disk = rusqlite::Connection::open(dir.path().join("naru.db")).unwrap();
    disk.execute_batch(
        "CREATE TRIGGER full BEFORE INSERT ON row WHEN NEW.space LIKE 'run.%'
         BEGIN SELECT RAISE(ABORT, 'full'); END;",
    )
    .unwrap();
    house.engine.start();
    soon(house.engine.drain()).await;
    soon(house.engine.stopped()).await;
}

#[tokio::test]
async fn who_retries_a_manual_step_has_said_go() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    house.engine.start();
    let optional = Step { allow_failure: true, ..manual("deploy", &["test"]) };
    let run = house.run(vec![step("test", &[]), optional]).await;
    let again = house.engine.retry(&run.id, Some("deploy"), person()).await.unwrap();
    let again = house.finished(&again).await;
    assert_eq!(states(&again), "test:passed deploy:passed");
    assert_eq!(world.calls().len(), 2);
}

#[tokio::test]
async fn lists_are_newest_first_by_project_and_kind() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let clock = Manual::default();
    let house = house_with(dir.path(), &world, 4, Arc::new(clock.clone()), None).await;
    let mut ids = Vec::new();
    for (project, kind) in
        [("shop", "pipeline"), ("shop", "rollout"), ("blog", "pipeline"), ("shop", "pipeline")]
    {
        let new = NewRun { kind: kind.into(), ..new_run(project, vec![step("a", &[])]) };
        ids.push(house.engine.create(new).await.unwrap());
        clock.advance(Duration::from_millis(1));
    }
    let shop = Name::parse("shop").unwrap();
    for (project, kind, before, want) in [
        (None, None, None, vec![3, 2, 1, 0]),
        (Some(&shop), None, None, vec![3, 1, 0]),
        (None, Some("pipeline"), None, vec![3, 2, 0]),
        (Some(&shop), Some("pipeline"), None, vec![3, 0]),
        (Some(&shop), None, Some(&ids[3]), vec![1, 0]),
        (Some(&shop), Some("dance"), None, vec![]),
    ] {
        let found = house.engine.list(project, kind, before, 10).await.unwrap();
        let found: Vec<usize> =
            found.iter().map(|r| ids.iter().position(|id| *id == r.id).unwrap()).collect();
        assert_eq!(found, want);
    }
    assert_eq!(house.engine.list(None, None, None, 2).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_bad_plan_leaves_nothing() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    let bad = new_run("shop", vec![step("a", &["b"]), step("b", &["a"])]);
    assert_eq!(house.engine.create(bad).await.unwrap_err().code(), "plan.cycle");
    let kind = NewRun { kind: "a/b".into(), ..new_run("shop", Vec::new()) };
    assert_eq!(house.engine.create(kind).await.unwrap_err().code(), "name.invalid");
    assert_eq!(
        (house.store.head(), house.engine.list(None, None, None, 9).await.unwrap().len()),
        (0, 0)
    );
}

#[tokio::test]
async fn a_run_that_is_forgotten_leaves_neither_rows_nor_logs() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    house.engine.start();
    let id = house.create(vec![with(hold("a", &[]), json!({ "hold": true, "note": "hi" }))]).await;
    world.called("a", 1).await;
    assert_eq!(house.engine.forget(&id).await.unwrap_err().code(), "run.unfinished");
    world.release("a");
    house.finished(&id).await;
    let logs = dir.path().join("logs").join(id.as_str());
    assert!(logs.join("0.1.log").exists());
    house.engine.forget(&id).await.unwrap();
    assert!(!logs.exists());
    assert_eq!(house.engine.show(&id).await.unwrap_err().code(), "run.unknown");
    for space in ["run.head", "run.plan", "run.step", "run.open", "run.by-project", "run.by-kind"] {
        let rows = house.store.read(move |v| v.rows::<Value>(space, "", None, 9)).await.unwrap();
        assert_eq!(rows, [], "{space}");
    }
}

/// Prints; a number with a target belongs into a benchmark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_steps_share_commits() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let store = Store::open(&dir.path().join("naru.db"), store::Options::default()).unwrap();
    let engine = Engine::open(Options {
        store: store.clone(),
        dir: dir.path().join("logs"),
        slots: 16,
        actors: vec![Arc::new(world.clone())],
    });
    let house = House { store, engine: engine.await.unwrap() };
    house.engine.start();
    for (what, chained) in [("independent", false), ("in a chain", true)] {
        let n = if chained { 40 } else { 256 };
        let plan = (0..n).map(|i| {
            let before = format!("s{}", i as i64 - 1);
            if chained && i > 0 {
                step(&format!("s{i}"), &[before.as_str()])
            } else {
                step(&format!("s{i}"), &[])
            }
        });
        let plan = plan.map(|s| with(s, json!({ "output": 1 }))).collect();
        let began = std::time::Instant::now();
        let id = house.create(plan).await;
        let run = house.finished(&id).await;
        println!("{n} steps {what}, durable: {:?}", began.elapsed());
        assert!(run.steps.iter().all(|s| s.state == StepState::Passed));
    }
}
