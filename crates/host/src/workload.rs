//! The handle on a workload.

use crate::console::{self, Console};
use crate::link::Request;
use crate::spec::{Exit, Spec};
use crate::state::StateDir;
use crate::wire::{Exec, Size, Usage};
use kernel::{Result, Time};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// How long an answer about usage may take.
const USAGE_WAIT: Duration = Duration::from_secs(2);

/// A running or ended workload. Clones are handles on the same one; dropping them all changes nothing for
/// the workload.
#[derive(Clone)]
pub struct Workload(Arc<Shared>);

struct Shared {
    dir: StateDir,
    spec: Spec,
    started: Time,
    seen: Arc<Seen>,
    asks: mpsc::Sender<Request>,
}

/// What the link has heard of the workload.
pub(crate) struct Seen {
    pub exit: watch::Sender<Option<Exit>>,
    pub log: watch::Sender<u64>,
}

impl Seen {
    pub fn new(exit: Option<Exit>) -> Arc<Seen> {
        Arc::new(Seen { exit: watch::Sender::new(exit), log: watch::Sender::new(0) })
    }

    /// The end: the exit first, so that whoever wakes because of the log finds it.
    pub fn end(&self, exit: Exit) {
        self.exit.send_replace(Some(exit));
        self.log.send_modify(|_| ());
    }
}

impl Workload {
    pub(crate) fn new(
        dir: StateDir,
        spec: Spec,
        started: Time,
        seen: Arc<Seen>,
        asks: mpsc::Sender<Request>,
    ) -> Workload {
        Workload(Arc::new(Shared { dir, spec, started, seen, asks }))
    }

    pub fn id(&self) -> &str {
        &self.0.spec.id
    }

    pub fn spec(&self) -> &Spec {
        &self.0.spec
    }

    pub fn started(&self) -> Time {
        self.0.started
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        self.0.seen.exit.borrow().clone()
    }

    /// Waits for the end. Cancel safe. Its only limit is the workload's own time limit; callers that
    /// need another one wrap it.
    pub async fn wait(&self) -> Exit {
        let mut exit = self.0.seen.exit.subscribe();
        loop {
            if let Some(exit) = exit.borrow_and_update().clone() {
                return exit;
            }
            if exit.changed().await.is_err() {
                // The sender lives in `self`.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Sends the stop signal, and SIGKILL to the whole when the grace is over. Returns when it has ended;
    /// the reason is [`Reason::Stopped`](crate::Reason::Stopped) unless it had ended before.
    pub async fn stop(&self) -> Exit {
        self.ask(Request::Stop).await;
        self.wait().await
    }

    /// SIGKILL to the whole, at once.
    pub async fn kill(&self) -> Exit {
        self.ask(Request::Kill).await;
        self.wait().await
    }

    /// Holds how many bytes of log have been written. Changes when the log has grown and when the workload
    /// has ended.
    pub fn log_grew(&self) -> watch::Receiver<u64> {
        self.0.seen.log.subscribe()
    }

    /// What it takes now; `None` when it has ended or does not answer.
    pub async fn usage(&self) -> Option<Usage> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Usage(reply)).await;
        tokio::time::timeout(USAGE_WAIT, answer).await.ok()?.ok()
    }

    /// From now on, and for this many milliseconds after its program fails, keeps the sandbox of a workload
    /// that is to be looked at; 0 lets one go that is being kept. Of one that has ended nothing is left.
    pub async fn hold(&self, ms: u64) {
        self.ask(Request::Hold(ms)).await;
    }

    /// Starts a program beside the workload's own, on a terminal: with what that one sees (namespaces,
    /// files, environment, working directory) and within its limits. It ends with the workload.
    ///
    /// # Errors
    /// `workload.ended`; `workload.exec` when it cannot be started there.
    pub async fn exec(
        &self,
        argv: Vec<String>,
        env: Vec<(String, String)>,
        size: Size,
    ) -> Result<Console> {
        if self.exit().is_some() {
            return Err(console::ended());
        }
        Console::open(self.0.dir.clone(), Exec { argv, env, size }).await
    }

    async fn ask(&self, request: Request) {
        // A closed channel means that the workload has ended: nothing is left to ask.
        let _ = self.0.asks.send(request).await;
    }
}

impl std::fmt::Debug for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workload").field("id", &self.id()).field("exit", &self.exit()).finish()
    }
}
