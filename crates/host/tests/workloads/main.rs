//! Real workloads under the real shim.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod console;
mod lifetime;
mod limits;
mod private;
mod restart;
mod rig;
mod sandbox;
mod unprivileged;
