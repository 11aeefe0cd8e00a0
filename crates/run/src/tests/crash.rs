//! A crash at every commit: the run ends as it would have, and what it did to the world is bounded.

use super::interpreter::plan_of;
use super::*;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use store::Moment;

/// Plans of one seed; a failure prints the seed.
fn plan(seed: u8) -> Vec<Step> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (steps, fails) = plan_of(6).new_tree(&mut runner).unwrap().current();
    let script = |(i, (step, fails)): (usize, (Step, u32))| {
        let infra = u8::from(i % 3 == 1);
        let group = step.group.as_ref().map(|g| g.key.clone());
        with(step, json!({ "fails": fails, "infra": infra, "group": group }))
    };
    steps.into_iter().zip(fails).enumerate().map(script).collect()
}

/// Opens, creates the run if there is none yet, and follows it until it is finished or the store dies.
/// Whoever is asked for a go gives it.
async fn live(dir: &Path, world: &World, steps: &[Step], chaos: Option<Arc<Chaos>>) -> Option<Run> {
    let house = house_with(dir, world, 2, Arc::new(Warp::default()), chaos).await;
    house.engine.start();
    let runs = house.engine.list(None, None, None, 1).await.unwrap();
    let id = match runs.into_iter().next() {
        Some(run) => run.id,
        None => house.engine.create(new_run("shop", steps.to_vec())).await.ok()?,
    };
    let follow = async {
        let mut feed = house.store.follow(0);
        loop {
            let run = house.engine.show(&id).await.unwrap();
            for step in &run.steps {
                if step.state == StepState::Waiting(Wait::Manual) && !step.allow_failure {
                    // Fails only when the store is gone.
                    let _ = house.engine.play(&id, &step.name, person()).await;
                }
            }
            if run.state.is_finished() {
                return Some(run);
            }
            feed.next().await.unwrap();
        }
    };
    let run = soon(async {
        tokio::select! { run = follow => run, () = house.engine.stopped() => None }
    })
    .await;
    house.engine.drain().await;
    run
}

fn ending(run: &Run) -> Vec<(String, StepState, u32, Value)> {
    run.steps.iter().map(|s| (s.name.clone(), s.state, s.attempt, s.output.clone())).collect()
}

/// How often each step's end was told.
async fn told(store: &Store) -> BTreeMap<String, usize> {
    let filter = store::Filter { kind: Some("run.step.finished".into()), ..Default::default() };
    let events = store.read(move |v| v.events(0, 10_000, &filter)).await.unwrap();
    let mut told = BTreeMap::new();
    for event in events {
        *told.entry(event.fact.data["step"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    told
}

async fn check(seed: u8, moment: Moment) {
    let steps = plan(seed);
    let calm = tempfile::tempdir().unwrap();
    let want = live(calm.path(), &World::default(), &steps, None).await.unwrap();
    for k in 1.. {
        let context = format!("seed {seed}, crash {moment:?} commit {k}");
        let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
        let chaos = Arc::new(Chaos::new(k, moment));
        live(dir.path(), &world, &steps, Some(chaos.clone())).await;
        if !chaos.crashed() {
            return;
        }
        let run = live(dir.path(), &world, &steps, None).await.expect("nothing crashes now");
        assert_eq!(ending(&run), ending(&want), "{context}");
        assert_eq!(run.state, want.state, "{context}");
        let house = house(dir.path(), &world, 2).await;
        for (name, times) in told(&house.store).await {
            assert_eq!(times, 1, "{context}: the end of {name} is told once");
        }
        for (i, (step, plan)) in run.steps.iter().zip(&steps).enumerate() {
            let key = format!("{}-{i}", run.id);
            let calls = world.calls().iter().filter(|c| c.0 == key).count();
            let infra = plan.action.with["infra"].as_u64().unwrap() as usize;
            let most = step.attempt as usize * (1 + infra) + 1;
            assert!(calls <= most, "{context}: {} was performed {calls} times", step.name);
        }
        for group in ["x", "y"] {
            assert!(world.peak(group) <= 1, "{context}: group {group}");
        }
        let open = house.store.read(|v| v.rows::<()>("run.open", "", None, 9)).await.unwrap();
        assert_eq!(open, [], "{context}: a finished run is not resumed");
        slots_are_free(&house, &context).await;
        house.store.verify().await.unwrap();
    }
}

/// A run that needs every slot of every group gets them.
async fn slots_are_free(house: &House, context: &str) {
    let group =
        |key: &str| Some(Group { key: key.into(), slots: 1, order: crate::Order::Unordered });
    let plan = vec![
        Step { group: group("x"), ..step("x", &[]) },
        Step { group: group("y"), ..step("y", &[]) },
    ];
    assert_eq!(house.run(plan).await.state, RunState::Passed, "{context}: a slot leaked");
    house.engine.drain().await;
}

#[tokio::test]
async fn a_crash_before_any_commit_changes_nothing_in_the_end() {
    for seed in 1..=5 {
        check(seed, Moment::Before).await;
    }
}

#[tokio::test]
async fn a_crash_after_any_commit_changes_nothing_in_the_end() {
    for seed in 6..=10 {
        check(seed, Moment::After).await;
    }
}

/// Crashes again and again: each life gets only a few commits further.
#[tokio::test]
async fn a_run_ends_however_often_it_crashes() {
    for seed in 11..=13 {
        let steps = plan(seed);
        let want = live(tempfile::tempdir().unwrap().path(), &World::default(), &steps, None).await;
        let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
        let mut lives = 0;
        let run = loop {
            lives += 1;
            let moment = if lives % 2 == 0 { Moment::Before } else { Moment::After };
            // Two commits to take over and to resume; one or two more to get on.
            let chaos = Arc::new(Chaos::new(3 + lives % 2, moment));
            if let Some(run) = live(dir.path(), &world, &steps, Some(chaos)).await {
                break run;
            }
            assert!(lives < 200, "seed {seed}: the run gets nowhere");
        };
        assert_eq!(ending(&run), ending(&want.unwrap()), "seed {seed}");
        let house = house(dir.path(), &world, 2).await;
        assert!(told(&house.store).await.values().all(|n| *n == 1), "seed {seed}");
        slots_are_free(&house, "after many crashes").await;
    }
}

#[tokio::test]
async fn a_cancel_that_was_committed_survives_the_crash() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    // Commits: taking over, the run, its start, the cancel.
    let chaos = Some(Arc::new(Chaos::new(4, Moment::After)));
    let first = house_with(dir.path(), &world, 2, Arc::new(store::clock::System), chaos).await;
    first.engine.start();
    let id =
        first.create(vec![with(step("a", &[]), json!({ "hold": true })), step("b", &["a"])]).await;
    world.called("a", 1).await;
    let unheard = first.engine.cancel(&id, person(), Text::plain("no")).await.unwrap_err();
    assert_eq!(unheard.code(), "store.closed");
    drop(first);
    let second = house(dir.path(), &world, 2).await;
    second.engine.start();
    let run = second.finished(&id).await;
    assert_eq!((run.state, states(&run).as_str()), (RunState::Canceled, "a:canceled b:canceled"));
    assert_eq!(world.calls().len(), 2, "its actor was asked again, to end it");
}

#[tokio::test]
async fn a_time_limit_goes_on_through_a_restart() {
    let (dir, world, clock) =
        (tempfile::tempdir().unwrap(), World::default(), store::clock::Manual::default());
    let first = house_with(dir.path(), &world, 2, Arc::new(clock.clone()), None).await;
    first.engine.start();
    let slow = Step { timeout_ms: Some(60_000), ..with(step("a", &[]), json!({ "hold": true })) };
    let id = first.create(vec![slow]).await;
    world.called("a", 1).await;
    first.engine.drain().await;
    drop(first);
    clock.advance(Duration::from_secs(61));
    let second = house_with(dir.path(), &world, 2, Arc::new(clock.clone()), None).await;
    second.engine.start();
    let run = second.finished(&id).await;
    assert_eq!(run.steps[0].attempts[0].class.as_deref(), Some("timeout"));
}
