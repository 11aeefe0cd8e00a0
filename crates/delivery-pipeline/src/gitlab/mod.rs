//! The dialect of `.gitlab-ci.yml`: text to a neutral plan. Pure.
//!
//! ```text
//! files ─► yaml (tree with places) ─► include (with spec, interpolate) ─► merge (extends, !reference)
//!       ─► job (strict) ─► rules (in or out, and why) ─► arrange (instances, needs) ─► run::Plan
//! ```
//! Invariants: nothing behind the plan knows this dialect; the same files and context give the same plan;
//! a keyword that is not understood is an error with its place, never passed over in silence.

mod arrange;
mod catalog;
mod compile;
mod environment;
mod error;
mod expr;
#[doc(hidden)]
pub mod fuzz;
mod glob;
mod include;
mod include_item;
#[cfg(test)]
mod include_tests;
mod interpolate;
mod job;
mod job_inputs;
mod keywords;
mod matrix;
mod merge;
#[cfg(test)]
mod model;
mod needs;
mod parts;
mod predefined;
mod read;
mod refs;
mod release;
mod rules;
mod secrets;
mod service;
mod show;
mod spec;
mod step;
mod steps;
mod stored;
#[cfg(test)]
mod tests;
mod trigger;
mod vars;
mod wanted;
mod who;
mod yaml;

pub use catalog::names as templates;
pub use compile::{Compiled, Explained, compile};
pub(crate) use error::nearest;
pub use include::{Gathered, Included, Loaded, gather};
pub use predefined::slug;
pub use rules::Asked;
pub use show::show;
pub use spec::Given;
pub use vars::Offered;
pub use wanted::{Component, Files, Got, Home, Wanted};
pub use yaml::Node;

use crate::variables::{Scope, Variable};
use glob::Globs;
use kernel::journey::Commit;
use kernel::port::TreeEntry;
use kernel::{Error, Name, Result, Time, text};
use std::collections::{BTreeMap, BTreeSet};

/// The pipeline file of a repository.
pub const FILE: &str = ".gitlab-ci.yml";
/// Largest pipeline file, in bytes.
pub const MAX_FILE: u64 = yaml::MAX_BYTES as u64;

/// What started the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Push,
    Web,
    Api,
    Schedule,
    /// Somebody with a trigger token.
    Trigger,
    /// A pipeline of another project.
    Pipeline,
    /// A pipeline of the same project.
    Parent,
    MergeRequest,
    /// Nobody's server: a developer's own machine.
    Local,
}

const ORIGINS: &[Origin] = &[
    Origin::Push,
    Origin::Web,
    Origin::Api,
    Origin::Schedule,
    Origin::Trigger,
    Origin::Pipeline,
    Origin::Parent,
    Origin::MergeRequest,
];

impl Origin {
    /// The origin that `CI_PIPELINE_SOURCE` calls so.
    ///
    /// # Errors
    /// `source.unknown`, with the words there are.
    pub fn parse(word: &str) -> Result<Origin> {
        let known: Vec<&str> = ORIGINS.iter().map(|o| o.word()).collect();
        ORIGINS.iter().find(|origin| origin.word() == word).copied().ok_or_else(|| {
            let shown = kernel::shown(word);
            let say = text!(
                "no pipeline starts by `{shown}`",
                "`{shown}`(으)로 시작하는 파이프라인은 없습니다"
            );
            Error::invalid("source.unknown", say).hint(error::nearest(word, &known))
        })
    }

    /// Whether somebody brought new commits with it, so that `changes` has something to compare with.
    pub fn is_of_a_push(self) -> bool {
        matches!(self, Origin::Push | Origin::Parent | Origin::MergeRequest | Origin::Local)
    }

    /// The word of `CI_PIPELINE_SOURCE`.
    pub fn word(self) -> &'static str {
        match self {
            Origin::Push => "push",
            Origin::Web => "web",
            Origin::Api => "api",
            Origin::Schedule => "schedule",
            Origin::Trigger => "trigger",
            Origin::Pipeline => "pipeline",
            Origin::Parent => "parent_pipeline",
            Origin::MergeRequest => "merge_request_event",
            // What the file would do for a push is what its author wants to see.
            Origin::Local => "push",
        }
    }
}

/// All that the plan depends on beside the files.
#[derive(Clone, Debug)]
pub struct Context {
    pub project: Name,
    pub repository: Name,
    pub commit: Commit,
    pub branch: Option<String>,
    pub tag: Option<String>,
    pub default_branch: String,
    /// What the ref pointed to before.
    pub before: Option<String>,
    pub origin: Origin,
    /// Of the pipeline, unique on this server.
    pub number: u64,
    /// Of the pipeline, unique in its project.
    pub project_number: u64,
    /// Of this server: `http://127.0.0.1:8080`.
    pub url: String,
    pub now: Time,
    /// Who started it.
    pub actor: String,
    /// Every file of the commit; only asked for by `exists` and `cache:key:files`.
    pub tree: Vec<TreeEntry>,
    /// Paths that the push changed; `None` where there is nothing to compare with, and then `changes`
    /// always holds.
    pub changed: Option<BTreeSet<String>>,
    /// Variables given by hand: stronger than the file's.
    pub given: Vec<Variable>,
    /// Only some may push to the ref.
    pub protected: bool,
    /// What is known beside the commit itself.
    pub more: More,
}

/// Facts that few pipelines have, so that a context is made without them.
#[derive(Clone, Debug, Default)]
pub struct More {
    /// The merge request that it is for.
    pub merge_request: Option<MergeRequest>,
    /// Open ones of the branch, as `project/repository!1`.
    pub open_merge_requests: Vec<String>,
    /// The pipeline that started this one.
    pub upstream: Option<Upstream>,
    /// What the schedule that started it says of itself.
    pub schedule: Option<String>,
    /// What `changes: {compare_to}` asks about: paths that differ from a ref. A ref that is not here, or
    /// has none, cannot be compared with.
    pub compared: BTreeMap<String, Option<BTreeSet<String>>>,
    /// What `exists: {project, ref}` asks about: the paths of other repositories.
    pub elsewhere: BTreeMap<Elsewhere, BTreeSet<String>>,
}

/// A merge request, as far as jobs learn about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergeRequest {
    /// Unique on this server.
    pub id: u64,
    /// Unique in its repository.
    pub number: u64,
    pub title: String,
    pub description: String,
    pub labels: Vec<String>,
    pub assignees: Vec<String>,
    pub draft: bool,
    pub approved: bool,
    /// `refs/merge-requests/1/head`
    pub refname: String,
    /// `merged_result`, `merge_train` or `detached`.
    pub event: String,
    pub source: Side,
    pub target: Side,
    /// Where the two branches part.
    pub base: Option<String>,
}

/// One side of a merge request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// `project/repository`
    pub path: String,
    pub branch: String,
    pub commit: Option<String>,
    pub protected: bool,
}

/// The pipeline above one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// Unique on this server.
    pub number: u64,
    /// `project/repository`
    pub path: String,
    pub job: String,
}

/// A commit of another repository, as a file names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Elsewhere {
    /// `project/repository`
    pub path: String,
    /// `None`: its default branch.
    pub refname: Option<String>,
}

impl Context {
    /// The branch or the tag; of a merge request, its source branch.
    pub fn ref_name(&self) -> &str {
        let merged = self.more.merge_request.as_ref().map(|m| m.source.branch.as_str());
        merged.or(self.branch.as_deref()).or(self.tag.as_deref()).unwrap_or("HEAD")
    }

    /// Where a job finds the files.
    pub fn dir(&self) -> String {
        format!("/builds/{}/{}", self.project, self.repository)
    }

    fn changed(&self, globs: &Globs) -> bool {
        self.changed.as_ref().is_none_or(|paths| paths.iter().any(|p| globs.matches(p)))
    }
}

/// Whether the plan may depend on the commit's tree, on what the push changed, or on neither.
pub struct Asks {
    pub tree: bool,
    pub changed: bool,
}

/// What the rules of a merged file ask about other refs and repositories: read it into [`More`] before
/// [`compile`].
pub fn asked(root: &yaml::Node, context: &Context) -> Asked {
    let variables = predefined::pipeline(context);
    rules::asked(root, &Scope::new([variables.as_slice(), &context.given]))
}

/// A cheap look at the text, so that what is not asked for is not computed.
pub fn asks(files: &Files) -> Asks {
    let has = |word: &[u8]| files.texts().any(|bytes| bytes.windows(word.len()).any(|w| w == word));
    Asks { tree: has(b"exists") || has(b"files"), changed: has(b"changes") }
}
