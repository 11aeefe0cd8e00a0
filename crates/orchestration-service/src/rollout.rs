//! Rollouts: how they begin and end in the store. The run between is the engine's.

use crate::PART_NAME;
use crate::actor::{RETIRE, RetireWith, START, StartWith};
use crate::kind::{Condition, Release, Service, ServiceStatus};
use crate::plan::{Batch, Want, batches};
use crate::state::{Rollout, ServiceKey, State};
use kernel::journey::{Cause, Fact, RolloutFinished, RolloutStarted, Verdict};
use kernel::{Error, Event, Id, Key, Name, Principal, Result, Text, Time, text};
use run::{Action, Engine, Group, Need, NewRun, Plan, Retry, Run, Step, StepState, When};
use serde::Deserialize;
use serde_json::Value;
use store::Tx;

/// The kind of these runs.
pub(crate) const RUN: &str = "rollout";

/// What a rollout is to bring in, and why.
pub(crate) struct Order<'a> {
    pub key: &'a ServiceKey,
    pub name: &'a Name,
    pub release: &'a Release,
    pub cause: Cause,
    pub actor: Principal,
    pub replicas: u32,
    /// Ready instances of other releases.
    pub old: u32,
}

/// Begins a rollout; one that is under way is overtaken. The caller saves `state`.
pub(crate) fn begin(tx: &mut Tx<'_>, state: &mut State, order: Order<'_>) -> Result<Id> {
    let Order { key, name, release, cause, actor, .. } = &order;
    let change = release.change.clone();
    let run = Engine::create_in(
        tx,
        NewRun {
            kind: RUN.into(),
            project: key.project.clone(),
            change: change.clone(),
            title: text!("roll out {name}", "{name} 롤아웃"),
            plan: plan(&order)?,
            actor: actor.clone(),
            labels: [("naru.dev/service".to_owned(), key.service.to_string())].into(),
            subject: Some(key.resource()),
            priority: 10,
        },
    )?;
    let previous = state.current.clone();
    let fact = RolloutStarted {
        service: key.service.clone(),
        release: (*name).clone(),
        run: run.clone(),
        previous: previous.clone(),
        cause: *cause,
        environment: release.environment.clone(),
    };
    let say = text!("rolling out {name}", "{name} 롤아웃 시작");
    tx.append(fact.event(actor.clone(), say)?.subject(key.resource()).change(change.clone()))?;
    let rollout =
        Rollout { run: run.clone(), release: (*name).clone(), previous, cause: *cause, change };
    state.overtaken.extend(state.rollout.replace(rollout));
    note_status(tx, key, state)?;
    Ok(run)
}

/// The steps. All of one service share a group: what an overtaken rollout is still doing ends first.
fn plan(order: &Order<'_>) -> Result<Plan> {
    let config = &order.release.config;
    let want = want(config, order.replicas);
    let group =
        Group { key: format!("service:{}", order.key), slots: 1, order: run::Order::Unordered };
    // A start may take up to three times the limit when an instance crashes late.
    let limit = config.ready_within.millis().saturating_mul(4).saturating_add(60_000);
    let mut steps: Vec<Step> = Vec::new();
    for (i, batch) in batches(want, order.old).into_iter().enumerate() {
        let with = (order.key.service.clone(), order.name.clone());
        let (name, action, timeout_ms) = match batch {
            Batch::Start { from, to } => {
                let with = StartWith { service: with.0, release: with.1, from, to };
                (format!("start {}", span(from, to)), action(START, &with)?, Some(limit))
            }
            Batch::Retire { keep } => {
                let floor = want.floor_of();
                let with = RetireWith { service: with.0, release: with.1, keep, floor };
                let name = if keep == 0 {
                    "retire the rest".into()
                } else {
                    format!("retire down to {keep}")
                };
                (name, action(RETIRE, &with)?, Some(drain_limit(config)))
            }
        };
        let before = steps.last().map(|s: &Step| s.name.clone());
        // Names are unique in a plan.
        let name = match steps.iter().any(|s| s.name == name) {
            true => format!("{name} ({})", i + 1),
            false => name,
        };
        steps.push(Step {
            name,
            stage: format!("{}", i + 1),
            needs: before.into_iter().map(|step| Need { step, outputs: false }).collect(),
            when: When::OnSuccess,
            allow_failure: false,
            allow_exit_codes: Vec::new(),
            retry: Retry::default(),
            timeout_ms,
            group: Some(group.clone()),
            interruptible: false,
            action,
        });
    }
    Ok(Plan { steps, ..Plan::default() })
}

pub(crate) fn want(config: &Service, replicas: u32) -> Want {
    Want::new(replicas, config.strategy.max_surge, config.strategy.max_unavailable)
}

fn action(uses: &str, with: &impl serde::Serialize) -> Result<Action> {
    let with = serde_json::to_value(with).map_err(Error::internal)?;
    Ok(Action { uses: uses.to_owned(), with })
}

/// Other releases' settings are not known here: a drain may be as long as any service may ask for.
fn drain_limit(config: &Service) -> u64 {
    config.stop.drain.millis().max(30_000) + config.stop.grace.millis().max(10_000) + 60_000
}

/// `1`, `2–4`: counted from one, for people.
fn span(from: u32, to: u32) -> String {
    match (from + 1, to) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}–{last}"),
    }
}

/// What `run.finished` says, as far as it matters here.
#[derive(Deserialize)]
struct Finished {
    run: Id,
    kind: String,
    verdict: Verdict,
    reason: Option<Text>,
}

/// A run ended. If it was a rollout of ours, this is what that means: on success its release serves.
pub(crate) fn ended(event: &Event, tx: &mut Tx<'_>) -> Result<()> {
    let Ok(finished) = Finished::deserialize(&event.fact.data) else { return Ok(()) };
    if finished.kind != RUN {
        return Ok(());
    }
    let Some(run) = Engine::show_in(tx, &finished.run)? else { return Ok(()) };
    let Some(Key { project: Some(project), name: service, .. }) = run.subject.clone() else {
        return Ok(());
    };
    let key = ServiceKey { project, service };
    let mut state = State::load(tx, &key)?;
    let Some((newest, rollout)) = take(&mut state, &finished.run) else { return Ok(()) };
    let reason = reason(&run, &finished);
    if newest && finished.verdict == Verdict::Passed {
        let before = state.current.replace(rollout.release.clone());
        // What a restart replaces is the same, and nobody would want to go back to it.
        if before.as_ref() != Some(&rollout.release) && rollout.cause != Cause::Restart {
            state.previous = before;
        }
        state.replicas = replicas_now(tx, &key)?.unwrap_or(state.replicas);
        state.failure = None;
    } else if newest {
        state.failure = reason.clone();
    }
    state.save(tx, &key)?;
    let fact = RolloutFinished {
        service: key.service.clone(),
        release: rollout.release.clone(),
        run: finished.run,
        previous: rollout.previous.clone(),
        cause: rollout.cause,
        verdict: finished.verdict,
        reason: reason.clone(),
        first_ready: first_ready(&run),
        environment: state.environment.clone(),
    };
    let say = say(&rollout.release, finished.verdict, reason.as_ref());
    let event = fact.event(Principal::part(PART_NAME), say)?;
    tx.append(event.subject(key.resource()).change(rollout.change.clone()))?;
    note_status(tx, &key, &state)
}

/// The rollout of that run, taken out of the state; and whether it was the one under way.
fn take(state: &mut State, run: &Id) -> Option<(bool, Rollout)> {
    if state.rollout.as_ref().is_some_and(|r| r.run == *run) {
        return state.rollout.take().map(|r| (true, r));
    }
    let i = state.overtaken.iter().position(|r| r.run == *run)?;
    Some((false, state.overtaken.remove(i)))
}

fn replicas_now(tx: &Tx<'_>, key: &ServiceKey) -> Result<Option<u32>> {
    let Some(found) = tx.resource(&key.resource())? else { return Ok(None) };
    Ok(Some(found.spec::<Service>()?.replicas))
}

/// The failed step's own words are better than the run's.
fn reason(run: &Run, finished: &Finished) -> Option<Text> {
    if finished.verdict == Verdict::Passed {
        return None;
    }
    let failed = run.steps.iter().find(|s| s.state == StepState::Failed);
    failed.and_then(|s| s.reason.clone()).or_else(|| finished.reason.clone())
}

fn first_ready(run: &Run) -> Option<Time> {
    let outputs = run.steps.iter().filter_map(|s| s.output.get("ready").and_then(Value::as_str));
    outputs.filter_map(Time::parse).min()
}

fn say(release: &Name, verdict: Verdict, reason: Option<&Text>) -> Text {
    let say = match verdict {
        Verdict::Passed => text!("{release} serves", "{release} 서비스 시작"),
        Verdict::Failed => text!("{release} did not go live", "{release} 롤아웃 실패"),
        Verdict::Canceled => {
            text!("the rollout of {release} was canceled", "{release} 롤아웃 취소")
        }
    };
    match reason {
        Some(r) => Text::new(format!("{}: {}", say.en, r.en), format!("{}: {}", say.ko, r.ko)),
        None => say,
    }
}

/// What the state alone says; instances are counted by the next look at the service.
fn note_status(tx: &mut Tx<'_>, key: &ServiceKey, state: &State) -> Result<()> {
    let Some(found) = tx.resource(&key.resource())? else { return Ok(()) };
    let old = found.status::<Service>()?;
    let condition = if state.rollout.is_some() { Condition::Rolling } else { old.condition };
    let status = ServiceStatus {
        release: state.current.clone(),
        previous: state.previous.clone(),
        rolling: state.rollout.as_ref().map(|r| r.release.clone()),
        run: state.rollout.as_ref().map(|r| r.run.to_string()),
        generation: state.generation,
        instances: format!("{}/{}", old.ready, old.wanted),
        condition,
        message: state.failure.clone(),
        ..old
    };
    tx.put_status(&key.resource(), &status, Principal::part(PART_NAME))?;
    Ok(())
}
