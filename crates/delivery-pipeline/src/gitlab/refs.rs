//! `only` and `except`: the elder way to say when a job is in.

use super::Context;
use super::Origin;
use super::error;
use super::expr;
use super::glob::Globs;
use super::job::Warnings;
use super::read;
use super::yaml::Entry;
use crate::variables::Scope;
use kernel::Result;
use regex::Regex;

/// What `only` or `except` asks for.
#[derive(Clone, Debug, Default)]
pub struct Only {
    pub refs: Option<Vec<Ref>>,
    pub variables: Vec<expr::Expr>,
    pub changes: Option<Vec<String>>,
    /// Whether it asks for a cluster.
    pub cluster: bool,
}

#[derive(Clone, Debug)]
pub struct Ref {
    is: Is,
    /// `main@shop/web`: only in that repository.
    path: Option<String>,
}

#[derive(Clone, Debug)]
enum Is {
    Branches,
    Tags,
    Source(&'static str),
    Name(String),
    Matches(Regex),
}

/// The words of `refs` for what started a pipeline, and of `CI_PIPELINE_SOURCE`.
const SOURCES: &[(&str, &str)] = &[
    ("api", "api"),
    ("chat", "chat"),
    ("external", "external"),
    ("external_pull_requests", "external_pull_request_event"),
    ("merge_requests", "merge_request_event"),
    ("pipelines", "pipeline"),
    ("pushes", "push"),
    ("schedules", "schedule"),
    ("triggers", "trigger"),
    ("web", "web"),
];

pub fn only(entry: &Entry, warnings: &mut Warnings) -> Result<Only> {
    let mut only = Only::default();
    if entry.value.map().is_none() {
        only.refs = Some(refs(entry)?);
        return Ok(only);
    }
    let known = ["refs", "variables", "changes", "kubernetes"];
    for part in read::map(&entry.value, &entry.key, &known)? {
        match part.key.as_str() {
            "refs" => only.refs = Some(refs(part)?),
            "changes" => only.changes = Some(read::words(part)?),
            "variables" => {
                let parse = |words: &String| expr::parse(words, &part.value.at);
                only.variables = read::words(part)?.iter().map(parse).collect::<Result<_>>()?;
            }
            key => {
                read::choice(part, &[("active", ())])?;
                only.cluster = true;
                warnings.push(error::no_effect(&part.at, &format!("{}:{key}", entry.key)));
            }
        }
    }
    Ok(only)
}

fn refs(entry: &Entry) -> Result<Vec<Ref>> {
    let one = |words: String| {
        let (name, path) = match words.rsplit_once('@') {
            Some((name, path)) if path.contains('/') && !path.ends_with('/') => (name, Some(path)),
            _ => (words.as_str(), None),
        };
        let source = SOURCES.iter().find(|(word, _)| *word == name);
        let is = match (name, source) {
            ("branches", _) => Is::Branches,
            ("tags", _) => Is::Tags,
            (_, Some((_, source))) => Is::Source(source),
            (other, None) => match expr::regex(other, &entry.value.at)? {
                Some(regex) => Is::Matches(regex),
                None => Is::Name(other.to_owned()),
            },
        };
        Ok(Ref { is, path: path.map(str::to_owned) })
    };
    read::words(entry)?.into_iter().map(one).collect()
}

impl Only {
    /// As `only`: all of its parts hold. Without `refs` it means branches and tags, as GitLab does, so a
    /// pipeline of a merge request has the job only when it is asked for.
    pub fn lets_in(&self, scope: &Scope, context: &Context) -> bool {
        self.parts(scope, context, &[of(Is::Branches), of(Is::Tags)])
            .into_iter()
            .flatten()
            .all(|p| p)
            && !self.cluster
    }

    /// As `except`: any of its parts holds.
    pub fn leaves_out(&self, scope: &Scope, context: &Context) -> bool {
        self.parts(scope, context, &[]).into_iter().flatten().any(|p| p)
    }

    fn parts(&self, scope: &Scope, context: &Context, usual: &[Ref]) -> [Option<bool>; 3] {
        let get = |name: &str| scope.get(name);
        let refs = self.refs.as_deref().or((!usual.is_empty()).then_some(usual));
        let refs = refs.map(|refs| refs.iter().any(|r| r.is(context)));
        let variables = (!self.variables.is_empty())
            .then(|| self.variables.iter().any(|expr| expr.holds(&get)));
        let changes = self.changes.as_ref().map(|paths| context.changed(&Globs::new(paths)));
        [refs, variables, changes]
    }
}

fn of(is: Is) -> Ref {
    Ref { is, path: None }
}

impl Ref {
    fn is(&self, context: &Context) -> bool {
        let path = format!("{}/{}", context.project, context.repository);
        if self.path.as_ref().is_some_and(|p| !p.eq_ignore_ascii_case(&path)) {
            return false;
        }
        // A pipeline of a merge request belongs to that, not to its branch.
        let merge_request = context.origin == Origin::MergeRequest;
        match &self.is {
            Is::Branches => context.branch.is_some() && !merge_request,
            Is::Tags => context.tag.is_some(),
            Is::Source(word) => *word == context.origin.word(),
            Is::Name(name) => context.ref_name() == name,
            Is::Matches(regex) => regex.is_match(context.ref_name()),
        }
    }
}
