//! Runs that end before their time: something newer came, or a step failed.

use super::*;

fn hold(name: &str, needs: &[&str]) -> Step {
    with(step(name, needs), json!({ "hold": true }))
}

fn loose(step: Step) -> Step {
    Step { interruptible: true, ..step }
}

fn why() -> Text {
    Text::plain("a newer push")
}

impl House {
    async fn supersede(&self, run: &Id, what: Superseded) {
        self.engine.supersede(run, what, person(), why()).await.unwrap();
    }
}

#[tokio::test]
async fn something_newer_ends_a_run_only_while_nothing_has_started_that_must_not_be_interrupted() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    house.engine.start();
    let plan = vec![loose(hold("build", &[])), hold("deploy", &["build"])];
    let id = house.create(plan.clone()).await;
    world.called("build", 1).await;
    house.supersede(&id, Superseded::Run).await;
    let run = house.finished(&id).await;
    assert_eq!(states(&run), "build:canceled deploy:canceled");
    assert_eq!((run.state, run.reason), (RunState::Canceled, Some(why())));

    let id = house.create(plan).await;
    world.release("build");
    world.called("deploy", 1).await;
    house.supersede(&id, Superseded::Run).await;
    world.release("deploy");
    assert_eq!(states(&house.finished(&id).await), "build:passed deploy:passed");
    house.supersede(&id, Superseded::Run).await;
}

#[tokio::test]
async fn something_newer_ends_interruptible_steps_and_the_others_go_on() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let first = house(dir.path(), &world, 4).await;
    first.engine.start();
    let plan = vec![
        loose(hold("test", &[])),
        hold("deploy", &[]),
        loose(step("report", &["test"])),
        step("after", &["test"]),
    ];
    let id = first.create(plan).await;
    world.called("test", 1).await;
    world.called("deploy", 1).await;
    first.supersede(&id, Superseded::Steps).await;
    world.release("deploy");
    let run = first.finished(&id).await;
    assert_eq!(states(&run), "test:canceled deploy:passed report:canceled after:skipped");
    assert_eq!((run.state, run.reason), (RunState::Canceled, Some(why())));
    assert_eq!(run.steps[0].reason, Some(why()));
    assert_eq!(first.count("run.cancel.requested").await, 0);
}

#[tokio::test]
async fn a_queued_run_is_superseded_before_it_takes_a_slot() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 1).await;
    house.engine.start();
    let busy = house.create(vec![hold("busy", &[])]).await;
    world.called("busy", 1).await;
    let queued = house.create(vec![loose(step("build", &[])), step("deploy", &["build"])]).await;
    house.supersede(&queued, Superseded::Run).await;
    assert_eq!(states(&house.finished(&queued).await), "build:canceled deploy:canceled");
    world.release("busy");
    house.finished(&busy).await;
    assert_eq!(world.calls().len(), 1);
}

#[tokio::test]
async fn a_plan_that_fails_fast_ends_with_its_first_failure() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    house.engine.start();
    let plan = vec![
        with(step("lint", &[]), json!({ "hold": true, "fails": 9 })),
        hold("slow", &[]),
        Step { when: When::Always, ..step("always", &["slow"]) },
        Step { allow_failure: true, ..with(step("soft", &[]), json!({ "fails": 9 })) },
    ];
    let mut new = new_run("shop", plan);
    new.plan.fail_fast = true;
    let id = house.engine.create(new).await.unwrap();
    world.called("slow", 1).await;
    world.called("soft", 1).await;
    world.called("lint", 1).await;
    world.release("lint");
    let run = house.finished(&id).await;
    assert_eq!(states(&run), "lint:failed slow:canceled always:canceled soft:allowed_failure");
    assert_eq!(run.state, RunState::Failed);
    assert_eq!(run.reason.unwrap().en, "lint failed: exit code 1");
    assert_eq!(run.steps[1].reason.as_ref().unwrap().en, "another step failed");
}

#[tokio::test]
async fn an_order_that_was_set_outlives_the_engine() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let first = house(dir.path(), &world, 4).await;
    first.engine.start();
    let grouped = |name: &str| Step {
        group: Some(Group { key: "shop/production".into(), slots: 1, order: Order::Unordered }),
        ..hold(name, &[])
    };
    let id = first.create(vec![grouped("one")]).await;
    world.called("one", 1).await;
    first.engine.set_order("shop/production", Order::NewestFirst).await.unwrap();
    first.engine.drain().await;
    drop(first);

    let second = house(dir.path(), &world, 4).await;
    second.engine.start();
    world.called("one", 2).await;
    let (a, b) = (second.create(vec![grouped("a")]).await, second.create(vec![grouped("b")]).await);
    // Runs of one millisecond stand in the order of their ids.
    let ([older, newer], ids) = if a < b { (["a", "b"], [a, b]) } else { (["b", "a"], [b, a]) };
    let groups = second.store.read(|v| Engine::groups_in(v, "shop/", 9)).await.unwrap();
    assert_eq!(groups, [("shop/production".to_owned(), Order::NewestFirst)]);
    // Both stand in line before the slot is free, or the one that came first would have it.
    for id in &ids {
        soon(async {
            while second.engine.show(id).await.unwrap().steps[0].state != StepState::Ready {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    // What the first engine has let go of may still stand at the gate and take what is meant for the second.
    world.release("one");
    for step in ["one", newer, older] {
        world.called(step, 1).await;
        world.release(step);
    }
    for id in ids.iter().chain([&id]) {
        assert_eq!(second.finished(id).await.state, RunState::Passed);
    }
    let calls = world.calls();
    let names: Vec<&str> = calls.iter().map(|c| c.1.as_str()).collect();
    assert_eq!(names, ["one", "one", newer, older]);
}
