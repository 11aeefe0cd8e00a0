//! What a job does: the input of the actor `pipeline.job`. No pipeline language is known here; every
//! dialect compiles to this.

use crate::variables::Variable;
use kernel::Name;
use kernel::journey::{EnvironmentAction, ReportFile, Tier};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The actor's name in a plan.
pub const USES: &str = "pipeline.job";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    pub repository: Name,
    pub commit: String,
    /// Key of the [`Shared`] variables of its pipeline.
    pub shared: String,
    /// Names of shared variables that it does not see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Where it finds the commit's files: `/builds/shop/web`.
    pub dir: String,
    /// Whether they are there at all.
    #[serde(default)]
    pub files: Files,
    /// Commands, run in one shell that stops at the first failure.
    pub script: Vec<String>,
    /// Run in a shell of its own after the script, whatever came of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after_script: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Artifacts>,
    /// Files of `NAME=value` lines that become variables of the jobs that need this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dotenv: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<Cache>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// The image the file asks for; noted in the log, because jobs use the machine's own tools for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What the image is started with instead of its own entry point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The user inside of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What else runs while the job does, found by its names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// Machine-readable results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<Reports>,
    /// Artifacts of other pipelines that are laid under its files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fetch: Vec<Fetch>,
    #[serde(default)]
    pub checkout: Checkout,
    /// Signed statements of who the job is, each in a variable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub id_tokens: Vec<IdToken>,
    /// Secrets that it finds in variables. They are fetched when it begins, and stored nowhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
    /// What is published of a job that passed: a directory of its artifacts as a web site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Site>,
    /// The tag that is made when it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<TagRelease>,
    /// A regular expression of the regex crate, looked for in what the job printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<String>,
    /// It is one of several jobs that share the tests of the job with this name: they are told how long each
    /// file took on earlier runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shares: Option<String>,
    /// Milliseconds of wall time for the script; `None`: the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// A newer push to the branch may cancel it.
    #[serde(default)]
    pub interruptible: bool,
}

/// What a job finds in its directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Files {
    /// The files of its commit.
    #[default]
    Commit,
    /// Only what earlier jobs and caches give it.
    None,
}

/// When something is kept of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    #[default]
    OnSuccess,
    OnFailure,
    Always,
}

impl Keep {
    pub fn holds(self, passed: bool) -> bool {
        match self {
            Keep::OnSuccess => passed,
            Keep::OnFailure => !passed,
            Keep::Always => true,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifacts {
    /// Globs below the working directory.
    pub paths: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    #[serde(default)]
    pub when: Keep,
    /// Milliseconds from the end of the job; `None` keeps them as long as the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_ms: Option<u64>,
    /// All files that the job made, beside those of `paths`.
    #[serde(default)]
    pub untracked: bool,
    #[serde(default, skip_serializing_if = "Readers::is_all")]
    pub readers: Readers,
}

/// Who may download artifacts; later jobs always may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readers {
    /// Whoever may see the project.
    #[default]
    All,
    /// Whoever may write to it.
    Developers,
    /// Whoever may deploy by hand.
    Maintainers,
    Nobody,
}

impl Readers {
    fn is_all(&self) -> bool {
        *self == Readers::All
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// Variables in it are expanded.
    pub key: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
    pub paths: Vec<String>,
    pub pull: bool,
    pub push: bool,
    #[serde(default)]
    pub when: Keep,
    #[serde(default)]
    pub untracked: bool,
}

/// Where a job deploys to, or what else it has to do with such a place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default)]
    pub action: EnvironmentAction,
    /// The step of the same run that stops it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_stop: Option<String>,
    /// Milliseconds after which it is stopped by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_stop_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
}

/// A process beside the job: a database, a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The image as written, with its variables: `postgres:15`.
    pub image: String,
    /// Names by which the job finds it, beside those made of the image's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
}

/// Result files of one format: `junit`, `cobertura`, `jacoco`, `lcov`, `codequality`, `sarif`, `load_performance`, ….
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reports {
    pub format: String,
    /// Globs below the working directory.
    pub paths: Vec<String>,
}

/// The artifacts of a job of another pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fetch {
    /// Of the newest passed pipeline of a branch or tag. All may hold variables; `path` is
    /// `project/repository`, and a single word a repository of the same project.
    Newest { path: String, refname: String, job: String },
    /// Of a pipeline above this one (the one that started it, or that one's, …), by its number on this
    /// server or its run's id. Both may hold variables.
    Run {
        run: String,
        job: String,
        /// Nothing is wrong when there is nothing.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        optional: bool,
    },
}

/// How the commit's files are laid out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    #[serde(default)]
    pub submodules: Submodules,
    /// Pathspecs of submodules; empty: all of the commit's own. Those inside of one come with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Pathspecs of submodules that are not wanted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub but: Vec<String>,
    /// The tips of their branches, not the commits that are recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub newest: bool,
    /// Commits of history of those that are fetched from other servers; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submodule_depth: Option<u32>,
    /// More words for git when it fetches those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Commits of history that `.git` shows; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
    /// Commands in a shell of their own before the script; if one fails, the job does. They find the files
    /// in place already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Submodules {
    #[default]
    None,
    Normal,
    Recursive,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdToken {
    /// The variable that holds it.
    pub name: String,
    /// Whom it is for; variables in it are expanded.
    pub audience: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// The variable that holds it.
    pub name: String,
    /// The value is in a file, and that file's path in the variable.
    pub file: bool,
    pub from: SecretFrom,
}

/// Where a secret is kept. Texts may hold variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretFrom {
    /// On this server, under that name.
    Own(String),
    Vault(VaultSecret),
}

/// A field of a secret that is kept by HashiCorp Vault, OpenBao or whoever else speaks their HTTP API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultSecret {
    /// `https://vault.example.com`
    pub server: String,
    /// Where it takes signed tokens: the path of the auth method.
    pub login: String,
    pub role: String,
    pub namespace: String,
    /// The signed token that says who the job is.
    pub token: String,
    /// A token of the store's own, for where nobody signs.
    pub own_token: String,
    pub engine: VaultEngine,
    /// Where the engine is mounted.
    pub mount: String,
    pub path: String,
    pub field: String,
}

/// The kind of a secrets engine, which decides how its secrets are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VaultEngine {
    Kv1,
    Kv2,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// The directory, below the working directory.
    pub dir: String,
    /// Where below the project's site it is found; empty: at its root.
    #[serde(default)]
    pub prefix: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_ms: Option<u64>,
}

/// Variables in its texts are expanded when the job has passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRelease {
    pub tag: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub description: String,
    /// A file below the working directory that holds the description; if there is no such file,
    /// `description` is it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description_file: Option<String>,
    /// What the tag points to, when there is none yet: the job's commit, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// RFC 3339; when it is or was released, if not now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<String>,
    /// Name and URL.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<(String, String)>,
}

/// When a pipeline is canceled by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoCancel {
    #[serde(default)]
    pub on_new_commit: OnNewCommit,
    #[serde(default)]
    pub on_job_failure: OnJobFailure,
}

/// What a newer push to the same branch does to a pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNewCommit {
    /// Cancels it as long as no job has started that is not interruptible.
    #[default]
    Conservative,
    /// Cancels its interruptible jobs.
    Interruptible,
    Nothing,
}

/// What the first failure of a job does to the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnJobFailure {
    #[default]
    Nothing,
    /// Cancels all that is not finished.
    All,
}

/// What all jobs of a pipeline know, stored once beside the run because a plan is written whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// Weaker than a job's own.
    pub variables: Vec<Variable>,
    /// Given by whoever started the pipeline: stronger than everything.
    #[serde(default)]
    pub given: Vec<Variable>,
}

/// A pipeline that a step started, or that it follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Downstream {
    pub project: Name,
    pub run: kernel::Id,
}

/// What the actor hands to the jobs after it, and to whoever shows the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Hash of the tree of artifacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// Where those of the variables are whole in which something is hidden: a row that jobs alone can read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// Machine-readable results, each in a blob that the run refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<ReportFile>,
    /// User and system time of all its processes, in milliseconds, where the machine can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// The tree of the web site that it publishes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// With everything in it expanded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<TagRelease>,
    /// The pipeline that it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downstream: Option<Downstream>,
    /// Percent, as the job's own tests measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f64>,
    /// What the user's own commands took, in milliseconds: all but this is naru's overhead.
    #[serde(default)]
    pub user_ms: u64,
}
