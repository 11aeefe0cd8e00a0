//! `naru run`: a pipeline on a developer's own working tree, without a server.
//!
//! ```text
//! repository (snapshot, uncommitted changes included) ─► source ─► prepare, as for a push
//!            ─► choose (pure) ─► the engine, the executor, caches and artifacts of the server
//!            ─► follow, screen ─► outcome
//! ```
//! Invariants:
//! - Nothing in the developer's repository is changed, and no job can write to it.
//! - What runs is what a push would run: the same reader, engine and sandbox.
//! - A secret from the developer's file is neither stored nor shown.
//! - When the command has ended, nothing that it started runs on.

mod ask;
mod choose;
mod cmd;
mod elsewhere;
mod enter;
mod follow;
pub(crate) mod frames;
mod git;
mod includes;
mod junit;
mod kept;
mod keys;
mod outcome;
mod parcel;
mod place;
pub(crate) mod receive;
mod repository;
mod screen;
mod secrets;
mod session;
mod shell;
mod signals;
mod source;
mod submodules;
mod times;
mod upload;
mod watch;
mod watcher;
mod world;

pub(crate) use cmd::COMMAND;
