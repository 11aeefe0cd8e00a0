//! Pipelines that pipelines start, and pipelines that others wait for: the actors `pipeline.trigger` and
//! `pipeline.mirror`.
//!
//! Invariants: a step starts at most one pipeline for each attempt, whatever crashes; who started the
//! pipeline above is who starts the one below, and may do so; a family of pipelines has an end, both in depth
//! and in number; a child does not outlive the cancellation of its parent.

use crate::create::{self, ABOVE, Above, Asked, Beside, DEPTH, LATEST};
use crate::gitlab::{FILE, MAX_FILE, Origin, Upstream};
use crate::prepare::{Made, Prepared, prepare};
use crate::tip::{self, Tip};
use crate::trigger_plan::{FromArtifact, MIRRORS, Mirror, Strategy, Target, Trigger, USES};
use crate::variables::{Scope, Variable};
use crate::work::{Downstream, Output, Shared};
use crate::{Parts, Pipelines, SHARED, left, sync};
use kernel::journey::Layer;
use kernel::{BoxFuture, Error, ErrorKind, Event, Id, Name, Principal, Result, Text, text};
use policy::Permission;
use run::{Actor, Engine, Outcome, Run, RunState, Task};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::{Tx, View};

/// [`Child`] by `<run>/<attempt>/<step>`.
const CHILDREN: &str = "delivery-pipeline.children";
/// Pipelines below one that nothing is above, by its run.
const FAMILY: &str = "delivery-pipeline.family";
/// The last cancellation that was handed down, under `cancel`.
const CURSOR: &str = "delivery-pipeline.cascade";
/// Children of children of a pipeline; as in GitLab.
const MAX_DEPTH: usize = 2;
/// Pipelines that one may lead to; as in GitLab.
const MAX_FAMILY: u32 = 1_000;
/// Pipelines above one another, over all repositories.
const MAX_CHAIN: usize = 20;
/// The word for `retry`.
const CLASS: &str = "downstream_pipeline_creation_failed";

/// A pipeline that a step has started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    pub step: String,
    pub attempt: u32,
    pub project: Name,
    pub run: Id,
    /// Of the same commit; it ends when its parent is canceled, and what it leaves is its parent's if that
    /// waited for it.
    pub own: bool,
}

impl Pipelines {
    /// The pipelines that steps of a run have started.
    ///
    /// # Errors
    /// The store's.
    pub fn children(view: &View<'_>, run: &Id) -> Result<Vec<Child>> {
        let limit = usize::try_from(MAX_FAMILY).unwrap_or(usize::MAX);
        let rows = view.rows::<Child>(CHILDREN, &format!("{run}/"), None, limit)?;
        Ok(rows.into_iter().map(|(_, child)| child).collect())
    }
}

/// What passed jobs left, in the order of the plan; that of a child comes where its step is, if the step
/// waited for it.
pub fn layers(view: &View<'_>, run: &Run, depth: usize) -> Result<Vec<Layer>> {
    let mut out = Vec::new();
    for step in run.steps.iter().filter(|s| s.state == run::StepState::Passed) {
        let output: Output = serde_json::from_value(step.output.clone()).unwrap_or_default();
        out.extend(output.artifacts.map(|tree| Layer { job: step.name.clone(), tree }));
        let waits = run.plan.steps.get(step.index).is_some_and(waits_for_child);
        if let Some(child) = output.downstream.filter(|_| waits && depth < MAX_DEPTH)
            && let Some(child) = Engine::show_in(view, &child.run)?
        {
            out.extend(layers(view, &child, depth + 1)?);
        }
    }
    Ok(out)
}

fn waits_for_child(step: &run::Step) -> bool {
    let trigger = (step.action.uses == USES).then(|| Trigger::deserialize(&step.action.with).ok());
    trigger.flatten().is_some_and(|trigger| {
        trigger.strategy != Strategy::Start && matches!(trigger.target, Target::Child { .. })
    })
}

pub struct Triggers(pub(crate) Arc<Parts>);

impl Actor for Triggers {
    fn uses(&self) -> &'static str {
        USES
    }

    fn light(&self) -> bool {
        true
    }

    fn act(&self, task: Task) -> BoxFuture<'static, Outcome> {
        let parts = self.0.clone();
        Box::pin(async move { trigger(&parts, &task).await.unwrap_or_else(faulty) })
    }
}

pub struct Mirrors(pub(crate) Arc<Parts>);

impl Actor for Mirrors {
    fn uses(&self) -> &'static str {
        MIRRORS
    }

    fn light(&self) -> bool {
        true
    }

    fn act(&self, task: Task) -> BoxFuture<'static, Outcome> {
        let parts = self.0.clone();
        Box::pin(async move { mirror(&parts, &task).await.unwrap_or_else(faulty) })
    }
}

/// What is wrong with the other pipeline fails the step; a fault of ours is tried again.
fn faulty(error: Error) -> Outcome {
    match error.kind() {
        ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Busy | ErrorKind::Full => {
            Outcome::Infrastructure { say: error.sentence() }
        }
        _ => Outcome::failed(CLASS, error.sentence()),
    }
}

async fn trigger(parts: &Parts, task: &Task) -> Result<Outcome> {
    let asked: Trigger = serde_json::from_value(task.with.clone()).map_err(Error::internal)?;
    let shared = shared(parts, &asked.shared).await?;
    let scope = scope(task, &shared, &asked.without, &asked.own);
    let key = format!("{}/{}/{}", task.run, task.attempt, task.step);
    let known = key.clone();
    let found = parts.store.read(move |v| v.row::<Child>(CHILDREN, &known)).await?;
    let child = match found {
        Some(child) => child,
        None if task.cancel.is_cancelled() => return Ok(canceled()),
        None => start(parts, task, &asked, &shared, &scope, key).await?,
    };
    let (project, run) = (&child.project, &child.run);
    task.log.note(&text!(
        "started the pipeline {project}/{run}",
        "{project}/{run} 파이프라인을 시작했습니다"
    ));
    let environment = asked.environment.as_ref().map(|e| crate::work::Environment {
        url: e.url.as_ref().map(|url| scope.expand(url)),
        ..e.clone()
    });
    let downstream = Some(Downstream { project: project.clone(), run: run.clone() });
    let output = Output { environment, downstream, ..Output::default() };
    let output = serde_json::to_value(output).map_err(Error::internal)?;
    match asked.strategy {
        Strategy::Start => Ok(Outcome::Done(output)),
        Strategy::Depend | Strategy::Mirror => await_end(parts, task, run, true, output).await,
    }
}

async fn mirror(parts: &Parts, task: &Task) -> Result<Outcome> {
    let asked: Mirror = serde_json::from_value(task.with.clone()).map_err(Error::internal)?;
    let shared = shared(parts, &asked.shared).await?;
    let scope = scope(task, &shared, &asked.without, &asked.own);
    let path = scope.expand(&asked.path);
    let (own, run) = (task.project.clone(), task.run.clone());
    let shown = path.clone();
    let policy = parts.policy.clone();
    let find = move |v: &View<'_>| {
        let Some((project, repository)) = left::place(&path, &own) else { return Ok(None) };
        let Some(asker) = Engine::head_in(v, &run)? else { return Ok(None) };
        if !left::may_read(&policy, v, &own, &asker.actor, &project)? {
            return Ok(None);
        }
        let Some(tip) = tip::default(v, &project, &repository)? else { return Ok(None) };
        Ok(v.row::<Id>(LATEST, &tip.key())?.map(|run| Downstream { project, run }))
    };
    let found = parts.store.read(find).await?.ok_or_else(|| {
        let say = text!(
            "{shown} has no pipeline on its default branch",
            "{shown}의 기본 브랜치에 파이프라인이 없습니다"
        );
        Error::not_found("pipeline.absent", say)
    })?;
    if found.run == task.run {
        let say =
            text!("{shown} would wait for itself", "{shown}은(는) 자기 자신을 기다리게 됩니다");
        return Err(Error::invalid("pipeline.circle", say));
    }
    let run = found.run.clone();
    let output = Output { downstream: Some(found), ..Output::default() };
    let output = serde_json::to_value(output).map_err(Error::internal)?;
    await_end(parts, task, &run, false, output).await
}

/// Waits for the end of another run. If this step is canceled, an own run is, too.
async fn await_end(
    parts: &Parts,
    task: &Task,
    run: &Id,
    own: bool,
    output: Value,
) -> Result<Outcome> {
    let mut feed = parts.store.follow(parts.store.head());
    let mut told = false;
    loop {
        let wanted = run.clone();
        let seen = parts.store.read(move |v| Engine::head_in(v, &wanted)).await?;
        let state = seen.as_ref().map_or(RunState::Canceled, |run| run.state);
        if state.is_finished() {
            return Ok(ended(state, seen.and_then(|run| run.reason), output));
        }
        let finished = async {
            loop {
                let event = feed.next().await?;
                let about = event.fact.data.get("run").and_then(Value::as_str);
                if event.fact.kind == "run.finished" && about == Some(run.as_str()) {
                    return Ok::<(), Error>(());
                }
            }
        };
        tokio::select! {
            biased;
            done = finished => done?,
            () = task.cancel.cancelled(), if !told => {
                if !own {
                    return Ok(canceled());
                }
                told = true;
                cancel(parts.engine.get(), run).await;
            }
        }
    }
}

fn ended(state: RunState, reason: Option<Text>, output: Value) -> Outcome {
    if state == RunState::Passed {
        return Outcome::Done(output);
    }
    let Text { en, ko } = state.text();
    let say = text!("the other pipeline: {en}", "다른 파이프라인: {ko}");
    let say = match reason {
        Some(Text { en, ko }) => {
            Text::new(format!("{}: {en}", say.en), format!("{}: {ko}", say.ko))
        }
        None => say,
    };
    let class = if state == RunState::Canceled { "canceled" } else { "downstream_pipeline_failed" };
    Outcome::Failed { class: class.to_owned(), exit_code: None, say, output }
}

fn canceled() -> Outcome {
    Outcome::failed("canceled", Text::fixed("it was canceled", "취소되었습니다"))
}

async fn cancel(engine: Option<&Engine>, run: &Id) {
    let Some(engine) = engine else { return };
    let reason =
        Text::fixed("the pipeline above it was canceled", "상위 파이프라인이 취소되었습니다");
    let canceled = engine.cancel(run, Principal::part("delivery-pipeline"), reason).await;
    if let Err(error) = canceled
        && error.code() != "run.finished"
    {
        tracing::warn!(%run, %error, "a child pipeline cannot be canceled");
    }
}

async fn shared(parts: &Parts, key: &str) -> Result<Shared> {
    let key = key.to_owned();
    let shared = parts.store.read(move |v| v.row::<Shared>(SHARED, &key)).await?;
    shared.ok_or_else(|| Error::internal("the pipeline's variables are gone"))
}

/// What a step knows: as a job does, from the weakest to the strongest.
fn scope(task: &Task, shared: &Shared, without: &[String], own: &[Variable]) -> Scope {
    let seen = shared.variables.iter().filter(|v| !without.contains(&v.name)).cloned();
    let mut scope = Scope::new([&*seen.collect::<Vec<_>>(), own]);
    for output in task.outputs.values() {
        let output: Output = serde_json::from_value(output.clone()).unwrap_or_default();
        let handed = output.variables.iter().map(|(n, v)| Variable::literal(n, v.as_str()));
        scope.add(&handed.collect::<Vec<_>>());
    }
    scope.add(&shared.given);
    scope
}

/// The other pipeline's inputs, with their variables expanded.
fn inputs(trigger: &Trigger, scope: &Scope) -> serde_json::Map<String, serde_json::Value> {
    let expanded = |value: &serde_json::Value| match value.as_str() {
        Some(words) => scope.expand(words).into(),
        None => value.clone(),
    };
    trigger.inputs.iter().map(|(name, value)| (name.clone(), expanded(value))).collect()
}

/// Makes the other pipeline.
async fn start(
    parts: &Parts,
    task: &Task,
    trigger: &Trigger,
    shared: &Shared,
    scope: &Scope,
    key: String,
) -> Result<Child> {
    let above = parts.store.read({
        let run = task.run.clone();
        move |v| Engine::head_in(v, &run)
    });
    let above = above.await?.ok_or_else(|| Error::internal("a step without its run"))?;
    let own = matches!(trigger.target, Target::Child { .. });
    let depth = if own { depth(&above) + 1 } else { 0 };
    let inputs = inputs(trigger, scope);
    let (tip, made) = match &trigger.target {
        Target::Repository { path, refname } => {
            let refname = refname.as_ref().map(|name| scope.expand(name));
            (
                other(parts, &above, &scope.expand(path), refname).await?,
                Made { inputs, ..Made::default() },
            )
        }
        Target::Child { name, file, artifacts } => {
            if depth > MAX_DEPTH {
                return Err(too_deep());
            }
            let laid = laid(parts, task, artifacts).await?;
            let file = Some((name.clone(), file.clone()));
            (same(parts, &above).await?, Made { inputs, file, laid })
        }
    };
    let asked = Asked {
        origin: if own { Origin::Parent } else { Origin::Pipeline },
        given: handed(trigger, shared, scope),
        actor: above.actor.clone(),
        made,
        beside: Beside { above: Some(step_of(task, &above, depth)), ..Beside::default() },
        tip,
    };
    make(parts, asked, key, own).await
}

/// Compiles and creates it: once, however often this is tried.
async fn make(parts: &Parts, asked: Asked, key: String, own: bool) -> Result<Child> {
    let compiled = match prepare(parts, &asked).await? {
        Prepared::Ready(compiled) => *compiled,
        Prepared::Broken(error) => return Err(error),
        Prepared::Absent => {
            let say = text!("the commit has no {FILE}", "커밋에 {FILE} 파일이 없습니다");
            return Err(Error::not_found("pipeline.absent", say));
        }
        Prepared::Nothing(why) => return Err(Error::invalid("pipeline.nothing", why)),
    };
    let create = move |tx: &mut Tx<'_>| {
        if let Some(made) = tx.row::<Child>(CHILDREN, &key)? {
            return Ok((made, Vec::new()));
        }
        let Some(above) = asked.beside.above.clone() else {
            return Err(Error::internal("a child without a parent"));
        };
        join_family(tx, &above.run)?;
        let project = asked.tip.project.clone();
        let (run, overtaken) = create::create_in(tx, &asked, compiled)?;
        let child = Child { step: above.step, attempt: above.attempt, project, run, own };
        tx.set_row(CHILDREN, &key, &child)?;
        Ok((child, overtaken))
    };
    let (child, overtaken) = parts.store.write(create).await?;
    if let Some(engine) = parts.engine.get() {
        sync::overtake(engine, overtaken).await;
    }
    Ok(child)
}

fn step_of(task: &Task, above: &Run, depth: usize) -> Above {
    let label = |name: &str| above.labels.get(name).cloned().unwrap_or_default();
    Above {
        run: task.run.clone(),
        step: task.step.clone(),
        attempt: task.attempt,
        depth,
        priority: above.priority,
        upstream: Upstream {
            number: label("number").parse().unwrap_or(0),
            path: format!("{}/{}", above.project, label("repository")),
            job: task.step.clone(),
        },
    }
}

fn depth(run: &Run) -> usize {
    run.labels.get(DEPTH).and_then(|d| d.parse().ok()).unwrap_or(0)
}

fn too_deep() -> Error {
    let say = text!(
        "a child's child cannot have children: pipelines nest {MAX_DEPTH} levels deep",
        "자식 파이프라인은 {MAX_DEPTH}단계까지만 만들 수 있습니다"
    );
    Error::invalid("pipeline.depth", say)
}

/// Weaker first: the step's own variables, then what its pipeline was given.
fn handed(trigger: &Trigger, shared: &Shared, scope: &Scope) -> Vec<Variable> {
    let expand = |v: &Variable| {
        let value = if v.expand { scope.expand(&v.value) } else { v.value.clone() };
        Variable { value, expand: false, ..v.clone() }
    };
    let given = shared.given.iter().filter(|_| trigger.hand_given).cloned();
    trigger.hand.iter().map(expand).chain(given).collect()
}

/// The commit of the pipeline above.
async fn same(parts: &Parts, above: &Run) -> Result<Tip> {
    let label = |name: &str| above.labels.get(name).cloned().unwrap_or_default();
    let repository = Name::parse(&label("repository"))?;
    let (project, refname, id) = (above.project.clone(), label("refname"), label("commit"));
    let known = parts.store.read({
        let (project, repository, refname) = (project.clone(), repository.clone(), refname.clone());
        move |v| tip::find(v, &project, &repository, &refname)
    });
    // What the push changed is known as long as the ref has not moved on.
    if let Some(tip) = known.await?.filter(|tip| tip.commit.id == id) {
        let pushed = Origin::parse(&label("source")).is_ok_and(Origin::is_of_a_push);
        return Ok(Tip { before: tip.before.clone().filter(|_| pushed), ..tip });
    }
    Ok(Tip {
        commit: parts.source.commit(&project, &repository, &id).await?,
        project,
        repository,
        refname,
        branch: above.labels.get("branch").cloned(),
        default_branch: label("default_branch") == "true",
        before: None,
        change: above.change.clone(),
        seq: 0,
    })
}

/// The tip of another repository's branch or tag, when whoever started the pipeline above may start one
/// there, and none of those above is of that very ref.
async fn other(parts: &Parts, above: &Run, path: &str, refname: Option<String>) -> Result<Tip> {
    let shown = kernel::shown(path);
    let unknown = move || {
        let say = text!(
            "there is no repository {shown} in which whoever started this pipeline may start another",
            "이 파이프라인을 시작한 사람이 파이프라인을 시작할 수 있는 {shown} 저장소가 없습니다"
        );
        Error::not_found("repository.unknown", say)
    };
    let Some((project, repository)) = left::place(path, &above.project) else {
        return Err(unknown());
    };
    let (above, refname) = (above.clone(), refname.filter(|name| !name.is_empty()));
    let policy = parts.policy.clone();
    let find = move |v: &View<'_>| {
        let may = project == above.project
            || policy.allows(v, &above.actor, Permission::Change, &project)?;
        if !may {
            return Err(unknown());
        }
        let tip = match &refname {
            Some(name) => tip::find(v, &project, &repository, name)?,
            None => tip::default(v, &project, &repository)?,
        };
        let Some(tip) = tip else {
            let name = refname.as_deref().unwrap_or("HEAD");
            let name = kernel::shown(name);
            let say = text!(
                "{project}/{repository} has no branch or tag “{name}”",
                "{project}/{repository}에 “{name}” 브랜치나 태그가 없습니다"
            );
            return Err(Error::not_found("ref.unknown", say));
        };
        check_circle(v, &above, &tip)?;
        Ok(tip)
    };
    parts.store.read(find).await
}

/// Refuses a pipeline of a ref that one above it has, too: it would start itself for ever.
fn check_circle(view: &View<'_>, above: &Run, tip: &Tip) -> Result<()> {
    let label = |run: &Run, name: &str| run.labels.get(name).cloned().unwrap_or_default();
    let mut run = Some(above.clone());
    for _ in 0..MAX_CHAIN {
        let Some(at) = run else { return Ok(()) };
        let same = at.project == tip.project
            && label(&at, "repository") == tip.repository.as_str()
            && label(&at, "refname") == tip.refname;
        if same {
            let (path, name) = (format!("{}/{}", tip.project, tip.repository), tip.short());
            let say = text!(
                "{path} {name} is already above this pipeline: they would start each other for ever",
                "{path} {name} 파이프라인이 이미 위에 있어 끝없이 서로를 시작하게 됩니다"
            );
            return Err(Error::invalid("pipeline.circle", say));
        }
        let up = at.labels.get(ABOVE).and_then(|id| Id::parse(id));
        run = up.map(|id| Engine::head_in(view, &id)).transpose()?.flatten();
    }
    let say = text!(
        "more than {MAX_CHAIN} pipelines have started one another",
        "서로 이어서 시작한 파이프라인이 {MAX_CHAIN}개를 넘습니다"
    );
    Err(Error::invalid("pipeline.circle", say))
}

/// Counts one more pipeline below the one that nothing is above.
fn join_family(tx: &mut Tx<'_>, above: &Id) -> Result<()> {
    let mut root = above.clone();
    for _ in 0..2 * MAX_CHAIN {
        let head = Engine::head_in(tx, &root)?;
        match head.and_then(|run| Id::parse(run.labels.get(ABOVE)?)) {
            Some(up) => root = up,
            None => break,
        }
    }
    let members = tx.row::<u32>(FAMILY, root.as_str())?.unwrap_or(0) + 1;
    if members > MAX_FAMILY {
        let say = text!(
            "a pipeline may lead to at most {MAX_FAMILY} others",
            "파이프라인 하나가 시작할 수 있는 다른 파이프라인은 최대 {MAX_FAMILY}개입니다"
        );
        return Err(Error::invalid("pipeline.family", say));
    }
    tx.set_row(FAMILY, root.as_str(), &members)
}

/// Files of earlier jobs that the child's file asks for.
async fn laid(
    parts: &Parts,
    task: &Task,
    wanted: &[FromArtifact],
) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut out = BTreeMap::new();
    for FromArtifact { step, path, name } in wanted {
        let missing = || {
            let say = text!(
                "{step} left no file {path}",
                "{step} 작업이 {path} 파일을 남기지 않았습니다"
            );
            Error::not_found("artifacts.unknown", say)
        };
        let output = task.outputs.get(step).ok_or_else(missing)?;
        let output: Output = serde_json::from_value(output.clone()).map_err(Error::internal)?;
        let tree = parts.blobs.tree(&output.artifacts.ok_or_else(missing)?).await?;
        let plain = |e: &&blob::Entry| e.path == *path && e.mode != blob::LINK;
        let entry = tree.entries.iter().find(plain).ok_or_else(missing)?;
        out.insert(name.clone(), parts.blobs.get(&entry.hash, MAX_FILE).await?);
    }
    Ok(out)
}

/// Cancels the children of pipelines that are canceled, after a restart, too.
pub async fn cascade(parts: Arc<Parts>, engine: Engine) {
    loop {
        let Err(error) = follow(&parts, &engine).await else { return };
        if error.code() == "store.closed" {
            return;
        }
        tracing::warn!(%error, "cancellations cannot be followed");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn follow(parts: &Parts, engine: &Engine) -> Result<()> {
    let cursor = parts.store.read(|v| v.row::<u64>(CURSOR, "cancel")).await?.unwrap_or(0);
    let mut feed = parts.store.follow(cursor);
    loop {
        let event = feed.next().await?;
        let Some(run) = canceled_run(&event) else { continue };
        let children = parts.store.read(move |v| Pipelines::children(v, &run)).await?;
        for child in children.iter().filter(|child| child.own) {
            cancel(Some(engine), &child.run).await;
        }
        // Canceling again changes nothing: the cursor may come after.
        let seq = event.seq;
        parts.store.write(move |tx| tx.set_row(CURSOR, "cancel", &seq)).await?;
    }
}

fn canceled_run(event: &Event) -> Option<Id> {
    (event.fact.kind == "run.cancel.requested").then(|| sync::run_of(event))?
}

/// A run is forgotten, and with it what is known of its children.
pub fn forget(tx: &mut Tx<'_>, run: &Id) -> Result<()> {
    let limit = usize::try_from(MAX_FAMILY).unwrap_or(usize::MAX);
    for (key, _) in tx.rows::<Child>(CHILDREN, &format!("{run}/"), None, limit)? {
        tx.delete_row(CHILDREN, &key)?;
    }
    tx.delete_row(FAMILY, run.as_str()).map(drop)
}
