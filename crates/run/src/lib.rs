//! The durable engine: a run is a graph of steps that survives `kill -9`.
//!
//! Pipelines, rollouts and, later, workflows compile to the same [`Plan`]. The interpreter is a pure
//! function from a plan and what has happened to what to do next; each transition is one transaction, and
//! actors act only after it is durable.
//!
//! ```text
//! create_in ─► run.created ─► scheduler ─► interpret ─► queue ─► commit ─► actor ─► outcome ─► scheduler
//!                                pure:      what next   who next
//! ```
//!
//! Events, all about the subject `Run/<project>/<id>` and with `run` and `kind` in their data:
//!
//! | Kind | More data |
//! |---|---|
//! | `run.created` | `title`, `steps` (how many), `retry_of` |
//! | `run.step.started` | `step`, `stage`, `index` (its place in the plan), `attempt` |
//! | `run.step.retried` | as above: this attempt failed, another follows |
//! | `run.step.finished` | as above and `verdict` (a [`StepState`]), `ready_at`, `started`, `finished`, `reason`, `class`, `exit_code` |
//! | `run.step.played` | `step`, `stage`, `index`, `attempt`; the actor is who said go |
//! | `run.cancel.requested` | `reason`; the actor is who asked |
//! | `run.waiting`, `run.finished` | `verdict`, `reason`, `created`, `started`, `finished`, `subject` |
//!
//! Steps that never started (skipped, canceled) have no event of their own. A run finishes again after a
//! manual step was played that it had not waited for.
//!
//! Invariants:
//! - A step runs at least once and its result is recorded exactly once.
//! - A finished step never runs again within its run.
//! - A slot of a concurrency group is a running step in the store, never a counter.
//! - Nothing here polls: the scheduler wakes for a message or for the earliest deadline, and else sleeps.

mod actor;
mod ask;
mod create;
mod engine;
mod error;
mod facts;
mod glance;
mod graph;
mod group;
mod import;
mod interpret;
pub mod log;
mod perform;
mod plan;
mod queue;
mod scheduler;
mod settle;
mod show;
mod state;
mod turn;

pub use actor::{Actor, EXCUSED, Outcome, Task};
pub use create::NewRun;
pub use engine::{Engine, Options, Superseded};
pub use glance::{is_running, project_of};
pub use import::Import;
pub use log::StepLog;
pub use plan::{Action, Group, Need, Order, Plan, Retry, Step, When};
pub use show::{Run, StepView};
pub use state::{Attempt, RunState, StepState, Wait};
#[cfg(test)]
mod tests;
