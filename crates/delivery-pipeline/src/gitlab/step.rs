//! One step of the plan: everything its actor will need, with the dialect's words gone.

use super::arrange::{Chosen, Waits};
use super::environment;
use super::error;
use super::job::{Job, When};
use super::parts::AllowFailure;
use super::predefined::slug;
use super::rules::Decision;
use super::trigger::{To, Trigger};
use super::yaml::At;
use super::{Context, release};
use crate::trigger_plan::{self, Mirror, Target};
use crate::variables::{Scope, Variable};
use crate::work::{self, Checkout, Environment, Files, Submodules, Work};
use kernel::{Error, Result};
use run::{Action, Group, Order, Step};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;

/// The variables that carry a job's name, its stage, and its place among the jobs of `parallel`.
pub fn about(name: &str, stage: &str, node: Option<(usize, usize)>) -> Vec<Variable> {
    let mut out = vec![
        Variable::literal("CI_JOB_NAME", name),
        Variable::literal("CI_JOB_NAME_SLUG", slug(name)),
        Variable::literal("CI_JOB_STAGE", stage),
        Variable::literal("CI_NODE_TOTAL", node.map_or(1, |(_, total)| total).to_string()),
    ];
    out.extend(node.map(|(index, _)| Variable::literal("CI_NODE_INDEX", index.to_string())));
    out
}

/// What all jobs of a pipeline have in common.
pub struct Pipeline<'a> {
    pub context: &'a Context,
    /// All shared variables.
    pub known: &'a Arc<Scope>,
    /// Those of the file, that other pipelines are given.
    pub yaml: &'a [Variable],
    /// Key of the shared variables.
    pub key: &'a str,
}

impl Pipeline<'_> {
    /// # Errors
    /// `pipeline.value` for what is wrong once variables are known; internal, when the input of the actor
    /// does not serialise.
    pub fn step(&self, from: &Chosen, waits: Waits) -> Result<Step> {
        let mut own = Own::new(self, from);
        let environment = match &from.job.environment {
            Some(written) => Some(written.expanded(&own.scope, waits.stops.clone())?),
            None => None,
        };
        own.tell(environment.iter().flat_map(environment::variables));
        let action = match (&from.job.trigger, from.job.mirrors()) {
            (Some(trigger), _) => {
                let trigger = self.trigger(from, trigger, own.clone(), environment, &waits);
                action(trigger_plan::USES, &trigger)?
            }
            (None, Some(path)) => {
                action(trigger_plan::MIRRORS, &self.mirror(from, path, own.clone()))?
            }
            (None, None) => action(work::USES, &self.work(from, own.clone(), environment)?)?,
        };
        let group = from.job.resource_group.as_ref().map(|name| Group {
            key: format!("{}/{}", self.context.project, own.scope.expand(name)),
            slots: 1,
            order: Order::Unordered,
        });
        let (allow_failure, allow_exit_codes) = allowed(&from.decision);
        Ok(Step {
            name: from.name.clone(),
            stage: from.stage.clone(),
            needs: waits.needs,
            when: start(&from.decision),
            allow_failure,
            allow_exit_codes,
            retry: from.job.retry.clone(),
            // The actor keeps the time, because the after script comes on top of it.
            timeout_ms: None,
            group,
            interruptible: interruptible(from),
            action,
        })
    }

    fn work(&self, from: &Chosen, own: Own, environment: Option<Environment>) -> Result<Work> {
        let (job, scope) = (&*from.job, &own.scope);
        let expand = |words: &str| scope.expand(words);
        let caches = job.caches.iter().map(|c| c.resolved(scope, self.context));
        let site = release::site(&job.name, job.pages.as_ref(), job.publish.as_deref(), scope)?;
        Ok(Work {
            repository: self.context.repository.clone(),
            commit: self.context.commit.id.clone(),
            shared: self.key.to_owned(),
            without: from.without.to_vec(),
            dir: dir(scope, self.context),
            files: files(scope),
            script: job.commands(),
            after_script: job.after.clone().unwrap_or_default(),
            artifacts: job.kept.artifacts.clone(),
            dotenv: job.kept.dotenv.clone(),
            caches: caches.collect::<Result<_>>()?,
            environment,
            image: job.image.as_ref().map(|image| image.name.clone()),
            entrypoint: job.image.as_ref().and_then(|image| image.entrypoint.clone()),
            user: job.image.as_ref().and_then(|image| image.user.clone()),
            services: job.services.iter().map(|s| s.expanded(&expand)).collect(),
            reports: job.kept.reports.clone(),
            fetch: from.needs().map(|needs| needs.fetch.clone()).unwrap_or_default(),
            checkout: checkout(scope, job)?,
            id_tokens: job.id_tokens.clone(),
            secrets: job.secrets.clone(),
            site,
            tag: job.release.clone(),
            coverage: job.coverage.clone(),
            shares: job.parallel.is_some().then(|| job.name.clone()),
            timeout_ms: job.timeout_ms,
            interruptible: interruptible(from),
            variables: own.variables,
        })
    }

    fn trigger(
        &self,
        from: &Chosen,
        trigger: &Trigger,
        own: Own,
        environment: Option<Environment>,
        waits: &Waits,
    ) -> trigger_plan::Trigger {
        let target = match &trigger.to {
            To::Repository { path, refname } => {
                Target::Repository { path: path.clone(), refname: refname.clone() }
            }
            To::Child { include, .. } => Target::Child {
                name: child_name(&from.job.at),
                file: json!({ "include": include }).to_string(),
                artifacts: waits.artifacts.clone(),
            },
        };
        let inherited = self.yaml.iter().filter(|v| !from.without.contains(&v.name));
        let hand = inherited.chain(from.said()).cloned();
        trigger_plan::Trigger {
            target,
            strategy: trigger.strategy,
            shared: self.key.to_owned(),
            without: from.without.to_vec(),
            hand: if trigger.yaml { hand.collect() } else { Vec::new() },
            hand_given: trigger.given,
            inputs: trigger.inputs.clone(),
            environment,
            interruptible: interruptible(from),
            own: own.variables,
        }
    }

    fn mirror(&self, from: &Chosen, path: &str, own: Own) -> Mirror {
        Mirror {
            path: path.to_owned(),
            shared: self.key.to_owned(),
            without: from.without.to_vec(),
            own: own.variables,
            interruptible: interruptible(from),
        }
    }
}

/// Where a child's file stands, as its errors say it.
fn child_name(at: &At) -> String {
    format!("{}:{} trigger", at.file, at.line)
}

fn action(uses: &str, with: &impl Serialize) -> Result<Action> {
    let with = serde_json::to_value(with).map_err(Error::internal)?;
    Ok(Action { uses: uses.to_owned(), with })
}

/// A job's own variables, weaker ones first, and everything that it knows.
#[derive(Clone)]
struct Own {
    variables: Vec<Variable>,
    scope: Scope,
}

impl Own {
    fn new(pipeline: &Pipeline<'_>, from: &Chosen) -> Own {
        let mut variables = from.about.clone();
        let late = [
            from.job.image.as_ref().map(|image| Variable::new("CI_JOB_IMAGE", image.name.as_str())),
            (from.decision.when == When::Manual)
                .then(|| Variable::literal("CI_JOB_MANUAL", "true")),
            from.job
                .timeout_ms
                .map(|ms| Variable::literal("CI_JOB_TIMEOUT", (ms / 1000).to_string())),
        ];
        variables.extend(late.into_iter().flatten());
        variables.extend(from.said().cloned());
        let mut scope = Scope::over(pipeline.known, &from.without);
        scope.add(&variables);
        scope.add(&pipeline.context.given);
        Own { variables, scope }
    }

    /// More that it is told; what the file says is stronger.
    fn tell(&mut self, more: impl Iterator<Item = Variable>) {
        let new: Vec<Variable> =
            more.filter(|m| !self.variables.iter().any(|v| v.name == m.name)).collect();
        self.variables.splice(0..0, new.iter().cloned());
        self.scope.add(&new);
    }
}

impl Chosen {
    /// The variables that the file says of it alone: the job's, its rule's, its matrix's.
    pub fn said(&self) -> impl Iterator<Item = &Variable> {
        self.job.variables.iter().chain(&self.decision.variables).chain(&self.matrix)
    }

    fn needs(&self) -> Option<&super::needs::Needs> {
        self.decision.needs.as_ref().or(self.job.needs.as_ref())
    }
}

fn interruptible(from: &Chosen) -> bool {
    from.decision.interruptible.unwrap_or(from.job.interruptible)
}

/// `GIT_CLONE_PATH` may move the files to another place below the builds.
fn dir(scope: &Scope, context: &Context) -> String {
    let builds = "/builds/";
    let asked = scope.get("GIT_CLONE_PATH").filter(|path| {
        let below = path.strip_prefix(builds).unwrap_or_default();
        !below.is_empty() && below.split('/').all(|part| !matches!(part, "" | "." | ".."))
    });
    asked.unwrap_or_else(|| context.dir())
}

/// `GIT_STRATEGY`: `clone` and `fetch` are the same here, where nothing goes over a network.
fn files(scope: &Scope) -> Files {
    match scope.get("GIT_STRATEGY").as_deref() {
        Some("none" | "empty") => Files::None,
        _ => Files::Commit,
    }
}

/// The variables by which a file says how its commit is laid out.
///
/// # Errors
/// `pipeline.value` for a `GIT_SUBMODULE_STRATEGY` that is none.
fn checkout(scope: &Scope, job: &Job) -> Result<Checkout> {
    let submodules = match scope.get("GIT_SUBMODULE_STRATEGY").unwrap_or_default().trim() {
        "normal" => Submodules::Normal,
        "recursive" => Submodules::Recursive,
        "" | "none" => Submodules::None,
        other => {
            let wanted = ("none, normal or recursive", "none, normal, recursive 가운데 하나를");
            let error = error::wanted(&job.at, "GIT_SUBMODULE_STRATEGY", wanted);
            return Err(error.hint(error::nearest(other, &["none", "normal", "recursive"])));
        }
    };
    // Zero is all of it.
    let depth = |name: &str| {
        let number = scope.get(name).and_then(|words| words.trim().parse::<u32>().ok());
        number.filter(|depth| *depth > 0)
    };
    let words = |name: &str| -> Vec<String> {
        let value = scope.get(name).unwrap_or_default();
        value.split_whitespace().map(str::to_owned).collect()
    };
    let excluded = |spec: &String| {
        let marks = [":(exclude)", ":!", ":^"];
        marks.iter().find_map(|mark| spec.strip_prefix(mark)).map(str::to_owned)
    };
    let mut only = words("GIT_SUBMODULE_PATHS");
    let but = only.iter().filter_map(excluded).collect();
    only.retain(|spec| excluded(spec).is_none());
    let flags = words("GIT_SUBMODULE_UPDATE_FLAGS");
    Ok(Checkout {
        submodules,
        only,
        but,
        newest: flags.iter().any(|flag| flag == "--remote"),
        submodule_depth: depth("GIT_SUBMODULE_DEPTH").or_else(|| depth("GIT_DEPTH")),
        flags,
        depth: depth("GIT_DEPTH"),
        before: job.before_files.clone(),
    })
}

fn start(decision: &Decision) -> run::When {
    match decision.when {
        When::OnSuccess | When::Never => run::When::OnSuccess,
        When::OnFailure => run::When::OnFailure,
        When::Always => run::When::Always,
        When::Manual => run::When::Manual,
        When::Delayed => run::When::Delayed(decision.start_ms.unwrap_or(0)),
    }
}

fn allowed(decision: &Decision) -> (bool, Vec<i32>) {
    match &decision.allow_failure {
        Some(AllowFailure::Is(allowed)) => (*allowed, Vec::new()),
        Some(AllowFailure::ExitCodes(codes)) => (false, codes.clone()),
        // Outside of rules a manual job holds up nobody.
        None => (decision.when == When::Manual, Vec::new()),
    }
}
