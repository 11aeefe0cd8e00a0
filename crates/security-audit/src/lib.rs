//! What was done and what was refused, and the proof that none of it was changed.
//!
//! The journal's hash chain (`store`) shows a changed entry. Here the chain is signed every minute in which there
//! is news ([`Checkpoint`]), and each signature goes to a file beside the store as well, so that a cut end is
//! noticed: at the start of the server, by `naru audit verify`, and, from an export and the public key alone, on
//! any other machine.
//!
//! Never: a checkpoint of what is not on disk yet; more than a bounded number of events for refusals, whoever asks.

mod api;
mod audit;
mod check;
mod checkpoint;
mod cmd;
mod export;
mod key;
mod offline;
mod page;
mod query;
mod refusals;
mod settle;
mod trail;

pub use audit::{Audit, Options};
pub use check::{Chain, Judge, Report};
#[doc(hidden)]
pub use checkpoint::fuzz as fuzz_checkpoints;
pub use checkpoint::{Checkpoint, Lost, Standing};
pub use key::{PublicKey, SigningKey};
pub use offline::verify as verify_export;

use naru_http::Route;
use part::{Part, concat};

const ROUTES: &[Route] =
    &concat::<{ api::ROUTES.len() + page::ROUTES.len() }>(api::ROUTES, page::ROUTES);

pub static PART: Part = Part {
    name: "security-audit",
    about: ("audit", "감사"),
    routes: ROUTES,
    commands: &[cmd::COMMAND],
    ..Part::EMPTY
};
