//! The workloads of this machine: starting them, and finding them again.

use crate::abilities::{Abilities, Namespaces};
use crate::link::{Link, Settled, Talk, settle};
use crate::shim::private;
use crate::spec::Spec;
use crate::state::{self, StateDir, check_id, io, make_dir};
use crate::wire::Say;
use crate::workload::{Seen, Workload};
use kernel::{Error, ErrorKind, Result, Text, Time};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::{OnceCell, mpsc};

/// How long a start may take, copying a lower directory included.
const START_WAIT: Duration = Duration::from_secs(300);

pub struct Options {
    /// One directory per workload is kept here, readable by its owner alone.
    pub dir: PathBuf,
    /// The beginning of the command that starts a shim; the state directory is appended.
    pub shim: Vec<OsString>,
    /// Hidden from every sandboxed workload, beside what its own [`Hidden`](crate::Hidden) names.
    pub hidden: Vec<PathBuf>,
}

/// The launcher. Clones share it. Dropping it leaves every workload running.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    options: Options,
    abilities: Abilities,
    /// A cell is filled once its workload is started, so that two starts of one id meet in it.
    workloads: Mutex<BTreeMap<String, Arc<OnceCell<Workload>>>>,
}

impl Host {
    /// Opens the state directory and attaches to every workload found there: live ones go on, dead ones
    /// have their recorded exit, and those whose shim was killed are [`Lost`](crate::Reason::Lost) after
    /// what they left behind has been killed.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub async fn open(mut options: Options) -> Result<Host> {
        // The shim does not share the server's working directory.
        options.dir = std::path::absolute(&options.dir).map_err(io)?;
        make_dir(&options.dir)?;
        let dir = options.dir.clone();
        let (abilities, found) =
            tokio::task::spawn_blocking(move || Ok::<_, Error>((Abilities::look(), scan(&dir)?)))
                .await
                .map_err(Error::internal)??;
        if abilities.namespaces == Namespaces::None {
            tracing::warn!(
                "this machine gives naru no namespaces: services run without isolation, and jobs do not start"
            );
        }
        let workloads = found
            .into_iter()
            .map(|w| (w.id().to_owned(), Arc::new(OnceCell::new_with(Some(w)))))
            .collect();
        Ok(Host(Arc::new(Inner { options, abilities, workloads: Mutex::new(workloads) })))
    }

    /// Starts a workload and returns when its program runs, or has failed to: then its exit says why.
    /// Idempotent by `spec.id`: an id that is already there is attached to, whatever else `spec` says.
    /// Dropping the future does not undo the start.
    ///
    /// # Errors
    /// `workload.id`, `workload.spec` for a spec that makes no sense; `disk.full`; internal when the shim
    /// itself cannot be started.
    pub async fn start(&self, mut spec: Spec) -> Result<Workload> {
        check(&spec)?;
        if let Some(sandbox) = &mut spec.sandbox {
            sandbox.hidden.more.extend(self.0.options.hidden.iter().cloned());
        }
        let host = self.clone();
        // A task of its own, so that a caller who goes away does not leave a shim half attached.
        tokio::spawn(async move { host.start_once(spec).await }).await.map_err(Error::internal)?
    }

    async fn start_once(&self, spec: Spec) -> Result<Workload> {
        let id = spec.id.clone();
        let cell = self.map().entry(id.clone()).or_default().clone();
        let started = cell.get_or_try_init(|| launch(&self.0.options, spec)).await.cloned();
        let mut map = self.map();
        match started.is_ok() {
            // Someone who met in the same cell may have failed and taken it away.
            true => drop(map.entry(id).or_insert(cell)),
            false if map.get(&id).is_some_and(|c| !c.initialized()) => drop(map.remove(&id)),
            false => {}
        }
        drop(map);
        started
    }

    pub fn find(&self, id: &str) -> Option<Workload> {
        self.map().get(id)?.get().cloned()
    }

    pub fn all(&self) -> Vec<Workload> {
        self.map().values().filter_map(|cell| cell.get().cloned()).collect()
    }

    /// Removes the state of a workload that has ended; its log stays. An unknown id is fine.
    ///
    /// # Errors
    /// `workload.running` when it has not ended.
    pub async fn forget(&self, id: &str) -> Result<()> {
        check_id(id)?;
        if let Some(cell) = self.map().get(id).cloned()
            && cell.get().is_none_or(|w| w.exit().is_none())
        {
            return Err(Error::conflict(
                "workload.running",
                kernel::text!("{id} is still running", "{id}이(가) 아직 실행 중입니다"),
            )
            .hint(Text::fixed("stop it first", "먼저 중지하세요")));
        }
        let dir = StateDir::new(self.0.options.dir.join(id));
        tokio::task::spawn_blocking(move || dir.remove()).await.map_err(Error::internal)??;
        self.map().remove(id);
        Ok(())
    }

    /// What this machine can enforce.
    pub fn abilities(&self) -> &Abilities {
        &self.0.abilities
    }

    fn map(&self) -> MutexGuard<'_, BTreeMap<String, Arc<OnceCell<Workload>>>> {
        // Nothing panics while it is held.
        self.0.workloads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What can be refused without starting anything.
fn check(spec: &Spec) -> Result<()> {
    check_id(&spec.id)?;
    let env = spec.env.iter().chain(&spec.private.env);
    let text = spec.argv.iter().chain(env.flat_map(|(k, v)| [k, v]));
    let named = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let files = &spec.private.files;
    let wrong = if spec.argv.first().is_none_or(String::is_empty) {
        Text::fixed("there is no program to run", "실행할 프로그램이 없습니다")
    } else if text.into_iter().any(|t| t.contains('\0')) {
        Text::fixed(
            "arguments and environment must not contain NUL",
            "인자와 환경 변수에 NUL이 들어갈 수 없습니다",
        )
    } else if !files.iter().all(|(name, _)| !name.is_empty() && name.bytes().all(named)) {
        Text::fixed(
            "a file of a secret is named like a variable",
            "비밀 파일의 이름은 변수 이름이어야 합니다",
        )
    } else if !spec.dir.is_absolute() || !spec.log.is_absolute() {
        Text::fixed(
            "the working directory and the log must be absolute paths",
            "작업 디렉터리와 로그는 절대 경로여야 합니다",
        )
    } else if !(1..=64).contains(&spec.stop_signal) {
        let signal = spec.stop_signal;
        kernel::text!("there is no signal {signal}", "{signal}번 시그널은 없습니다")
    } else {
        return Ok(());
    };
    Err(Error::invalid("workload.spec", wrong))
}

/// Starts the shim of one workload, or attaches to what an earlier server left under the same id.
async fn launch(options: &Options, spec: Spec) -> Result<Workload> {
    let dir = StateDir::new(options.dir.join(&spec.id));
    let shim = options.shim.clone();
    let spawned = tokio::task::spawn_blocking(move || spawn(&shim, dir, spec));
    let (dir, spec, mut child, mut talk) = match spawned.await.map_err(Error::internal)?? {
        Spawned::Found(workload) => return Ok(workload),
        Spawned::New { dir, spec, child, talk } => (dir, spec, child, talk),
    };
    match tokio::time::timeout(START_WAIT, first_word(&mut talk)).await {
        Ok(Some(started)) => Ok(attach(dir, spec, started, Some(talk), Some(child))),
        // It ended before it ran, or another shim has the id: the state directory knows.
        Ok(None) => {
            let _ = child.wait().await;
            let found = tokio::task::spawn_blocking(move || find(&dir)).await;
            found.map_err(Error::internal)??.ok_or_else(|| Error::internal("the shim did nothing"))
        }
        Err(_) => Err(Error::new(
            ErrorKind::Unavailable,
            "workload.slow",
            Text::fixed(
                "the workload did not start in time",
                "워크로드가 제때 시작되지 않았습니다",
            ),
        )),
    }
}

/// When it started; `None` when it did not. Notes may have been logged before.
async fn first_word(talk: &mut Talk) -> Option<Time> {
    loop {
        match talk.hear().await {
            Ok(Some(Say::Started(at))) => return Some(at),
            Ok(Some(Say::Exit(_) | Say::Busy)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

#[allow(clippy::large_enum_variant)] // One at a time, taken apart at once.
enum Spawned {
    Found(Workload),
    New { dir: StateDir, spec: Spec, child: Child, talk: Talk },
}

fn spawn(shim: &[OsString], dir: StateDir, spec: Spec) -> Result<Spawned> {
    if let Some(workload) = find(&dir)? {
        return Ok(Spawned::Found(workload));
    }
    dir.create(&spec)?;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(io)?;
    let (program, args) = shim.split_first().ok_or_else(|| Error::internal("no shim is set"))?;
    // The first connection is the shim's standard input. The shim makes a session of its own.
    let child = Command::new(program)
        .args(args)
        .arg(dir.path())
        .env_clear()
        .env(private::TOLD, "1")
        .current_dir("/")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| Error::internal(format!("{}: {e}", program.display())))?;
    // One that is gone already cannot be told anything; that shows at its first word.
    if let Err(error) = private::send(&ours, &spec.private) {
        tracing::warn!(id = spec.id, %error, "a shim did not take what it was told");
    }
    let talk = Talk::new(ours).map_err(io)?;
    Ok(Spawned::New { dir, spec, child, talk })
}

fn attach(
    dir: StateDir,
    spec: Spec,
    started: Time,
    talk: Option<Talk>,
    child: Option<Child>,
) -> Workload {
    let seen = Seen::new(None);
    let (sender, asks) = mpsc::channel(16);
    let own = dir.clone();
    let link = Link { dir, id: spec.id.clone(), started, seen: seen.clone(), asks, child };
    tokio::spawn(link.run(talk));
    Workload::new(own, spec, started, seen, sender)
}

fn scan(dir: &std::path::Path) -> Result<Vec<Workload>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| check_id(name).is_ok()) else {
            state::clear_unfinished(&entry.path());
            continue;
        };
        match find(&StateDir::new(entry.path())) {
            Ok(workload) => found.extend(workload),
            Err(e) => tracing::warn!(id = name, "a workload cannot be attached: {e}"),
        }
    }
    Ok(found)
}

/// The workload in a state directory. `None` when there is none, or only the beginning of one that never
/// ran: that is removed under its lock, so that a late shim finds nothing to run.
fn find(dir: &StateDir) -> Result<Option<Workload>> {
    if !dir.path().is_dir() {
        return Ok(None);
    }
    let started = match dir.lock().map_err(io)? {
        Some(lock) => match (lock.begun(), dir.read_exit()) {
            (Some(started), _) => started,
            (None, Some(exit)) => exit.started,
            (None, None) => {
                dir.remove()?;
                return Ok(None);
            }
        },
        None => dir.begun().unwrap_or_else(crate::sys::now),
    };
    let spec = dir.read_spec()?;
    if dir.path().file_name().and_then(|n| n.to_str()) != Some(&spec.id) {
        return Err(Error::internal("the state directory of one workload holds another's"));
    }
    Ok(Some(match settle(dir, started).map_err(io)? {
        Settled::Alive(talk) => attach(dir.clone(), spec, started, talk, None),
        Settled::Exit(exit) => {
            let (sender, _) = mpsc::channel(1);
            Workload::new(dir.clone(), spec, started, Seen::new(Some(exit)), sender)
        }
    }))
}
