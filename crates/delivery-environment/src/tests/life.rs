//! From the first deployment to the end.

use super::world::{COMMIT, START, World, name};
use crate::kind::{EnvironmentState, Progress};
use crate::view::Extend;
use kernel::journey::{
    Cause, EnvironmentAction, EnvironmentClosed, EnvironmentOpened, EnvironmentReleased, Fact,
    ReleaseSkipped, RolloutFinished, ServiceCopy, Tier, Verdict,
};
use kernel::{Id, Principal, Text};
use std::time::Duration;
use tempfile::tempdir;

const HOUR: u64 = 3_600_000;

fn rolled(run: u128, environment: Option<&str>) -> RolloutFinished {
    RolloutFinished {
        service: name(if environment.is_some() { "web-qa" } else { "web" }),
        release: name("web-1"),
        run: Id::new(START.0, run),
        previous: None,
        cause: Cause::Change,
        verdict: Verdict::Passed,
        reason: None,
        first_ready: None,
        environment: environment.map(name),
    }
}

#[tokio::test]
async fn a_deployment_asks_for_services_and_is_live_when_they_are() {
    let dir = tempdir().unwrap();
    let w = World::new(dir.path()).await;
    let seq = w.deploy("qa", |_| {}).await;
    let opened = w.event(seq, EnvironmentOpened::KIND).await;
    assert_eq!(EnvironmentOpened::of(&opened).unwrap().environment, name("qa"));
    assert_eq!(
        opened.fact.actor,
        Principal::User(name("kim")),
        "in the name of who started the run"
    );
    let copy = ServiceCopy {
        name: name("web"),
        copy: name("web-qa"),
        run: Id::new(START.0, 1),
        listens: true,
    };
    let answer = EnvironmentReleased {
        environment: name("qa"),
        repository: name("web"),
        commit: COMMIT.into(),
        opened: opened.seq,
        services: vec![copy],
        refused: None,
    };
    w.tell(&answer).await;
    let place = w.until("qa", |p| p.status.url.is_some()).await;
    assert_eq!(place.status.url.as_deref(), Some("http://web-qa.shop.localhost:8000"));
    assert_eq!(place.status.deployment.unwrap().progress, Progress::Underway);
    w.tell(&rolled(1, Some("qa"))).await;
    let live = |p: &crate::place::Place| {
        p.status.deployment.as_ref().is_some_and(|d| d.progress == Progress::Live)
    };
    let place = w.until("qa", live).await;
    assert_eq!(place.spec.tier, Tier::Testing);

    // Again: the one before is history.
    w.deploy("qa", |f| f.url = Some("javascript:alert(1)".into())).await;
    let place = w.until("qa", |p| p.status.history.len() == 1).await;
    let deployment = place.status.deployment.unwrap();
    assert_eq!((deployment.number, deployment.url), (2, None), "nothing a browser would run");
    w.halt().await;
}

#[tokio::test]
async fn time_ends_it_once_unless_it_is_used_or_kept() {
    let dir = tempdir().unwrap();
    let w = World::new(dir.path()).await;
    let seq = w.deploy("qa", |f| f.auto_stop_ms = Some(HOUR)).await;
    let opened = w.event(seq, EnvironmentOpened::KIND).await.seq;
    let copy = ServiceCopy {
        name: name("web"),
        copy: name("web-qa"),
        run: Id::new(START.0, 1),
        listens: true,
    };
    w.tell(&EnvironmentReleased {
        environment: name("qa"),
        repository: name("web"),
        commit: COMMIT.into(),
        opened,
        services: vec![copy],
        refused: None,
    })
    .await;
    w.until("qa", |p| p.status.url.is_some()).await;
    // Somebody looks at it half an hour later: it has an hour from then on.
    let used = START.plus(Duration::from_millis(HOUR / 2));
    w.edge.used.lock().unwrap().insert("web-qa".into(), used);
    w.clock.advance(Duration::from_millis(HOUR));
    let place = w.until("qa", |p| p.status.used.is_some()).await;
    assert_eq!(place.status.stops_at, Some(used.plus(Duration::from_millis(HOUR))));
    // Somebody keeps it.
    let two = Extend::By(Duration::from_secs(7200));
    w.part.extend(&name("shop"), &name("qa"), two).await.unwrap();
    w.clock.advance(Duration::from_millis(HOUR));
    let place = w.until("qa", |p| p.status.state == EnvironmentState::Available).await;
    assert_eq!(place.status.stops_at, Some(START.plus(Duration::from_millis(3 * HOUR))));
    w.clock.advance(Duration::from_millis(HOUR));
    let place = w.until("qa", |p| p.status.state == EnvironmentState::Stopped).await;
    assert_eq!(place.status.reason.unwrap().en, "its time was up");
    assert_eq!(w.count(EnvironmentClosed::KIND).await, 1);
    let error = w.part.extend(&name("shop"), &name("qa"), Extend::Again).await.unwrap_err();
    assert_eq!(error.code(), "environment.stopped");
    w.halt().await;
}

#[tokio::test]
async fn the_stop_job_runs_first_and_its_failure_keeps_the_services() {
    let dir = tempdir().unwrap();
    let w = World::new(dir.path()).await;
    *w.job.fails.lock().unwrap() = true;
    let run = w.run().await;
    let with_job = |f: &mut kernel::journey::EnvironmentDeployed| {
        f.run = run.clone();
        f.on_stop = Some("stop it".into());
    };
    w.deploy("review/fix", with_job).await;
    w.until("review-fix", |p| p.open()).await;
    w.delete_branch("fix").await;
    let place = w.until("review-fix", |p| p.status.state == EnvironmentState::Failed).await;
    assert!(place.status.reason.unwrap().en.starts_with("stop it: "));
    assert_eq!((w.count(EnvironmentClosed::KIND).await, *w.job.runs.lock().unwrap()), (0, 1));
    // Asked again, the job runs again, and now it passes.
    *w.job.fails.lock().unwrap() = false;
    let kim = || Principal::User(name("kim"));
    w.part.stop(&name("shop"), &name("review-fix"), kim(), false).await.unwrap();
    w.until("review-fix", |p| !p.open()).await;
    assert_eq!((w.count(EnvironmentClosed::KIND).await, *w.job.runs.lock().unwrap()), (1, 2));
    // Stopping what is stopped changes nothing.
    w.part.stop(&name("shop"), &name("review-fix"), kim(), false).await.unwrap();
    assert_eq!(w.count(EnvironmentClosed::KIND).await, 1);
    w.part.delete(&name("shop"), &name("review-fix"), kim()).await.unwrap();
    assert!(w.place("review-fix").await.is_none());
    w.halt().await;
}

#[tokio::test]
async fn force_leaves_the_job_out_and_a_stop_by_hand_counts() {
    let dir = tempdir().unwrap();
    let w = World::new(dir.path()).await;
    let run = w.run().await;
    let with_job = |f: &mut kernel::journey::EnvironmentDeployed| {
        f.run = run.clone();
        f.on_stop = Some("stop it".into());
    };
    w.deploy("qa", with_job).await;
    w.until("qa", |p| p.open()).await;
    let kim = Principal::User(name("kim"));
    w.part.stop(&name("shop"), &name("qa"), kim, true).await.unwrap();
    assert_eq!(*w.job.runs.lock().unwrap(), 0);
    w.deploy("qa", |_| {}).await;
    w.until("qa", |p| p.open()).await;
    // The job with `action: stop` has passed, whoever started it.
    w.deploy("qa", |f| f.action = EnvironmentAction::Stop).await;
    w.until("qa", |p| !p.open()).await;
    assert_eq!(w.count(EnvironmentClosed::KIND).await, 2);
    w.halt().await;
}

#[tokio::test]
async fn what_is_refused_makes_nothing() {
    let dir = tempdir().unwrap();
    let w = World::new(dir.path()).await;
    for title in ["one", "two"] {
        w.deploy(title, |_| {}).await;
        w.until(title, |p| p.open()).await;
    }
    let seq = w.deploy("three", |_| {}).await;
    let refused = w.event(seq, "environment.refused").await;
    assert!(refused.fact.say.en.contains("at most 2") && refused.fact.change.is_some());
    assert!(w.place("three").await.is_none());
    for title in ["", "a\nb", &"x".repeat(300)] {
        let seq = w.deploy(title, |_| {}).await;
        let refused = w.event(seq, "environment.refused").await;
        assert!(refused.fact.say.en.contains("1 to 255 characters"), "{}", refused.fact.say.en);
    }
    w.delete_branch("gone").await;
    let seq = w.deploy("one", |f| f.refname = "refs/heads/gone".into()).await;
    let refused = w.event(seq, "environment.refused").await;
    assert!(refused.fact.say.en.contains("branch gone was deleted"));
    assert_eq!(w.count(EnvironmentOpened::KIND).await, 2);
    w.halt().await;
}

#[tokio::test]
async fn names_that_look_alike_are_two_environments() {
    let dir = tempdir().unwrap();
    let w = World::new(dir.path()).await;
    w.deploy("review/a", |_| {}).await;
    w.until("review-a", |p| p.spec.title == "review/a").await;
    w.deploy("review-a", |_| {}).await;
    w.until("review-a-web", |p| p.spec.title == "review-a").await;
    w.halt().await;
}

#[tokio::test]
async fn production_is_a_record_of_what_the_default_branch_does() {
    let dir = tempdir().unwrap();
    let w = World::new(dir.path()).await;
    w.deploy("production", |f| f.auto_stop_ms = Some(HOUR)).await;
    let place = w.until("production", |p| p.open()).await;
    assert_eq!((place.spec.tier, place.status.stops_at), (Tier::Production, None));
    assert_eq!(w.count(EnvironmentOpened::KIND).await, 0);
    w.tell(&ReleaseSkipped {
        repository: name("web"),
        commit: COMMIT.into(),
        verdict: Verdict::Passed,
        reason: Text::plain("nothing to deploy"),
    })
    .await;
    let live = |p: &crate::place::Place| {
        p.status.deployment.as_ref().is_some_and(|d| d.progress == Progress::Live)
    };
    w.until("production", live).await;
    let kim = Principal::User(name("kim"));
    let error = w.part.stop(&name("shop"), &name("production"), kim, true).await.unwrap_err();
    assert_eq!(error.code(), "environment.production");
    w.tell(&rolled(3, None)).await;
    w.halt().await;
}
