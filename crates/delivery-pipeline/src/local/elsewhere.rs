//! Steps that start pipelines elsewhere: said, and skipped.

use crate::trigger_plan::{MIRRORS, Target, Trigger, USES};
use kernel::{BoxFuture, Text, text};
use run::{Actor, Outcome, Task};
use serde_json::json;
use std::sync::Arc;

/// Stands before the actor of the same name, if there is one, which gets what can be done here.
pub struct Elsewhere {
    pub uses: &'static str,
    pub here: Option<Arc<dyn Actor>>,
}

/// The actors of local runs for steps that have to do with other pipelines.
pub fn actors(all: &[Arc<dyn Actor>]) -> Vec<Arc<dyn Actor>> {
    let one = |uses: &'static str| -> Arc<dyn Actor> {
        Arc::new(Elsewhere { uses, here: all.iter().find(|a| a.uses() == uses).cloned() })
    };
    vec![one(USES), one(MIRRORS)]
}

impl Actor for Elsewhere {
    fn uses(&self) -> &'static str {
        self.uses
    }

    fn light(&self) -> bool {
        true
    }

    fn act(&self, task: Task) -> BoxFuture<'static, Outcome> {
        let target = serde_json::from_value::<Trigger>(task.with.clone()).ok().map(|t| t.target);
        match (target, &self.here) {
            (Some(Target::Child { .. }), Some(here)) => here.act(task),
            (target, _) => {
                task.log.note(&skipped(target));
                Box::pin(std::future::ready(Outcome::Done(json!({}))))
            }
        }
    }
}

fn skipped(target: Option<Target>) -> Text {
    match target {
        Some(Target::Repository { path, .. }) => text!(
            "the pipeline of {path} is started on the server alone: skipped here",
            "{path} 파이프라인은 서버에서만 시작합니다. 여기서는 건너뜁니다"
        ),
        Some(Target::Child { name, .. }) => text!(
            "the pipeline of {name} is started on the server alone: skipped here",
            "{name} 파이프라인은 서버에서만 시작합니다. 여기서는 건너뜁니다"
        ),
        None => Text::fixed(
            "another pipeline is not waited for here: skipped",
            "여기서는 다른 파이프라인을 기다리지 않습니다. 건너뜁니다",
        ),
    }
}
