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
//! - The shim runs on one thread and knows no async runtime; the server never forks.

mod abilities;
mod cgroup;
mod console;
mod host;
mod link;
mod mask;
mod shim;
mod spec;
mod state;
mod sys;
pub mod testing;
mod toolchain;
mod wire;
mod workload;

pub use abilities::{Abilities, Cgroups, Namespaces};
pub use console::{Console, Terminal};
pub use host::{Host, Options};
pub use mask::Mask;
pub use shim::shim_main;
pub use spec::{Exit, Hidden, Keep, Limits, Mount, MountKind, Private, Reason, Sandbox, Spec};
pub use toolchain::toolchain_mounts;
pub use wire::{Size, Usage};
pub use workload::Workload;

/// Where a sandbox finds the files of [`Private`].
pub const SECRETS: &str = "/run/secrets";

/// A TCP port on 127.0.0.1 that is free right now. Nothing reserves it: whoever is told to listen there
/// must be ready to find it taken.
///
/// # Errors
/// Internal when the machine has no port left.
pub fn free_port() -> kernel::Result<u16> {
    let listener =
        std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(kernel::Error::internal)?;
    Ok(listener.local_addr().map_err(kernel::Error::internal)?.port())
}
