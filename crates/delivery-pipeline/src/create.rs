//! From a ref to a pipeline: reading, compiling, and the one transaction that makes it.

use crate::gitlab::{self, Compiled, Context, FILE, Files, Gathered, MAX_FILE, Origin};
use crate::tip::Tip;
use crate::variables::Variable;
use crate::{KIND, Parts, Report, SHARED};
use kernel::error::Place;
use kernel::journey::{Fact, PipelineCreated, PipelineFinished, Verdict};
use kernel::resource::Labels;
use kernel::{Error, ErrorKind, Id, Key, Name, NewEvent, Principal, Result, Text, text};
use run::{Engine, NewRun};
use serde_json::json;
use std::collections::BTreeSet;
use store::Tx;

/// Runs that are not finished, by `<project>/<repository>/<refname>/<run>`; the value says whether a newer
/// push may cancel it.
pub const OPEN: &str = "delivery-pipeline.open";
/// [`Report`] by run.
pub const REPORTS: &str = "delivery-pipeline.report";
/// The last number given: `all`, or `<project>`.
const NUMBERS: &str = "delivery-pipeline.number";
/// The event that names the keywords without effect; data: `run` and `warnings`, each with `at` and `say`.
const WARNED: &str = "pipeline.warned";
/// Warnings in its sentence, and in its data; the [`Report`] has all.
const MAX_TOLD: usize = 10;
const MAX_LISTED: usize = 200;
/// Rounds of reading included files.
const MAX_ROUNDS: usize = 20;

/// What is asked for beside the files.
#[derive(Clone, Debug)]
pub struct Asked {
    pub tip: Tip,
    pub origin: Origin,
    pub given: Vec<Variable>,
    pub actor: Principal,
}

/// What came of reading.
pub enum Prepared {
    /// The commit has no pipeline file.
    Absent,
    /// It cannot be read: the place is in the error.
    Broken(Error),
    /// It says that nothing is to run.
    Nothing(Text),
    Ready(Box<Compiled>),
}

/// # Errors
/// Only faults of ours: what is wrong with the file is [`Prepared::Broken`].
pub async fn prepare(parts: &Parts, asked: &Asked) -> Result<Prepared> {
    let mut files = Files::new();
    match read(parts, &asked.tip, FILE).await {
        Ok(None) => return Ok(Prepared::Absent),
        Ok(file) => drop(files.insert(FILE.to_owned(), file)),
        Err(error) => return broken(error),
    }
    let context = context(parts, asked, numbers(parts, &asked.tip.project).await?).await;
    match compile(parts, asked, files, context).await {
        Ok(compiled) => Ok(match &compiled.nothing {
            Some(why) => Prepared::Nothing(why.clone()),
            None => Prepared::Ready(Box::new(compiled)),
        }),
        Err(error) => broken(error),
    }
}

fn broken(error: Error) -> Result<Prepared> {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::TooLarge => Ok(Prepared::Broken(error)),
        _ => Err(error),
    }
}

async fn read(parts: &Parts, tip: &Tip, path: &str) -> Result<Option<Vec<u8>>> {
    let Tip { project, repository, commit, .. } = tip;
    let found = parts.source.file(project, repository, &commit.id, path, MAX_FILE).await;
    found.map_err(|e| if e.kind() == ErrorKind::TooLarge { e.at(path, 1, 1) } else { e })
}

async fn compile(
    parts: &Parts,
    asked: &Asked,
    mut files: Files,
    mut context: Context,
) -> Result<Compiled> {
    for _ in 0..MAX_ROUNDS {
        look(parts, &asked.tip, &files, &mut context).await?;
        let root = match gitlab::gather(FILE, &files, &context)? {
            Gathered::Missing(paths) => {
                for path in paths {
                    let file = read(parts, &asked.tip, &path).await?;
                    files.insert(path, file);
                }
                continue;
            }
            Gathered::Whole(root) => root,
        };
        // A large file takes a while: not on a thread that serves.
        let work = tokio::task::spawn_blocking(move || {
            let compiled = gitlab::compile(&root, &context)?;
            compiled.plan.check().map_err(|e| e.at(FILE, 1, 1))?;
            Ok(compiled)
        });
        return work.await.map_err(Error::internal)?;
    }
    let say = text!(
        "includes nest more than {MAX_ROUNDS} levels deep",
        "include가 {MAX_ROUNDS}단계를 넘습니다"
    );
    Err(Error::invalid("pipeline.include", say).at(FILE, 1, 1))
}

/// Reads of the commit what the files may ask about.
async fn look(parts: &Parts, tip: &Tip, files: &Files, context: &mut Context) -> Result<()> {
    let asks = gitlab::asks(files);
    let Tip { project, repository, commit, before, .. } = tip;
    if asks.tree && context.tree.is_empty() {
        context.tree = parts.source.tree(project, repository, &commit.id).await?;
    }
    if asks.changed && context.changed.is_none() && before.is_some() {
        let changed = parts.source.changed(project, repository, before.as_deref(), &commit.id);
        // After a forced push the old commit may be gone: then there is nothing to compare with.
        context.changed =
            changed.await.ok().map(|paths| paths.into_iter().collect::<BTreeSet<_>>());
    }
    Ok(())
}

async fn context(parts: &Parts, asked: &Asked, (number, project_number): (u64, u64)) -> Context {
    let tip = &asked.tip;
    let actor = match &asked.actor {
        Principal::User(name) | Principal::Service(name) => name.to_string(),
        other => other.to_string(),
    };
    Context {
        project: tip.project.clone(),
        repository: tip.repository.clone(),
        commit: tip.commit.clone(),
        branch: tip.branch.clone(),
        tag: tip.tag(),
        default_branch: default_branch(parts, tip).await,
        before: tip.before.clone(),
        origin: asked.origin,
        number,
        project_number,
        url: parts.url.clone(),
        now: parts.store.now(),
        actor,
        tree: Vec::new(),
        changed: None,
        given: asked.given.clone(),
    }
}

async fn default_branch(parts: &Parts, tip: &Tip) -> String {
    if let Some(branch) = tip.branch.as_ref().filter(|_| tip.default_branch) {
        return branch.clone();
    }
    let head = parts.source.git_dir(&tip.project, &tip.repository).join("HEAD");
    let head = tokio::fs::read_to_string(head).await.unwrap_or_default();
    let name = head.trim().strip_prefix("ref: refs/heads/");
    name.unwrap_or("main").to_owned()
}

/// The next numbers of a pipeline: on this server, and in its project. A number may be lost in a crash.
async fn numbers(parts: &Parts, project: &Name) -> Result<(u64, u64)> {
    let project = project.to_string();
    let next = move |tx: &mut Tx<'_>| {
        let mut next = |key: &str| -> Result<u64> {
            let number = tx.row::<u64>(NUMBERS, key)?.unwrap_or(0) + 1;
            tx.set_row(NUMBERS, key, &number)?;
            Ok(number)
        };
        // No project is called that: names have no dots.
        Ok((next(".all")?, next(&project)?))
    };
    parts.store.write(next).await
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
    let may = interruptible && compiled.auto_cancel;
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
    let origin = match asked.origin {
        Origin::Push => "push",
        Origin::Web => "web",
        Origin::Api => "api",
    };
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
