//! What a step does that has to do with other pipelines: the inputs of the actors `pipeline.trigger` and
//! `pipeline.mirror`. No pipeline language is known here; every dialect compiles to this.

use crate::variables::Variable;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The actor of [`Trigger`] in a plan.
pub const USES: &str = "pipeline.trigger";
/// The actor of [`Mirror`] in a plan.
pub const MIRRORS: &str = "pipeline.mirror";

/// Starts another pipeline. Texts in it may hold variables, which are expanded when it is started: of the
/// [`crate::work::Shared`] ones under `shared` less those of `without`, of `own`, and of what earlier jobs
/// hand on, as for a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    pub target: Target,
    #[serde(default)]
    pub strategy: Strategy,
    /// Key of the variables of its own pipeline.
    pub shared: String,
    /// Names of shared variables that it does not see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// What it knows beside the shared ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<Variable>,
    /// The other pipeline is given these, expanded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hand: Vec<Variable>,
    /// It is given all that its own pipeline was given, too.
    #[serde(default)]
    pub hand_given: bool,
    /// Typed parameters of the other pipeline.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<crate::work::Environment>,
    /// A newer push to the branch may cancel it.
    #[serde(default)]
    pub interruptible: bool,
}

/// Which pipeline it starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The pipeline of another repository.
    Repository {
        /// `project/repository`; a single word is a repository of the same project.
        path: String,
        /// A branch or tag; `None`: its default branch.
        refname: Option<String>,
    },
    /// A pipeline of the same commit, made of another file.
    Child {
        /// What errors call the file.
        name: String,
        /// The whole pipeline file, in the language of its parent's.
        file: String,
        /// Files that earlier jobs made and that `file` asks for, as if the commit had them.
        artifacts: Vec<FromArtifact>,
    },
}

/// A file of an earlier job's artifacts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromArtifact {
    /// The step whose output holds it.
    pub step: String,
    /// Where it lies in the artifacts.
    pub path: String,
    /// The path by which the child's file asks for it.
    pub name: String,
}

/// How the step ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// It has passed as soon as the other pipeline is made.
    #[default]
    Start,
    /// It waits for the other pipeline and fails with it. A manual job that blocks the other one does not
    /// end the wait.
    Depend,
    /// As `Depend`, and it is also canceled or skipped as the other one is.
    Mirror,
}

/// Waits for the newest pipeline of another repository's default branch, and ends as that does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// `project/repository`; may hold variables, expanded as for [`Trigger`].
    pub path: String,
    pub shared: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<Variable>,
    #[serde(default)]
    pub interruptible: bool,
}
