//! One step of the plan: everything the actor will need, with the dialect's words gone.

use super::Context;
use super::arrange::{Chosen, Instance};
use super::compile::scope;
use super::job::{CacheKey, When};
use super::parts::AllowFailure;
use super::predefined::slug;
use super::rules::Decision;
use crate::variables::{Scope, Variable};
use crate::work::{self, Cache, Environment, Files, Shared, Work};
use kernel::{Error, Result};
use run::{Action, Group, Step};

/// The variables that carry a job's name and stage.
pub fn names(job: &str, stage: &str) -> Vec<Variable> {
    vec![
        Variable::literal("CI_JOB_NAME", job),
        Variable::literal("CI_JOB_NAME_SLUG", slug(job)),
        Variable::literal("CI_JOB_STAGE", stage),
    ]
}

/// What all jobs of a pipeline have in common.
pub struct Pipeline<'a> {
    pub context: &'a Context,
    pub shared: &'a Shared,
    /// Key of `shared`.
    pub key: &'a str,
}

impl Pipeline<'_> {
    /// # Errors
    /// Internal, when the input of the actor does not serialise.
    pub fn step(&self, instance: &Instance<'_>, needs: Vec<run::Need>) -> Result<Step> {
        let Chosen { job, decision, stage, without } = instance.from;
        let variables = variables(instance);
        let scope = scope(self.shared, without, &[&variables]);
        let group = job.resource_group.as_ref().map(|name| Group {
            key: format!("{}/{}", self.context.project, scope.expand(name)),
            slots: 1,
            order: run::Order::Unordered,
        });
        let (allow_failure, allow_exit_codes) = allowed(decision);
        let work = self.work(instance, variables, &scope);
        Ok(Step {
            name: instance.name.clone(),
            stage: stage.clone(),
            needs,
            when: start(decision),
            allow_failure,
            allow_exit_codes,
            retry: job.retry.clone(),
            // The actor keeps the time, because the after script comes on top of it.
            timeout_ms: None,
            group,
            interruptible: work.interruptible,
            action: Action {
                uses: work::USES.to_owned(),
                with: serde_json::to_value(&work).map_err(Error::internal)?,
            },
        })
    }

    fn work(&self, instance: &Instance<'_>, mut variables: Vec<Variable>, scope: &Scope) -> Work {
        let Chosen { job, decision, without, .. } = instance.from;
        let environment = job.environment.as_ref().map(|e| environment(e, scope));
        variables.extend(environment.iter().flat_map(environment_variables));
        let mut script = job.before.clone().unwrap_or_default();
        script.extend(job.script.iter().cloned());
        Work {
            repository: self.context.repository.clone(),
            commit: self.context.commit.id.clone(),
            shared: self.key.to_owned(),
            without: without.clone(),
            dir: self.context.dir(),
            script,
            after_script: job.after.clone().unwrap_or_default(),
            files: files(scope),
            variables,
            artifacts: job.artifacts.clone(),
            dotenv: job.dotenv.clone(),
            caches: job.caches.iter().map(|c| cache(c, self.context)).collect(),
            environment,
            image: job.image.clone(),
            entrypoint: None,
            user: None,
            services: Vec::new(),
            reports: Vec::new(),
            fetch: Vec::new(),
            checkout: work::Checkout::default(),
            id_tokens: Vec::new(),
            site: None,
            tag: None,
            coverage: job.coverage.clone(),
            timeout_ms: job.timeout_ms,
            interruptible: decision.interruptible.unwrap_or(job.interruptible),
            confirm: None,
        }
    }
}

/// A job's own, weaker ones first.
fn variables(instance: &Instance<'_>) -> Vec<Variable> {
    let Chosen { job, decision, stage, .. } = instance.from;
    let mut out = names(&instance.name, stage);
    let total = match instance.node {
        Some((index, total)) => {
            out.push(Variable::literal("CI_NODE_INDEX", index.to_string()));
            total
        }
        None => 1,
    };
    out.push(Variable::literal("CI_NODE_TOTAL", total.to_string()));
    out.extend(job.variables.iter().chain(&decision.variables).cloned());
    out.extend(instance.row.iter().map(|(n, v)| Variable::new(n, v.as_str())));
    out
}

/// `GIT_STRATEGY`: `clone` and `fetch` are the same here, where nothing goes over a network.
fn files(scope: &Scope) -> Files {
    match scope.get("GIT_STRATEGY").as_deref() {
        Some("none" | "empty") => Files::None,
        _ => Files::Commit,
    }
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

fn environment(environment: &Environment, scope: &Scope) -> Environment {
    Environment {
        name: scope.expand(&environment.name),
        // May hold variables that only the job learns.
        url: environment.url.clone(),
        ..environment.clone()
    }
}

fn environment_variables(environment: &Environment) -> Vec<Variable> {
    let mut out = vec![
        Variable::literal("CI_ENVIRONMENT_NAME", &*environment.name),
        Variable::literal("CI_ENVIRONMENT_SLUG", slug(&environment.name)),
        Variable::literal("CI_ENVIRONMENT_ACTION", "start"),
    ];
    out.extend(
        environment.url.as_ref().map(|url| Variable::new("CI_ENVIRONMENT_URL", url.as_str())),
    );
    out
}

/// A key made of files is made of their object ids: the same contents, the same key.
fn cache(key: &CacheKey, context: &Context) -> Cache {
    use sha2::{Digest, Sha256};
    let mut cache = key.cache.clone();
    if key.files.is_empty() {
        return cache;
    }
    let globs = super::glob::Globs::new(&key.files);
    let mut hash = Sha256::new();
    let mut some = false;
    for entry in context.tree.iter().filter(|e| globs.matches(&e.path)) {
        hash.update(format!("{} {}\n", entry.object, entry.path));
        some = true;
    }
    let hex: String = hash.finalize().iter().take(20).map(|b| format!("{b:02x}")).collect();
    let files = if some { hex.as_str() } else { "default" };
    cache.key = match cache.key.as_str() {
        "" => files.to_owned(),
        prefix => format!("{prefix}-{files}"),
    };
    cache
}
