//! The one transaction that makes a pipeline, and the facts about it.

use crate::gitlab::{Compiled, Origin};
use crate::tip::Tip;
use crate::variables::Variable;
use crate::work::OnNewCommit;
use crate::{KIND, Report, SHARED};
use kernel::error::Place;
use kernel::journey::{Fact, PipelineCreated, PipelineFinished, Verdict};
use kernel::resource::Labels;
use kernel::{Id, Key, Name, NewEvent, Principal, Result, Text, text};
use run::{Engine, NewRun};
use serde_json::json;
use store::Tx;

/// Runs that are not finished, by `<project>/<repository>/<refname>/<run>`; the value says whether a newer
/// push may cancel it.
pub const OPEN: &str = "delivery-pipeline.open";
/// Runs by the number of their pipeline on this server.
pub const NUMBERED: &str = "delivery-pipeline.numbered";
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
}

/// Makes the run, its event, and what is remembered about it. Returns the run and those it overtakes.
pub fn create_in(tx: &mut Tx<'_>, asked: &Asked, compiled: Compiled) -> Result<(Id, Vec<Id>)> {
    let tip = &asked.tip;
    let jobs: Vec<String> = compiled.plan.steps.iter().map(|s| s.name.clone()).collect();
    let interruptible = compiled.plan.steps.iter().all(|step| {
        step.action.with.get("interruptible").and_then(serde_json::Value::as_bool) == Some(true)
    });
    if tx.row::<serde::de::IgnoredAny>(SHARED, &compiled.shared_key)?.is_none() {
        tx.set_row(SHARED, &compiled.shared_key, &compiled.shared)?;
    }
    let name = compiled.name.unwrap_or_else(|| tip.commit.subject.clone());
    let plan = compiled.plan;
    let title = Text::plain(format!("{} {}: {name}", tip.repository, tip.short()));
    let run = Engine::create_in(
        tx,
        NewRun {
            kind: KIND.to_owned(),
            project: tip.project.clone(),
            change: tip.change.clone(),
            title,
            plan: plan.clone(),
            actor: asked.actor.clone(),
            labels: labels(asked),
            subject: None,
            priority: 0,
        },
    )?;
    crate::retire::use_shared(tx, &plan, &run)?;
    warned(tx, &run, asked, &compiled.warnings)?;
    created(tx, &run, tip, jobs, &asked.actor)?;
    let report = Report { jobs: compiled.jobs, warnings: compiled.warnings, ..Report::default() };
    tx.set_row(REPORTS, run.as_str(), &report)?;
    let prefix = format!("{}/", tip.key());
    let may = interruptible && compiled.auto_cancel.on_new_commit != OnNewCommit::Nothing;
    tx.set_row(OPEN, &format!("{prefix}{run}"), &may)?;
    let open = tx.rows::<bool>(OPEN, &prefix, None, 1000)?;
    Ok((run, overtaken(&open)))
}

/// Of open runs in the order of their keys: those that may be canceled and are not the newest of their ref.
pub fn overtaken(open: &[(String, bool)]) -> Vec<Id> {
    let place = |key: &str| key.rsplit_once('/').map(|(place, _)| place.to_owned());
    let pairs = open.iter().zip(open.iter().skip(1));
    let old = pairs.filter(|((key, may), (next, _))| *may && place(key) == place(next));
    old.filter_map(|((key, _), _)| Id::parse(key.rsplit('/').next()?)).collect()
}

fn labels(asked: &Asked) -> Labels {
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

fn created(
    tx: &mut Tx<'_>,
    run: &Id,
    tip: &Tip,
    jobs: Vec<String>,
    actor: &Principal,
) -> Result<()> {
    let (count, repository, name) = (jobs.len(), &tip.repository, tip.short());
    let plural = if count == 1 { "" } else { "s" };
    let say = text!(
        "pipeline with {count} job{plural} for {repository} {name}",
        "{repository} {name} 파이프라인, 작업 {count}개"
    );
    let fact = PipelineCreated { repository: tip.repository.clone(), run: run.clone(), jobs };
    let event = fact.event(actor.clone(), say)?.project(&tip.project);
    tx.append(event.subject(subject(&tip.project, run)?).change(tip.change.clone())).map(drop)
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
    tx.append(event.change(change)).map(drop)
}
