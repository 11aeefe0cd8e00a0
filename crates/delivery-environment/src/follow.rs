//! Facts of the journal into environments and sites, each exactly once and in their order.

use crate::{Limits, deploy, site, stop};
use kernel::journey::{
    EnvironmentAction, EnvironmentDeployed, EnvironmentReleased, Fact, PipelineFinished, Pushed,
    ReleaseSkipped, RolloutFinished, SitePublished,
};
use kernel::{Event, Result};
use store::Tx;

const STEP: &str = "run.step.finished";

/// What is listened for.
pub(crate) const KINDS: &[&str] = &[
    EnvironmentDeployed::KIND,
    EnvironmentReleased::KIND,
    RolloutFinished::KIND,
    ReleaseSkipped::KIND,
    PipelineFinished::KIND,
    Pushed::KIND,
    SitePublished::KIND,
    STEP,
];

pub(crate) fn handle(event: &Event, tx: &mut Tx<'_>, limits: Limits) -> Result<()> {
    let Some(project) = event.fact.project.clone() else { return Ok(()) };
    if event.fact.kind == STEP {
        return stop::step_finished(event, tx);
    }
    // A fact of a project that was deleted meanwhile makes nothing any more.
    if !stop::project_there(tx, &project)? {
        return Ok(());
    }
    if let Some(fact) = EnvironmentDeployed::of(event) {
        return match fact.action {
            EnvironmentAction::Start => deploy::deployed(event, tx, &project, fact, limits),
            EnvironmentAction::Stop => stop::stopped_by_job(event, tx, &project, &fact),
            EnvironmentAction::Prepare | EnvironmentAction::Verify | EnvironmentAction::Access => {
                deploy::touched(event, tx, &project, &fact)
            }
        };
    }
    if let Some(fact) = EnvironmentReleased::of(event) {
        return deploy::released(event, tx, &project, fact);
    }
    if let Some(fact) = RolloutFinished::of(event) {
        return deploy::rolled_out(event, tx, &project, &fact);
    }
    if let Some(fact) = SitePublished::of(event) {
        return site::publish(event, tx, &project, fact);
    }
    if Pushed::of(event).is_some() {
        return stop::branch_deleted(event, tx, &project);
    }
    deploy::came_to_nothing(event, tx, &project)
}
