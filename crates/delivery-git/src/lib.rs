//! Repositories: where a change begins.
//!
//! git clients push, clone and fetch over smart HTTP; git's own `upload-pack` and `receive-pack` do git's
//! work. Everything around them is decided here, once: who may, which refs, how large. The rest of naru
//! reads commits and files through [`kernel::port::Source`], pages and commands through [`browse`].
//!
//! Invariants:
//! - A ref on disk and its `git.pushed` event never disagree, across a crash as well: an intent is durable
//!   before the ref may move and goes only together with the event (`settle.rs`).
//! - A `receive-pack` is started only when the push has arrived whole and was accepted, and is then left to
//!   finish: a slow or vanished client holds neither a lock nor a process.
//! - No hook, no configuration of the machine or of a home directory takes part: git runs with a scrubbed
//!   environment.
//! - A revision, ref or path from outside never becomes an option of git: only whole object ids do.

mod api;
pub mod browse;
mod checkout;
mod cmd;
mod command;
mod credential;
mod decide;
mod diff;
mod follow;
#[doc(hidden)]
pub mod fuzz;
mod git;
mod index;
mod join;
mod kind;
mod maintain;
mod object;
pub mod page;
mod pkt;
mod push;
mod receive;
mod refname;
mod refs;
mod report;
mod repository;
mod serve;
mod settle;
mod source;
mod tag;
mod tree;
mod upload;

pub use kind::{Protected, Repository, RepositoryStatus, Right};

use kernel::{Error, Name, Result};
use object::Pool;
use policy::Policy;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::Store;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

/// What this part has.
pub static PART: part::Part = part::Part {
    name: "delivery-git",
    about: ("git repositories: push, clone, browse", "git 저장소: 푸시, 복제, 둘러보기"),
    kinds: kind::KINDS,
    routes: &ROUTES,
    commands: &cmd::COMMANDS,
    ..part::Part::EMPTY
};

static ROUTES: [naru_http::Route; 18] = part::concat(&routes(), &page::ROUTES);

const fn routes() -> [naru_http::Route; 10] {
    let [a, b, c] = serve::ROUTES;
    let [d, e, f, g, h, i] = api::ROUTES;
    let [j] = tag::ROUTES;
    [a, b, c, d, e, f, g, h, i, j]
}

/// Bounds of what clients may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one push.
    pub pack: u64,
    /// git processes that serve clients at a time; more requests wait.
    pub processes: usize,
    /// Pushes that arrive at a time; more wait.
    pub uploads: usize,
    /// How long a client may send or take nothing.
    pub idle: Duration,
    /// How long one request or one answer may be on its way in all.
    pub transfer: Duration,
    /// How long git may work on one accepted push before it is given up.
    pub receive: Duration,
    /// How long a push waits for the first word about its pipeline.
    pub answer: Duration,
    /// The longest that `-o follow` follows.
    pub follow: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            pack: 1 << 30,
            processes: 16,
            uploads: 64,
            idle: Duration::from_secs(60),
            transfer: Duration::from_secs(2 * 3600),
            receive: Duration::from_secs(20 * 60),
            answer: Duration::from_secs(2),
            follow: Duration::from_secs(4 * 3600),
        }
    }
}

pub struct Options {
    pub store: Store,
    pub policy: Policy,
    /// `<data>/git`
    pub dir: PathBuf,
    /// The git program: a path, or a name to look up on `PATH`.
    pub git: PathBuf,
    /// The server's own address (`http://127.0.0.1:8080`) for the links that a push prints. `None`: as the
    /// client addressed it.
    pub url: Option<String>,
    pub limits: Limits,
}

impl Options {
    pub fn new(store: Store, policy: Policy, dir: PathBuf) -> Options {
        let limits = Limits::default();
        Options { store, policy, dir, git: PathBuf::from("git"), url: None, limits }
    }
}

/// The repositories of this naru. Clones share them.
#[derive(Clone)]
pub struct Git {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub store: Store,
    pub policy: Policy,
    pub dir: PathBuf,
    pub git: git::Program,
    pub url: Option<String>,
    pub limits: Limits,
    pub processes: Arc<Semaphore>,
    pub uploads: Arc<Semaphore>,
    /// Wakes whoever settles what could not be settled at once.
    pub owing: Notify,
    open: Mutex<HashMap<(Name, Name), Arc<Open>>>,
}

/// What is kept in memory for a repository in use.
pub(crate) struct Open {
    /// Held from the intent of a push to its event.
    pub push: tokio::sync::Mutex<()>,
    /// An intent could not be settled yet: the next push does it first, if housekeeping has not by then.
    pub unsettled: AtomicBool,
    pub pool: Pool,
    pub trees: tree::Cache,
}

impl Open {
    /// The files are about to go: nothing that was read of them counts any more.
    pub fn forget(&self) {
        self.pool.reset();
        self.trees.clear();
    }

    /// Gives back what was not used for a while.
    pub fn rest(&self, idle: Duration) {
        self.pool.close_idle(idle);
        if !self.pool.has_idle() {
            self.trees.clear();
        }
    }
}

impl Git {
    /// Opens the repositories below `options.dir` and settles what a crash left between a ref and its event.
    ///
    /// # Errors
    /// `git.missing` when there is no git program; internal when the directory cannot be written.
    pub async fn open(options: Options) -> Result<Git> {
        let program = git::Program::find(&options.git)?;
        repository::prepare(&options.dir)?;
        let git = Git {
            shared: Arc::new(Shared {
                store: options.store,
                policy: options.policy,
                dir: options.dir,
                git: program,
                url: options.url,
                processes: Arc::new(Semaphore::new(options.limits.processes)),
                uploads: Arc::new(Semaphore::new(options.limits.uploads)),
                owing: Notify::new(),
                limits: options.limits,
                open: Mutex::default(),
            }),
        };
        git.settle_all().await?;
        Ok(git)
    }

    /// Starts the loops: repacking, sizes, removal of deleted repositories, closing of idle readers.
    pub fn start(&self, stop: CancellationToken) {
        maintain::start(self.clone(), stop);
    }

    pub(crate) fn opened(&self, project: &Name, repository: &Name) -> Arc<Open> {
        let mut open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (project.clone(), repository.clone());
        let fresh = || {
            Arc::new(Open {
                push: tokio::sync::Mutex::default(),
                unsettled: AtomicBool::new(false),
                pool: Pool::new(
                    self.shared.git.clone(),
                    repository::dir(&self.shared.dir, project, repository),
                ),
                trees: tree::Cache::default(),
            })
        };
        open.entry(key).or_insert_with(fresh).clone()
    }

    pub(crate) fn all_opened(&self) -> Vec<((Name, Name), Arc<Open>)> {
        let open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().map(|(place, open)| (place.clone(), open.clone())).collect()
    }

    /// Remembers that an intent of this repository is still to be settled.
    pub(crate) fn owe(&self, project: &Name, repository: &Name) {
        self.opened(project, repository).unsettled.store(true, Ordering::SeqCst);
        self.shared.owing.notify_one();
    }
}

/// An IO error on our own disk.
pub(crate) fn io(what: impl std::fmt::Display, error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => full(),
        _ => Error::internal(format!("{what}: {error}")),
    }
}

fn full() -> Error {
    Error::new(
        kernel::ErrorKind::Full,
        "disk.full",
        kernel::Text::fixed(
            "the disk under the data directory is full",
            "데이터 디렉터리의 디스크가 가득 찼습니다",
        ),
    )
    .hint(kernel::Text::fixed("free some space and try again", "공간을 비운 뒤 다시 시도하세요"))
}
