//! The whole way from files to a plan.

use super::arrange::{self, Chosen};
use super::error;
use super::job::{self, Inherit, Job, Warnings, When};
use super::keywords::{DEFAULT, GLOBAL, NOT_YET, OLD_DEFAULT, WORKFLOW_RULE};
use super::merge::Whole;
use super::parts::{self, Variables};
use super::rules;
use super::step::{self, Pipeline};
use super::yaml::{At, Entry, Is, Node};
use super::{Context, predefined, read};
use crate::variables::{Scope, Variable};
use crate::work::{AutoCancel, OnJobFailure, OnNewCommit, Shared};
use kernel::error::Place;
use kernel::{Result, Text, text};
use run::Plan;
use serde::{Deserialize, Serialize};

/// A job and why it is in the plan or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    pub job: String,
    pub stage: String,
    pub included: bool,
    /// `on_success`, `manual`, `never` …
    pub when: String,
    pub because: Text,
    /// The line that decided.
    pub at: Place,
}

/// A pipeline file, compiled.
#[derive(Clone, Debug, Serialize)]
pub struct Compiled {
    pub plan: Plan,
    /// `workflow:name`
    pub name: Option<String>,
    /// Why there is no pipeline at all; then the plan is empty.
    pub nothing: Option<Text>,
    pub jobs: Vec<Explained>,
    /// What has no effect, with its place.
    pub warnings: Vec<(Place, Text)>,
    #[serde(skip)]
    pub shared: Shared,
    /// Key of `shared`.
    #[serde(skip)]
    pub shared_key: String,
    #[serde(skip)]
    pub auto_cancel: AutoCancel,
    /// As in the [`Context`].
    #[serde(skip)]
    pub number: u64,
    #[serde(skip)]
    pub project_number: u64,
}

/// Compiles a merged file.
///
/// # Errors
/// Of kind `Invalid`, with the place, what is wrong, and a hint.
pub fn compile(root: &Node, context: &Context) -> Result<Compiled> {
    let mut file = File::new(root, context)?;
    let workflow = file.workflow()?;
    let mut jobs = Vec::new();
    let names: Vec<String> = file.whole.keys().to_vec();
    for name in names.iter().filter(|n| !GLOBAL.contains(&n.as_str()) && !job::is_hidden(n)) {
        jobs.push(file.job(name)?);
    }
    let shared = Shared {
        variables: [file.predefined.clone(), file.global.clone(), workflow.variables.clone()]
            .concat(),
        given: context.given.clone(),
    };
    let shared_key = key_of(&shared);
    let chosen = file.choose(jobs, &shared);
    let explained = explain(&chosen);
    let nothing = workflow.nothing.or_else(|| nothing_to_do(&chosen));
    let plan = match nothing {
        Some(_) => Plan::default(),
        None => {
            let pipeline = Pipeline { context, shared: &shared, key: &shared_key };
            arrange::plan(&chosen, &file.stages, &pipeline)?
        }
    };
    Ok(Compiled {
        plan,
        name: workflow.name.map(|n| Scope::new([&*shared.variables, &*shared.given]).expand(&n)),
        nothing,
        jobs: explained,
        warnings: file.warnings.iter().map(|(at, text)| (place(at), text.clone())).collect(),
        shared,
        shared_key,
        auto_cancel: workflow.auto_cancel,
        number: context.number,
        project_number: context.project_number,
    })
}

const ON_NEW_COMMIT: &[(&str, OnNewCommit)] = &[
    ("conservative", OnNewCommit::Conservative),
    ("interruptible", OnNewCommit::Interruptible),
    ("none", OnNewCommit::Nothing),
];

const ON_JOB_FAILURE: &[(&str, OnJobFailure)] =
    &[("none", OnJobFailure::Nothing), ("all", OnJobFailure::All)];

pub fn place(at: &At) -> Place {
    Place { file: at.file.to_string(), line: at.line, column: at.column }
}

/// The same variables have the same key, so that a repeated compile stores nothing new.
fn key_of(shared: &Shared) -> String {
    use sha2::{Digest, Sha256};
    let bytes = serde_json::to_vec(shared).unwrap_or_default();
    Sha256::digest(&bytes).iter().take(16).map(|b| format!("{b:02x}")).collect()
}

struct File<'a> {
    whole: Whole,
    context: &'a Context,
    pub stages: Vec<String>,
    predefined: Variables,
    global: Variables,
    /// `default:` and its deprecated equals.
    defaults: Vec<Entry>,
    warnings: Warnings,
}

struct Workflow {
    name: Option<String>,
    variables: Variables,
    nothing: Option<Text>,
    auto_cancel: AutoCancel,
}

impl<'a> File<'a> {
    fn new(root: &Node, context: &'a Context) -> Result<File<'a>> {
        let mut file = File {
            whole: Whole::new(root),
            context,
            stages: Vec::new(),
            predefined: predefined::pipeline(context),
            global: Vec::new(),
            defaults: Vec::new(),
            warnings: Vec::new(),
        };
        file.stages = file.stages()?;
        if let Some(entry) = file.global("variables")? {
            file.global = parts::variables(&entry, &mut file.warnings)?;
        }
        for key in OLD_DEFAULT {
            let old = file.global(key)?;
            file.defaults.extend(old);
        }
        if let Some(entry) = file.global("default")? {
            for entry in read::map(&entry.value, "default", DEFAULT)? {
                file.defaults.retain(|e| e.key != entry.key);
                file.defaults.push(entry.clone());
            }
        }
        for entry in &file.defaults {
            if let Some((key, hint)) = NOT_YET.iter().find(|(key, _)| *key == entry.key) {
                return Err(error::unsupported(&entry.at, key, Text::fixed(hint.0, hint.1)));
            }
        }
        Ok(file)
    }

    /// A top-level keyword with its references written out; null is as if it were absent.
    fn global(&mut self, key: &str) -> Result<Option<Entry>> {
        let Some(entry) = self.whole.entry(key).cloned() else { return Ok(None) };
        let value = self.whole.get(key)?.unwrap_or_else(|| entry.value.clone());
        Ok((!value.is_null()).then_some(Entry { value, ..entry }))
    }

    fn stages(&mut self) -> Result<Vec<String>> {
        let named = match self.global("stages")? {
            Some(entry) => read::words(&entry)?,
            None => ["build", "test", "deploy"].map(str::to_owned).to_vec(),
        };
        let all = [".pre".to_owned()].into_iter().chain(named).chain([".post".to_owned()]);
        let mut out: Vec<String> = Vec::new();
        for stage in all {
            if !out.contains(&stage) || stage == ".post" {
                out.retain(|s| *s != stage);
                out.push(stage);
            }
        }
        Ok(out)
    }

    fn workflow(&mut self) -> Result<Workflow> {
        let mut out = Workflow {
            name: None,
            variables: Vec::new(),
            nothing: None,
            auto_cancel: AutoCancel::default(),
        };
        let Some(entry) = self.global("workflow")? else { return Ok(out) };
        for part in read::map(&entry.value, "workflow", &["rules", "name", "auto_cancel"])? {
            match part.key.as_str() {
                "name" => out.name = Some(read::text(part)?),
                "auto_cancel" => out.auto_cancel = self.auto_cancel(part)?,
                _ => {
                    let rules = rules::read(part, WORKFLOW_RULE, &mut self.warnings)?;
                    let scope =
                        Scope::new([&*self.predefined, &*self.global, &*self.context.given]);
                    match rules::first(&rules, &scope, self.context) {
                        Some((number, rule)) if rule.when == Some(When::Never) => {
                            out.nothing = Some(text!(
                                "rule {number} of `workflow` says never",
                                "`workflow`의 {number}번 규칙이 never입니다"
                            ));
                        }
                        Some((_, rule)) => out.variables = rule.variables.clone(),
                        None => {
                            out.nothing = Some(Text::fixed(
                                "no rule of `workflow` holds",
                                "`workflow`에 맞는 규칙이 없습니다",
                            ));
                        }
                    }
                }
            }
        }
        Ok(out)
    }

    fn auto_cancel(&mut self, entry: &Entry) -> Result<AutoCancel> {
        let mut out = AutoCancel::default();
        let known = ["on_new_commit", "on_job_failure"];
        for part in read::map(&entry.value, "auto_cancel", &known)? {
            match part.key.as_str() {
                "on_new_commit" => out.on_new_commit = read::choice(part, ON_NEW_COMMIT)?,
                _ => out.on_job_failure = read::choice(part, ON_JOB_FAILURE)?,
            }
        }
        Ok(out)
    }

    /// A job with the defaults laid under it.
    fn job(&mut self, name: &str) -> Result<(Job, Inherit)> {
        let missing = || kernel::Error::internal("a job that has gone");
        let entry = self.whole.entry(name).cloned().ok_or_else(missing)?;
        if entry.value.map().is_none() {
            return Err(error::unknown_key(&entry.at, name, &entry.at.file, GLOBAL));
        }
        check_name(name, &entry.at)?;
        let node = self.whole.get(name)?.ok_or_else(missing)?;
        let (defaults, variables) = job::inherits(&node)?;
        let below: Vec<Entry> =
            self.defaults.iter().filter(|e| defaults.takes(&e.key)).cloned().collect();
        let own = node.map().unwrap_or_default();
        let kept = below.into_iter().filter(|e| !own.iter().any(|o| o.key == e.key));
        let entries: Vec<Entry> = kept.chain(own.iter().cloned()).collect();
        let node = Node::new(node.at.clone(), Is::Map(entries));
        Ok((Job::read(name, &entry.at, &node, &mut self.warnings)?, variables))
    }

    fn choose(&mut self, jobs: Vec<(Job, Inherit)>, shared: &Shared) -> Vec<Chosen> {
        let one = |(job, inherit): (Job, Inherit)| {
            let global = self.global.iter().map(|v| v.name.clone());
            let without: Vec<String> = global.filter(|name| !inherit.takes(name)).collect();
            let stage = job.stage.as_ref().map_or("test", |(s, _)| s).to_owned();
            let names = step::names(&job.name, &stage);
            let scope = scope(shared, &without, &[&names, &job.variables]);
            let decision = rules::decide(&job, &scope, self.context);
            Chosen { job, stage, without, decision }
        };
        let chosen: Vec<Chosen> = jobs.into_iter().map(one).collect();
        // The same warning from a default or a template is said once.
        self.warnings.sort_by(|a, b| {
            (&a.0.file, a.0.line, a.0.column).cmp(&(&b.0.file, b.0.line, b.0.column))
        });
        self.warnings.dedup();
        chosen
    }
}

/// Everything that a job's own expressions see.
pub fn scope(shared: &Shared, without: &[String], layers: &[&[Variable]]) -> Scope {
    let visible: Vec<Variable> =
        shared.variables.iter().filter(|v| !without.contains(&v.name)).cloned().collect();
    let mut scope = Scope::new([visible.as_slice()]);
    layers.iter().for_each(|layer| scope.add(layer));
    scope.add(&shared.given);
    scope
}

fn check_name(name: &str, at: &At) -> Result<()> {
    let reserved = ["true", "false", "nil", "types", "stage"];
    if name.is_empty() || name.len() > 200 || name.contains(char::is_control) {
        let wanted = ("job names of 1 to 200 characters", "1~200자의 작업 이름을");
        return Err(error::wanted(at, &at.file, wanted));
    }
    if reserved.contains(&name) {
        return Err(error::unknown_key(at, name, &at.file, GLOBAL));
    }
    Ok(())
}

fn explain(chosen: &[Chosen]) -> Vec<Explained> {
    let one = |c: &Chosen| Explained {
        job: c.job.name.clone(),
        stage: c.stage.clone(),
        included: c.decision.when != When::Never,
        when: job::WHEN
            .iter()
            .find(|(_, w)| *w == c.decision.when)
            .map_or("", |(name, _)| name)
            .to_owned(),
        because: c.decision.because.clone(),
        at: place(c.decision.at.as_ref().unwrap_or(&c.job.at)),
    };
    chosen.iter().map(one).collect()
}

fn nothing_to_do(chosen: &[Chosen]) -> Option<Text> {
    let real =
        |c: &&Chosen| c.decision.when != When::Never && c.stage != ".pre" && c.stage != ".post";
    match (chosen.is_empty(), chosen.iter().find(real)) {
        (true, _) => Some(Text::fixed("the file has no jobs", "파일에 작업이 없습니다")),
        (false, None) => {
            Some(Text::fixed("no job is in for this push", "이 푸시에 해당하는 작업이 없습니다"))
        }
        (false, Some(_)) => None,
    }
}
