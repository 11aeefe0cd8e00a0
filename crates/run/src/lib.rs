//! The durable engine: a run is a graph of steps that survives `kill -9`.
//!
//! Pipelines, rollouts and, later, workflows compile to the same [`Plan`]. The interpreter is a pure
//! function from a plan and what has happened to what to do next; each transition is one transaction, and
//! actors act only after it is durable.
//!
//! Invariants:
//! - A step runs at least once and its result is recorded exactly once.
//! - A finished step never runs again within its run.
//! - A slot of a concurrency group is a running step in the store, never a counter.

mod plan;

pub use plan::{Action, Group, Need, Plan, Retry, Step, When};
