//! Pipelines: what a repository's `.gitlab-ci.yml` asks for, done on this machine.
//!
//! A push becomes a run of the durable engine. The dialect (`gitlab`) is pure and compiles to a neutral
//! plan; the actor (`job`) runs one job of such a plan in a sandbox and knows no dialect; the followers
//! (`sync`) turn facts of git into runs, and ends of runs into facts for whoever makes releases.
//!
//! Invariants:
//! - A push makes its pipeline exactly once: run, `pipeline.created` and the cursor are one transaction.
//! - A commit without a pipeline file passes; one whose file cannot be read fails and says where.
//! - A keyword that is not understood is named, never passed over.
//! - A job sees its project's files and caches, and nothing of the server, its data or other projects.

mod answer;
mod api;
mod api_flow;
mod artifacts;
mod attach;
mod by_hand;
mod caches;
mod cmd;
mod cmd_flow;
mod coverage;
mod create;
mod cron;
mod desk;
mod form;
#[doc(hidden)]
pub mod fuzz;
pub mod gitlab;
mod graph;
mod handed;
mod job;
mod keep;
mod last_words;
mod layers;
pub mod left;
mod library;
pub mod lint;
mod local;
pub mod look;
mod others;
mod own;
pub mod page;
mod prepare;
mod remote;
mod request;
mod retire;
mod schedule;
mod script;
pub mod shard;
mod shelf;
mod submodule;
mod sync;
mod tip;
mod token;
mod told;
mod trigger;
pub mod trigger_plan;
mod v4;
pub mod variables;
mod vault;
mod versions;
pub mod work;
mod workspace;

#[cfg(test)]
mod tests;

pub use artifacts::{Artifacts, Report};
pub use by_hand::ByHand;
pub use caches::CacheView;
pub use keep::Bounds;
pub use others::Others;
pub use schedule::{Schedule, ScheduleStatus};
pub use token::TriggerToken;

use blob::Blobs;
use host::{Host, Mount};
use kernel::port::{Identity, Secrets, Source, Verdicts};
use kernel::{Error, Id, Result};
use policy::Policy;
use run::{Actor, Engine};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use store::Store;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use variables::Variable;
use workspace::Workspaces;

/// [`work::Shared`] by its key.
pub(crate) const SHARED: &str = "delivery-pipeline.shared";
/// When artifacts may go: `<time>/<run>/<tree>`.
pub(crate) const EXPIRES: &str = "delivery-pipeline.expires";
/// The kind of run.
pub const KIND: &str = "pipeline";

/// Of one job.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes.
    pub memory: Option<u64>,
    pub pids: u32,
    /// Bytes below its working directory and its home together.
    pub disk: u64,
    /// Bytes of log.
    pub log: u64,
    /// Milliseconds, where the file does not say.
    pub timeout_ms: u64,
    pub after_script_ms: u64,
    /// Between SIGTERM and SIGKILL.
    pub grace_ms: u64,
    /// Of one job's artifacts, and of one cache.
    pub artifacts: Bounds,
    /// Bytes of caches and artifacts that lie unpacked for the next job that wants them.
    pub layers: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory: None,
            pids: 1024,
            disk: 10 << 30,
            log: 64 << 20,
            timeout_ms: 60 * 60 * 1000,
            after_script_ms: 5 * 60 * 1000,
            // Short, because whoever forks without end does so until SIGKILL; to tidy up there is the
            // after script, with time of its own.
            grace_ms: 1_000,
            artifacts: Bounds { bytes: 5 << 30, files: 200_000 },
            layers: 20 << 30,
        }
    }
}

pub struct Options {
    pub store: Store,
    pub blobs: Blobs,
    pub host: Host,
    pub source: Arc<dyn Source>,
    /// Who signs for jobs; `None`: nobody, and a job that asks for a token fails.
    pub identity: Option<Arc<dyn Identity>>,
    /// Who may read what is included from other projects.
    pub policy: Policy,
    /// Hosts that `include:remote` may ask: `example.com`, `example.com:8443`.
    pub remote_hosts: Vec<String>,
    /// Who has files of other repositories, if this store's own are not meant: a local run's.
    pub others: Option<Arc<dyn Others>>,
    /// Who knows tests beyond one job; without it every failure counts.
    pub verdicts: Option<Arc<dyn Verdicts>>,
    /// The secrets of this server; without it a job that asks for one of them fails.
    pub secrets: Option<Arc<dyn Secrets>>,
    /// `<data>/work`
    pub dir: PathBuf,
    /// Where people reach this server: `http://127.0.0.1:8080`.
    pub url: String,
    /// The roots that it is believed by there, in PEM, when those of the system are not enough.
    pub ca_file: Option<PathBuf>,
    pub limits: Limits,
    /// What every job is given beside what its pipeline says, stronger than all of that and never stored.
    pub given: Vec<Variable>,
    /// The places of attempts that failed stay until the next start, for somebody to look at.
    pub keep_failed: bool,
}

/// What the actor and the followers share.
pub(crate) struct Parts {
    pub store: Store,
    pub blobs: Blobs,
    pub host: Host,
    pub source: Arc<dyn Source>,
    /// Who signs for jobs; `None`: nobody, and a job that asks for a token fails.
    pub identity: Option<Arc<dyn Identity>>,
    pub policy: Policy,
    pub remote_hosts: Vec<String>,
    pub others: Option<Arc<dyn Others>>,
    pub verdicts: Option<Arc<dyn Verdicts>>,
    pub secrets: Option<Arc<dyn Secrets>>,
    /// Closes what jobs hand on to jobs alone.
    pub seal: handed::Seal,
    pub workspaces: Arc<Workspaces>,
    pub url: String,
    pub ca_file: Option<PathBuf>,
    pub limits: Limits,
    /// What jobs get of the server's own environment.
    pub env: Vec<Variable>,
    /// As in [`Options`].
    pub given: Vec<Variable>,
    pub keep_failed: bool,
    pub toolchain: Vec<Mount>,
    pub shell: String,
    /// Overlays turned out not to work here.
    pub copies: AtomicBool,
    pub engine: OnceLock<Engine>,
    /// The key of each attempt whose place is still there: run, step and attempt to `<run>-<index>`.
    pub under_way: Mutex<HashMap<(Id, String, u32), String>>,
    pub attached: attach::Open,
}

/// The part, opened. Clones share it.
#[derive(Clone)]
pub struct Pipelines(pub(crate) Arc<Parts>);

impl Pipelines {
    /// # Errors
    /// When the directory cannot be made.
    pub async fn open(options: Options) -> Result<Pipelines> {
        // Mounts need whole paths.
        let dir = std::path::absolute(&options.dir).map_err(Error::internal)?;
        let key = dir.join("handed.key");
        let workspaces = Workspaces::open(dir, options.source.clone())?;
        let seal = handed::Seal::open(&key)?;
        let (mut env, mut toolchain) =
            (environment(), host::toolchain_mounts(readable_environment()));
        own::add(&mut env, &mut toolchain);
        Ok(Pipelines(Arc::new(Parts {
            store: options.store,
            blobs: options.blobs,
            host: options.host,
            source: options.source,
            identity: options.identity,
            policy: options.policy,
            remote_hosts: options.remote_hosts,
            others: options.others,
            verdicts: options.verdicts,
            secrets: options.secrets,
            seal,
            workspaces: Arc::new(workspaces),
            url: options.url,
            ca_file: options.ca_file,
            limits: options.limits,
            env,
            given: options.given,
            keep_failed: options.keep_failed,
            toolchain,
            shell: shell(),
            copies: AtomicBool::new(false),
            engine: OnceLock::new(),
            under_way: Mutex::default(),
            attached: attach::Open::default(),
        })))
    }

    /// What the engine needs to run jobs.
    pub fn actor(&self) -> Arc<dyn Actor> {
        Arc::new(job::Jobs(self.0.clone()))
    }

    /// The same for jobs, and for steps that have to do with other pipelines.
    pub fn actors(&self) -> Vec<Arc<dyn Actor>> {
        vec![
            self.actor(),
            Arc::new(trigger::Triggers(self.0.clone())),
            Arc::new(trigger::Mirrors(self.0.clone())),
        ]
    }

    /// Follows pushes and ends of runs until `stop`. The engine is the one that has [`Pipelines::actor`].
    /// A second call does nothing.
    pub fn start(&self, engine: Engine, stop: CancellationToken) {
        if self.0.engine.set(engine.clone()).is_ok() {
            sync::spawn(self.0.clone(), engine, stop);
        }
    }

    pub(crate) fn engine(&self) -> Result<&Engine> {
        self.0.engine.get().ok_or_else(|| Error::internal("the pipelines have not started"))
    }
}

/// Who holds the artifacts of a run.
pub(crate) fn owner(run: &Id) -> String {
    format!("run/{run}")
}

/// Only these pass from the server to its jobs: where tools are, and in which language they speak.
fn environment() -> Vec<Variable> {
    let names = ["PATH", "LANG", "LC_ALL", "TZ", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"];
    let found = names.into_iter().filter_map(|n| Some((n, std::env::var(n).ok()?)));
    let mut out: Vec<Variable> = found.map(|(n, v)| Variable::literal(n, v)).collect();
    let rustup = std::env::var("HOME").map(|home| format!("{home}/.rustup")).unwrap_or_default();
    if !out.iter().any(|v| v.name == "RUSTUP_HOME") && Path::new(&rustup).is_dir() {
        out.push(Variable::literal("RUSTUP_HOME", rustup));
    }
    if !out.iter().any(|v| v.name == "PATH") {
        let usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        out.push(Variable::literal("PATH", usual));
    }
    out
}

/// The server's environment, less what is not UTF-8.
fn readable_environment() -> impl Iterator<Item = (String, String)> {
    let pairs = std::env::vars_os();
    pairs.filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)))
}

/// `bash` where there is one, because pipelines are written for it.
fn shell() -> String {
    let bash = ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"];
    bash.into_iter().find(|p| Path::new(p).exists()).unwrap_or("/bin/sh").to_owned()
}

/// How pipelines start and what they start.
const FLOW: &[naru_http::Route] =
    &part::concat::<{ api_flow::ROUTES.len() + v4::ROUTES.len() }>(api_flow::ROUTES, v4::ROUTES);

pub static PART: part::Part = part::Part {
    name: "delivery-pipeline",
    about: (
        "Pipelines: .gitlab-ci.yml, run in sandboxes on this machine",
        "파이프라인: .gitlab-ci.yml을 이 컴퓨터의 샌드박스에서 실행합니다",
    ),
    routes: &part::concat::<{ api::ROUTES.len() + page::ROUTES.len() + FLOW.len() }>(
        &part::concat::<{ api::ROUTES.len() + page::ROUTES.len() }>(api::ROUTES, page::ROUTES),
        FLOW,
    ),
    kinds: schedule::KINDS,
    commands: cmd::COMMANDS,
    ..part::Part::EMPTY
};
