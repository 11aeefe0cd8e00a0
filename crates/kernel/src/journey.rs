//! The facts that carry a change from push to production: the whole contract between the parts on that way.
//!
//! ```text
//! git push ─► Pushed ─► PipelineCreated ─► PipelineFinished ─► ReleaseMade ─► RolloutStarted
//!          ─► RolloutFinished ─► ChangeFinished
//! ```
//! Each is the `data` of an event of its [`Fact::KIND`]; the event's `change` names the change. A part acts
//! on the fact before it in the line and writes the one after; nobody calls back up the line.

use crate::{Error, Event, Id, Key, Name, NewEvent, Principal, Result, Text, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The payload of one kind of event.
pub trait Fact: Serialize + DeserializeOwned {
    const KIND: &'static str;

    /// The event that carries this fact.
    ///
    /// # Errors
    /// Internal, if the payload does not serialise.
    fn event(&self, actor: Principal, say: Text) -> Result<NewEvent> {
        let data = serde_json::to_value(self).map_err(Error::internal)?;
        Ok(NewEvent::new(Self::KIND, actor, say).data(data))
    }

    /// The fact in an event, if it is of this kind.
    fn of(event: &Event) -> Option<Self> {
        (event.fact.kind == Self::KIND).then(|| Self::deserialize(&event.fact.data).ok()).flatten()
    }
}

macro_rules! facts {
    ($($kind:literal $fact:ident),* $(,)?) => {
        $(impl Fact for $fact { const KIND: &'static str = $kind; })*
    };
}

facts! {
    "git.pushed" Pushed,
    "pipeline.created" PipelineCreated,
    "pipeline.finished" PipelineFinished,
    "release.made" ReleaseMade,
    "release.skipped" ReleaseSkipped,
    "rollout.started" RolloutStarted,
    "rollout.finished" RolloutFinished,
    "change.finished" ChangeFinished,
    "job.reported" JobReported,
    "environment.deployed" EnvironmentDeployed,
    "environment.opened" EnvironmentOpened,
    "environment.released" EnvironmentReleased,
    "environment.closed" EnvironmentClosed,
    "site.published" SitePublished,
    "tag.asked" TagAsked,
    "pipeline.skipped" PipelineSkipped,
    "merge_request.opened" MergeRequestOpened,
    "merge_request.updated" MergeRequestUpdated,
    "merge_request.closed" MergeRequestClosed,
    "merge_request.merged" MergeRequestMerged,
    "load.verdict" LoadVerdict,
}

/// The name of a change: its repository and the first twelve digits of its commit.
pub fn change_name(repository: &Name, commit: &str) -> Option<Name> {
    let repository = repository.as_str();
    let repository = repository.get(..50).unwrap_or(repository).trim_end_matches('-');
    Name::parse(&format!("{repository}-{}", commit.get(..12)?)).ok()
}

/// The first label of the host name at which a repository's web site is found,
/// `<this>.<project>.localhost`: `web-pages`.
pub fn site_name(repository: &Name) -> Option<Name> {
    let repository = repository.as_str();
    let repository = repository.get(..57).unwrap_or(repository).trim_end_matches('-');
    Name::parse(&format!("{repository}-pages")).ok()
}

/// One commit, as its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// 40 (or 64) hex digits.
    pub id: String,
    pub parents: Vec<String>,
    pub author: String,
    pub email: String,
    pub authored: Time,
    pub committed: Time,
    /// First line of the message.
    pub subject: String,
    /// The whole message, its first line included, at most [`MAX_MESSAGE`] bytes. Empty where a list of
    /// commits leaves it out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Bytes of a commit message that are carried along.
pub const MAX_MESSAGE: usize = 8 * 1024;

/// A ref moved (`git.pushed`). One event per ref; written when the ref has moved and only then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    pub repository: Name,
    /// `refs/heads/main`
    pub refname: String,
    /// `main`, when it is a branch.
    pub branch: Option<String>,
    pub default_branch: bool,
    /// `None`: the ref is new.
    pub before: Option<String>,
    /// `None`: the ref was deleted.
    pub after: Option<String>,
    /// When the push began to arrive.
    pub received: Time,
    /// The commit at `after`.
    pub head: Option<Commit>,
    /// Commits this push made reachable that no ref reached before, newest first, `head` included, at most
    /// 500; without their messages.
    pub commits: Vec<Commit>,
    /// Push options (`-o`), as given.
    pub options: Vec<String>,
}

/// `pipeline.created`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineCreated {
    pub repository: Name,
    pub run: Id,
    pub jobs: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Passed,
    Failed,
    Canceled,
}

impl Verdict {
    pub fn text(self) -> Text {
        match self {
            Verdict::Passed => Text::fixed("passed", "통과"),
            Verdict::Failed => Text::fixed("failed", "실패"),
            Verdict::Canceled => Text::fixed("canceled", "취소"),
        }
    }
}

/// Files a job left for the release, as a tree in the blob store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    pub job: String,
    /// Hash of the tree.
    pub tree: String,
}

/// `pipeline.finished`. A commit without a pipeline file passes with no run and no layers; a file that
/// cannot be read fails with no run and its place in `reason`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineFinished {
    pub repository: Name,
    pub commit: String,
    pub branch: Option<String>,
    pub default_branch: bool,
    pub run: Option<Id>,
    pub verdict: Verdict,
    /// Why it failed or was canceled.
    pub reason: Option<Text>,
    /// In the order in which they are to be laid over the commit's tree.
    pub layers: Vec<Layer>,
    /// Whether a release may follow: a push or a person started it, not a schedule or another pipeline.
    #[serde(default = "yes")]
    pub deploys: bool,
    /// Who pushed it or ran it again: what is forbidden to them it does not do either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Principal>,
}

fn yes() -> bool {
    true
}

/// `release.made`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseMade {
    pub repository: Name,
    pub commit: String,
    pub service: Name,
    /// The release's resource name: `web-7`.
    pub release: Name,
    pub tree: String,
    /// Every service that this commit releases, this one included: the change has arrived when all of
    /// them have.
    pub services: Vec<Name>,
    /// Of a copy for an environment: that one. Production has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
}

/// `release.skipped`: a passed pipeline that leads to no release. `Passed`: there is nothing to deploy
/// (another branch, no service, a project that does not deploy by itself). `Failed`: what to deploy cannot
/// be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseSkipped {
    pub repository: Name,
    pub commit: String,
    pub verdict: Verdict,
    pub reason: Text,
}

/// Why a rollout runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A change arrived.
    Change,
    /// Somebody went back to an earlier release.
    Rollback,
    /// The service's configuration was edited by hand.
    Config,
    /// New instances of what serves: not a deployment.
    Restart,
}

/// `rollout.started`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutStarted {
    pub service: Name,
    pub release: Name,
    pub run: Id,
    /// What served before.
    pub previous: Option<Name>,
    pub cause: Cause,
    /// Of a copy for an environment: that one. Production has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
}

/// `rollout.finished`. When it passed, `release` serves; otherwise `previous` goes on serving.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutFinished {
    pub service: Name,
    pub release: Name,
    pub run: Id,
    pub previous: Option<Name>,
    pub cause: Cause,
    pub verdict: Verdict,
    pub reason: Option<Text>,
    /// When the first instance of `release` answered.
    pub first_ready: Option<Time>,
    /// Of a copy for an environment: that one. Production has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
}

/// How a change's way ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It serves in production.
    Live,
    /// Its pipeline passed and nothing deploys it: another branch, or a repository without a service.
    Passed,
    /// Its pipeline or its rollout failed.
    Failed,
    Canceled,
    /// A newer change of the same branch overtook it.
    Superseded,
}

/// `change.finished`: the exit of the journey, written by `insight` alone. It can follow again for the
/// same change when its pipeline is run again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeFinished {
    pub repository: Name,
    pub commit: String,
    pub outcome: Outcome,
    pub reason: Option<Text>,
    /// From the push's first byte to here, in milliseconds.
    pub took_ms: u64,
    /// Where it serves, when it does.
    pub url: Option<String>,
}

/// A file of machine-readable results, such as a JUnit report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportFile {
    /// `junit`, `cobertura`, `jacoco`, `lcov`, `codequality`, `sarif`, `load_performance`, ….
    pub format: String,
    /// Below the job's directory.
    pub path: String,
    /// Hash of its blob, kept as long as the run.
    pub blob: String,
    /// Bytes.
    pub size: u64,
}

/// `job.reported`: an attempt of a job has ended. Written for every attempt that ran, with or without
/// files, so that what it cost is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReported {
    pub repository: Name,
    pub commit: String,
    pub branch: Option<String>,
    pub default_branch: bool,
    pub run: Id,
    pub step: String,
    pub attempt: u32,
    pub passed: bool,
    /// Milliseconds of wall time.
    pub took_ms: u64,
    /// Milliseconds of processor time, where the machine can tell.
    pub cpu_ms: Option<u64>,
    pub files: Vec<ReportFile>,
}

/// What a job does to the environment that it names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentAction {
    #[default]
    Start,
    Stop,
    /// Nothing is deployed; it only needs the environment.
    Prepare,
    Verify,
    Access,
}

/// What an environment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    Production,
    Staging,
    Testing,
    Development,
    Other,
}

/// `environment.deployed`: a job with an environment has passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentDeployed {
    pub repository: Name,
    pub commit: String,
    /// `refs/heads/main`
    pub refname: String,
    pub run: Id,
    pub step: String,
    /// As written: `review/fix-1`.
    pub name: String,
    pub url: Option<String>,
    pub tier: Option<Tier>,
    pub action: EnvironmentAction,
    /// The step of the same run that stops it.
    pub on_stop: Option<String>,
    pub auto_stop_ms: Option<u64>,
    /// What the run's jobs have left so far, in the order in which they are to be laid over the commit.
    pub layers: Vec<Layer>,
}

/// `environment.opened`: services of the commit are wanted for an environment of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentOpened {
    /// The environment's resource name: `review-fix-1`.
    pub environment: Name,
    pub repository: Name,
    pub commit: String,
    /// The branch that it was deployed from; a tag has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    pub layers: Vec<Layer>,
}

/// `environment.released`: what came of an `environment.opened`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentReleased {
    pub environment: Name,
    pub repository: Name,
    pub commit: String,
    /// Sequence of the `environment.opened` that this answers.
    pub opened: u64,
    /// The services of the commit, each with a copy; none for a commit that has no service.
    pub services: Vec<ServiceCopy>,
    /// Why there are no copies of this commit; what was there before stays.
    pub refused: Option<Text>,
}

/// A service of an environment of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceCopy {
    /// As the commit names it.
    pub name: Name,
    /// As it is called here: its resource, and the first label of its host name.
    pub copy: Name,
    /// The rollout that brings it in.
    pub run: Id,
    /// Whether it has an address.
    pub listens: bool,
}

/// `environment.closed`: its services are to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentClosed {
    pub environment: Name,
}

/// `site.published`: a job has left a directory that is to be a web site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SitePublished {
    pub repository: Name,
    pub commit: String,
    pub default_branch: bool,
    pub run: Id,
    pub step: String,
    /// Hash of the tree of its files.
    pub tree: String,
    /// Where below the repository's site; empty: at its root.
    pub prefix: String,
    pub expires: Option<Time>,
}

/// `tag.asked`: a job has passed that makes a release of the repository, which is a tag with words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagAsked {
    pub repository: Name,
    /// What the tag will point to unless it is there already.
    pub commit: String,
    pub run: Id,
    pub tag: String,
    pub message: Option<String>,
    pub name: String,
    pub description: String,
    /// Name and URL.
    pub links: Vec<(String, String)>,
}

/// A merge request, as far as pipelines of it go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeRequestHead {
    pub repository: Name,
    /// Unique in the project, never used again.
    pub number: u64,
    pub title: String,
    pub description: String,
    pub labels: Vec<String>,
    pub assignees: Vec<String>,
    pub draft: bool,
    pub approved: bool,
    /// Branches.
    pub source: String,
    pub target: String,
    /// What is to be merged.
    pub head: Commit,
    pub target_commit: String,
    /// Where the two part.
    pub base: Option<String>,
    /// Push options (`-o`) of the push that brought the head.
    #[serde(default)]
    pub options: Vec<String>,
    /// Its page on this server: `/projects/shop/merge-requests/3`.
    pub address: String,
}

/// `merge_request.opened`: it is there, or there again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MergeRequestOpened(pub MergeRequestHead);

/// `pipeline.skipped`: a head of a merge request has no pipeline of its own; that of its branch counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineSkipped {
    pub repository: Name,
    /// Of the merge request.
    pub number: u64,
    pub commit: String,
    pub reason: Text,
}

/// `merge_request.updated`: its source branch has moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MergeRequestUpdated(pub MergeRequestHead);

/// `merge_request.closed`: it ended without a merge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeRequestClosed {
    pub repository: Name,
    pub number: u64,
    pub source: String,
    pub target: String,
    pub reason: Option<Text>,
}

/// `merge_request.merged`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeRequestMerged {
    pub repository: Name,
    pub number: u64,
    pub source: String,
    pub target: String,
    /// What the target points to since.
    pub commit: String,
    pub head: String,
    pub opened: Time,
}

/// `load.verdict`: a change's performance beside that of its base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadVerdict {
    pub repository: Name,
    pub commit: String,
    pub run: Id,
    pub step: String,
    pub scenario: String,
    /// Branch.
    pub base: String,
    /// `better`, `same`, `worse` or `cannot_tell`.
    pub verdict: String,
    /// The page of the result.
    pub address: String,
    /// With effect, interval and confidence, as the judge gave it.
    pub judgement: serde_json::Value,
}

/// The subject of an event about a named thing of a project.
pub fn subject(kind: &str, project: &Name, name: &Name) -> Key {
    Key { kind: kind.to_owned(), project: Some(project.clone()), name: name.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_names_are_names() {
        let repository = Name::parse(&"r".repeat(63)).unwrap();
        let name = change_name(&repository, &"0123456789abcdef".repeat(3)).unwrap();
        assert!(name.as_str().ends_with("-0123456789ab"));
        assert_eq!(change_name(&repository, "short"), None);
    }
}
