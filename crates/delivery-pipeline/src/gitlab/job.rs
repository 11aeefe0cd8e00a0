//! One job of the file, read strictly: every keyword is known, and every value has its shape.

use super::error;
use super::keywords::{self, JOB, NOT_YET, RULE};
use super::parts::{self, AllowFailure, Only, Parallel, Variables};
use super::read;
use super::rules::{self, Rule};
use super::stored;
use super::yaml::{At, Entry, Node};
use crate::work::{Artifacts, Cache, Environment, Keep};
use kernel::{Result, Text, text};
use run::Retry;

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

/// A job that another one needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    pub job: String,
    pub at: At,
    pub artifacts: bool,
    pub optional: bool,
    /// Only the instances with these matrix values.
    pub matrix: Vec<parts::Row>,
}

#[derive(Clone, Debug)]
pub struct Job {
    pub name: String,
    pub at: At,
    pub stage: Option<(String, At)>,
    pub script: Vec<String>,
    pub before: Option<Vec<String>>,
    pub after: Option<Vec<String>>,
    pub variables: Variables,
    pub needs: Option<Vec<Need>>,
    pub dependencies: Option<Vec<(String, At)>>,
    pub rules: Option<Vec<Rule>>,
    pub only: Option<Only>,
    pub except: Option<Only>,
    pub when: Option<When>,
    pub when_at: Option<At>,
    pub start_ms: Option<u64>,
    pub allow_failure: Option<AllowFailure>,
    pub artifacts: Option<Artifacts>,
    pub dotenv: Vec<String>,
    pub caches: Vec<CacheKey>,
    pub image: Option<String>,
    pub timeout_ms: Option<u64>,
    pub retry: Retry,
    pub parallel: Option<Parallel>,
    pub environment: Option<Environment>,
    pub interruptible: bool,
    pub resource_group: Option<String>,
    /// As [`crate::work::Work::coverage`].
    pub coverage: Option<String>,
}

/// A cache whose key may still depend on the contents of files.
#[derive(Clone, Debug)]
pub struct CacheKey {
    pub files: Vec<String>,
    pub cache: Cache,
}

/// Things that were accepted and have no effect, for people to know.
pub type Warnings = Vec<(At, Text)>;

impl Job {
    fn new(name: &str, at: &At) -> Job {
        Job {
            name: name.to_owned(),
            at: at.clone(),
            stage: None,
            script: Vec::new(),
            before: None,
            after: None,
            variables: Vec::new(),
            needs: None,
            dependencies: None,
            rules: None,
            only: None,
            except: None,
            when: None,
            when_at: None,
            start_ms: None,
            allow_failure: None,
            artifacts: None,
            dotenv: Vec::new(),
            caches: Vec::new(),
            image: None,
            timeout_ms: None,
            retry: Retry::default(),
            parallel: None,
            environment: None,
            interruptible: false,
            resource_group: None,
            coverage: None,
        }
    }

    /// Reads a whole job: `extends` and references are already written out.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its place.
    pub fn read(name: &str, at: &At, node: &Node, warnings: &mut Warnings) -> Result<Job> {
        let mut job = Job::new(name, at);
        for entry in read::map(node, name, JOB)? {
            if !entry.value.is_null() {
                job.keyword(entry, warnings)?;
            }
        }
        job.check()?;
        Ok(job)
    }

    fn keyword(&mut self, entry: &Entry, warnings: &mut Warnings) -> Result<()> {
        if let Some((key, hint)) = NOT_YET.iter().find(|(key, _)| *key == entry.key) {
            return Err(error::unsupported(&entry.at, key, Text::fixed(hint.0, hint.1)));
        }
        match entry.key.as_str() {
            "script" => self.script = read::script(entry)?,
            "before_script" => self.before = Some(read::script(entry)?),
            "after_script" => self.after = Some(read::script(entry)?),
            "stage" => self.stage = Some((read::text(entry)?, entry.value.at.clone())),
            "variables" => self.variables = parts::variables(entry, warnings)?,
            "needs" => self.needs = Some(parts::needs(entry)?),
            "dependencies" => self.dependencies = Some(parts::names(entry)?),
            "rules" => self.rules = Some(rules::read(entry, RULE, warnings)?),
            "only" => self.only = Some(parts::only(entry)?),
            "except" => self.except = Some(parts::only(entry)?),
            "when" => {
                self.when = Some(read::choice(entry, WHEN)?);
                self.when_at = Some(entry.at.clone());
            }
            "start_in" => self.start_ms = Some(read::duration(entry)?),
            "allow_failure" => self.allow_failure = Some(parts::allow_failure(entry)?),
            "artifacts" => (self.artifacts, self.dotenv) = stored::artifacts(entry, warnings)?,
            "cache" => self.caches = stored::caches(entry, warnings)?,
            _ => return self.lesser(entry, warnings),
        }
        Ok(())
    }

    fn lesser(&mut self, entry: &Entry, warnings: &mut Warnings) -> Result<()> {
        match entry.key.as_str() {
            "image" => self.image = Some(parts::image(entry, warnings)?),
            "timeout" => self.timeout_ms = Some(read::duration(entry)?),
            "retry" => self.retry = parts::retry(entry)?,
            "parallel" => self.parallel = Some(parts::parallel(entry)?),
            "environment" => self.environment = Some(parts::environment(entry, warnings)?),
            "interruptible" => self.interruptible = read::flag(entry)?,
            "resource_group" => self.resource_group = Some(read::text(entry)?),
            "coverage" => self.coverage = Some(parts::coverage(entry)?),
            "tags" => {
                read::words(entry)?;
                warnings.push(error::no_effect(&entry.at, "tags"));
            }
            "manual_confirmation" => {
                read::text(entry)?;
                warnings.push(error::no_effect(&entry.at, "manual_confirmation"));
            }
            // `extends` is done; `inherit` is read before the defaults are laid under the job.
            _ => {}
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let name = error::shown(&self.name);
        if self.script.iter().all(|line| line.trim().is_empty()) {
            let say =
                text!("the job `{name}` has no `script`", "`{name}` 작업에 `script`가 없습니다");
            return Err(error::general(&self.at, "pipeline.no_script", say).hint(Text::fixed(
                "add one; a job that is only a template begins with a dot",
                "추가하세요. 틀로만 쓰는 작업은 이름을 점으로 시작하세요",
            )));
        }
        if self.rules.is_some() && (self.only.is_some() || self.except.is_some()) {
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
