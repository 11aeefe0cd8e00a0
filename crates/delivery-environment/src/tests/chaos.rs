//! The server dies at every commit of an opening and of an end, before and after it; the next one ends in the
//! same state.

use super::world::{World, name, say};
use crate::kind::EnvironmentState;
use kernel::journey::{EnvironmentClosed, EnvironmentOpened, Fact, Pushed};
use std::sync::Arc;
use std::time::Duration;
use store::{Chaos, Moment};

/// An environment with a stop job whose branch is deleted, with a crash at a commit; whether it came to it.
async fn crashed(at: u64, moment: Moment) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let run = world.run().await;
    world.halt().await;
    let chaos = Arc::new(Chaos::new(at, moment));
    if let Ok(world) = World::open(dir.path(), Some(chaos.clone())).await {
        let journey = async {
            let deployed = world.store.write(deployed(&run)).await;
            let Ok(()) = deployed else { return };
            reach(&world, EnvironmentState::Available).await;
            let _ = world.store.write(deleted).await;
            reach(&world, EnvironmentState::Stopped).await;
        };
        let over = async {
            tokio::select! { () = journey => {} () = chaos.died() => {} }
        };
        tokio::time::timeout(Duration::from_secs(20), over).await.expect("an end, or a crash");
        world.halt().await;
    }
    let world = World::open(dir.path(), None).await.unwrap();
    // Whoever was not told of success asks again.
    if world.count("environment.deployed").await == 0 {
        world.store.write(deployed(&run)).await.unwrap();
    }
    world.event(0, EnvironmentOpened::KIND).await;
    if world.count(Pushed::KIND).await == 0 {
        world.store.write(deleted).await.unwrap();
    }
    reach(&world, EnvironmentState::Stopped).await;
    assert_eq!(world.count(EnvironmentOpened::KIND).await, 1);
    assert_eq!(world.count(EnvironmentClosed::KIND).await, 1);
    assert_eq!(world.count("environment.stop.failed").await, 0);
    world.store.verify().await.unwrap();
    world.halt().await;
    chaos.crashed()
}

/// Waits for the state, or for the store's end.
async fn reach(world: &World, state: EnvironmentState) {
    let mut feed = world.store.follow(world.store.head());
    let (project, environment) = (name("shop"), name("review-fix"));
    let wait = async {
        loop {
            let (p, e) = (project.clone(), environment.clone());
            let place = world.store.read(move |v| crate::place::Place::load(v, &p, &e)).await;
            match place {
                Ok(Some(place)) if place.status.state == state => return,
                Ok(_) => {}
                Err(_) => return,
            }
            tokio::select! {
                next = feed.next() => if next.is_err() { return },
                // Nothing happens: whoever waits for a time, such as after a try that failed, gets it.
                () = tokio::time::sleep(Duration::from_millis(100)) => drop(world.clock.skip()),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the state");
}

fn deployed(run: &kernel::Id) -> impl FnOnce(&mut store::Tx<'_>) -> kernel::Result<()> + use<> {
    let fact = kernel::journey::EnvironmentDeployed {
        repository: name("web"),
        commit: super::world::COMMIT.into(),
        refname: "refs/heads/fix".into(),
        run: run.clone(),
        step: "review".into(),
        name: "review/fix".into(),
        url: None,
        tier: None,
        action: Default::default(),
        on_stop: Some("stop it".into()),
        auto_stop_ms: None,
        layers: Vec::new(),
    };
    move |tx| tx.append(say(&fact)).map(drop)
}

fn deleted(tx: &mut store::Tx<'_>) -> kernel::Result<()> {
    let fact = Pushed {
        repository: name("web"),
        refname: "refs/heads/fix".into(),
        branch: Some("fix".into()),
        default_branch: false,
        before: None,
        after: None,
        received: tx.now(),
        head: None,
        commits: Vec::new(),
        options: Vec::new(),
    };
    tx.append(say(&fact)).map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_opens_and_closes_once_whatever_crashes() {
    for moment in [Moment::Before, Moment::After] {
        let mut at = 1;
        while crashed(at, moment).await {
            at += 1;
        }
        assert!(at > 8, "it takes more commits than {at}");
    }
}
