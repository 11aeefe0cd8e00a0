//! An open-loop HTTP load generator, and the statistics that judge what it measured.
//!
//! A test is a file in k6's words (`file`), compiled once into a plan (`plan`) in which every name, template
//! and threshold is already checked. `engine` runs the plan: requests are due at their times whatever the
//! answers do, and latency counts from the due time, so a server that stalls is seen to stall. `report` is
//! what a run leaves, in the shape of k6's summary with whole histograms beside it; `judge` says whether one
//! run, or one server, is slower than another.
//!
//! Invariants:
//! - No request waits for an answer to become due. What cannot start for want of a free VU is counted.
//! - Every result says how late its requests were sent and what the generator itself costs.
//! - Memory is bounded by the plan, never by how long it runs or by what a server answers.
//! - `judge` never decides from one threshold: it answers `cannot tell` where the noise is larger.

mod calibrate;
mod csv;
mod engine;
pub mod file;
mod find;
mod flow;
pub mod interleave;
pub mod judge;
mod limits;
pub mod machine;
pub mod metric;
mod net;
pub mod plan;
mod read;
pub mod report;
pub mod schedule;
pub mod stats;
mod template;
pub mod threshold;
mod timer;
mod wire;

pub use calibrate::{Calibration, calibrate};
pub use engine::{Live, Options, Outcome, run};
pub use plan::Plan;
pub use read::read;

#[cfg(test)]
mod tests;
