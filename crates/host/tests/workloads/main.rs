//! Real workloads under the real shim.

mod lifetime;
mod limits;
mod rig;
mod sandbox;
mod unprivileged;
