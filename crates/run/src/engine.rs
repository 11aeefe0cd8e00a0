//! The handle through which everybody else meets the engine.

use crate::ask::Request;
use crate::create::{self, BY_KIND, BY_PROJECT, BY_PROJECT_KIND};
use crate::log::{self, Logs, Page};
use crate::scheduler::{self, Message, Reply};
use crate::state::{self, HEAD, Head, Open, PLAN, STEP, StepRow};
use crate::{Actor, NewRun, Order, Plan, Run, Step, StepView, error, group};
use futures_util::stream::{Stream, TryStreamExt, iter};
use kernel::log::Line;
use kernel::{Error, Id, Name, Principal, Result, Text};
use serde::de::IgnoredAny;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{Store, Tx, View};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Messages waiting for the scheduler; a sender beyond that waits.
const MESSAGES: usize = 1024;
/// How long a request waits for the scheduler's answer.
const ANSWER: Duration = Duration::from_secs(30);
/// Runs in one answer of [`Engine::list`].
const MAX_LIST: usize = 200;

pub struct Options {
    pub store: Store,
    /// Step logs live here: `<dir>/<run>/<step index>.<attempt>.log`.
    pub dir: PathBuf,
    /// Steps at a time on this machine; at least one.
    pub slots: usize,
    pub actors: Vec<Arc<dyn Actor>>,
}

/// What something newer ends of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Superseded {
    /// The whole of it, unless a step has started that is not interruptible.
    Run,
    /// Its interruptible steps; the others go on, as far as they do not need those.
    Steps,
}

/// A handle on the engine; clones share it.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub store: Store,
    pub logs: Arc<Logs>,
    pub slots: usize,
    pub messages: mpsc::Sender<Message>,
    pub stop: CancellationToken,
    /// Until it starts.
    idle: Mutex<Option<Idle>>,
}

/// What only the scheduler has. The actors must be nowhere else: theirs may be handles on this engine, and
/// with the scheduler's end that circle is broken.
struct Idle {
    inbox: mpsc::Receiver<Message>,
    actors: Actors,
}

pub(crate) type Actors = HashMap<&'static str, Arc<dyn Actor>>;

impl Engine {
    /// Does not start yet: runs can be created and read, and nothing moves until [`Engine::start`].
    ///
    /// # Errors
    /// Internal, when the directory for logs cannot be made.
    pub async fn open(options: Options) -> Result<Engine> {
        tokio::fs::create_dir_all(&options.dir).await.map_err(Error::internal)?;
        let (messages, inbox) = mpsc::channel(MESSAGES);
        let clock = options.store.clock().clone();
        let actors = options.actors.into_iter().map(|a| (a.uses(), a)).collect();
        let shared = Shared {
            logs: Arc::new(Logs::new(options.dir, clock)),
            store: options.store,
            slots: options.slots.max(1),
            messages,
            stop: CancellationToken::new(),
            idle: Mutex::new(Some(Idle { inbox, actors })),
        };
        Ok(Engine { shared: Arc::new(shared) })
    }

    /// Resumes unfinished runs, then serves until [`Engine::drain`]. A second call does nothing. Must be
    /// called inside a tokio runtime.
    pub fn start(&self) {
        let idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Idle { inbox, actors }) = idle {
            tokio::spawn(scheduler::serve(self.shared.clone(), inbox, actors));
        }
    }

    /// Creates a run in the caller's own transaction; the engine wakes by its commit.
    ///
    /// # Errors
    /// As [`crate::Plan::check`]; `name.invalid` for a kind that is not a name.
    pub fn create_in(tx: &mut Tx<'_>, new: NewRun) -> Result<Id> {
        create::create_in(tx, new)
    }

    /// # Errors
    /// As [`Engine::create_in`], and the store's.
    pub async fn create(&self, new: NewRun) -> Result<Id> {
        self.shared.store.write(move |tx| create::create_in(tx, new)).await
    }

    /// Ends a run before its time: what has not started never will, what runs is told to stop, and when
    /// that has ended the run is. Canceling it again changes nothing.
    ///
    /// # Errors
    /// `run.unknown`; `run.finished` when it passed or failed already.
    pub async fn cancel(&self, run: &Id, actor: Principal, reason: Text) -> Result<()> {
        self.ask(Request::Cancel { run: run.clone(), actor, reason }).await
    }

    /// Something newer has come: ends the run, or a part of it, as far as its steps may be interrupted.
    /// Nothing happens to a run that is finished or may not be interrupted.
    ///
    /// # Errors
    /// `run.unknown`.
    pub async fn supersede(
        &self,
        run: &Id,
        what: Superseded,
        actor: Principal,
        reason: Text,
    ) -> Result<()> {
        self.ask(Request::Supersede { run: run.clone(), actor, reason, what }).await
    }

    /// How a concurrency group gives its slots, from now on and for all runs.
    ///
    /// # Errors
    /// The store's.
    pub async fn set_order(&self, key: &str, order: Order) -> Result<()> {
        self.ask(Request::Order { key: key.to_owned(), order }).await
    }

    /// The concurrency groups that runs have named, whose keys begin with `prefix`, in the order of their
    /// keys; with their order.
    ///
    /// # Errors
    /// The store's.
    pub fn groups_in(view: &View<'_>, prefix: &str, limit: usize) -> Result<Vec<(String, Order)>> {
        group::list(view, prefix, limit)
    }

    /// Says go to a manual step, or to a delayed one before its time. A finished run with a manual step
    /// left opens again. Saying it twice changes nothing.
    ///
    /// # Errors
    /// `run.unknown`, `step.unknown`; `step.not_waiting` when it is not for anybody to start.
    pub async fn play(&self, run: &Id, step: &str, actor: Principal) -> Result<()> {
        self.ask(Request::Play { run: run.clone(), step: step.to_owned(), actor }).await
    }

    /// A new run of the same plan that copies what passed; with `step`, that step and all that depend on
    /// it run again, too.
    ///
    /// # Errors
    /// `run.unknown`, `step.unknown`, `run.unfinished`, `run.nothing_to_retry`.
    pub async fn retry(&self, run: &Id, step: Option<&str>, actor: Principal) -> Result<Id> {
        let (run, step) = (run.clone(), step.map(str::to_owned));
        self.shared.store.write(move |tx| create::retry_in(tx, &run, step.as_deref(), actor)).await
    }

    /// Removes a finished run with its logs.
    ///
    /// # Errors
    /// `run.unknown`, `run.unfinished`.
    pub async fn forget(&self, run: &Id) -> Result<()> {
        self.ask(Request::Forget { run: run.clone() }).await
    }

    /// # Errors
    /// `run.unknown`.
    pub async fn show(&self, run: &Id) -> Result<Run> {
        let run = run.clone();
        self.shared.store.read(move |view| Open::get(view, &run)).await.map(Run::of)
    }

    /// # Errors
    /// The store's.
    pub fn show_in(view: &View<'_>, run: &Id) -> Result<Option<Run>> {
        Ok(Open::load(view, run)?.map(Run::of))
    }

    /// A run without its plan and its steps, which are empty: cheap, where those are not asked about.
    ///
    /// # Errors
    /// The store's.
    pub fn head_in(view: &View<'_>, run: &Id) -> Result<Option<Run>> {
        let head = view.row::<Head>(HEAD, run.as_str())?;
        Ok(head.map(|head| Run::of_head(head, Plan::default())))
    }

    /// The plan of a run, which never changes.
    ///
    /// # Errors
    /// The store's.
    pub fn plan_in(view: &View<'_>, run: &Id) -> Result<Option<Plan>> {
        view.row(PLAN, run.as_str())
    }

    /// One step of a run: `step` is the one at `index` of its plan.
    ///
    /// # Errors
    /// The store's.
    pub fn step_in(view: &View<'_>, run: &Id, index: usize, step: &Step) -> Result<StepView> {
        let row = view.row::<StepRow>(STEP, &state::step_key(run, index))?;
        Ok(StepView::of(index, step, row.unwrap_or_default()))
    }

    /// Newest first, those older than `before`; at most 200.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(
        &self,
        project: Option<&Name>,
        kind: Option<&str>,
        before: Option<&Id>,
        limit: usize,
    ) -> Result<Vec<Run>> {
        let (space, prefix) = match (project, kind) {
            (None, None) => (HEAD, String::new()),
            (Some(project), None) => (BY_PROJECT, format!("{project}/")),
            (None, Some(kind)) => (BY_KIND, format!("{kind}/")),
            (Some(project), Some(kind)) => (BY_PROJECT_KIND, format!("{project}/{kind}/")),
        };
        let before = before.map(|id| format!("{prefix}{id}"));
        let limit = limit.min(MAX_LIST);
        let read = move |view: &View<'_>| {
            let rows = view.rows_back::<IgnoredAny>(space, &prefix, before.as_deref(), limit)?;
            let ids = rows.iter().filter_map(|(key, _)| Id::parse(key.rsplit('/').next()?));
            ids.filter_map(|id| Engine::show_in(view, &id).transpose()).collect()
        };
        self.shared.store.read(read).await
    }

    /// The lines of one attempt's log (the newest one's when `None`), from its start, then as they come;
    /// ends when the attempt has ended. A step that has not started yet is waited for.
    ///
    /// The stream's errors: `run.unknown`, `step.unknown`; internal when the file does not read.
    pub fn follow_log(
        &self,
        run: &Id,
        step: &str,
        attempt: Option<u32>,
    ) -> impl Stream<Item = Result<Line>> + Send + use<> {
        let lines = |page: Arc<Page>| {
            let lines: Vec<_> = page.records().map(|record| Ok(Line::from(record))).collect();
            iter(lines)
        };
        self.follow_pages(run, step, attempt).map_ok(lines).try_flatten()
    }

    /// As [`Engine::follow_log`], a page at a time: for what many read at once.
    pub fn follow_pages(
        &self,
        run: &Id,
        step: &str,
        attempt: Option<u32>,
    ) -> impl Stream<Item = Result<Arc<Page>>> + Send + use<> {
        let Shared { logs, store, .. } = self.shared.as_ref();
        log::follow(logs.clone(), store.clone(), run.clone(), step.to_owned(), attempt)
    }

    /// A part of one attempt's log (the newest one's when `None`), as far as it is written.
    ///
    /// # Errors
    /// `run.unknown`, `step.unknown`; internal when the file does not read.
    pub async fn log_part(
        &self,
        run: &Id,
        step: &str,
        attempt: Option<u32>,
        asked: log::Asked,
    ) -> Result<log::Part> {
        let Shared { logs, store, .. } = self.shared.as_ref();
        log::part(logs.clone(), store, run.clone(), step.to_owned(), attempt, asked).await
    }

    /// Shuts the engine down: no step starts any more, and those under way are let go of without being
    /// canceled; their workloads live on, and the next start takes them up again.
    pub async fn drain(&self) {
        self.shared.stop.cancel();
        // Of an engine that was never started.
        drop(self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.stopped().await;
    }

    /// Resolves when the engine has stopped: drained, taken over by another one, or without a store.
    pub async fn stopped(&self) {
        self.shared.messages.closed().await;
    }

    async fn ask(&self, request: Request) -> Result<()> {
        let (reply, answer): (Reply, _) = oneshot::channel();
        let ask = async {
            let message = Message::Ask(request, reply);
            self.shared.messages.send(message).await.map_err(|_| error::stopped())?;
            answer.await.map_err(|_| error::stopped())?
        };
        tokio::time::timeout(ANSWER, ask).await.map_err(|_| error::busy())?
    }
}
