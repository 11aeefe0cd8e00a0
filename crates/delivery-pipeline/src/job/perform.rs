//! The scripts of an attempt, each a workload of the host.

use super::{CONTROL, CPU_WEIGHT, HOME, Job, SIGTERM};
use crate::variables::Variable;
use host::{Exit, Limits, Mount, MountKind, Reason, Sandbox, Spec, Workload};
use kernel::{Error, Result, Text, text};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The end of the name of the workload that runs after the script.
const AFTER: &str = "-after";
/// For what runs after the script of a canceled job: less than the engine waits for a canceled step.
const CANCELED_AFTER: Duration = Duration::from_secs(90);

impl Job {
    /// Starts a script, and waits for its end. `status` is what it is told of the job.
    pub(super) async fn start(
        &self,
        id: &str,
        script: &str,
        time_ms: u64,
        status: &str,
    ) -> Result<Exit> {
        let home = self.parts.workspaces.home(&self.task.project).await?;
        let mut spec = self.spec(id, script, time_ms, &home)?;
        let mut scope = self.scope.clone();
        scope.add(&[Variable::literal("NARU_JOB_STATUS", status)]);
        scope.add(&self.failed_before().await);
        scope.add(self.times_variable().as_slice());
        let mut tokens = self.tokens().await?;
        tokens.extend(self.pass());
        scope.add(&tokens);
        let tokens = tokens.into_iter().filter(|v| v.masked).map(|v| v.value);
        let mask: Vec<String> = self.secrets.values().into_iter().chain(tokens).collect();
        (spec.env, spec.private) = self.secrets.parted(scope.all(), mask);
        if self.parts.identity.is_none() {
            // A local run leaves its places to its own developer, with the environment that they had.
            spec.env.append(&mut spec.private.env);
        }
        Ok(self.watch(self.parts.host.start(spec).await?).await)
    }

    pub(super) async fn watch(&self, workload: Workload) -> Exit {
        let mut grew = workload.log_grew();
        let last = async {
            self.task.cancel.cancelled().await;
            if workload.id().ends_with(AFTER) {
                // A job that is canceled may still tidy up.
                tokio::time::sleep(CANCELED_AFTER).await;
            }
        };
        let mut last = std::pin::pin!(last);
        loop {
            tokio::select! {
                biased;
                exit = workload.wait() => {
                    self.task.log.grew();
                    return exit;
                }
                () = &mut last => return workload.stop().await,
                Ok(()) = grew.changed() => self.task.log.grew(),
            }
        }
    }

    /// Runs whatever came of the script, unless nothing was started.
    pub(super) async fn after_script(&self, main: &str, exit: &Exit) -> Result<Option<Exit>> {
        let started = !matches!(exit.reason, Reason::NotStarted { .. } | Reason::Lost);
        if self.work.after_script.is_empty() || !started {
            return Ok(None);
        }
        let id = format!("{main}{AFTER}");
        let limit = self.parts.limits.after_script_ms;
        let exit = match self.parts.host.find(&id) {
            Some(workload) => self.watch(workload).await,
            None => {
                let status = match exit.reason {
                    Reason::Stopped => "canceled",
                    _ if exit.success() => "success",
                    _ => "failed",
                };
                self.start(&id, "after.sh", limit, status).await?
            }
        };
        if !exit.success() {
            let Text { en, ko } = exit.text();
            // As in GitLab, it does not change the job's result.
            self.note(&text!("after_script: {en}", "after_script: {ko}"));
        }
        Ok(Some(exit))
    }

    pub(super) fn timeout(&self) -> u64 {
        self.work.timeout_ms.unwrap_or(self.parts.limits.timeout_ms)
    }

    /// Where else its files' metadata reads objects.
    fn objects(&self) -> BTreeSet<PathBuf> {
        let source = &self.parts.source;
        let (project, repository) = (&self.task.project, &self.work.repository);
        let mut all: BTreeSet<PathBuf> = source.borrowed(project, repository).into_iter().collect();
        for (project, repository) in self.place.repositories() {
            all.insert(source.git_dir(&project, &repository));
            all.extend(source.borrowed(&project, &repository));
        }
        all.remove(&source.git_dir(project, repository));
        all.retain(|dir| dir.is_dir());
        all
    }

    fn spec(&self, id: &str, script: &str, time_ms: u64, home: &Path) -> Result<Spec> {
        let limits = &self.parts.limits;
        let lower = self.place.lower().unwrap_or_else(|| self.place.upper());
        let git = self.parts.source.git_dir(&self.task.project, &self.work.repository);
        let mut mounts = self.parts.toolchain.clone();
        let mut mount = |at: &str, kind| mounts.push(Mount { at: PathBuf::from(at), kind });
        mount(HOME, MountKind::Writable { from: home.to_owned() });
        mount(CONTROL, MountKind::ReadOnly { from: self.place.control() });
        if git.is_dir() {
            let at =
                git.to_str().ok_or_else(|| Error::internal("a data directory not in UTF-8"))?;
            mount(at, MountKind::ReadOnly { from: git.clone() });
        }
        for objects in self.objects() {
            if let Some(at) = objects.to_str() {
                mount(at, MountKind::ReadOnly { from: objects.clone() });
            }
        }
        mount(
            &self.work.dir,
            MountKind::Overlay { lower, over: self.place.layers(), scratch: self.place.scratch() },
        );
        Ok(Spec {
            id: id.to_owned(),
            argv: vec![self.parts.shell.clone(), format!("{CONTROL}/{script}")],
            env: Vec::new(),
            dir: PathBuf::from(&self.work.dir),
            sandbox: Some(Sandbox {
                mounts,
                hidden: Default::default(),
                hostname: "job".to_owned(),
                hosts: self.hosts(),
            }),
            limits: Limits {
                time_ms: Some(time_ms),
                memory: limits.memory,
                cpu_milli: None,
                pids: Some(limits.pids),
                disk: Some(limits.disk),
                disk_dirs: vec![self.place.scratch(), home.to_owned()],
                log: Some(limits.log),
                grace_ms: limits.grace_ms,
                // Services answer people; jobs are waited for anyway.
                cpu_weight: Some(CPU_WEIGHT),
                ..Limits::default()
            },
            log: self.task.log.path().to_owned(),
            stop_signal: SIGTERM,
            mask: Vec::new(),
            log_as: None,
            hold_ms: 0,
            private: Default::default(),
        })
    }
}
