//! The platform inside this process, from an opening to a death.

use super::Crash;
use crate::EXE;
use naru::config::Config;
use naru::open::{self, Doors, Platform, Serving};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Chaos, Durability, Moment, View};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// For any one thing that is waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// The data of one history. Its workloads die with it.
pub(super) struct Data(TempDir);

impl Data {
    pub(super) fn new() -> Data {
        Data(tempfile::Builder::new().prefix("naru").tempdir().unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    fn config(&self) -> Config {
        let any = ([127, 0, 0, 1], 0).into();
        Config {
            first_uid: 20_000,
            data: self.0.path().to_owned(),
            listen: any,
            edge: any,
            edge_tls: None,
            slots: 4,
            push_limit: 1 << 20,
            job_disk: 1 << 30,
            job_log: 64 << 20,
            include_from: Vec::new(),
            outside: naru::outside::Outside::default(),
            audit_keep_days: 0,
            audit_checkpoints: self.0.path().join("audit-checkpoints.jsonl"),
            keep_runs_days: 30,
            environments: 50,
            environment_instances: 100,
            secret_key: self.0.path().join("secret-key.json"),
            secret_kms: None,
            secret_kms_before: None,
            secret_passphrase: None,
            secret_passphrase_before: None,
            demo: false,
            shim: vec![EXE.into(), "shim".into()],
        }
    }

    /// The workloads that run, by the command lines of their parents.
    pub(super) fn running(&self) -> BTreeSet<String> {
        let shims = testkit::shims(self.0.path()).into_iter();
        let id = |pid: Pid| {
            // One that has just ended has no command line any more.
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
            Some(line.trim_end_matches('\0').rsplit('/').next()?.to_owned())
        };
        shims.filter_map(id).filter(|id| !id.is_empty()).collect()
    }

    /// Whether something in this process still has the store's file.
    fn is_open(&self) -> bool {
        let file = self.0.path().join("naru.db");
        let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        open.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|path| path == file)
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        for pid in testkit::shims(self.0.path()) {
            // It may have gone by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// The platform died under whoever finds this.
#[derive(Debug)]
pub(super) struct Died;

/// The platform, from one opening to its end.
pub(super) struct Life {
    pub(super) runtime: Runtime,
    pub(super) chaos: Arc<Chaos>,
    pub(super) platform: Platform,
    serving: Serving,
    stop: CancellationToken,
}

impl Life {
    pub(super) fn begin(data: &Data, crash: Option<Crash>) -> Result<Life, Died> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let chaos = crash.unwrap_or(Crash { at: u64::MAX, moment: Moment::After }).chaos();
        let stop = CancellationToken::new();
        let options = store::Options {
            durability: Durability::Process,
            chaos: Some(chaos.clone()),
            ..store::Options::default()
        };
        let opened = runtime.block_on(async {
            let door = || tokio::net::TcpListener::bind("127.0.0.1:0");
            let doors =
                Doors { site: door().await.unwrap(), edge: door().await.unwrap(), edge_tls: None };
            let platform = open::open(&data.config(), options, &doors).await?;
            let serving = platform.serve(doors, &stop).await?;
            Ok::<_, kernel::Error>((platform, serving))
        });
        match opened {
            Ok((platform, serving)) => Ok(Life { runtime, chaos, platform, serving, stop }),
            Err(error) => {
                assert!(chaos.crashed(), "the platform does not open: {error}");
                end(runtime, data);
                Err(Died)
            }
        }
    }

    /// As `kill -9`.
    pub(super) fn kill(self, data: &Data) {
        drop((self.platform, self.serving));
        end(self.runtime, data);
    }

    /// The end in good order: nothing of it stays, neither a process nor a task.
    pub(super) fn stop(self, data: &Data) {
        let Life { runtime, platform, serving, stop, .. } = self;
        runtime.block_on(platform.stop(serving, stop, false));
        drop(platform);
        eventually("the instance has gone", || data.running().is_empty());
        eventually("every task has ended", || runtime.metrics().num_alive_tasks() == 0);
        end(runtime, data);
    }

    /// Waits, within the limit, for as long as the platform lives.
    pub(super) fn wait<T>(&self, what: &str, work: impl Future<Output = T>) -> Result<T, Died> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.chaos.died() => Err(Died),
                done = tokio::time::timeout(LIMIT, work) => {
                    Ok(done.unwrap_or_else(|_| panic!("never: {what}")))
                }
            }
        })
    }

    /// Waits until the store's content is right.
    pub(super) fn until(
        &self,
        what: &str,
        holds: fn(&View<'_>) -> kernel::Result<bool>,
    ) -> Result<(), Died> {
        let store = &self.platform.store;
        self.wait(what, async {
            let mut feed = store.follow(store.head());
            while !store.read(holds).await.unwrap() {
                feed.next().await.unwrap();
            }
        })
    }
}

/// Tears a runtime down with all that runs in it, and waits until the store has been let go of.
fn end(runtime: Runtime, data: &Data) {
    runtime.shutdown_timeout(LIMIT);
    eventually("the store is let go of", || !data.is_open());
}

pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LIMIT, "never: {what}");
        std::thread::yield_now();
    }
}
