//! Processes on this machine, for jobs and for instances of services.
//!
//! The parent of each workload is a shim (`naru shim`, the same program), not the server: it holds the
//! namespaces, collects the exit and the log, and outlives the server. A server that starts again finds
//! its workloads in the state directory and attaches to them.
//!
//! Invariants:
//! - Starting an id that is already there attaches to it; a workload is never started twice.
//! - An exit is on disk before anyone hears of it.
//! - A workload is killed as a whole, whatever it forked.

mod spec;

pub use spec::{Exit, Hidden, Limits, Mount, MountKind, Reason, Sandbox, Spec};
