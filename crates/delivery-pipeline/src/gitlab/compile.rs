//! The whole way from files to a plan.

use super::arrange::{self, Chosen};
use super::error;
use super::job::{self, Inherit, Job, Warnings, When};
use super::keywords::{DEFAULT, GLOBAL, OLD_DEFAULT, WORKFLOW_RULE};
use super::matrix::Row;
use super::merge::Whole;
use super::parts;
use super::rules;
use super::step::{self, Pipeline};
use super::vars::{self, Offered, Variables};
use super::yaml::{At, Entry, Is, Node};
use super::{Context, environment, predefined, read};
use crate::variables::{Scope, Variable};
use crate::work::{AutoCancel, OnJobFailure, Shared};
use kernel::error::Place;
use kernel::{Result, Text, text};
use run::Plan;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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
    /// Variables that whoever starts a pipeline by hand is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offered: Vec<Offered>,
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
    let known = Known::new(&file, &workflow);
    let chosen = file.choose(jobs, &known)?;
    let nothing = workflow.nothing.or_else(|| nothing_to_do(&chosen));
    let shared_key = key_of(&known.shared);
    let plan = match nothing {
        Some(_) => Plan::default(),
        None => {
            let all = Arc::new(Scope::new([known.shared.variables.as_slice()]));
            let pipeline = Pipeline { context, known: &all, yaml: &known.yaml, key: &shared_key };
            let fail_fast = workflow.auto_cancel.on_job_failure == OnJobFailure::All;
            Plan { fail_fast, ..arrange::plan(&chosen, &file.stages, &pipeline)? }
        }
    };
    Ok(Compiled {
        plan,
        name: known.name,
        nothing,
        jobs: explain(&chosen),
        warnings: file.told(),
        offered: file.offered.into_iter().map(|(offer, _)| offer).collect(),
        shared: known.shared,
        shared_key,
        auto_cancel: workflow.auto_cancel,
        number: context.number,
        project_number: context.project_number,
    })
}

/// The variables that all jobs have in common.
struct Known {
    shared: Shared,
    /// Those of the file.
    yaml: Variables,
    /// What rules see: all but what only a running job knows.
    early: Arc<Scope>,
    /// `workflow:name`, expanded.
    name: Option<String>,
}

impl Known {
    fn new(file: &File<'_>, workflow: &Workflow) -> Known {
        let given = file.context.given.clone();
        let yaml = [file.global.as_slice(), &workflow.variables].concat();
        let mut early = file.predefined.clone();
        let name = workflow
            .name
            .as_ref()
            .map(|name| Scope::new([early.as_slice(), &yaml, &given]).expand(name));
        early.extend(name.iter().map(|name| Variable::literal("CI_PIPELINE_NAME", name.as_str())));
        let scope = Arc::new(Scope::new([early.as_slice(), &yaml]));
        let late = predefined::late(file.context);
        let variables = [late, early, yaml.clone()].concat();
        Known { shared: Shared { variables, given }, yaml, early: scope, name }
    }
}

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
    offered: Vec<(Offered, At)>,
    /// `default:` and its deprecated equals.
    defaults: Vec<Entry>,
    warnings: Warnings,
}

#[derive(Default)]
struct Workflow {
    name: Option<String>,
    rules: Vec<rules::Rule>,
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
            offered: Vec::new(),
            defaults: Vec::new(),
            warnings: Vec::new(),
        };
        file.stages = file.stages()?;
        if let Some(entry) = file.global("variables")? {
            (file.global, file.offered) = vars::global(&entry)?;
            vars::check(&file.offered, &context.given)?;
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
        let mut out = Workflow::default();
        let Some(entry) = self.global("workflow")? else { return Ok(out) };
        for part in read::map(&entry.value, "workflow", &["rules", "name", "auto_cancel"])? {
            match part.key.as_str() {
                _ if part.value.is_null() => {}
                "name" => out.name = Some(read::text(part)?),
                "auto_cancel" => out.auto_cancel = parts::auto_cancel(part)?,
                _ => out.rules = rules::read(part, WORKFLOW_RULE)?,
            }
        }
        if entry.value.get("rules").is_some() {
            self.decide(&mut out)?;
        }
        Ok(out)
    }

    /// Whether there is a pipeline, by its rules.
    fn decide(&self, out: &mut Workflow) -> Result<()> {
        let scope = Scope::new([&*self.predefined, &*self.global, &*self.context.given]);
        rules::check_refs(&out.rules, &scope, self.context)?;
        match rules::first(&out.rules, &scope, self.context) {
            Some((number, rule)) if rule.when == Some(When::Never) => {
                out.nothing = Some(text!(
                    "rule {number} of `workflow` says never",
                    "`workflow`의 {number}번 규칙이 never입니다"
                ));
            }
            Some((_, rule)) => {
                out.variables = rule.variables.clone();
                out.auto_cancel = rule.auto_cancel.unwrap_or(out.auto_cancel);
            }
            None => {
                out.nothing = Some(Text::fixed(
                    "no rule of `workflow` holds",
                    "`workflow`에 맞는 규칙이 없습니다",
                ));
            }
        }
        Ok(())
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
        // A job that runs no commands takes over nothing about them.
        let runs =
            !node.map().unwrap_or_default().iter().any(|e| e.key == "trigger") && !is_mirror(&node);
        let fits = |e: &&Entry| defaults.takes(&e.key) && (runs || e.key == "interruptible");
        let below: Vec<Entry> = self.defaults.iter().filter(fits).cloned().collect();
        let own = node.map().unwrap_or_default();
        let kept = below.into_iter().filter(|e| !own.iter().any(|o| o.key == e.key));
        let entries: Vec<Entry> = kept.chain(own.iter().cloned()).collect();
        let node = Arc::new(Node::new(node.at.clone(), Is::Map(entries)));
        Ok((Job::read(name, &entry.at, &node, &mut self.warnings)?, variables))
    }

    /// What is decided about each job, and about each of those that `parallel` makes of it.
    fn choose(&self, jobs: Vec<(Job, Inherit)>, known: &Known) -> Result<Vec<Chosen>> {
        let mut out: Vec<Chosen> = Vec::new();
        for (job, inherit) in jobs {
            let hidden = known.yaml.iter().filter(|v| !inherit.takes(&v.name));
            let without = Arc::new(hidden.map(|v| v.name.clone()).collect::<Vec<_>>());
            let stage = job.stage.as_ref().map_or("test", |(s, _)| s).to_owned();
            let job = Arc::new(job);
            for (name, row, node) in each(&job) {
                let scope = scope(known, &without);
                out.push(self.one(&job, (name, row, node), &stage, &without, scope)?);
            }
            // Most of them may be out; those that are in are counted again.
            if out.len() > 4 * arrange::MAX_JOBS {
                return Err(arrange::too_many(out.len(), arrange::MAX_JOBS, ("jobs", "작업")));
            }
        }
        Ok(out)
    }

    fn one(
        &self,
        job: &Arc<Job>,
        (name, row, node): Each,
        stage: &str,
        without: &Arc<Vec<String>>,
        mut scope: Scope,
    ) -> Result<Chosen> {
        let about = step::about(&name, stage, node);
        let matrix: Variables = row.iter().map(|(n, v)| Variable::new(n, v.as_str())).collect();
        [&about, &job.variables, &matrix].into_iter().for_each(|layer| scope.add(layer));
        scope.add(&self.context.given);
        if let Some(written) = &job.environment {
            let expanded = written.expanded(&scope, None)?;
            scope.add_below(&environment::variables(&expanded));
        }
        let decision = rules::decide(job, &scope, self.context)?;
        let (job, stage, without) = (job.clone(), stage.to_owned(), without.clone());
        Ok(Chosen { job, name, stage, without, row, matrix, about, decision })
    }

    /// The same warning from a default or a template is said once.
    fn told(&mut self) -> Vec<(Place, Text)> {
        self.warnings.sort_by(|a, b| {
            (&a.0.file, a.0.line, a.0.column).cmp(&(&b.0.file, b.0.line, b.0.column))
        });
        self.warnings.dedup();
        self.warnings.iter().map(|(at, text)| (place(at), text.clone())).collect()
    }
}

/// The name of a job, its matrix's values, and its index and total.
type Each = (String, Row, Option<(usize, usize)>);

fn each(job: &Job) -> Vec<Each> {
    let Some(parallel) = &job.parallel else { return vec![(job.name.clone(), Vec::new(), None)] };
    let total = parallel.len();
    let names = parallel.names(&job.name).into_iter().enumerate();
    names.map(|(i, (name, row))| (name, row, Some((i + 1, total)))).collect()
}

/// What a job's rules see of what all jobs know.
fn scope(known: &Known, without: &[String]) -> Scope {
    Scope::over(&known.early, without)
}

/// Whether `needs` names another pipeline as a whole.
fn is_mirror(node: &Node) -> bool {
    let Some(needs) = node.get("needs") else { return false };
    let whole = |n: &Node| n.get("pipeline").is_some() && n.get("job").is_none();
    whole(&needs.value) || needs.value.list().unwrap_or_default().iter().any(|n| whole(n))
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

/// One line for each job; where rules decide differently about the jobs of a matrix, one for each of them.
fn explain(chosen: &[Chosen]) -> Vec<Explained> {
    let same = |a: &Chosen, b: &Chosen| {
        Arc::ptr_eq(&a.job, &b.job)
            && (a.decision.when, &a.decision.because) == (b.decision.when, &b.decision.because)
    };
    let mut out = Vec::new();
    for of_job in chosen.chunk_by(|a, b| Arc::ptr_eq(&a.job, &b.job)) {
        let alike = of_job.windows(2).all(|pair| matches!(pair, [a, b] if same(a, b)));
        let some = if alike { of_job.get(..1).unwrap_or_default() } else { of_job };
        out.extend(some.iter().map(|c| explained(c, if alike { &c.job.name } else { &c.name })));
    }
    out
}

fn explained(c: &Chosen, name: &str) -> Explained {
    let when = job::WHEN.iter().find(|(_, w)| *w == c.decision.when);
    Explained {
        job: name.to_owned(),
        stage: c.stage.clone(),
        included: c.is_in(),
        when: when.map_or("", |(name, _)| name).to_owned(),
        because: c.decision.because.clone(),
        at: place(c.decision.at.as_ref().unwrap_or(&c.job.at)),
    }
}

fn nothing_to_do(chosen: &[Chosen]) -> Option<Text> {
    let real = |c: &&Chosen| c.is_in() && c.stage != ".pre" && c.stage != ".post";
    match (chosen.is_empty(), chosen.iter().find(real)) {
        (true, _) => Some(Text::fixed("the file has no jobs", "파일에 작업이 없습니다")),
        (false, None) => {
            Some(Text::fixed("no job is in for this push", "이 푸시에 해당하는 작업이 없습니다"))
        }
        (false, Some(_)) => None,
    }
}
