//! A plan that has been checked, with its names resolved.

use crate::Plan;
use kernel::{Error, Result, Text, text};
use std::collections::HashMap;

const MAX_STEPS: usize = 5_000;
const MAX_NEEDS: usize = 50_000;
const MAX_NAME: usize = 255;
const MAX_RETRIES: u32 = 100;

/// Indexes instead of names, in an order in which every step comes after all that it needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Graph {
    needs: Vec<Vec<usize>>,
    order: Vec<usize>,
}

impl Plan {
    /// Whether this plan can be run.
    ///
    /// # Errors
    /// `plan.too_large` (more than 5,000 steps or 50,000 needs), `plan.name` (empty, too long, control
    /// characters), `plan.duplicate`, `plan.need` (an unknown step), `plan.retry` (more than 100),
    /// `plan.group` (no slots), `plan.cycle`. Each names the step.
    pub fn check(&self) -> Result<()> {
        Graph::of(self).map(drop)
    }
}

impl Graph {
    pub fn of(plan: &Plan) -> Result<Graph> {
        if plan.steps.len() > MAX_STEPS {
            let n = plan.steps.len();
            return Err(Error::invalid(
                "plan.too_large",
                text!(
                    "the plan has {n} steps, the limit is {MAX_STEPS}",
                    "계획의 단계가 {n}개입니다. 최대 {MAX_STEPS}개까지 가능합니다"
                ),
            ));
        }
        let index = names(plan)?;
        let needs = needs(plan, &index)?;
        let order = order(&needs).map_err(|ring| cycle(plan, &ring))?;
        Ok(Graph { needs, order })
    }

    /// Every step after all that it needs.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    pub fn needs(&self, step: usize) -> &[usize] {
        self.needs.get(step).map_or(&[], Vec::as_slice)
    }
}

fn names(plan: &Plan) -> Result<HashMap<&str, usize>> {
    let mut index = HashMap::with_capacity(plan.steps.len());
    for (i, step) in plan.steps.iter().enumerate() {
        let name = step.name.as_str();
        if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
            let n = i + 1;
            return Err(Error::invalid(
                "plan.name",
                text!(
                    "step {n} needs a name of 1 to {MAX_NAME} bytes without control characters",
                    "{n}번째 단계의 이름은 제어 문자 없이 1~{MAX_NAME}바이트여야 합니다"
                ),
            ));
        }
        if index.insert(name, i).is_some() {
            return Err(Error::invalid(
                "plan.duplicate",
                text!("two steps are called “{name}”", "“{name}” 단계가 두 개 있습니다"),
            ));
        }
        limits(step)?;
    }
    Ok(index)
}

fn limits(step: &crate::Step) -> Result<()> {
    let name = &step.name;
    if step.retry.max > MAX_RETRIES {
        let n = step.retry.max;
        return Err(Error::invalid(
            "plan.retry",
            text!(
                "“{name}” asks for {n} retries, the limit is {MAX_RETRIES}",
                "“{name}” 단계의 재시도가 {n}번입니다. 최대 {MAX_RETRIES}번까지 가능합니다"
            ),
        ));
    }
    if step.group.as_ref().is_some_and(|g| g.slots == 0) {
        return Err(Error::invalid(
            "plan.group",
            text!(
                "“{name}” could never run: its group has no slots",
                "“{name}” 단계의 그룹에 자리가 없어 실행할 수 없습니다"
            ),
        ));
    }
    Ok(())
}

fn needs(plan: &Plan, index: &HashMap<&str, usize>) -> Result<Vec<Vec<usize>>> {
    let total: usize = plan.steps.iter().map(|s| s.needs.len()).sum();
    if total > MAX_NEEDS {
        return Err(Error::invalid(
            "plan.too_large",
            text!(
                "the plan has {total} needs, the limit is {MAX_NEEDS}",
                "계획의 needs가 {total}개입니다. 최대 {MAX_NEEDS}개까지 가능합니다"
            ),
        ));
    }
    let resolve = |step: &crate::Step| {
        let find = |need: &crate::Need| {
            index.get(need.step.as_str()).copied().ok_or_else(|| unknown(&step.name, &need.step))
        };
        step.needs.iter().map(find).collect()
    };
    plan.steps.iter().map(resolve).collect()
}

fn unknown(step: &str, need: &str) -> Error {
    Error::invalid(
        "plan.need",
        text!(
            "“{step}” needs “{need}”, which is not in the plan",
            "“{step}” 단계가 필요로 하는 “{need}” 단계가 계획에 없습니다"
        ),
    )
}

/// Kahn's algorithm; what is left over holds a cycle, which comes back as the error, first step first.
fn order(needs: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut missing: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut dependents = vec![Vec::new(); needs.len()];
    for (step, needed) in needs.iter().enumerate() {
        for need in needed {
            if let Some(list) = dependents.get_mut(*need) {
                list.push(step);
            }
        }
    }
    let mut out: Vec<usize> = (0..needs.len()).filter(|i| missing.get(*i) == Some(&0)).collect();
    let mut next = 0;
    while let Some(done) = out.get(next).copied() {
        next += 1;
        for step in dependents.get(done).into_iter().flatten() {
            if let Some(left) = missing.get_mut(*step) {
                *left -= 1;
                if *left == 0 {
                    out.push(*step);
                }
            }
        }
    }
    if out.len() == needs.len() { Ok(out) } else { Err(ring(needs, &missing)) }
}

/// Walks from a left-over step along left-over needs until it meets its own track.
fn ring(needs: &[Vec<usize>], missing: &[usize]) -> Vec<usize> {
    let left = |i: &usize| missing.get(*i).is_some_and(|m| *m > 0);
    let mut track = Vec::new();
    let mut at = (0..needs.len()).find(left);
    while let Some(step) = at {
        if let Some(start) = track.iter().position(|seen| *seen == step) {
            return track.split_off(start);
        }
        track.push(step);
        at = needs.get(step).and_then(|n| n.iter().copied().find(left));
    }
    track
}

fn cycle(plan: &Plan, ring: &[usize]) -> Error {
    let closed = ring.iter().chain(ring.first());
    let names: Vec<&str> =
        closed.filter_map(|i| plan.steps.get(*i)).map(|s| s.name.as_str()).take(20).collect();
    let names = names.join(" → ");
    Error::invalid(
        "plan.cycle",
        text!("these steps need each other: {names}", "단계들이 서로를 필요로 합니다: {names}"),
    )
    .hint(Text::fixed("take one of these needs away", "이 중 하나의 needs를 없애세요"))
}
