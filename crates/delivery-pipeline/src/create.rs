//! The one transaction that makes a pipeline, and the facts about it.

use crate::gitlab::{Compiled, MergeRequest, Origin, Upstream};
use crate::prepare::Made;
use crate::tip::Tip;
use crate::variables::Variable;
use crate::work::{OnJobFailure, OnNewCommit};
use crate::{KIND, Report, SHARED};
use kernel::error::Place;
use kernel::journey::{Fact, PipelineCreated, PipelineFinished, Verdict};
use kernel::resource::Labels;
use kernel::{Id, Key, Name, NewEvent, Principal, Result, Text, text};
use run::{Engine, NewRun, Superseded};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Tx;

/// [`Unfinished`] runs, by `<project>/<repository>/<refname>/<run>`.
pub const OPEN: &str = "delivery-pipeline.unfinished";
/// Runs by the number of their pipeline on this server.
pub const NUMBERED: &str = "delivery-pipeline.numbered";
/// The labels that say which run started it, and how many pipelines of the same commit are above it.
pub const ABOVE: &str = "upstream_run";
pub const DEPTH: &str = "depth";
/// The newest run by `<project>/<repository>/<refname>`.
pub const LATEST: &str = "delivery-pipeline.latest";
/// [`Report`] by run.
pub const REPORTS: &str = "delivery-pipeline.report";
/// The event that names the keywords without effect; data: `run` and `warnings`, each with `at` and `say`.
const WARNED: &str = "pipeline.warned";
/// Warnings in its sentence, and in its data; the [`Report`] has all.
const MAX_TOLD: usize = 10;
const MAX_LISTED: usize = 200;

/// What is asked for beside the files.
#[derive(Clone, Debug)]
pub struct Asked {
    pub tip: Tip,
    pub origin: Origin,
    pub given: Vec<Variable>,
    pub actor: Principal,
    pub made: Made,
    pub beside: Beside,
}

/// What only pipelines of some origins know.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    pub merge_request: Option<MergeRequest>,
    /// Started by a step of another pipeline.
    pub above: Option<Above>,
    /// What the schedule that started it says of itself.
    pub schedule: Option<String>,
    /// What an earlier run has done of it already: that run, and the names of its steps.
    pub kept: Option<(Id, std::collections::BTreeSet<String>)>,
}

/// The step that starts a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Above {
    pub run: Id,
    pub step: String,
    /// Of which the pipeline is made once.
    pub attempt: u32,
    /// Pipelines of the same commit above the new one.
    pub depth: usize,
    pub priority: i32,
    /// What jobs learn of it.
    pub upstream: Upstream,
}

/// A run whose end is not there yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    pub commit: String,
    /// What a newer pipeline does to it.
    pub on_new: OnNewCommit,
    /// Whether it is newer than others in this sense: a push or a person started it.
    pub overtakes: bool,
}

/// Makes the run, its event, and what is remembered about it. Returns the run and those it overtakes.
pub fn create_in(
    tx: &mut Tx<'_>,
    asked: &Asked,
    compiled: Compiled,
) -> Result<(Id, Vec<Overtaken>)> {
    let tip = &asked.tip;
    let jobs: Vec<String> = compiled.plan.steps.iter().map(|s| s.name.clone()).collect();
    if tx.row::<serde::de::IgnoredAny>(SHARED, &compiled.shared_key)?.is_none() {
        tx.set_row(SHARED, &compiled.shared_key, &compiled.shared)?;
    }
    let name = compiled.name.unwrap_or_else(|| tip.commit.subject.clone());
    let mut plan = compiled.plan;
    plan.fail_fast = compiled.auto_cancel.on_job_failure == OnJobFailure::All;
    let title = Text::plain(format!("{} {}: {name}", tip.repository, tip.short()));
    let new = NewRun {
        kind: KIND.to_owned(),
        project: tip.project.clone(),
        change: tip.change.clone(),
        title,
        plan: plan.clone(),
        actor: asked.actor.clone(),
        labels: labels(asked, (compiled.number, compiled.project_number)),
        subject: None,
        priority: priority(asked),
    };
    let run = match &asked.beside.kept {
        Some((from, steps)) => Engine::continue_in(tx, new, from, steps)?,
        None => Engine::create_in(tx, new)?,
    };
    crate::retire::use_shared(tx, &plan, &run)?;
    warned(tx, &run, asked, &compiled.warnings)?;
    created(tx, &run, asked, jobs)?;
    tx.set_row(NUMBERED, &compiled.number.to_string(), &run)?;
    let report = Report { jobs: compiled.jobs, warnings: compiled.warnings, ..Report::default() };
    tx.set_row(REPORTS, run.as_str(), &report)?;
    // A child ends with its parent, and stands in nobody's way.
    if asked.origin == Origin::Parent {
        return Ok((run, Vec::new()));
    }
    tx.set_row(LATEST, &tip.key(), &run)?;
    let prefix = format!("{}/", tip.key());
    let unfinished = Unfinished {
        commit: tip.commit.id.clone(),
        on_new: compiled.auto_cancel.on_new_commit,
        overtakes: deploys(asked.origin.word()) || asked.origin == Origin::MergeRequest,
    };
    tx.set_row(OPEN, &format!("{prefix}{run}"), &unfinished)?;
    let open = tx.rows::<Unfinished>(OPEN, &prefix, None, 1000)?;
    Ok((run, overtaken(&open)))
}

/// Whether a pipeline of this source (a [`Origin::word`]) brings its commit to production when it passes.
/// What a schedule, a token or another pipeline starts may leave half of what a release needs.
pub fn deploys(source: &str) -> bool {
    [Origin::Push, Origin::Web, Origin::Api].iter().any(|origin| origin.word() == source)
}

/// Below what people wait for.
const NIGHTLY: i32 = -10;

fn priority(asked: &Asked) -> i32 {
    match (&asked.beside.above, asked.origin) {
        (Some(above), _) => above.priority,
        (None, Origin::Schedule) => NIGHTLY,
        _ => 0,
    }
}

/// A run that something newer overtakes, and what of it.
pub type Overtaken = (Id, Superseded);

/// Of open runs in the order of their keys: those that a newer one of their ref, for another commit,
/// overtakes.
pub fn overtaken(open: &[(String, Unfinished)]) -> Vec<Overtaken> {
    let place = |key: &str| key.rsplit_once('/').map(|(place, _)| place.to_owned());
    let mut out = Vec::new();
    for (i, (key, old)) in open.iter().enumerate() {
        let what = match old.on_new {
            OnNewCommit::Conservative => Superseded::Run,
            OnNewCommit::Interruptible => Superseded::Steps,
            OnNewCommit::Nothing => continue,
        };
        let newer = open.iter().skip(i + 1).take_while(|(other, _)| place(other) == place(key));
        let mut newer = newer.filter(|(_, new)| new.overtakes && new.commit != old.commit);
        if newer.next().is_some() {
            out.extend(key.rsplit('/').next().and_then(Id::parse).map(|run| (run, what)));
        }
    }
    out
}

fn labels(asked: &Asked, (number, project_number): (u64, u64)) -> Labels {
    let tip = &asked.tip;
    let origin = asked.origin.word();
    let mut labels: Labels = [
        ("repository", tip.repository.as_str()),
        ("commit", &*tip.commit.id),
        ("refname", &*tip.refname),
        ("ref", tip.short()),
        ("default_branch", if tip.default_branch { "true" } else { "false" }),
        ("source", origin),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .into();
    labels.extend(tip.branch.clone().map(|b| ("branch".to_owned(), b)));
    labels.insert("number".to_owned(), number.to_string());
    labels.insert("project_number".to_owned(), project_number.to_string());
    if let Some(merge_request) = &asked.beside.merge_request {
        labels.insert("merge_request".to_owned(), merge_request.number.to_string());
    }
    if let Some(above) = &asked.beside.above {
        labels.insert(ABOVE.to_owned(), above.run.to_string());
        labels.insert("upstream_step".to_owned(), above.step.clone());
        labels.insert(DEPTH.to_owned(), above.depth.to_string());
    }
    labels
}

/// Tells of the keywords that have no effect, before the word that the pipeline is made.
fn warned(tx: &mut Tx<'_>, run: &Id, asked: &Asked, warnings: &[(Place, Text)]) -> Result<()> {
    if warnings.is_empty() {
        return Ok(());
    }
    let tip = &asked.tip;
    let listed: Vec<_> =
        warnings.iter().take(MAX_LISTED).map(|(at, say)| json!({ "at": at, "say": say })).collect();
    let event = NewEvent::new(WARNED, asked.actor.clone(), words(warnings))
        .data(json!({ "run": run, "warnings": listed }))
        .project(&tip.project);
    tx.append(event.subject(subject(&tip.project, run)?).change(tip.change.clone())).map(drop)
}

/// A line for each warning, the first few of them.
fn words(warnings: &[(Place, Text)]) -> Text {
    let line =
        |(at, Text { en, ko }): &(Place, Text)| text!("warning: {at}: {en}", "경고: {at}: {ko}");
    let mut lines: Vec<Text> = warnings.iter().take(MAX_TOLD).map(line).collect();
    let more = warnings.len().saturating_sub(MAX_TOLD);
    if more > 0 {
        lines.push(text!(
            "warning: and {more} more, see `naru pipeline lint` or the page of the run",
            "경고: 그 밖에 {more}개는 `naru pipeline lint`나 실행 페이지에서 볼 수 있습니다"
        ));
    }
    let join = |pick: fn(&Text) -> &str| lines.iter().map(pick).collect::<Vec<_>>().join("\n");
    Text::new(join(|l| &l.en), join(|l| &l.ko))
}

fn created(tx: &mut Tx<'_>, run: &Id, asked: &Asked, jobs: Vec<String>) -> Result<()> {
    let tip = &asked.tip;
    let (count, repository, name) = (jobs.len(), &tip.repository, tip.short());
    let plural = if count == 1 { "" } else { "s" };
    let say = text!(
        "pipeline with {count} job{plural} for {repository} {name}",
        "{repository} {name} 파이프라인, 작업 {count}개"
    );
    let fact = PipelineCreated { repository: tip.repository.clone(), run: run.clone(), jobs };
    let event = fact.event(asked.actor.clone(), say)?.project(&tip.project);
    // The change's own way is what a push or a person started; the others only look at its commit.
    let change = tip.change.clone().filter(|_| deploys(asked.origin.word()));
    tx.append(event.subject(subject(&tip.project, run)?).change(change)).map(drop)
}

/// The event's subject: the run itself.
pub fn subject(project: &Name, run: &Id) -> Result<Key> {
    let name = Name::parse(run.as_str())?;
    Ok(Key { kind: "Run".to_owned(), project: Some(project.clone()), name })
}

/// A pipeline that ends without ever having had a run.
pub fn end_in(
    tx: &mut Tx<'_>,
    asked: &Asked,
    verdict: Verdict,
    reason: Option<Text>,
) -> Result<()> {
    let tip = &asked.tip;
    let fact = PipelineFinished {
        repository: tip.repository.clone(),
        commit: tip.commit.id.clone(),
        branch: tip.branch.clone(),
        default_branch: tip.default_branch,
        run: None,
        verdict,
        reason,
        layers: Vec::new(),
        deploys: deploys(asked.origin.word()),
        by: Some(asked.actor.clone()),
    };
    finish(tx, &tip.project, tip.change.clone(), fact)
}

/// Writes `pipeline.finished`.
pub fn finish(
    tx: &mut Tx<'_>,
    project: &Name,
    change: Option<Name>,
    fact: PipelineFinished,
) -> Result<()> {
    let Text { en, ko } = fact.verdict.text();
    let repository = &fact.repository;
    let mut say = text!("pipeline of {repository} {en}", "{repository} 파이프라인 {ko}");
    if let Some(reason) = &fact.reason {
        say = Text::new(format!("{}: {}", say.en, reason.en), format!("{}: {}", say.ko, reason.ko));
    }
    let mut event = fact.event(Principal::part("delivery-pipeline"), say)?.project(project);
    if let Some(run) = &fact.run {
        event = event.subject(subject(project, run)?);
    }
    tx.append(event.change(change.filter(|_| fact.deploys))).map(drop)
}
