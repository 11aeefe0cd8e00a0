//! One job of the file, read strictly: every keyword is known, and every value has its shape.

use super::environment::{self, Environment};
use super::error;
use super::job_inputs;
use super::keywords::{self, JOB, RULE, TRIGGER_JOB};
use super::matrix::{self, Parallel};
use super::needs::{self, Needs};
use super::parts::{self, AllowFailure};
use super::read;
use super::refs::{self, Only};
use super::release::{self, Pages};
use super::rules::{self, Rule};
use super::secrets;
use super::service::{self, Image, Service};
use super::stored::{self, CacheKey, Kept};
use super::trigger::{self, Trigger};
use super::vars::{self, Variables};
use super::yaml::{At, Entry, Node};
use super::{steps, who};
use crate::work::{IdToken, Keep, Secret, TagRelease};
use kernel::{Result, Text, text};
use run::Retry;
use std::sync::Arc;

/// When a job runs, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    OnSuccess,
    OnFailure,
    Always,
    Never,
    Manual,
    Delayed,
}

pub const WHEN: &[(&str, When)] = &[
    ("on_success", When::OnSuccess),
    ("on_failure", When::OnFailure),
    ("always", When::Always),
    ("never", When::Never),
    ("manual", When::Manual),
    ("delayed", When::Delayed),
];

/// A job as written: what it does not say is `None` or empty.
#[derive(Clone, Debug, Default)]
pub struct Job {
    pub name: String,
    pub at: At,
    pub stage: Option<(String, At)>,
    pub script: Vec<String>,
    pub before: Option<Vec<String>>,
    pub after: Option<Vec<String>>,
    /// Named steps, as commands.
    pub run: Option<Vec<String>>,
    /// The pipeline that it starts instead of running commands.
    pub trigger: Option<Trigger>,
    pub variables: Variables,
    pub needs: Option<Needs>,
    pub dependencies: Option<Vec<(String, At)>>,
    pub rules: Option<Vec<Rule>>,
    pub only: Option<Only>,
    pub except: Option<Only>,
    pub when: Option<When>,
    pub when_at: Option<At>,
    pub start_ms: Option<u64>,
    pub allow_failure: Option<AllowFailure>,
    pub kept: Kept,
    pub caches: Vec<CacheKey>,
    pub image: Option<Image>,
    pub services: Vec<Service>,
    pub timeout_ms: Option<u64>,
    pub retry: Retry,
    pub parallel: Option<Parallel>,
    pub environment: Option<Environment>,
    pub interruptible: bool,
    pub resource_group: Option<String>,
    /// As [`crate::work::Work::coverage`].
    pub coverage: Option<String>,
    pub release: Option<TagRelease>,
    pub pages: Option<Pages>,
    pub publish: Option<String>,
    pub id_tokens: Vec<IdToken>,
    secrets_written: Vec<secrets::Written>,
    /// The same, with their tokens.
    pub secrets: Vec<Secret>,
    /// Commands that run before the files are there.
    pub before_files: Vec<String>,
}

/// Things that were accepted and have no effect, for people to know.
pub type Warnings = Vec<(At, Text)>;

impl Job {
    /// Reads a whole job: `extends` and references are already written out.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its place.
    pub fn read(name: &str, at: &At, node: &Arc<Node>, warnings: &mut Warnings) -> Result<Job> {
        let mut job = Job { name: name.to_owned(), at: at.clone(), ..Job::default() };
        read::map(node, name, JOB)?;
        let node = job_inputs::fill(node)?;
        for entry in node.map().unwrap_or_default().iter().filter(|e| !e.value.is_null()) {
            job.keyword(entry, warnings)?;
        }
        job.check(&node)?;
        job.secrets = secrets::with_tokens(&job.secrets_written, &job.id_tokens)?;
        Ok(job)
    }

    fn keyword(&mut self, entry: &Entry, warnings: &mut Warnings) -> Result<()> {
        match entry.key.as_str() {
            "script" => self.script = read::script(entry)?,
            "before_script" => self.before = Some(read::script(entry)?),
            "after_script" => self.after = Some(read::script(entry)?),
            "run" => self.run = Some(steps::run(entry)?),
            "trigger" => self.trigger = Some(trigger::trigger(entry)?),
            "stage" => self.stage = Some(stage(entry)?),
            "variables" => self.variables = vars::job(entry)?,
            "needs" => self.needs = Some(needs::needs(entry)?),
            "dependencies" => self.dependencies = Some(needs::names(entry)?),
            "artifacts" => self.kept = stored::artifacts(entry, warnings)?,
            "cache" => self.caches = stored::caches(entry)?,
            "image" => self.image = Some(service::image(entry, warnings)?),
            "services" => self.services = service::services(entry, warnings)?,
            "parallel" => self.parallel = Some(matrix::parallel(entry)?),
            "environment" => {
                self.environment = Some(environment::environment(entry, warnings)?);
            }
            _ => return self.start(entry, warnings),
        }
        Ok(())
    }

    /// Whether it runs, when, and what its end means.
    fn start(&mut self, entry: &Entry, warnings: &mut Warnings) -> Result<()> {
        match entry.key.as_str() {
            "rules" => self.rules = Some(rules::read(entry, RULE)?),
            "only" => self.only = Some(refs::only(entry, warnings)?),
            "except" => self.except = Some(refs::only(entry, warnings)?),
            "when" => {
                self.when = Some(read::choice(entry, WHEN)?);
                self.when_at = Some(entry.at.clone());
            }
            "start_in" => self.start_ms = Some(read::duration(entry)?),
            "manual_confirmation" => {
                read::text(entry)?;
                warnings.push(error::no_effect(&entry.at, "manual_confirmation"));
            }
            "allow_failure" => self.allow_failure = Some(parts::allow_failure(entry)?),
            "timeout" => self.timeout_ms = Some(read::duration(entry)?),
            "retry" => self.retry = parts::retry(entry)?,
            "interruptible" => self.interruptible = read::flag(entry)?,
            "resource_group" => self.resource_group = Some(read::text(entry)?),
            _ => return self.lesser(entry, warnings),
        }
        Ok(())
    }

    fn lesser(&mut self, entry: &Entry, warnings: &mut Warnings) -> Result<()> {
        match entry.key.as_str() {
            "coverage" => self.coverage = Some(parts::coverage(entry)?),
            "release" => self.release = Some(release::release(entry, warnings)?),
            "pages" => self.pages = Some(release::pages(entry)?),
            "publish" => self.publish = Some(read::text(entry)?),
            "id_tokens" => self.id_tokens = who::id_tokens(entry)?,
            "hooks" => self.before_files = parts::hooks(entry)?,
            "identity" => return Err(who::identity(&entry.at)),
            "secrets" => self.secrets_written = secrets::secrets(entry)?,
            "tags" => {
                read::list(entry)?;
                warnings.push(error::no_effect(&entry.at, "tags"));
            }
            "dast_configuration" => {
                read::map(&entry.value, &entry.key, &["site_profile", "scanner_profile"])?;
                warnings.push(error::no_effect(&entry.at, &entry.key));
            }
            "inputs" => warnings.push(error::no_effect(&entry.at, "inputs")),
            // `extends` is done; `inherit` is read before the defaults are laid under the job.
            _ => {}
        }
        Ok(())
    }

    /// The other repository whose pipeline it shows, if that is all it does.
    pub fn mirrors(&self) -> Option<&str> {
        self.needs.as_ref()?.mirror.as_ref().map(|(path, _)| path.as_str())
    }

    /// What it runs, in order.
    pub fn commands(&self) -> Vec<String> {
        let before = self.before.clone().unwrap_or_default();
        let own = self.run.as_ref().unwrap_or(&self.script);
        before.into_iter().chain(own.iter().cloned()).collect()
    }

    fn check(&self, node: &Node) -> Result<()> {
        self.check_work(node)?;
        if self.rules.is_some() && (self.only.is_some() || self.except.is_some()) {
            let name = kernel::shown(&self.name);
            let say = text!(
                "the job `{name}` has both `rules` and `only` or `except`",
                "`{name}` 작업에 `rules`와 `only`/`except`가 함께 있습니다"
            );
            return Err(error::general(&self.at, "pipeline.rules", say)
                .hint(Text::fixed("use `rules` alone", "`rules`만 쓰세요")));
        }
        let delayed = self.when == Some(When::Delayed);
        if delayed != self.start_ms.is_some() && self.rules.is_none() {
            let at = self.when_at.as_ref().unwrap_or(&self.at);
            return Err(start_in(at));
        }
        Ok(())
    }

    /// It runs commands, or starts a pipeline, or shows one; not several of these.
    fn check_work(&self, node: &Node) -> Result<()> {
        let mirror = self.needs.as_ref().and_then(|n| n.mirror.as_ref());
        let entries = node.map().unwrap_or_default();
        if self.trigger.is_some() || mirror.is_some() {
            let odd = entries.iter().find(|e| !TRIGGER_JOB.contains(&e.key.as_str()));
            return match (odd, mirror) {
                (Some(_), Some((_, at))) => Err(needs::mirror_alone(at)),
                (None, Some((_, at))) if self.trigger.is_some() => Err(needs::mirror_alone(at)),
                (Some(odd), None) => Err(self.beside_trigger(odd)),
                (None, _) => Ok(()),
            };
        }
        if self.run.is_some() && !self.script.is_empty() {
            let wanted = ("no `script` beside it", "`script` 없이");
            return Err(error::wanted(&self.at, "run", wanted));
        }
        let empty = self.script.iter().all(|line| line.trim().is_empty());
        if empty && self.run.is_none() {
            return Err(self.no_script());
        }
        Ok(())
    }

    fn beside_trigger(&self, odd: &Entry) -> kernel::Error {
        let (name, key) = (kernel::shown(&self.name), kernel::shown(&odd.key));
        let say = text!(
            "the job `{name}` has a `trigger`, so it cannot have `{key}`",
            "`{name}` 작업에는 `trigger`가 있어 `{key}`을(를) 쓸 수 없습니다"
        );
        error::general(&odd.at, "pipeline.trigger", say).hint(Text::fixed(
            "put it into a job of its own, or into the pipeline that is started",
            "따로 작업을 만들거나 시작되는 파이프라인에 넣으세요",
        ))
    }

    fn no_script(&self) -> kernel::Error {
        let name = kernel::shown(&self.name);
        let say = text!("the job `{name}` has no `script`", "`{name}` 작업에 `script`가 없습니다");
        error::general(&self.at, "pipeline.no_script", say).hint(Text::fixed(
            "add one, or `run` or `trigger`; a job that is only a template begins with a dot",
            "`script`나 `run`, `trigger`를 추가하세요. 틀로만 쓰는 작업은 이름을 점으로 시작하세요",
        ))
    }
}

/// A list of one comes from a reference.
fn stage(entry: &Entry) -> Result<(String, At)> {
    let wanted =
        || error::wanted(&entry.value.at, "stage", ("the name of a stage", "스테이지 이름을"));
    match read::words(entry)?.as_slice() {
        [stage] => Ok((stage.clone(), entry.value.at.clone())),
        _ => Err(wanted()),
    }
}

/// `when: delayed` and `start_in` come together.
pub fn start_in(at: &At) -> kernel::Error {
    let say = Text::fixed(
        "`when: delayed` and `start_in` belong together",
        "`when: delayed`와 `start_in`은 함께 써야 합니다",
    );
    error::general(at, "pipeline.start_in", say)
}

/// Whether a name at the top of the file is that of a template.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

/// The `default:` entries that a job takes over, `inherit:` considered.
///
/// # Errors
/// `pipeline.value` for an `inherit` that does not fit.
pub fn inherits(node: &Node) -> Result<(Inherit, Inherit)> {
    let Some(entry) = node.get("inherit") else { return Ok((Inherit::All, Inherit::All)) };
    let (mut defaults, mut variables) = (Inherit::All, Inherit::All);
    for entry in read::map(&entry.value, "inherit", &["default", "variables"])? {
        let which = match entry.value.bool() {
            Some(true) => Inherit::All,
            Some(false) => Inherit::Only(Vec::new()),
            None => Inherit::Only(read::words(entry)?),
        };
        match entry.key.as_str() {
            "default" => defaults = which,
            _ => variables = which,
        }
    }
    if let Inherit::Only(names) = &defaults
        && let Some(odd) = names.iter().find(|n| !keywords::DEFAULT.contains(&n.as_str()))
    {
        return Err(error::unknown_key(&entry.at, odd, "inherit:default", keywords::DEFAULT));
    }
    Ok((defaults, variables))
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inherit {
    All,
    Only(Vec<String>),
}

impl Inherit {
    pub fn takes(&self, name: &str) -> bool {
        match self {
            Inherit::All => true,
            Inherit::Only(names) => names.iter().any(|n| n == name),
        }
    }
}

/// `artifacts:when` and `cache:when`.
pub const KEEP: &[(&str, Keep)] =
    &[("on_success", Keep::OnSuccess), ("on_failure", Keep::OnFailure), ("always", Keep::Always)];
