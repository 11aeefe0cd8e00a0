//! What a job does: the input of the actor `pipeline.job`. No pipeline language is known here; every
//! dialect compiles to this.

use crate::variables::Variable;
use kernel::Name;
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
    /// A regular expression of the regex crate, looked for in what the job printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<String>,
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
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
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

/// What the actor hands to the jobs after it, and to whoever shows the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Hash of the tree of artifacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// Percent, as the job's own tests measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f64>,
    /// What the user's own commands took, in milliseconds: all but this is naru's overhead.
    #[serde(default)]
    pub user_ms: u64,
}
