//! What jobs leave, told to whoever cares: the follower that turns the end of an attempt into facts.

use crate::create;
use crate::sync::{Place, layers_until, run_of};
use crate::trigger_plan;
use crate::work::{self, Output, Site};
use kernel::journey::{EnvironmentDeployed, Fact, JobReported, SitePublished, TagAsked};
use kernel::{Event, Id, NewEvent, Result, Text, Time, text};
use run::{Engine, Plan, Run, StepState, StepView};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{Tx, View};

/// Plans remembered: a plan never changes, and each of its jobs asks for it.
const REMEMBERED: usize = 16;

/// The plans of the runs that are under way.
#[derive(Default)]
pub struct Plans(Mutex<VecDeque<(Id, Arc<Plan>)>>);

impl Plans {
    fn get(&self, view: &View<'_>, run: &Id) -> Result<Option<Arc<Plan>>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, plan)) = known.iter().find(|(id, _)| id == run) {
            return Ok(Some(plan.clone()));
        }
        let Some(plan) = Engine::plan_in(view, run)?.map(Arc::new) else { return Ok(None) };
        known.truncate(REMEMBERED - 1);
        known.push_front((run.clone(), plan.clone()));
        Ok(Some(plan))
    }
}

/// An attempt that has ended, and all that is said of it.
struct Ended {
    run: Run,
    place: Place,
    step: StepView,
    /// It ran something, rather than start another pipeline.
    job: bool,
    site: Option<Site>,
    attempt: u32,
    passed: bool,
    started: Time,
    finished: Time,
    output: Output,
}

/// An attempt of a job has ended: what it did, and what it left for others.
pub fn ended(event: &Event, tx: &mut Tx<'_>, plans: &Plans) -> Result<()> {
    let over = matches!(event.fact.kind.as_str(), "run.step.finished" | "run.step.retried");
    let Some(run) = run_of(event).filter(|_| over) else { return Ok(()) };
    let Some(ended) = Ended::read(event, tx, &run, plans)? else { return Ok(()) };
    if ended.job {
        ended.say(tx, &ended.reported())?;
    }
    if !ended.passed {
        return Ok(());
    }
    if let Some(fact) = ended.deployed(tx)? {
        ended.say(tx, &fact)?;
    }
    if let Some(fact) = ended.published() {
        ended.say(tx, &fact)?;
    }
    match ended.tagged() {
        Some(fact) => ended.say(tx, &fact),
        None => Ok(()),
    }
}

fn ours(uses: &str) -> bool {
    uses == work::USES || uses == trigger_plan::USES
}

impl Ended {
    fn read(event: &Event, view: &View<'_>, id: &Id, plans: &Plans) -> Result<Option<Ended>> {
        let data = &event.fact.data;
        let number = |key: &str| data.get(key).and_then(Value::as_u64);
        let (Some(index), Some(attempt)) = (number("index"), number("attempt")) else {
            return Ok(None);
        };
        let (Ok(index), Ok(attempt)) = (usize::try_from(index), u32::try_from(attempt)) else {
            return Ok(None);
        };
        let Some(plan) = plans.get(view, id)? else { return Ok(None) };
        let Some(planned) = plan.steps.get(index).filter(|s| ours(&s.action.uses)) else {
            return Ok(None);
        };
        let Some(run) = Engine::head_in(view, id)? else { return Ok(None) };
        let Some(place) = Place::of(&run) else { return Ok(None) };
        let site = planned.action.with.get("site").cloned();
        let job = planned.action.uses == work::USES;
        let step = Engine::step_in(view, id, index, planned)?;
        let Some(one) = step.attempts.iter().find(|a| a.attempt == attempt) else {
            return Ok(None);
        };
        // Canceled in the pause before another try: this attempt has been told of when it failed.
        let canceled = data.get("verdict").and_then(Value::as_str) == Some("canceled");
        if canceled && one.state != StepState::Canceled {
            return Ok(None);
        }
        // With another attempt behind it, its output lies beside it.
        let last = step.attempt == attempt && step.state.is_finished();
        let output = if last { &step.output } else { &one.output };
        Ok(Some(Ended {
            run,
            place,
            job,
            site: site.and_then(|site| serde_json::from_value(site).ok()),
            attempt,
            passed: one.state == StepState::Passed,
            started: one.started,
            finished: one.finished,
            output: serde_json::from_value(output.clone()).unwrap_or_default(),
            step,
        }))
    }

    fn reported(&self) -> JobReported {
        JobReported {
            repository: self.place.repository.clone(),
            commit: self.place.commit.clone(),
            branch: self.run.labels.get("branch").cloned(),
            default_branch: self.place.default_branch,
            run: self.run.id.clone(),
            step: self.step.name.clone(),
            attempt: self.attempt,
            passed: self.passed,
            took_ms: u64::try_from(self.finished.since(self.started).as_millis()).unwrap_or(0),
            cpu_ms: self.output.cpu_ms,
            files: self.output.reports.clone(),
        }
    }

    fn deployed(&self, view: &View<'_>) -> Result<Option<EnvironmentDeployed>> {
        let Some(environment) = self.output.environment.clone() else { return Ok(None) };
        let whole = Engine::show_in(view, &self.run.id)?;
        let layers = whole.map(|run| layers_until(&run, self.finished)).unwrap_or_default();
        Ok(Some(EnvironmentDeployed {
            repository: self.place.repository.clone(),
            commit: self.place.commit.clone(),
            refname: self.place.refname.clone(),
            run: self.run.id.clone(),
            step: self.step.name.clone(),
            name: environment.name,
            url: environment.url,
            tier: environment.tier,
            action: environment.action,
            on_stop: environment.on_stop,
            auto_stop_ms: environment.auto_stop_ms,
            layers,
        }))
    }

    fn published(&self) -> Option<SitePublished> {
        let (tree, site) = (self.output.site.clone()?, self.site.as_ref()?);
        Some(SitePublished {
            repository: self.place.repository.clone(),
            commit: self.place.commit.clone(),
            default_branch: self.place.default_branch,
            run: self.run.id.clone(),
            step: self.step.name.clone(),
            tree,
            prefix: site.prefix.clone(),
            expires: site.expire_ms.map(|ms| self.finished.plus(Duration::from_millis(ms))),
        })
    }

    fn tagged(&self) -> Option<TagAsked> {
        let tag = self.output.tag.clone()?;
        Some(TagAsked {
            repository: self.place.repository.clone(),
            commit: tag.target.unwrap_or_else(|| self.place.commit.clone()),
            run: self.run.id.clone(),
            name: tag.name.unwrap_or_else(|| tag.tag.clone()),
            tag: tag.tag,
            message: tag.message,
            description: tag.description,
            links: tag.links,
        })
    }

    /// Appends a fact about the run, in the name of whoever started it.
    fn say(&self, tx: &mut Tx<'_>, fact: &impl Told) -> Result<()> {
        let event = fact.event(self.run.actor.clone(), fact.words())?;
        let event: NewEvent = event.project(&self.run.project).change(self.run.change.clone());
        tx.append(event.subject(create::subject(&self.run.project, &self.run.id)?)).map(drop)
    }
}

/// A fact with its sentence.
trait Told: Fact {
    fn words(&self) -> Text;
}

impl Told for JobReported {
    fn words(&self) -> Text {
        let (step, n, took) = (&self.step, self.attempt, self.took_ms);
        text!("attempt {n} of {step} took {took} ms", "{step} {n}번째 시도, {took}밀리초")
    }
}

impl Told for EnvironmentDeployed {
    fn words(&self) -> Text {
        let (step, name) = (&self.step, &self.name);
        match self.action {
            kernel::journey::EnvironmentAction::Start => {
                text!("{step} deployed to {name}", "{step} 작업이 {name} 환경에 배포함")
            }
            kernel::journey::EnvironmentAction::Stop => {
                text!("{step} stopped {name}", "{step} 작업이 {name} 환경을 멈춤")
            }
            _ => text!("{step} used {name}", "{step} 작업이 {name} 환경을 사용함"),
        }
    }
}

impl Told for SitePublished {
    fn words(&self) -> Text {
        let step = &self.step;
        text!("{step} left a web site", "{step} 작업이 웹 사이트를 남김")
    }
}

impl Told for TagAsked {
    fn words(&self) -> Text {
        let tag = kernel::shown(&self.tag);
        text!("the pipeline asks for the tag {tag}", "파이프라인이 {tag} 태그를 요청함")
    }
}

/// Follows the ends of attempts.
pub fn spawn(store: store::Store, stop: tokio_util::sync::CancellationToken) {
    let plans = Plans::default();
    let filter = store::Filter { kind: Some("run.step.".to_owned()), ..Default::default() };
    let handle = move |event: &Event, tx: &mut Tx<'_>| ended(event, tx, &plans);
    reconcile::follow_some(store, "delivery-pipeline.told", filter, handle, stop);
}
