//! What a local run pretends to be: a push of the snapshot to a branch, unless something else is supposed.

use super::repository::Snapshot;
use super::world::World;
use crate::create::{Asked, Beside};
use crate::gitlab::{Compiled, FILE, Origin};
use crate::prepare::{self, Prepared};
use crate::tip::Tip;
use crate::variables::Variable;
use kernel::port::Source;
use kernel::{Error, Name, Principal, Result, Text, text};
use std::collections::BTreeSet;

/// What is supposed instead of a push to the branch that is checked out.
#[derive(Clone, Debug, Default)]
pub struct Suppose {
    pub branch: Option<String>,
    pub tag: Option<String>,
    pub source: Option<Origin>,
    pub variables: Vec<Variable>,
    pub changed: Option<BTreeSet<String>>,
}

/// The word of `CI_PIPELINE_SOURCE`, as an origin.
///
/// # Errors
/// `source.unknown`
pub fn origin(word: &str) -> Result<Origin> {
    let all = [
        Origin::Push,
        Origin::Web,
        Origin::Api,
        Origin::Schedule,
        Origin::Trigger,
        Origin::Pipeline,
        Origin::Parent,
        Origin::MergeRequest,
    ];
    all.into_iter().find(|o| o.word() == word).ok_or_else(|| {
        let known = all.map(Origin::word);
        let shown = kernel::shown(word);
        let say = text!(
            "“{shown}” starts no pipeline",
            "“{shown}”(으)로는 파이프라인이 시작되지 않습니다"
        );
        Error::invalid("source.unknown", say).hint(crate::gitlab::nearest(word, &known))
    })
}

/// The question that the pipeline's files are to answer. With `before` only what differs from that commit
/// counts as changed.
pub async fn ask(
    world: &World,
    snapshot: &Snapshot,
    suppose: &Suppose,
    before: Option<&str>,
) -> Result<Asked> {
    let names = &world.names;
    let head = std::fs::read_to_string(world.repository.ours.join("HEAD")).unwrap_or_default();
    let main = head.trim().strip_prefix("ref: refs/heads/").unwrap_or("main").to_owned();
    let branch = match (&suppose.tag, &suppose.branch) {
        (Some(_), _) => None,
        (None, Some(branch)) => Some(branch.clone()),
        (None, None) => Some(snapshot.branch.clone().unwrap_or_else(|| main.clone())),
    };
    let refname = match (&suppose.tag, &branch) {
        (Some(tag), _) => format!("refs/tags/{tag}"),
        (None, Some(branch)) => format!("refs/heads/{branch}"),
        (None, None) => String::new(),
    };
    let commit = world.source.commit(&names.project, &names.repository, &snapshot.commit).await?;
    let before = match (before, &branch) {
        (Some(before), _) => Some(before.to_owned()),
        (None, None) => None,
        (None, Some(branch)) => match world.repository.pushed(branch).await? {
            // Nothing new: as the push did that brought it.
            Some(pushed) if pushed == commit.id => commit.parents.first().cloned(),
            pushed => pushed,
        },
    };
    world.source.suppose(suppose.changed.clone());
    // What is supposed to have changed needs something to have changed from.
    let before = before.or_else(|| suppose.changed.as_ref().map(|_| commit.id.clone()));
    let tip = Tip {
        project: names.project.clone(),
        repository: names.repository.clone(),
        refname,
        default_branch: branch.as_ref() == Some(&main),
        branch,
        before,
        commit,
        change: None,
        seq: 0,
    };
    Ok(Asked {
        tip,
        origin: suppose.source.unwrap_or(Origin::Local),
        given: suppose.variables.clone(),
        actor: Principal::User(user()?),
        beside: Beside::default(),
        made: Default::default(),
    })
}

/// What the files come to.
///
/// # Errors
/// `pipeline.absent`, `pipeline.nothing`, and whatever is wrong with the file.
pub async fn compile(world: &World, asked: &Asked) -> Result<Compiled> {
    match prepare::prepare(&world.pipelines.0, asked).await? {
        Prepared::Ready(compiled) => Ok(*compiled),
        Prepared::Broken(error) => Err(error),
        Prepared::Nothing(why) => Err(Error::invalid("pipeline.nothing", why)),
        Prepared::Absent => {
            let say = text!("there is no {FILE} here", "여기에 {FILE} 파일이 없습니다");
            Err(Error::not_found("pipeline.absent", say).hint(Text::fixed(
                "write one: `test: {script: make test}` is enough",
                "`test: {script: make test}` 한 줄이면 됩니다",
            )))
        }
    }
}

/// Who sits there.
fn user() -> Result<Name> {
    let named = ["USER", "LOGNAME"].into_iter().filter_map(|n| std::env::var(n).ok());
    let slug = named.filter_map(|n| Name::slug(&n)).next();
    slug.map_or_else(|| Name::parse("nobody"), Ok)
}
