//! Logs of steps: one file for each attempt, written by the engine and by whatever runs the step.

mod page;
mod part;

use crate::error;
use crate::state::{self, HEAD, PLAN, STEP, StepRow};
use crate::{Plan, create};
use futures_util::stream::{Stream, try_unfold};
use kernel::{Clock, Error, Id, Result, Text, log};
use page::Pages;
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use store::{Store, View};
use tokio::sync::watch;

pub use page::Page;
pub use part::{Asked, Part};

/// What followers of a step's logs wait for.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    grew: u64,
    /// Attempts up to this one have ended.
    ended: u32,
    /// No attempt will follow, or the engine has stopped.
    over: bool,
}

type Live = watch::Sender<Progress>;
type Lives = HashMap<(Id, usize), Weak<Live>>;

/// All logs of all runs.
pub(crate) struct Logs {
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    live: Mutex<Lives>,
    pages: Pages,
}

impl Logs {
    pub fn new(dir: PathBuf, clock: Arc<dyn Clock>) -> Logs {
        Logs { dir, clock, live: Mutex::default(), pages: Pages::default() }
    }

    fn dir_of(&self, run: &Id) -> PathBuf {
        self.dir.join(run.as_str())
    }

    fn path(&self, run: &Id, step: usize, attempt: u32) -> PathBuf {
        self.dir_of(run).join(format!("{step}.{attempt}.log"))
    }

    /// The log of an attempt that starts now. That its directory cannot be made shows when it is written.
    pub fn open(&self, run: &Id, step: usize, attempt: u32) -> StepLog {
        if let Err(error) = private_dir(&self.dir_of(run)) {
            tracing::warn!(%run, step, %error, "no directory for the step's log");
        }
        StepLog {
            path: self.path(run, step, attempt).into(),
            clock: self.clock.clone(),
            live: self.live(run, step),
        }
    }

    fn live(&self, run: &Id, step: usize) -> Arc<Live> {
        let mut map = self.lock();
        let key = (run.clone(), step);
        if let Some(live) = map.get(&key).and_then(Weak::upgrade) {
            return live;
        }
        if map.len() == map.capacity() {
            map.retain(|_, live| live.strong_count() > 0);
        }
        let live = Arc::new(watch::Sender::new(Progress::default()));
        map.insert(key, Arc::downgrade(&live));
        live
    }

    /// Tells followers that attempts up to `attempt` have ended; with `over`, that none will follow.
    pub fn end(&self, run: &Id, step: usize, attempt: u32, over: bool) {
        let live = self.lock().get(&(run.clone(), step)).and_then(Weak::upgrade);
        if let Some(live) = live {
            live.send_modify(|p| {
                p.ended = p.ended.max(attempt);
                p.over |= over;
            });
        }
    }

    /// The engine stops: nobody would wake the followers any more.
    pub fn end_all(&self) {
        for live in self.lock().values().filter_map(Weak::upgrade) {
            live.send_modify(|p| p.over = true);
        }
    }

    pub async fn forget(&self, run: &Id) {
        let dir = self.dir_of(run);
        if let Err(error) = tokio::fs::remove_dir_all(&dir).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%run, %error, "the run's logs stay behind");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lives> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Readable by naru's own user alone: programs print secrets.
fn private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Where an attempt writes. Clones write to the same file.
#[derive(Clone)]
pub struct StepLog {
    path: Arc<Path>,
    clock: Arc<dyn Clock>,
    live: Arc<Live>,
}

impl std::fmt::Debug for StepLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("StepLog").field(&self.path).finish()
    }
}

impl StepLog {
    /// The file. Its directory exists; the file itself is made by whoever writes first, who appends whole
    /// records of [`kernel::log`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// naru speaks. A log has one language for all its readers, so both are written when they differ.
    /// A log that cannot be written does not fail the step.
    pub fn note(&self, text: &Text) {
        let words = if text.en == text.ko {
            text.en.to_string()
        } else {
            format!("{} · {}", text.en, text.ko)
        };
        let mut record = Vec::with_capacity(words.len() + 24);
        log::encode(&mut record, self.clock.now(), log::Stream::Note, true, words.as_bytes());
        let mut options = std::fs::OpenOptions::new();
        let wrote = options
            .create(true)
            .append(true)
            .open(&self.path)
            // One write of one record: records of several writers do not mix under O_APPEND.
            .and_then(|mut file| file.write_all(&record));
        if let Err(error) = wrote {
            tracing::warn!(path = %self.path.display(), %error, "a note is missing in a step's log");
        }
        self.grew();
    }

    /// Somebody else, such as a shim, has written to [`StepLog::path`].
    pub fn grew(&self) {
        self.live.send_modify(|p| p.grew += 1);
    }
}

/// A follower's place in one file.
struct Tail {
    logs: Arc<Logs>,
    path: Arc<Path>,
    /// Once there is one.
    file: Option<Arc<File>>,
    attempt: u32,
    offset: u64,
    /// Number of the line at `offset`.
    next: usize,
    /// `None`: the attempt has ended, the file is complete.
    live: Option<(Arc<Live>, watch::Receiver<Progress>)>,
}

enum Start {
    Asked(Arc<Logs>, Store, Id, String, Option<u32>),
    Found(Tail),
}

/// See [`crate::Engine::follow_pages`].
pub(crate) fn follow(
    logs: Arc<Logs>,
    store: Store,
    run: Id,
    step: String,
    attempt: Option<u32>,
) -> impl Stream<Item = Result<Arc<Page>>> + Send + use<> {
    try_unfold(Start::Asked(logs, store, run, step, attempt), |start| async move {
        let mut tail = match start {
            Start::Asked(logs, store, run, step, attempt) => {
                Tail::find(logs, &store, run, step, attempt).await?
            }
            Start::Found(tail) => tail,
        };
        Ok(tail.next().await?.map(|page| (page, Start::Found(tail))))
    })
}

/// See [`crate::Engine::log_part`].
pub(crate) async fn part(
    logs: Arc<Logs>,
    store: &Store,
    run: Id,
    step: String,
    attempt: Option<u32>,
    asked: Asked,
) -> Result<Part> {
    let tail = Tail::find(logs, store, run, step, attempt).await?;
    let (path, ended) = (tail.path.clone(), tail.live.is_none());
    let read = move || part::read(&path, &asked, ended);
    let read = tokio::task::spawn_blocking(read).await.map_err(Error::internal)?;
    read.map_err(Error::internal)
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.logs.pages.leave();
    }
}

impl Tail {
    async fn find(
        logs: Arc<Logs>,
        store: &Store,
        run: Id,
        step: String,
        attempt: Option<u32>,
    ) -> Result<Tail> {
        let id = run.clone();
        let index = store.read(move |view| index(view, &id, &step)).await?;
        // Subscribed before the row is read: an end in between is either in the row or comes as a wake-up.
        let live = logs.live(&run, index);
        let receiver = live.subscribe();
        let id = run.clone();
        let row: StepRow = store
            .read(move |v| v.row(STEP, &state::step_key(&id, index)))
            .await?
            .unwrap_or_default();
        let attempt = attempt.unwrap_or(row.attempt).max(1);
        let ended = row.state.is_finished() || row.attempts.iter().any(|a| a.attempt >= attempt);
        logs.pages.come();
        Ok(Tail {
            path: logs.path(row.from.as_ref().unwrap_or(&run), index, attempt).into(),
            logs,
            file: None,
            attempt,
            offset: 0,
            next: 0,
            live: (!ended).then_some((live, receiver)),
        })
    }

    /// Cancel safe: what was not given out is read again.
    async fn next(&mut self) -> Result<Option<Arc<Page>>> {
        loop {
            // What is written from here on wakes the receiver.
            let mut ended = true;
            if let Some((_, receiver)) = &mut self.live {
                let seen = receiver.borrow_and_update();
                ended = seen.over || seen.ended >= self.attempt;
            }
            if let Some(page) = self.page(ended).await? {
                (self.offset, self.next) = (page.end(), page.after());
                return Ok(Some(page));
            }
            if ended {
                return Ok(None);
            }
            if let Some((_, receiver)) = &mut self.live
                && receiver.changed().await.is_err()
            {
                self.live = None;
            }
        }
    }

    /// The page at its place, if there is one already.
    async fn page(&mut self, ended: bool) -> Result<Option<Arc<Page>>> {
        let Some(file) = self.file().map_err(Error::internal)? else { return Ok(None) };
        let (offset, next) = (self.offset, self.next);
        let read = async move || {
            let read = move || Page::read(&file, offset, next, ended);
            let read = tokio::task::spawn_blocking(read).await;
            read.map_err(std::io::Error::other).flatten().map_err(Some)?.ok_or(None)
        };
        match self.logs.pages.at(&(self.path.clone(), offset), read).await {
            Ok(page) => Ok(Some(page)),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(Error::internal(error)),
        }
    }

    fn file(&mut self) -> std::io::Result<Option<Arc<File>>> {
        if self.file.is_none() {
            self.file = match File::open(&self.path) {
                Ok(file) => Some(Arc::new(file)),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
                Err(e) => return Err(e),
            };
        }
        Ok(self.file.clone())
    }
}

fn index(view: &View<'_>, run: &Id, step: &str) -> Result<usize> {
    let _: state::Head =
        view.row(HEAD, run.as_str())?.ok_or_else(|| error::unknown_run(run.as_str()))?;
    let plan: Plan = view.row(PLAN, run.as_str())?.unwrap_or_default();
    create::position(&plan, step)
}
