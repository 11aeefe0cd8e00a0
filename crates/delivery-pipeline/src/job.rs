//! The actor `pipeline.job`: one attempt of one job, from its files to what it leaves.
//!
//! Everything here is repeatable: a workload is found again by its id, a place is made anew unless its
//! workload was started, and what is kept is named by its content.

mod identity;
mod judge;
mod learn;
mod leave;
mod perform;
mod prepare;
mod results;
mod secrets;
pub(crate) mod services;
mod standin;
mod submodules;
pub(crate) mod times;

use crate::Parts;
use crate::keep;
use crate::variables::{Scope, Variable};
use crate::work::{Cache, Output, Shared, USES, Work};
use crate::workspace::{Learned, Place};
use host::{Exit, Reason};
use kernel::{BoxFuture, Error, ErrorKind, Result, Text, text};
use learn::Handed;
use run::{Actor, Outcome, Task};
use secrets::Secrets;
use std::sync::Arc;

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
    /// Everything it knows. Of a variable whose value is in a file, that is the file's path.
    scope: Scope,
    secrets: Secrets,
    /// What it fetched when it began: for whoever takes it up after a restart.
    learned: Learned,
    /// What was given by hand, which is stronger than what its project offers.
    given: Vec<Variable>,
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
        let handed = learn::handed(&parts, &task).await?;
        let scope = scope(&parts, &task, &work, &shared, &handed);
        let secrets = Secrets::take(&mut scope.clone(), Vec::new());
        let given = [&*shared.given, &*parts.given].concat();
        let learned = Learned::default();
        let mut job = Job { parts, task, work, place, scope, secrets, learned, given };
        job.learn(&handed).await?;
        Ok(job)
    }

    async fn run(self) -> Result<Outcome> {
        let outcome = self.attempt().await;
        self.end_services().await;
        outcome
    }

    async fn attempt(&self) -> Result<Outcome> {
        let main = format!("{}-{}", self.task.key, self.task.attempt);
        let exit = match self.parts.host.find(&main) {
            Some(workload) => self.watch(workload).await,
            // Canceled while the server was down, before it had begun.
            None if self.task.cancel.is_cancelled() => return Ok(canceled()),
            None => self.begin(&main).await?,
        };
        let exit_after = self.after_script(&main, &exit).await?;
        if exit.reason == Reason::Stopped && self.task.cancel.is_cancelled() {
            return Ok(canceled());
        }
        if exit.reason == Reason::DiskLimit {
            // Half of the room is the home's at most, or no later job would have any.
            let most = self.parts.limits.disk / 2;
            self.parts.workspaces.limit_home(&self.task.project, most).await?;
        }
        let passed = exit.success();
        let (mut output, complete) = self.leave(passed).await?;
        let lacking = if passed { self.publish(&mut output).await? } else { None };
        let took = |e: &Exit| u64::try_from(e.finished.since(e.started).as_millis()).unwrap_or(0);
        output.user_ms = took(&exit) + exit_after.as_ref().map_or(0, took);
        output.cpu_ms = cpu_ms(&exit, exit_after.as_ref());
        let reports = output.reports.clone();
        let output = serde_json::to_value(&output).map_err(Error::internal)?;
        if let Some(say) = lacking {
            let class = "script_failure".to_owned();
            return Ok(Outcome::Failed { class, exit_code: None, say, output });
        }
        if passed {
            return Ok(Outcome::Done(output));
        }
        let (class, say) = self.judged(&exit, &reports, complete).await;
        Ok(Outcome::Failed { class, exit_code: exit.code, say, output })
    }

    fn note(&self, text: &Text) {
        self.task.log.note(&self.secrets.hide(text));
    }

    /// Globs with their variables expanded, inside of the working directory.
    fn globs(&self, globs: &[String]) -> Vec<String> {
        let expanded: Vec<String> = globs.iter().map(|g| self.scope.expand(g)).collect();
        let (kept, dropped) = keep::inside(&self.work.dir, &expanded);
        if dropped > 0 {
            self.note(&text!(
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

/// Of the script and of what ran after it.
fn cpu_ms(exit: &Exit, after: Option<&Exit>) -> Option<u64> {
    let known: Vec<u64> =
        [Some(exit), after].into_iter().flatten().filter_map(|e| e.cpu_ms).collect();
    (!known.is_empty()).then(|| known.iter().sum())
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
fn scope(parts: &Parts, task: &Task, work: &Work, shared: &Shared, handed: &Handed) -> Scope {
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
    for (name, output) in &task.outputs {
        let output: Output = serde_json::from_value(output.clone()).unwrap_or_default();
        scope.add(&learn::variables(&output, handed.get(name)));
    }
    scope.add(&shared.given);
    scope.add(&parts.given);
    scope
}
