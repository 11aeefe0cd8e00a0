//! The projection as its readers meet it: facts go into the journal, changes and metrics come out.

use crate::{Change, Insight, project::project, trace::trace};
use kernel::journey::*;
use kernel::port::{Edge, RouteSet};
use kernel::{BoxFuture, Event, Id, Name, Principal, Result, Text, Time};
use std::sync::Arc;
use std::time::Duration;
use store::{Durability, Filter, Options, Store, clock::Manual};

struct NoEdge;

impl Edge for NoEdge {
    fn publish(&self, _: RouteSet) {}
    fn withdraw(&self, _: &Name, _: &Name) {}
    fn drain<'a>(&'a self, _: &'a str, _: Duration) -> BoxFuture<'a, usize> {
        Box::pin(async { 0 })
    }
    fn url(&self, project: &Name, service: &Name) -> String {
        format!("http://{service}.{project}.localhost")
    }
}

struct World {
    store: Store,
    clock: Manual,
    insight: Insight,
    _dir: tempfile::TempDir,
}

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

fn sha(n: u64) -> String {
    format!("{n:040x}").chars().rev().collect()
}

fn change_of(n: u64) -> Name {
    change_name(&name("web"), &sha(n)).unwrap()
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let clock = Manual::new(Time(1_000_000_000));
        let options = Options {
            clock: Arc::new(clock.clone()),
            durability: Durability::Process,
            chaos: None,
        };
        let store = Store::open(&dir.path().join("naru.db"), options).unwrap();
        let insight = Insight::new(store.clone(), Arc::new(NoEdge));
        World { store, clock, insight, _dir: dir }
    }

    /// A fact happens a second after the one before, and the projection takes it in.
    async fn tell(&self, fact: impl Fact, change: u64) {
        self.clock.advance(Duration::from_secs(1));
        let event = fact.event(Principal::part("test"), Text::plain("said")).unwrap();
        let event = event.project(&name("shop")).change(Some(change_of(change)));
        self.store
            .write(move |tx| {
                let seq = tx.append(event)?;
                let event = tx.events(seq - 1, 1, &Filter::default())?.remove(0);
                project(&event, tx, &NoEdge)
            })
            .await
            .unwrap();
    }

    fn commit(&self, n: u64, parents: &[u64]) -> Commit {
        let now = self.clock_now();
        Commit {
            id: sha(n),
            parents: parents.iter().map(|p| sha(*p)).collect(),
            author: "Ada".into(),
            email: "ada@example.org".into(),
            authored: Time(now.0 - 60_000),
            committed: now,
            subject: format!("Change {n}"),
            message: String::new(),
        }
    }

    fn clock_now(&self) -> Time {
        self.store.now()
    }

    async fn push(&self, branch: &str, commits: &[u64], parents: &[u64]) {
        let head = commits[0];
        let made: Vec<Commit> = commits.iter().map(|n| self.commit(*n, parents)).collect();
        let pushed = Pushed {
            repository: name("web"),
            refname: format!("refs/heads/{branch}"),
            branch: Some(branch.into()),
            default_branch: branch == "main",
            before: None,
            after: Some(sha(head)),
            received: self.clock_now(),
            head: Some(made[0].clone()),
            commits: made,
            options: Vec::new(),
        };
        self.tell(pushed, head).await;
    }

    async fn pipeline(&self, n: u64, verdict: Verdict) {
        let run = Id::new(n as i64, 1);
        self.tell(
            PipelineCreated {
                repository: name("web"),
                run: run.clone(),
                jobs: vec!["test".into()],
            },
            n,
        )
        .await;
        let reason = (verdict != Verdict::Passed).then(|| Text::plain("test: exited with code 1"));
        let fact = PipelineFinished {
            repository: name("web"),
            commit: sha(n),
            branch: Some("main".into()),
            default_branch: true,
            run: Some(run),
            verdict,
            reason,
            layers: Vec::new(),
            deploys: true,
            by: None,
        };
        self.tell(fact, n).await;
    }

    async fn rollout(&self, n: u64, previous: Option<u64>, cause: Cause, verdict: Verdict) {
        self.rollout_of(n, n, previous, cause, verdict).await;
    }

    /// The release `web-<number>` of change `n`.
    async fn rollout_of(
        &self,
        n: u64,
        number: u64,
        previous: Option<u64>,
        cause: Cause,
        verdict: Verdict,
    ) {
        let release = |n: u64| name(&format!("web-{n}"));
        if cause == Cause::Change {
            let made = ReleaseMade {
                repository: name("web"),
                commit: sha(n),
                service: name("web"),
                release: release(number),
                tree: "t".into(),
                services: vec![name("web")],
                environment: None,
            };
            self.tell(made, n).await;
        }
        let run = Id::new(self.clock_now().0, u128::from(number));
        let (service, previous) = (name("web"), previous.map(release));
        self.tell(
            RolloutStarted {
                service: service.clone(),
                release: release(number),
                run: run.clone(),
                previous: previous.clone(),
                cause,
                environment: None,
            },
            n,
        )
        .await;
        let reason = (verdict == Verdict::Failed).then(|| Text::plain("never listened"));
        self.tell(
            RolloutFinished {
                service,
                release: release(number),
                run,
                previous,
                cause,
                verdict,
                reason,
                first_ready: None,
                environment: None,
            },
            n,
        )
        .await;
    }

    async fn change(&self, n: u64) -> Change {
        self.insight.change(&name("shop"), &change_of(n)).await.unwrap()
    }

    async fn finished(&self) -> Vec<(Event, ChangeFinished)> {
        let filter = Filter { kind: Some(ChangeFinished::KIND.into()), ..Filter::default() };
        let events = self.store.read(move |v| v.events(0, 100, &filter)).await.unwrap();
        events.into_iter().map(|e| (e.clone(), ChangeFinished::of(&e).unwrap())).collect()
    }
}

#[tokio::test]
async fn a_change_goes_live_and_says_where_and_how_long() {
    let w = World::new();
    w.push("main", &[1], &[]).await;
    w.pipeline(1, Verdict::Passed).await;
    w.rollout(1, None, Cause::Change, Verdict::Passed).await;
    let change = w.change(1).await;
    assert_eq!(change.outcome, Some(Outcome::Live));
    assert_eq!(change.url.as_deref(), Some("http://web.shop.localhost"));
    let ends = w.finished().await;
    assert_eq!(ends.len(), 1);
    // Six facts, a second each, from the first byte to the last.
    assert_eq!(ends[0].1.took_ms, 6000);
    assert_eq!(ends[0].0.fact.say.en, "live after 6.0 s: http://web.shop.localhost");
    let trace = trace(&change, w.clock_now());
    assert_eq!(trace.total_ms, trace.waiting_ms + trace.working_ms);
}

#[tokio::test]
async fn a_failed_test_and_a_failed_rollout_both_say_why() {
    let w = World::new();
    w.push("main", &[1], &[]).await;
    w.pipeline(1, Verdict::Failed).await;
    w.push("main", &[2], &[1]).await;
    w.pipeline(2, Verdict::Passed).await;
    w.rollout(2, None, Cause::Change, Verdict::Failed).await;
    let reasons: Vec<_> =
        w.finished().await.into_iter().map(|(_, f)| (f.outcome, f.reason.unwrap().en)).collect();
    assert_eq!(
        reasons,
        [
            (Outcome::Failed, "test: exited with code 1".into()),
            (Outcome::Failed, "never listened".into()),
        ]
    );
    let m = &w.insight.metrics(&name("shop"), 30).await.unwrap()[0];
    assert_eq!((m.deployments, m.stopped, m.failed), (0, 1, 0));
}

#[tokio::test]
async fn commits_below_the_head_travel_with_it_but_not_in_the_first_deployment() {
    let w = World::new();
    w.push("main", &[3, 2, 1], &[]).await;
    w.pipeline(3, Verdict::Passed).await;
    w.rollout(3, None, Cause::Change, Verdict::Passed).await;
    assert_eq!(w.change(1).await.outcome, Some(Outcome::Live));
    assert_eq!(w.change(2).await.rides, Some(change_of(3)));
    let m = &w.insight.metrics(&name("shop"), 30).await.unwrap()[0];
    assert_eq!(m.lead_time.count, 1, "the first deployment claims no history");

    w.push("main", &[5, 4], &[3]).await;
    w.pipeline(5, Verdict::Passed).await;
    w.rollout(5, Some(3), Cause::Change, Verdict::Passed).await;
    let m = &w.insight.metrics(&name("shop"), 30).await.unwrap()[0];
    assert_eq!((m.deployments, m.lead_time.count), (2, 3));
}

#[tokio::test]
async fn a_branch_passes_and_goes_live_with_the_merge_that_carries_it() {
    let w = World::new();
    w.push("topic", &[1], &[]).await;
    w.pipeline(1, Verdict::Passed).await;
    let skipped = ReleaseSkipped {
        repository: name("web"),
        commit: sha(1),
        verdict: Verdict::Passed,
        reason: Text::plain("not the default branch"),
    };
    w.tell(skipped, 1).await;
    assert_eq!(w.change(1).await.outcome, Some(Outcome::Passed));
    w.push("main", &[9], &[1]).await;
    assert_eq!(w.change(1).await.rides, Some(change_of(9)));
    w.pipeline(9, Verdict::Passed).await;
    w.rollout(9, None, Cause::Change, Verdict::Passed).await;
    assert_eq!(w.change(1).await.outcome, Some(Outcome::Live));
}

#[tokio::test]
async fn what_was_held_back_is_deployed_by_hand_and_again_when_that_fails() {
    let w = World::new();
    w.push("topic", &[1], &[]).await;
    w.pipeline(1, Verdict::Passed).await;
    let (repository, commit) = (name("web"), sha(1));
    let reason = Text::plain("not the default branch");
    w.tell(ReleaseSkipped { repository, commit, verdict: Verdict::Passed, reason }, 1).await;
    w.rollout_of(1, 7, None, Cause::Change, Verdict::Failed).await;
    w.rollout_of(1, 8, None, Cause::Change, Verdict::Passed).await;
    let outcomes: Vec<Outcome> = w.finished().await.iter().map(|(_, f)| f.outcome).collect();
    assert_eq!(outcomes, [Outcome::Passed, Outcome::Failed, Outcome::Live]);
    assert_eq!(w.change(1).await.outcome, Some(Outcome::Live));
}

#[tokio::test]
async fn a_change_that_serves_is_live_after_its_pipeline_is_run_again() {
    let w = World::new();
    w.push("main", &[1], &[]).await;
    w.pipeline(1, Verdict::Passed).await;
    w.rollout(1, None, Cause::Change, Verdict::Passed).await;
    w.pipeline(1, Verdict::Passed).await;
    let (repository, commit) = (name("web"), sha(1));
    let reason = Text::plain("released already");
    w.tell(ReleaseSkipped { repository, commit, verdict: Verdict::Passed, reason }, 1).await;
    assert_eq!(w.change(1).await.outcome, Some(Outcome::Live));
}

#[tokio::test]
async fn a_restart_is_no_deployment() {
    let w = World::new();
    w.push("main", &[1], &[]).await;
    w.pipeline(1, Verdict::Passed).await;
    w.rollout(1, None, Cause::Change, Verdict::Passed).await;
    w.rollout_of(1, 2, Some(1), Cause::Restart, Verdict::Passed).await;
    let m = &w.insight.metrics(&name("shop"), 30).await.unwrap()[0];
    assert_eq!((m.deployments, m.points.len()), (1, 1));
    assert_eq!(w.finished().await.len(), 1, "the journey does not end twice");
}

#[tokio::test]
async fn an_overtaken_change_is_superseded_and_a_rollback_marks_what_it_undoes() {
    let w = World::new();
    w.push("main", &[1], &[]).await;
    w.pipeline(1, Verdict::Passed).await;
    w.rollout(1, None, Cause::Change, Verdict::Passed).await;
    w.push("main", &[2], &[1]).await;
    w.push("main", &[3], &[2]).await;
    w.pipeline(2, Verdict::Canceled).await;
    assert_eq!(w.change(2).await.outcome, Some(Outcome::Superseded));
    w.pipeline(3, Verdict::Passed).await;
    w.rollout(3, Some(1), Cause::Change, Verdict::Passed).await;
    w.rollout(1, Some(3), Cause::Rollback, Verdict::Passed).await;
    assert!(w.change(3).await.undone.is_some());
    let m = &w.insight.metrics(&name("shop"), 30).await.unwrap()[0];
    assert_eq!((m.deployments, m.rollbacks, m.failed), (2, 1, 1));
    assert_eq!(m.recovery_time.median_ms, Some(2000));
    let listed = w.insight.changes(&name("shop"), None, 2).await.unwrap();
    assert_eq!(listed[0].1.name, change_of(3));
    let next = w.insight.changes(&name("shop"), Some(listed[1].0.clone()), 9).await.unwrap();
    assert_eq!(next[0].1.name, change_of(1));
}

#[tokio::test]
async fn a_followed_journal_gives_the_same_as_one_told_fact_by_fact() -> Result<()> {
    let w = World::new();
    w.push("main", &[1], &[]).await;
    w.pipeline(1, Verdict::Failed).await;
    let told = w.change(1).await;
    let again = World::new();
    let events = w
        .store
        .read(|v| v.events(0, 100, &Filter { kind: Some("git.".into()), ..Filter::default() }))
        .await?;
    let more = w
        .store
        .read(|v| v.events(0, 100, &Filter { kind: Some("pipeline.".into()), ..Filter::default() }))
        .await?;
    for event in events.into_iter().chain(more) {
        again.store.write(move |tx| project(&event, tx, &NoEdge)).await?;
    }
    assert_eq!(again.change(1).await, told);
    Ok(())
}

#[tokio::test]
async fn the_newest_word_on_each_scenario_stays_with_the_change() {
    let w = World::new();
    w.push("main", &[1], &[]).await;
    let said = |scenario: &str, verdict: &str| LoadVerdict {
        repository: name("web"),
        commit: sha(1),
        run: Id::new(1, 1),
        step: "performance".into(),
        scenario: scenario.into(),
        base: "main".into(),
        verdict: verdict.into(),
        address: "/projects/shop/load/web/checkout/7".into(),
        judgement: serde_json::Value::Null,
    };
    w.tell(said("checkout", "worse"), 1).await;
    w.tell(said("browse", "same"), 1).await;
    w.tell(said("checkout", "better"), 1).await;
    let kept = w.change(1).await.performance;
    let words: Vec<_> = kept.iter().map(|p| (&*p.scenario, &*p.verdict)).collect();
    assert_eq!(words, [("browse", "same"), ("checkout", "better")]);
    assert_eq!(w.change(1).await.outcome, None, "it says nothing of its way");
}
