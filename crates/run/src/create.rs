//! New runs: from nothing, or from what an earlier one left.

use crate::graph::Graph;
use crate::state::{self, Head, Open, PLAN, RunState, STEP, StepRow, StepState};
use crate::{Plan, error, group};
use kernel::resource::Labels;
use kernel::{Error, Id, Key, Name, NewEvent, Principal, Result, Text, text};
use serde_json::json;
use store::Tx;

/// Keys `<project>/<run>`.
pub(crate) const BY_PROJECT: &str = "run.by-project";
/// Keys `<kind>/<run>`.
pub(crate) const BY_KIND: &str = "run.by-kind";
/// Keys `<project>/<kind>/<run>`.
pub(crate) const BY_PROJECT_KIND: &str = "run.by-project-kind";

/// Largest plan, in bytes of JSON.
const MAX_PLAN: usize = 8 * 1024 * 1024;

/// What to run.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRun {
    /// A word that is also a [`Name`]: `pipeline`, `rollout`.
    pub kind: String,
    pub project: Name,
    pub change: Option<Name>,
    pub title: Text,
    pub plan: Plan,
    pub actor: Principal,
    pub labels: Labels,
    /// What it is about, such as the service that it rolls out.
    pub subject: Option<Key>,
    /// Higher goes first among the runs of one project.
    pub priority: i32,
}

/// How `run.created` names the run that it is about.
pub(crate) fn subject(head: &Head) -> Result<Key> {
    let name = Name::parse(head.id.as_str())?;
    Ok(Key { kind: "Run".to_owned(), project: Some(head.project.clone()), name })
}

/// An event about a run.
pub(crate) fn event(head: &Head, kind: &str, actor: Principal, say: Text) -> Result<NewEvent> {
    Ok(NewEvent::new(kind, actor, say).subject(subject(head)?).change(head.change.clone()))
}

pub(crate) fn create_in(tx: &mut Tx<'_>, new: NewRun) -> Result<Id> {
    insert(tx, new, None, Vec::new())
}

pub(crate) fn insert(
    tx: &mut Tx<'_>,
    new: NewRun,
    retry_of: Option<Id>,
    steps: Vec<(usize, StepRow)>,
) -> Result<Id> {
    new.plan.check()?;
    Name::parse(&new.kind)?;
    let size = serde_json::to_string(&new.plan).map_err(Error::internal)?.len();
    if size > MAX_PLAN {
        return Err(Error::invalid(
            "plan.too_large",
            text!(
                "the plan has {size} bytes, the limit is {MAX_PLAN}",
                "계획이 {size}바이트로 제한 {MAX_PLAN}바이트를 넘었습니다"
            ),
        ));
    }
    let id = tx.id()?;
    let head = head(tx, id.clone(), &new, retry_of);
    state::save_head(tx, &head)?;
    tx.set_row(PLAN, id.as_str(), &new.plan)?;
    group::note(tx, &new.plan)?;
    for (space, key) in places(&head) {
        tx.set_row(space, &key, &())?;
    }
    for (index, row) in &steps {
        tx.set_row(STEP, &state::step_key(&id, *index), row)?;
    }
    let Text { en, ko } = &head.title;
    let say = text!("{en} created", "{ko} 생성됨");
    let data = json!({
        "run": id, "kind": head.kind, "title": head.title, "steps": new.plan.steps.len(),
        "retry_of": head.retry_of,
    });
    tx.append(event(&head, "run.created", new.actor, say)?.data(data))?;
    Ok(id)
}

fn head(tx: &Tx<'_>, id: Id, new: &NewRun, retry_of: Option<Id>) -> Head {
    Head {
        id,
        kind: new.kind.clone(),
        project: new.project.clone(),
        change: new.change.clone(),
        title: new.title.clone(),
        actor: new.actor.clone(),
        labels: new.labels.clone(),
        subject: new.subject.clone(),
        priority: new.priority,
        state: RunState::Queued,
        reason: None,
        created: tx.now(),
        started: None,
        finished: None,
        cancel: None,
        retry_of,
    }
}

/// Where the lists find a run.
pub(crate) fn places(head: &Head) -> [(&'static str, String); 3] {
    let Head { id, kind, project, .. } = head;
    [
        (BY_PROJECT, format!("{project}/{id}")),
        (BY_KIND, format!("{kind}/{id}")),
        (BY_PROJECT_KIND, format!("{project}/{kind}/{id}")),
    ]
}

/// A run of the same plan that keeps what passed and does the rest again; with `step`, that one and all
/// that depend on it, too.
pub(crate) fn retry_in(
    tx: &mut Tx<'_>,
    run: &Id,
    step: Option<&str>,
    actor: Principal,
) -> Result<Id> {
    let old = Open::get(tx, run)?;
    if !old.state.head.state.is_finished() {
        return Err(error::unfinished());
    }
    let chosen = match step {
        Some(name) => Some(position(&old.plan, name)?),
        None => None,
    };
    let again = again(&old.graph, &old.state.steps, chosen);
    if again.iter().all(|again| !again) {
        return Err(error::nothing_to_retry());
    }
    let head = old.state.head;
    let rows = old.state.steps.into_iter().enumerate().zip(again);
    let mut kept: Vec<(usize, StepRow)> = rows
        .filter(|((_, row), again)| !again && row.state == StepState::Passed)
        .map(|((i, row), _)| (i, copy(row, run)))
        .collect();
    if let Some(i) = chosen {
        // Whoever names a manual step to run it again has said go.
        kept.push((i, StepRow { played: Some(actor.clone()), ..StepRow::default() }));
    }
    let new = NewRun {
        kind: head.kind,
        project: head.project,
        change: head.change,
        title: head.title,
        plan: std::sync::Arc::unwrap_or_clone(old.plan),
        actor,
        labels: head.labels,
        subject: head.subject,
        priority: head.priority,
    };
    insert(tx, new, Some(run.clone()), kept)
}

pub(crate) fn copy(row: StepRow, run: &Id) -> StepRow {
    StepRow { from: Some(row.from.clone().unwrap_or_else(|| run.clone())), ..row }
}

pub(crate) fn position(plan: &Plan, name: &str) -> Result<usize> {
    let found = plan.steps.iter().position(|s| s.name == name);
    found.ok_or_else(|| error::unknown_step(name))
}

/// Which steps must run again: the chosen one, those that did not pass, and all that depend on these. A
/// step that was skipped because nothing failed, or that nobody started by hand, is no reason to run
/// anything again; the new run simply decides about it anew.
fn again(graph: &Graph, rows: &[StepRow], chosen: Option<usize>) -> Vec<bool> {
    let mut again = vec![false; rows.len()];
    for &i in graph.order() {
        let above = graph.needs(i).iter().any(|n| again.get(*n) == Some(&true));
        let state = rows.get(i).map(|r| r.state).unwrap_or_default();
        let kept = matches!(
            state,
            StepState::Passed | StepState::Skipped | StepState::Waiting(crate::Wait::Manual)
        );
        if let Some(place) = again.get_mut(i) {
            *place = above || !kept || chosen == Some(i);
        }
    }
    again
}
