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
mod graph;
mod interpret;
mod log;
mod perform;
mod plan;
mod queue;
mod scheduler;
mod settle;
mod show;
mod state;
mod turn;

pub use actor::{Actor, Outcome, Task};
pub use create::NewRun;
pub use engine::{Engine, Options};
pub use log::StepLog;
pub use plan::{Action, Group, Need, Plan, Retry, Step, When};
pub use show::{Run, StepView};
pub use state::{Attempt, RunState, StepState, Wait};
#[cfg(test)]
mod tests;
