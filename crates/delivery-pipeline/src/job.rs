//! The actor `pipeline.job`: one attempt of one job, from its files to what it leaves.
//!
//! Everything here is repeatable: a workload is found again by its id, a place is made anew unless its
//! workload was started, and what is kept is named by its content.

mod judge;

use crate::keep::{self, Bounds};
use crate::script;
use crate::variables::{Scope, Variable};
use crate::work::{Cache, Files, Output, Shared, USES, Work};
use crate::workspace::{Base, Place, io};
use crate::{Parts, caches};
use host::{Exit, Limits, Mount, MountKind, Reason, Sandbox, Spec, Workload};
use kernel::{BoxFuture, Error, ErrorKind, Result, Text, text};
use run::{Actor, Outcome, Task};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Where the script lies inside of the sandbox.
const CONTROL: &str = "/run/naru";
/// The home inside of the sandbox.
const HOME: &str = "/home/ci";
const SIGTERM: i32 = 15;
/// A quarter of a service's share, when both want the processor.
const CPU_WEIGHT: u32 = 25;
/// Variables of one dotenv report.
const MAX_DOTENV: usize = 150;
/// Bytes of all dotenv reports of a job together; the engine takes outputs of 64 KiB.
const MAX_DOTENV_BYTES: u64 = 32 * 1024;

pub struct Jobs(pub(crate) Arc<Parts>);

impl Actor for Jobs {
    fn uses(&self) -> &'static str {
        USES
    }

    fn act(&self, task: Task) -> BoxFuture<'static, Outcome> {
        let parts = self.0.clone();
        Box::pin(async move {
            let job = match Job::open(parts, task).await {
                Ok(job) => job,
                Err(error) => return faulty(error),
            };
            job.run().await.unwrap_or_else(faulty)
        })
    }
}

/// An error of ours is not the job's: it is tried again. What is wrong with the job itself fails it.
fn faulty(error: Error) -> Outcome {
    match error.kind() {
        ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Busy | ErrorKind::Full => {
            tracing::warn!(%error, "a job meets a fault of the machine");
            Outcome::Infrastructure { say: error.sentence() }
        }
        _ => Outcome::failed("runner_system_failure", error.sentence()),
    }
}

struct Job {
    parts: Arc<Parts>,
    task: Task,
    work: Work,
    place: Place,
    /// Everything it knows.
    scope: Scope,
}

impl Job {
    async fn open(parts: Arc<Parts>, task: Task) -> Result<Job> {
        let work: Work = serde_json::from_value(task.with.clone()).map_err(Error::internal)?;
        let key = work.shared.clone();
        let shared = parts.store.read(move |v| v.row::<Shared>(crate::SHARED, &key)).await?;
        let shared = shared.ok_or_else(|| Error::internal("the pipeline's variables are gone"))?;
        let place = parts.workspaces.place(&task.key, task.attempt);
        let known = (task.run.clone(), task.step.clone(), task.attempt);
        parts.under_way.lock().await.insert(known, task.key.clone());
        let scope = scope(&parts, &task, &work, &shared);
        Ok(Job { parts, task, work, place, scope })
    }

    async fn run(self) -> Result<Outcome> {
        let main = format!("{}-{}", self.task.key, self.task.attempt);
        let exit = match self.parts.host.find(&main) {
            Some(workload) => self.watch(workload).await,
            // Canceled while the server was down, before it had begun.
            None if self.task.cancel.is_cancelled() => return Ok(canceled()),
            None => self.begin(&main).await?,
        };
        if exit.reason == Reason::Stopped && self.task.cancel.is_cancelled() {
            return Ok(canceled());
        }
        let exit_after = self.after_script(&main, &exit).await?;
        if exit.reason == Reason::DiskLimit {
            // Half of the room is the home's at most, or no later job would have any.
            let most = self.parts.limits.disk / 2;
            self.parts.workspaces.limit_home(&self.task.project, most).await?;
        }
        let passed = exit.success();
        let mut output = self.leave(passed).await?;
        output.coverage = self.coverage().await;
        let took = |e: &Exit| u64::try_from(e.finished.since(e.started).as_millis()).unwrap_or(0);
        output.user_ms = took(&exit) + exit_after.as_ref().map_or(0, took);
        let reports = output.reports.clone();
        let output = serde_json::to_value(&output).map_err(Error::internal)?;
        if passed {
            return Ok(Outcome::Done(output));
        }
        let (class, say) = self.judged(&exit, &reports).await;
        Ok(Outcome::Failed { class, exit_code: exit.code, say, output })
    }

    /// A first start: the files, then the script.
    async fn begin(&self, id: &str) -> Result<Exit> {
        let base = self.base();
        self.prepare(base).await?;
        let exit = self.start(id, "script.sh", self.timeout(), "running").await?;
        if base != Base::Shared || !matches!(exit.reason, Reason::NotStarted { .. }) {
            return Ok(exit);
        }
        // A file system that cannot carry an overlay's upper layer only says so when it is mounted.
        self.parts.host.forget(id).await?;
        self.prepare(Base::Copied).await?;
        let exit = self.start(id, "script.sh", self.timeout(), "running").await?;
        if !matches!(exit.reason, Reason::NotStarted { .. }) {
            self.parts.copies.store(true, Ordering::Relaxed);
        }
        Ok(exit)
    }

    fn base(&self) -> Base {
        let layers =
            self.parts.host.abilities().overlay && !self.parts.copies.load(Ordering::Relaxed);
        match self.work.files {
            Files::None => Base::Nothing,
            Files::Commit if layers => Base::Shared,
            Files::Commit => Base::Copied,
        }
    }

    async fn prepare(&self, base: Base) -> Result<()> {
        let Work { repository, commit, .. } = &self.work;
        let (project, place) = (&self.task.project, &self.place);
        self.parts.workspaces.prepare(place, project, repository, commit, base).await?;
        if let Some(image) = &self.work.image {
            let image = self.scope.expand(image);
            self.task.log.note(&text!(
                "images are not pulled yet: the machine's own tools stand in for {image}",
                "아직 이미지를 받지 않습니다. {image} 대신 이 컴퓨터의 도구를 씁니다"
            ));
        }
        for cache in self.work.caches.iter().filter(|c| c.pull) {
            caches::restore(&self.parts, project, &self.keyed(cache), place, &self.task.log)
                .await?;
        }
        for output in self.task.outputs.values() {
            let output: Output = serde_json::from_value(output.clone()).unwrap_or_default();
            if let Some(tree) = output.artifacts {
                self.parts.blobs.materialise(&tree, &place.upper()).await?;
            }
        }
        let write = |name: &str, commands: &[String]| {
            std::fs::write(place.control().join(name), script::render(commands)).map_err(io)
        };
        write("script.sh", &self.work.script)?;
        write("after.sh", &self.work.after_script)
    }

    /// Starts a script, and waits for its end. `status` is what it is told of the job.
    async fn start(&self, id: &str, script: &str, time_ms: u64, status: &str) -> Result<Exit> {
        let home = self.parts.workspaces.home(&self.task.project).await?;
        let mut spec = self.spec(id, script, time_ms, &home)?;
        let mut scope = self.scope.clone();
        scope.add(&[Variable::literal("NARU_JOB_STATUS", status)]);
        scope.add(&self.failed_before().await);
        spec.env = scope.all();
        Ok(self.watch(self.parts.host.start(spec).await?).await)
    }

    async fn watch(&self, workload: Workload) -> Exit {
        let mut grew = workload.log_grew();
        loop {
            tokio::select! {
                biased;
                exit = workload.wait() => {
                    self.task.log.grew();
                    return exit;
                }
                () = self.task.cancel.cancelled() => return workload.stop().await,
                Ok(()) = grew.changed() => self.task.log.grew(),
            }
        }
    }

    /// Runs whatever came of the script, unless nothing was started.
    async fn after_script(&self, main: &str, exit: &Exit) -> Result<Option<Exit>> {
        let started = !matches!(exit.reason, Reason::NotStarted { .. } | Reason::Lost);
        if self.work.after_script.is_empty() || !started {
            return Ok(None);
        }
        let id = format!("{main}-after");
        let limit = self.parts.limits.after_script_ms;
        let exit = match self.parts.host.find(&id) {
            Some(workload) => self.watch(workload).await,
            None => {
                let status = if exit.success() { "success" } else { "failed" };
                self.start(&id, "after.sh", limit, status).await?
            }
        };
        if !exit.success() {
            let Text { en, ko } = exit.text();
            // As in GitLab, it does not change the job's result.
            self.task.log.note(&text!("after_script: {en}", "after_script: {ko}"));
        }
        Ok(Some(exit))
    }

    fn timeout(&self) -> u64 {
        self.work.timeout_ms.unwrap_or(self.parts.limits.timeout_ms)
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
        for objects in self.parts.source.borrowed(&self.task.project, &self.work.repository) {
            if let Some(at) = objects.to_str() {
                mount(at, MountKind::ReadOnly { from: objects.clone() });
            }
        }
        mount(&self.work.dir, MountKind::Overlay { lower, scratch: self.place.scratch() });
        Ok(Spec {
            id: id.to_owned(),
            argv: vec![self.parts.shell.clone(), format!("{CONTROL}/{script}")],
            env: Vec::new(),
            dir: PathBuf::from(&self.work.dir),
            sandbox: Some(Sandbox {
                mounts,
                hidden: Default::default(),
                hostname: "job".to_owned(),
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
        })
    }

    /// Keeps what is to be kept.
    async fn leave(&self, passed: bool) -> Result<Output> {
        let mut output = Output {
            environment: self.work.environment.clone(),
            variables: self.dotenv().await?,
            ..Output::default()
        };
        let with_dotenv: Vec<Variable> =
            output.variables.iter().map(|(n, v)| Variable::literal(n, v.as_str())).collect();
        if let Some(environment) = &mut output.environment {
            let mut scope = self.scope.clone();
            scope.add(&with_dotenv);
            environment.url = environment.url.as_ref().map(|url| scope.expand(url));
        }
        output.artifacts = self.artifacts(passed).await?;
        for cache in self.work.caches.iter().filter(|c| c.push && c.when.holds(passed)) {
            let cache = self.keyed(cache);
            let globs = self.globs(&cache.paths);
            let saved = caches::save(&self.parts, &self.task.project, &cache, &self.place, globs);
            // A cache that cannot be kept is no reason to fail.
            if let Err(error) = saved.await {
                let Text { en, ko } = error.sentence();
                self.task
                    .log
                    .note(&text!("cache not saved: {en}", "캐시를 저장하지 못했습니다: {ko}"));
            }
        }
        Ok(output)
    }

    async fn coverage(&self) -> Option<f64> {
        let (pattern, log) = (self.work.coverage.clone()?, self.task.log.path().to_owned());
        let look = move || crate::coverage::measured(&log, &pattern);
        tokio::task::spawn_blocking(look).await.ok()?
    }

    /// Why it failed, with what it printed last.
    async fn complaint(&self, exit: &Exit) -> Text {
        let (say, log) = (exit.text(), self.task.log.path().to_owned());
        let plain = say.clone();
        let look = move || crate::last_words::after(say, &log);
        tokio::task::spawn_blocking(look).await.unwrap_or(plain)
    }

    async fn artifacts(&self, passed: bool) -> Result<Option<String>> {
        let Some(artifacts) = self.work.artifacts.as_ref().filter(|a| a.when.holds(passed)) else {
            return Ok(None);
        };
        let bounds = self.parts.limits.artifacts;
        let (include, exclude) = (self.globs(&artifacts.paths), self.globs(&artifacts.exclude));
        let blobs = &self.parts.blobs;
        let Some(held) = keep::collect(blobs, &self.place, include, exclude, bounds).await? else {
            let paths = artifacts.paths.join(", ");
            self.task.log.note(&text!(
                "no files match the artifacts {paths}",
                "아티팩트 {paths}에 맞는 파일이 없습니다"
            ));
            return Ok(None);
        };
        let (files, size) = (held.files, held.size);
        let (hash, owner) = (held.hash.clone(), crate::owner(&self.task.run));
        let expires = artifacts.expire_ms.map(std::time::Duration::from_millis);
        let run = self.task.run.clone();
        self.parts
            .store
            .write(move |tx| {
                if let Some(after) = expires {
                    let at = tx.now().plus(after);
                    tx.set_row(crate::EXPIRES, &format!("{at}/{run}/{hash}"), &())?;
                }
                blob::refer(tx, &owner, &hash)
            })
            .await?;
        self.task.log.note(&text!(
            "kept {files} files as artifacts, {size} bytes",
            "아티팩트로 파일 {files}개, {size}바이트를 보관했습니다"
        ));
        Ok(Some(held.hash.clone()))
    }

    /// The variables of the job's dotenv reports.
    async fn dotenv(&self) -> Result<std::collections::BTreeMap<String, String>> {
        let bounds = Bounds { bytes: MAX_DOTENV_BYTES, files: 16 };
        let include = self.globs(&self.work.dotenv);
        let blobs = &self.parts.blobs;
        let mut found = std::collections::BTreeMap::new();
        let Some(held) = keep::collect(blobs, &self.place, include, Vec::new(), bounds).await?
        else {
            return Ok(found);
        };
        for entry in blobs.tree(&held.hash).await?.entries {
            let bytes = blobs.get(&entry.hash, MAX_DOTENV_BYTES).await?;
            let (lines, odd) = script::dotenv(&String::from_utf8_lossy(&bytes), MAX_DOTENV);
            found.extend(lines);
            if odd > 0 {
                let path = &entry.path;
                self.task.log.note(&text!(
                    "{path}: {odd} lines are no variables and are left out",
                    "{path}: 변수가 아닌 줄 {odd}개를 제외했습니다"
                ));
            }
        }
        Ok(found)
    }

    /// Globs with their variables expanded, inside of the working directory.
    fn globs(&self, globs: &[String]) -> Vec<String> {
        let expanded: Vec<String> = globs.iter().map(|g| self.scope.expand(g)).collect();
        let (kept, dropped) = keep::inside(&self.work.dir, &expanded);
        if dropped > 0 {
            self.task.log.note(&text!(
                "{dropped} paths lead out of the project's directory and are left out",
                "프로젝트 디렉터리 밖을 가리키는 경로 {dropped}개를 제외했습니다"
            ));
        }
        kept
    }

    fn keyed(&self, cache: &Cache) -> Cache {
        Cache {
            key: self.scope.expand(&cache.key),
            fallback: cache.fallback.iter().map(|k| self.scope.expand(k)).collect(),
            ..cache.clone()
        }
    }
}

fn canceled() -> Outcome {
    Outcome::failed("canceled", Text::fixed("it was canceled", "취소되었습니다"))
}

/// The words that `retry:when` knows.
fn class(exit: &Exit) -> &'static str {
    match exit.reason {
        Reason::Exited | Reason::MemoryLimit | Reason::DiskLimit => "script_failure",
        Reason::TimeLimit => "job_execution_timeout",
        Reason::Stopped => "canceled",
        Reason::NotStarted { .. } | Reason::Lost => "runner_system_failure",
    }
}

/// From the weakest to the strongest: the machine's, the pipeline's, the job's, what earlier jobs handed
/// on, and what was given by hand.
fn scope(parts: &Parts, task: &Task, work: &Work, shared: &Shared) -> Scope {
    let (run, project) = (&task.run, &task.project);
    let url = format!("{}/projects/{project}/runs/{run}", parts.url.trim_end_matches('/'));
    let now = parts.store.now();
    let own = [
        Variable::literal("HOME", HOME),
        Variable::literal("NARU", "true"),
        Variable::literal("NARU_RUN_ID", run.as_str()),
        Variable::literal("NARU_RUN_URL", &*url),
        Variable::literal("NARU_JOB_ID", &*task.key),
        Variable::literal("NARU_JOB_URL", format!("{url}#{}", task.key)),
        Variable::literal("NARU_JOB_STARTED_AT", now.to_string()),
        Variable::literal("NARU_ATTEMPT", task.attempt.to_string()),
    ];
    let mut scope = Scope::new([parts.env.as_slice(), &own]);
    let seen: Vec<Variable> =
        shared.variables.iter().filter(|v| !work.without.contains(&v.name)).cloned().collect();
    scope.add(&seen);
    scope.add(&work.variables);
    for output in task.outputs.values() {
        let output: Output = serde_json::from_value(output.clone()).unwrap_or_default();
        let handed = output.variables.iter().map(|(n, v)| Variable::literal(n, v.as_str()));
        scope.add(&handed.collect::<Vec<_>>());
    }
    scope.add(&shared.given);
    scope.add(&parts.given);
    scope
}
