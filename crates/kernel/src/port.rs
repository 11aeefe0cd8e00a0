//! What one domain asks of another. Each trait has one implementer, wired in the `naru` crate.

pub use crate::SecretText;
use crate::diff::Difference;
use crate::journey::{Commit, ReportFile};
use crate::{BoxFuture, Id, Name, Origin, Principal, Result, Text, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One file of a commit's tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeEntry {
    /// Relative, `/`-separated, without `.`, `..` or `.git` components.
    pub path: String,
    /// `0o100644`, `0o100755` or `0o120000` (symbolic link).
    pub mode: u32,
    /// Git object id.
    pub object: String,
    pub size: u64,
}

/// Commits and their files, without a network round trip. Implemented by `delivery-git`.
pub trait Source: Send + Sync {
    /// Every file of the commit, sorted by path.
    fn tree<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        commit: &'a str,
    ) -> BoxFuture<'a, Result<Vec<TreeEntry>>>;

    /// One file's bytes; `None` when the commit has no such file. Larger than `limit` bytes is `TooLarge`.
    fn file<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        commit: &'a str,
        path: &'a str,
        limit: u64,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;

    /// Writes the commit's files below `dir`, which exists and is empty. With `metadata` there is also a
    /// `.git` that reads the repository's objects in place, so that `git describe` and `git log` work.
    fn checkout<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        commit: &'a str,
        dir: &'a Path,
        metadata: Metadata,
    ) -> BoxFuture<'a, Result<()>>;

    fn commit<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        commit: &'a str,
    ) -> BoxFuture<'a, Result<Commit>>;

    /// Paths that differ between two commits; `None` for `before` means every path.
    fn changed<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        before: Option<&'a str>,
        after: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>>>;

    /// The submodules that the commit records, sorted by path.
    fn gitlinks<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        commit: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Gitlink>>> {
        let _ = (project, repository, commit);
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Where the submodule at `path` of a commit is, if that does not follow from its address: in the working
    /// tree that the commit is a picture of. `None`: look at the address.
    fn nested<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        commit: &'a str,
        path: &'a str,
    ) -> BoxFuture<'a, Result<Option<Nested>>> {
        let _ = (project, repository, commit, path);
        Box::pin(std::future::ready(Ok(None)))
    }

    /// The commit of a branch or tag that nobody has pushed here, so that no event told of it: of a developer's
    /// own repository. `None`: there is none of that name.
    fn resolve<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        refname: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        let _ = (project, repository, refname);
        Box::pin(std::future::ready(Ok(None)))
    }

    /// The commit where two histories part (gitglossary(7), merge base): the best one, if there are several.
    /// `None`: they have nothing in common.
    fn merge_base<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        one: &'a str,
        other: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>>>;

    /// The bare repository on disk. A job that gets a checkout with metadata must be able to read it there.
    fn git_dir(&self, project: &Name, repository: &Name) -> PathBuf;

    /// Directories outside of [`Source::git_dir`] whose objects a checkout with metadata reads, too.
    fn borrowed(&self, project: &Name, repository: &Name) -> Vec<PathBuf> {
        let _ = (project, repository);
        Vec::new()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    Without,
    With,
}

/// A submodule, as a commit's tree records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gitlink {
    /// As [`TreeEntry::path`].
    pub path: String,
    /// The commit of the other repository.
    pub commit: String,
}

/// A commit of another repository that lies inside of one's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nested {
    pub project: Name,
    pub repository: Name,
    pub commit: String,
}

/// Branches as somebody who merges them needs them. Implemented by `delivery-git`.
pub trait Branches: Send + Sync {
    /// The commit of a branch; `None`: there is none of that name.
    ///
    /// # Errors
    /// `repository.unknown`.
    fn tip<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        branch: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>>>;

    /// The default branch, and all branches by name, at most a few thousand.
    fn branches<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
    ) -> BoxFuture<'a, Result<(String, Vec<String>)>>;

    /// How the history of `head` stands to that of `target`, both whole commit ids.
    fn compare<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        target: &'a str,
        head: &'a str,
    ) -> BoxFuture<'a, Result<Comparison>>;

    /// What differs between two commits.
    fn difference<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        from: &'a str,
        to: &'a str,
    ) -> BoxFuture<'a, Result<Difference>>;

    /// The commit that merging would make, as an object that no branch points to yet. The same question gets
    /// the same commit. The inner error is the paths that conflict; none, where a fast-forward is asked for
    /// and the target has commits of its own.
    fn join<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        join: &'a Join,
    ) -> BoxFuture<'a, Result<std::result::Result<String, Vec<String>>>>;

    /// Moves branches as a push of `who` would: all or none, each only from where it is said to be, and told
    /// of by `git.pushed`.
    ///
    /// # Errors
    /// `branch.moved` when one is elsewhere; `branch.protected` when `who` may not merge into it.
    fn advance<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        who: &'a Principal,
        moves: Vec<Move>,
    ) -> BoxFuture<'a, Result<()>>;

    /// Whether `who` may merge into the branch, as the repository protects it.
    fn may_merge<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        who: &'a Principal,
        branch: &'a str,
    ) -> BoxFuture<'a, Result<bool>>;

    /// Points a ref that is neither a branch nor a tag to a commit, or removes it. Nobody is told.
    fn keep<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        refname: &'a str,
        commit: Option<&'a str>,
    ) -> BoxFuture<'a, Result<()>>;
}

/// How two histories stand to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Where they part; `None`: they have nothing in common.
    pub base: Option<String>,
    /// Commits of the head that the target does not have, newest first, at most 500.
    pub ahead: Vec<Commit>,
    /// How many commits of the target the head does not have.
    pub behind: usize,
}

/// What is to be merged into what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Whole commit ids.
    pub target: String,
    pub head: String,
    pub method: JoinMethod,
    pub message: String,
    /// Who merges: a name for the commit.
    pub by: String,
    pub at: Time,
}

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum JoinMethod {
    /// A commit with two parents.
    #[default]
    Merge,
    /// No commit of its own: the target moves to the head.
    FastForward,
    /// One commit with all that the head has.
    Squash,
}

/// A branch that is to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    pub branch: String,
    pub from: String,
    /// `None`: it is deleted.
    pub to: Option<String>,
}

/// Signs statements about workloads. What it signs is checked by others with the keys that it publishes.
pub trait Identity: Send + Sync {
    /// Who signs: an URL below which the keys are found (OpenID Connect Discovery 1.0).
    fn issuer(&self) -> String;

    /// A signed token (RFC 7519) with these claims, an object, that holds for `life`, at most half a day.
    /// `iss`, `iat`, `nbf`, `exp` and `jti` are the signer's to say.
    fn sign<'a>(
        &'a self,
        claims: serde_json::Value,
        life: Duration,
    ) -> BoxFuture<'a, Result<String>>;

    /// What an attempt of a job shows to this server to be its run; it works while the attempt runs.
    /// `attempt` is `<run>-<step index>-<attempt>`.
    fn job_token(&self, attempt: &str) -> String;
}

/// Secrets that are kept here, opened for those who may have them. Implemented by `security-secret`. Each opening
/// is an event, `secret.used`, that is durable before the value is given out.
pub trait Secrets: Send + Sync {
    /// The secret of that name for a workload of the project that `who` started. `environment` is the one it
    /// deploys to, `protected` whether it runs for a protected branch or tag.
    ///
    /// # Errors
    /// Not found and forbidden are the same `secret.unknown`, so that names cannot be guessed; unavailable
    /// while the secrets are sealed. No error holds a value.
    fn open<'a>(
        &'a self,
        who: &'a Principal,
        project: &'a Name,
        environment: Option<&'a str>,
        protected: bool,
        name: &'a str,
    ) -> BoxFuture<'a, Result<SecretText>>;

    /// The secrets of a project that its jobs get without asking, as far as `of` is within their scope, by
    /// name. One that was never set is left out.
    ///
    /// # Errors
    /// Unavailable while the secrets are sealed and there are some; the store's.
    fn offered<'a>(
        &'a self,
        project: &'a Name,
        of: &'a SecretUse,
    ) -> BoxFuture<'a, Result<Vec<OpenedSecret>>> {
        let _ = (project, of);
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// One secret for somebody whom the journal is to name. `name` is the secret's or that of its variable,
    /// with `@3` for a version that is not the newest.
    ///
    /// # Errors
    /// As [`Secrets::open`].
    fn open_for<'a>(
        &'a self,
        project: &'a Name,
        name: &'a str,
        of: &'a SecretUse,
    ) -> BoxFuture<'a, Result<OpenedSecret>> {
        let _ = (project, of);
        let say = crate::text!("there is no secret {name}", "{name} 비밀 값이 없습니다");
        Box::pin(std::future::ready(Err(crate::Error::not_found("secret.unknown", say))))
    }
}

/// What is known of tests beyond one job. Implemented by `delivery-report`.
pub trait Verdicts: Send + Sync {
    /// Whether the failure of a job counts, by the results that it left. Asked when its script has failed,
    /// once `files` are kept.
    fn judge<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        files: &'a [ReportFile],
    ) -> BoxFuture<'a, Result<Judgement>>;

    /// The tests that failed when this step of the run was last tried, in this run before `attempt` or in
    /// the run of which this one is a retry. `None`: it was not tried, it left no results, or none failed.
    fn failed_before<'a>(
        &'a self,
        run: &'a Id,
        step: &'a str,
        attempt: u32,
    ) -> BoxFuture<'a, Result<Option<FailedTests>>>;

    /// Seconds that each test file of a job usually takes, as its earlier reports tell; by class or suite
    /// where they name no files. Includes all that had been reported when this is asked. Empty: nothing yet.
    fn times<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        job: &'a str,
    ) -> BoxFuture<'a, Result<BTreeMap<String, f64>>>;
}

/// What a failure comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Why the failure is allowed: all tests that failed are in quarantine. `None`: it counts.
    pub excuse: Option<Text>,
    /// What whoever reads the job's log should know: whose quarantine is over.
    pub notes: Vec<Text>,
}

/// Tests to try again, ready for their runners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedTests {
    /// How many.
    pub count: usize,
    /// Variables that each name a file, and what is in it: `NARU_FAILED_TESTS` has one id in a line, and
    /// `NARU_FAILED_TESTS_PYTEST` and its like have arguments of that runner.
    pub files: Vec<(String, String)>,
}

/// What secrets are opened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUse {
    pub by: SecretUser,
    /// The environment that is worked on, as it is called: `production`, `review/fix-1`.
    pub environment: Option<String>,
    /// Whether what runs comes from a protected branch or tag of the project itself.
    pub protected: bool,
}

/// Who gets a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretUser {
    /// A step of a pipeline's run.
    Job { run: Id, step: String },
    /// An instance of a service.
    Service { service: Name, instance: String },
}

/// A secret with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedSecret {
    pub name: Name,
    /// As programs find it: `DATABASE_PASSWORD`.
    pub variable: String,
    pub version: u32,
    /// The value is to be in a file, and that file's path in the variable.
    pub file: bool,
    pub value: SecretText,
}

/// One place that can answer for a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// Stable for the life of the instance; what [`Edge::drain`] takes.
    pub instance: String,
    pub address: SocketAddr,
}

/// What the edge knows of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteSet {
    pub project: Name,
    pub service: Name,
    /// Extra host names beside `<service>.<project>.localhost`.
    pub hosts: Vec<String>,
    /// Ready instances. Empty: the edge answers 503 and says so.
    pub upstreams: Vec<Upstream>,
}

/// The way in. Implemented by `network-proxy`.
pub trait Edge: Send + Sync {
    /// Replaces all that is known of one service, at once. Requests under way keep their upstream; one that
    /// is missing from the new set gets no further request.
    fn publish(&self, set: RouteSet);

    /// Forgets the service: its host answers 404.
    fn withdraw(&self, project: &Name, service: &Name);

    /// Resolves when no request uses the instance any more, or after `limit`: then the answer is how many
    /// were still under way. Call it after a `publish` without the instance and before its signal.
    fn drain<'a>(&'a self, instance: &'a str, limit: Duration) -> BoxFuture<'a, usize>;

    /// `http://web.shop.localhost:8000`
    fn url(&self, project: &Name, service: &Name) -> String;

    /// When the service was asked for something last, as far as is known: nothing is remembered over a
    /// restart, and probes do not count.
    fn last_use(&self, project: &Name, service: &Name) -> Option<Time> {
        let _ = (project, service);
        None
    }
}

/// Something that was asked and not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub who: Principal,
    /// What was asked: an action of the policy (`project.change`), or a method and the path of its route.
    pub action: String,
    /// Of what: a key, a project's name, an address; at most a line.
    pub resource: String,
    pub project: Option<Name>,
    /// The error's code: `auth.denied`.
    pub code: &'static str,
    pub origin: Option<Origin>,
}

/// Who writes down what is refused. Implemented by `security-audit`.
pub trait Witness: Send + Sync {
    /// Returns at once, and never fails: the same refusal many times over may become one record with a count.
    fn refused(&self, refused: Refused);
}
