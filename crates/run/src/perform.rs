//! Acting on what is committed: an actor's future with its limits, its panics and its ways out.

use crate::scheduler::{Fact, Message, Scheduler};
use crate::turn::Effect;
use crate::{Actor, Outcome, StepLog, Task};
use futures_util::FutureExt;
use kernel::{Clock, Id, Text, text};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long an actor may take to end after its cancel token fired.
const GRACE: Duration = Duration::from_secs(120);

/// A step in the hands of its actor.
pub(crate) struct UnderWay {
    cancel: CancellationToken,
    log: StepLog,
}

impl Scheduler {
    /// After the commit.
    pub(crate) fn act(&mut self, effect: Effect) {
        match effect {
            Effect::Perform(run, i) => self.perform(run, i),
            Effect::Stop(run, i, why) => {
                if let Some(under_way) = self.under_way.get(&(run, i)) {
                    under_way.log.note(&why);
                    under_way.cancel.cancel();
                }
            }
            Effect::EndLog(run, i, attempt, over) => {
                self.under_way.remove(&(run.clone(), i));
                self.shared.logs.end(&run, i, attempt, over);
            }
        }
    }

    fn perform(&mut self, id: Id, i: usize) {
        let Some((uses, epoch, task)) = self.task(&id, i) else { return };
        let under_way = UnderWay { cancel: task.cancel.clone(), log: task.log.clone() };
        self.under_way.insert((id.clone(), i), under_way);
        let shared = self.shared.clone();
        let actor = self.actors.get(uses.as_str()).cloned();
        self.tasks.spawn(async move {
            let clock = shared.store.clock().clone();
            let outcome = perform(actor, uses, task, clock).await;
            let ended = Fact::Ended { run: id, step: i, epoch, outcome };
            // The scheduler is gone only when all of this is let go of.
            let _ = shared.messages.send(Message::Happened(ended)).await;
        });
    }

    fn task(&self, id: &Id, i: usize) -> Option<(String, u64, Task)> {
        let run = self.runs.get(id)?;
        let (step, row) = (run.plan.steps.get(i)?, run.state.steps.get(i)?);
        let cancel = CancellationToken::new();
        if run.state.head.cancel.is_some() || row.timed_out || row.stop.is_some() {
            cancel.cancel();
        }
        let wanted = step.needs.iter().zip(run.graph.needs(i)).filter(|(need, _)| need.outputs);
        let outputs = wanted.filter_map(|(need, n)| {
            let output = &run.state.steps.get(*n)?.output;
            (!output.is_null()).then(|| (need.step.clone(), output.clone()))
        });
        let task = Task {
            run: id.clone(),
            project: run.state.head.project.clone(),
            change: run.state.head.change.clone(),
            step: step.name.clone(),
            attempt: row.attempt,
            with: step.action.with.clone(),
            outputs: outputs.collect(),
            log: self.shared.logs.open(id, i, row.attempt),
            cancel,
            key: format!("{id}-{i}"),
        };
        Some((step.action.uses.clone(), row.epoch, task))
    }
}

/// The outcome, whatever the actor does: it may panic, ignore its cancel token, or not exist.
async fn perform(
    actor: Option<Arc<dyn Actor>>,
    uses: String,
    task: Task,
    clock: Arc<dyn Clock>,
) -> Outcome {
    let Some(actor) = actor else { return no_actor(&uses) };
    let (cancel, log) = (task.cancel.clone(), task.log.clone());
    let act = AssertUnwindSafe(async move { actor.act(task).await }).catch_unwind();
    let too_late = async {
        cancel.cancelled().await;
        clock.sleep_until(clock.now().plus(GRACE)).await;
    };
    let outcome = tokio::select! {
        biased;
        outcome = act => outcome.unwrap_or_else(|panic| panicked(panic.as_ref())),
        () = too_late => Outcome::failed(
            "internal",
            Text::fixed("it did not end when told to", "중지 요청에 응답하지 않았습니다"),
        ),
    };
    match &outcome {
        Outcome::Failed { say, .. } | Outcome::Infrastructure { say } => log.note(say),
        Outcome::Done(_) | Outcome::LetGo => {}
    }
    outcome
}

fn no_actor(uses: &str) -> Outcome {
    Outcome::failed(
        "internal",
        text!("this naru has no “{uses}” to run it with", "이 naru에는 “{uses}” 실행기가 없습니다"),
    )
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Outcome {
    let why = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    // What it says may name files and values of ours: that is for the operators' log.
    tracing::error!(why, "an actor panicked");
    Outcome::failed(
        "internal",
        Text::fixed(
            "something inside naru failed; the server's log says more",
            "naru 내부에서 문제가 생겼습니다. 서버 로그에 자세한 내용이 있습니다",
        ),
    )
}
