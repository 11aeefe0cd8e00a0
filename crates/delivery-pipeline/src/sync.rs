//! The followers: pushes become pipelines, ends of runs become facts, what is over is cleaned up.

use crate::create::{self, Asked, Beside, OPEN, Overtaken, REPORTS, Unfinished};
use crate::gitlab::{Compiled, Origin};
use crate::prepare::{self, Made, Prepared};
use crate::request::{self, Said};
use crate::schedule::Schedules;
use crate::tip::{self, Tip};
use crate::variables::{Variable, is_name};
use crate::work::{OnNewCommit, Output};
use crate::{EXPIRES, KIND, Parts, Report, left, owner, told, trigger};
use kernel::journey::{Fact, Layer, PipelineCreated, PipelineFinished, Pushed, Verdict};
use kernel::{BoxFuture, Error, Event, Id, Name, Principal, Result, Text, Time, text};
use reconcile::{Turn, Worker};
use run::{Engine, Run, RunState, StepState};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use store::{Filter, Tx};
use tokio_util::sync::CancellationToken;

/// The sequence up to which pushes are dealt with, under `pushes`.
const CURSOR: &str = "delivery-pipeline.cursor";
/// Reading a repository that does not answer is given up after this, and tried again.
const PATIENCE: Duration = Duration::from_secs(30);
/// Tries for one push; then its pipeline fails, so that the ones behind it get their turn.
const TRIES: u32 = 3;
/// Open pipelines looked at after a start.
const MAX_OPEN: usize = 10_000;
/// How often old artifacts and checkouts are looked for.
const HOURLY: Duration = Duration::from_secs(3600);

pub fn spawn(parts: Arc<Parts>, engine: Engine, stop: CancellationToken) {
    let filter = |kind: &str| Filter { kind: Some(kind.to_owned()), ..Filter::default() };
    let store = || parts.store.clone();
    let name = "delivery-pipeline.finished";
    reconcile::follow_some(store(), name, filter("run.finished"), finished, stop.clone());
    let name = "delivery-pipeline.retried";
    reconcile::follow_some(store(), name, filter("run.created"), retried, stop.clone());
    told::spawn(store(), stop.clone());
    let schedules = Schedules(parts.clone());
    reconcile::spawn(store(), schedules, reconcile::Options::default(), stop.clone());
    let name = "delivery-pipeline.deleted";
    reconcile::follow_some(store(), name, filter("resource.deleted"), deleted, stop.clone());
    let until = |stop: CancellationToken, work: kernel::BoxFuture<'static, ()>| {
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    };
    until(stop.clone(), Box::pin(overtake_left(parts.clone(), engine.clone())));
    let pushes = Pushes { parts: parts.clone(), engine: engine.clone() };
    reconcile::lanes(store(), pushes, stop.clone());
    until(stop.clone(), Box::pin(clean(parts.clone(), engine.clone())));
    until(stop.clone(), Box::pin(trigger::cascade(parts.clone(), engine.clone())));
    until(stop, Box::pin(expire(parts)));
}

/// A crash between the push and the cancellation that it asks for leaves both runs open.
async fn overtake_left(parts: Arc<Parts>, engine: Engine) {
    loop {
        let open = parts.store.read(|v| v.rows::<Unfinished>(OPEN, "", None, MAX_OPEN)).await;
        match open {
            Ok(open) => return overtake(&engine, create::overtaken(&open)).await,
            Err(error) if error.code() == "store.closed" => return,
            Err(error) => tracing::error!(%error, "open pipelines cannot be read"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Makes pipelines of pushes. Those of one project come in their order; a project whose includes come from
/// a slow server holds up no other.
struct Pushes {
    parts: Arc<Parts>,
    engine: Engine,
}

impl Worker for Pushes {
    fn name(&self) -> &'static str {
        "pushes"
    }

    fn cursor(&self) -> (&'static str, &'static str) {
        (CURSOR, "pushes")
    }

    fn lane(&self, event: &Event) -> Option<String> {
        let project = event.fact.project.as_ref().map(ToString::to_string);
        let kind = event.fact.kind.as_str();
        project.filter(|_| kind == Pushed::KIND || Said::is(kind))
    }

    /// Who includes a file of another project's branch gets it as it was pushed before.
    fn ahead<'a>(&'a self, events: &'a [Arc<Event>]) -> BoxFuture<'a, Result<()>> {
        let tip = |event: &Arc<Event>| Tip::of(event, &Pushed::of(event)?);
        let tips: Vec<Tip> = events.iter().filter_map(tip).collect();
        let remember = move |tx: &mut Tx<'_>| tips.iter().try_for_each(|tip| tip.remember(tx));
        Box::pin(self.parts.store.write(remember))
    }

    fn work<'a>(&'a self, event: &'a Event, turn: &'a Turn) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            match Pushed::of(event) {
                Some(pushed) => handle(&self.parts, &self.engine, turn, event, &pushed).await,
                None => match (Said::of(event), event.fact.project.clone()) {
                    (Some(said), Some(project)) => {
                        requested(&self.parts, &self.engine, turn, event, (project, said)).await
                    }
                    _ => turn.once(|_| Ok(())).await.map(drop),
                },
            }
        })
    }
}

/// One push, whatever happens: its effect and its being done are one transaction.
async fn handle(
    parts: &Parts,
    engine: &Engine,
    turn: &Turn,
    event: &Event,
    pushed: &Pushed,
) -> Result<()> {
    let Some(tip) = Tip::of(event, pushed) else {
        let (project, pushed, seq) = (event.fact.project.clone(), pushed.clone(), event.seq);
        let forget = move |tx: &mut Tx<'_>| match (&pushed.after, &project) {
            (None, Some(project)) => tip::forget(tx, project, &pushed, seq),
            _ => Ok(()),
        };
        return turn.once(forget).await.map(drop);
    };
    let asked = Asked {
        given: given(&pushed.options),
        tip,
        origin: Origin::Push,
        actor: event.fact.actor.clone(),
        made: Made { inputs: inputs(&pushed.options), ..Made::default() },
        beside: Beside::default(),
    };
    if let Some(reason) = skip(pushed) {
        return end(turn, asked, Verdict::Canceled, Some(reason)).await;
    }
    match prepare(parts, &asked).await {
        Prepared::Absent => end(turn, asked, Verdict::Passed, None).await,
        Prepared::Nothing(why) => end(turn, asked, Verdict::Canceled, Some(why)).await,
        Prepared::Broken(error) => end(turn, asked, Verdict::Failed, Some(error.sentence())).await,
        Prepared::Ready(compiled) => create(engine, turn, asked, *compiled).await,
    }
}

/// A merge request was opened, has a new head, or is over. Without a job for it there is no pipeline, and
/// nothing to tell of: that of the branch counts.
async fn requested(
    parts: &Parts,
    engine: &Engine,
    turn: &Turn,
    event: &Event,
    (project, said): (Name, Said),
) -> Result<()> {
    let head = match &said {
        Said::Head(head) => Some(head.as_ref().clone()),
        Said::Over { .. } => None,
    };
    let skipped = |h: &kernel::journey::MergeRequestHead| {
        let options = h.options.iter().any(|o| o == "ci.skip");
        options || asks_to_skip(&h.head)
    };
    let Some(head) = head else {
        return turn.once(move |tx| said.remember(tx, &project)).await.map(drop);
    };
    let (number, skip) = (head.number, skipped(&head));
    let asked = request::asked(parts, event, &project, head).await;
    let why = Text::fixed("asked to be skipped", "건너뛰라고 했습니다");
    let prepared = if skip { Prepared::Nothing(why) } else { prepare(parts, &asked).await };
    let again = asked.clone();
    let work = move |tx: &mut Tx<'_>| {
        said.remember(tx, &project)?;
        match prepared {
            Prepared::Ready(compiled) => Ok(create::create_in(tx, &asked, *compiled)?.1),
            Prepared::Broken(error) => {
                create::end_in(tx, &asked, Verdict::Failed, Some(error.sentence()))?;
                Ok(Vec::new())
            }
            Prepared::Absent => {
                let why = Text::fixed("the commit has no pipeline", "커밋에 파이프라인이 없습니다");
                request::skipped(tx, &asked, number, why).map(|()| Vec::new())
            }
            Prepared::Nothing(why) => {
                request::skipped(tx, &asked, number, why).map(|()| Vec::new())
            }
        }
    };
    match turn.once(work).await {
        Ok(overtaken) => {
            overtake(engine, overtaken.unwrap_or_default()).await;
            Ok(())
        }
        // Larger than the engine takes.
        Err(error) if error.kind() == kernel::ErrorKind::Invalid => {
            let reason = Some(error.sentence());
            let work = move |tx: &mut Tx<'_>| create::end_in(tx, &again, Verdict::Failed, reason);
            turn.once(work).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

async fn create(engine: &Engine, turn: &Turn, asked: Asked, compiled: Compiled) -> Result<()> {
    let again = asked.clone();
    let create = move |tx: &mut Tx<'_>| {
        asked.tip.remember(tx)?;
        create::create_in(tx, &asked, compiled)
    };
    match turn.once(create).await {
        Ok(Some((_, overtaken))) => {
            overtake(engine, overtaken).await;
            Ok(())
        }
        Ok(None) => Ok(()),
        // Larger than the engine takes.
        Err(error) if error.kind() == kernel::ErrorKind::Invalid => {
            end(turn, again, Verdict::Failed, Some(error.sentence())).await
        }
        Err(error) => Err(error),
    }
}

/// Faults of ours are tried again a few times; then the pipeline fails and says so.
async fn prepare(parts: &Parts, asked: &Asked) -> Prepared {
    let mut pause = Duration::from_millis(100);
    for tried in 1..=TRIES {
        let error = match tokio::time::timeout(PATIENCE, prepare::prepare(parts, asked)).await {
            Ok(Ok(prepared)) => return prepared,
            Ok(Err(error)) => error,
            Err(_) => Error::internal("the repository does not answer"),
        };
        tracing::warn!(%error, tried, "a pipeline cannot be prepared");
        if tried == TRIES {
            return Prepared::Broken(error);
        }
        tokio::time::sleep(pause).await;
        pause *= 3;
    }
    Prepared::Broken(Error::internal("no try was made"))
}

async fn end(turn: &Turn, asked: Asked, verdict: Verdict, reason: Option<Text>) -> Result<()> {
    let work = move |tx: &mut Tx<'_>| {
        asked.tip.remember(tx)?;
        create::end_in(tx, &asked, verdict, reason)
    };
    turn.once(work).await.map(drop)
}

/// `git push -o ci.skip`, or a commit that asks for it.
fn skip(pushed: &Pushed) -> Option<Text> {
    if pushed.options.iter().any(|o| o == "ci.skip") {
        return Some(Text::fixed("skipped with `-o ci.skip`", "`-o ci.skip`으로 건너뜀"));
    }
    let asks = asks_to_skip(pushed.head.as_ref()?);
    asks.then(|| Text::fixed("the commit says [skip ci]", "커밋 메시지에 [skip ci]가 있음"))
}

fn asks_to_skip(head: &kernel::journey::Commit) -> bool {
    let words = format!("{}\n{}", head.subject, head.message).to_ascii_lowercase();
    words.contains("[ci skip]") || words.contains("[skip ci]")
}

/// `git push -o ci.variable="NAME=value"`
pub(crate) fn given(options: &[String]) -> Vec<Variable> {
    let pairs = options.iter().filter_map(|o| o.strip_prefix("ci.variable=")?.split_once('='));
    let sound = pairs.filter(|(name, value)| is_name(name) && !value.contains('\0'));
    sound.map(|(name, value)| Variable::literal(name, value)).collect()
}

/// `git push -o ci.input=NAME=VALUE`; of two for one name the later one counts.
pub(crate) fn inputs(options: &[String]) -> serde_json::Map<String, Value> {
    let pairs = options.iter().filter_map(|o| o.strip_prefix("ci.input=")?.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

/// Cancels pipelines that a newer push has overtaken. One that ends meanwhile is fine.
pub async fn overtake(engine: &Engine, runs: Vec<Overtaken>) {
    for (run, what) in runs {
        let reason = Text::fixed("a newer push overtook it", "더 새로운 푸시가 앞질렀습니다");
        let who = Principal::part("delivery-pipeline");
        if let Err(error) = engine.supersede(&run, what, who, reason).await {
            tracing::warn!(%run, %error, "an overtaken pipeline cannot be canceled");
        }
    }
}

pub(crate) fn run_of(event: &Event) -> Option<Id> {
    let data = &event.fact.data;
    let ours = data.get("kind").and_then(Value::as_str) == Some(KIND);
    ours.then(|| Id::parse(data.get("run")?.as_str()?))?
}

/// A run has ended: `pipeline.finished`.
fn finished(event: &Event, tx: &mut Tx<'_>) -> Result<()> {
    let Some(run) = run_of(event) else { return Ok(()) };
    let Some(run) = Engine::show_in(tx, &run)? else { return Ok(()) };
    let Some(place) = Place::of(&run) else { return Ok(()) };
    tx.delete_row(
        OPEN,
        &format!("{}/{}/{}/{}", run.project, place.repository, place.refname, run.id),
    )?;
    let verdict = match run.state {
        RunState::Passed => Verdict::Passed,
        RunState::Canceled => Verdict::Canceled,
        RunState::Failed => Verdict::Failed,
        // It was opened again by a manual step; its next end says more.
        _ => return Ok(()),
    };
    if verdict == Verdict::Passed {
        left::note(tx, &run, &place.repository, &place.refname)?;
    }
    let fact = PipelineFinished {
        repository: place.repository,
        commit: place.commit,
        branch: run.labels.get("branch").cloned(),
        default_branch: place.default_branch,
        run: Some(run.id.clone()),
        verdict,
        reason: run.reason.clone(),
        layers: trigger::layers(tx, &run, 0)?,
        deploys: deploys(&run),
        by: Some(run.actor.clone()),
    };
    create::finish(tx, &run.project, run.change.clone(), fact)
}

/// What a pipeline is about.
pub(crate) struct Place {
    pub repository: Name,
    pub commit: String,
    pub refname: String,
    pub default_branch: bool,
}

impl Place {
    /// From the labels that `create` gave the run.
    pub fn of(run: &Run) -> Option<Place> {
        let label = |name: &str| run.labels.get(name).cloned();
        Some(Place {
            repository: Name::parse(&label("repository")?).ok()?,
            commit: label("commit")?,
            refname: label("refname")?,
            default_branch: label("default_branch")? == "true",
        })
    }
}

/// What jobs had left that had passed at that time, in the order of the plan.
pub(crate) fn layers_until(run: &Run, time: Time) -> Vec<Layer> {
    let over = |s: &&run::StepView| s.finished.is_some_and(|at| at <= time);
    let passed = run.steps.iter().filter(|s| s.state == StepState::Passed).filter(over);
    let layer = |step: &run::StepView| {
        let output: Output = serde_json::from_value(step.output.clone()).ok()?;
        Some(Layer { job: step.name.clone(), tree: output.artifacts? })
    };
    passed.filter_map(layer).collect()
}

/// A retry is a new run that nobody announced yet, and that needs what the old one left.
fn retried(event: &Event, tx: &mut Tx<'_>) -> Result<()> {
    let again = event.fact.data.get("retry_of").is_some_and(|v| !v.is_null());
    let Some(run) = run_of(event).filter(|_| again) else { return Ok(()) };
    let Some(run) = Engine::show_in(tx, &run)? else { return Ok(()) };
    let Some(place) = Place::of(&run) else { return Ok(()) };
    for layer in layers_until(&run, Time(i64::MAX)) {
        blob::refer(tx, &owner(&run.id), &layer.tree)?;
    }
    crate::retire::use_shared(tx, &run.plan, &run.id)?;
    crate::handed::use_again(tx, &run)?;
    // Its own, so that it outlives the run that it repeats.
    if let Some(old) = &run.retry_of
        && let Some(report) = tx.row::<Report>(REPORTS, old.as_str())?
    {
        tx.set_row(REPORTS, run.id.as_str(), &report)?;
    }
    let key = format!("{}/{}/{}/{}", run.project, place.repository, place.refname, run.id);
    // Somebody wants just this one.
    let (commit, on_new) = (place.commit.clone(), OnNewCommit::Nothing);
    tx.set_row(OPEN, &key, &Unfinished { commit, on_new, overtakes: false })?;
    tx.set_row(
        create::LATEST,
        key.trim_end_matches(run.id.as_str()).trim_end_matches('/'),
        &run.id,
    )?;
    let repository = &place.repository;
    let say =
        text!("pipeline of {repository} is run again", "{repository} 파이프라인을 다시 실행함");
    let jobs = run.steps.iter().map(|s| s.name.clone()).collect();
    let fact = PipelineCreated { repository: place.repository.clone(), run: run.id.clone(), jobs };
    let event = fact.event(run.actor.clone(), say)?.project(&run.project);
    let change = run.change.clone().filter(|_| deploys(&run));
    tx.append(event.subject(create::subject(&run.project, &run.id)?).change(change)).map(drop)
}

/// Whether it may bring its commit to production.
fn deploys(run: &Run) -> bool {
    run.labels.get("source").is_none_or(|source| create::deploys(source))
}

/// A repository is gone, and with it what was remembered of its refs.
fn deleted(event: &Event, tx: &mut Tx<'_>) -> Result<()> {
    let Some(key) = event.fact.subject.as_ref().filter(|key| key.kind == "Repository") else {
        return Ok(());
    };
    match &key.project {
        Some(project) => tip::forget_all(tx, project, &key.name),
        None => Ok(()),
    }
}

/// Removes what jobs leave on disk once their results are recorded.
async fn clean(parts: Arc<Parts>, engine: Engine) {
    let mut feed = parts.store.follow(parts.store.head());
    sweep(&parts, &engine).await;
    let mut since_prune = 0_u32;
    while let Ok(event) = feed.next().await {
        let over = matches!(event.fact.kind.as_str(), "run.step.finished" | "run.step.retried");
        let Some(run) = run_of(&event).filter(|_| over) else { continue };
        let data = &event.fact.data;
        let step = data.get("step").and_then(Value::as_str).unwrap_or_default();
        let attempt = data.get("attempt").and_then(Value::as_u64).unwrap_or(0);
        let known = (run, step.to_owned(), u32::try_from(attempt).unwrap_or(0));
        let Some(key) = parts.under_way.lock().await.remove(&known) else { continue };
        let verdict = data.get("verdict").and_then(Value::as_str);
        if parts.keep_failed && matches!(verdict, Some("failed" | "allowed_failure")) {
            continue;
        }
        clear(&parts, &key, known.2).await;
        parts.workspaces.prune_layers(parts.limits.layers).await;
        since_prune += 1;
        if since_prune >= 64 {
            since_prune = 0;
            prune(&parts).await;
        }
    }
}

/// Places that an earlier life of the server left: those of steps that are over go.
async fn sweep(parts: &Parts, engine: &Engine) {
    for name in parts.workspaces.places() {
        let mut words = name.rsplitn(3, '-');
        let (attempt, step, run) = (words.next(), words.next(), words.next());
        let (Some(attempt), Some(step)) = (
            attempt.and_then(|a| a.parse::<u32>().ok()),
            step.and_then(|s| s.parse::<usize>().ok()),
        ) else {
            continue;
        };
        let Some(id) = run.and_then(Id::parse) else { continue };
        let alive = match engine.show(&id).await {
            Ok(run) => run.steps.get(step).is_some_and(|s| {
                let over = matches!(
                    s.state,
                    StepState::Passed
                        | StepState::Failed
                        | StepState::AllowedFailure
                        | StepState::Skipped
                        | StepState::Canceled
                );
                !over && s.attempt == attempt
            }),
            Err(error) => error.kind() != kernel::ErrorKind::NotFound,
        };
        if !alive {
            clear(parts, &format!("{id}-{step}"), attempt).await;
        }
    }
    prune(parts).await;
}

async fn clear(parts: &Parts, key: &str, attempt: u32) {
    let id = format!("{key}-{attempt}");
    crate::job::services::end_all(&parts.host, key, attempt).await;
    for id in [id.clone(), format!("{id}-after")] {
        if let Err(error) = parts.host.forget(&id).await {
            tracing::warn!(id, %error, "a job's workload cannot be forgotten");
            return;
        }
    }
    let place = parts.workspaces.place(key, attempt);
    if let Err(error) = parts.workspaces.remove(&place).await {
        tracing::warn!(id, %error, "a job's place cannot be removed");
    }
}

async fn prune(parts: &Parts) {
    if let Err(error) = parts.workspaces.prune().await {
        tracing::warn!(%error, "old checkouts cannot be removed");
    }
}

/// Lets go of artifacts whose time is over.
async fn expire(parts: Arc<Parts>) {
    loop {
        let gone = parts.store.write(|tx| {
            let now = tx.now();
            for (key, ()) in tx.rows::<()>(EXPIRES, "", None, 1000)? {
                let mut words = key.splitn(3, '/');
                let (at, run, tree) = (words.next(), words.next(), words.next());
                if at.and_then(Time::parse).is_some_and(|at| at > now) {
                    break;
                }
                if let (Some(run), Some(tree)) = (run.and_then(Id::parse), tree) {
                    blob::release(tx, &owner(&run), tree)?;
                }
                tx.delete_row(EXPIRES, &key)?;
            }
            Ok(())
        });
        match gone.await {
            Err(error) if error.code() == "store.closed" => return,
            Err(error) => tracing::warn!(%error, "old artifacts cannot be let go of"),
            Ok(()) => {}
        }
        tokio::time::sleep(HOURLY).await;
    }
}
