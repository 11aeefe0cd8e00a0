//! The internal CA of this naru: its roots, what they have signed and for whom, and how to trust them.
//!
//! What a certificate is, is `authority`'s. Here is when one is made and who hears of it: each that is signed, taken
//! back or followed by another is a row and an event in one transaction, before anybody gets it.
//!
//! Never: a private key of somebody else's certificate on the server; a server that starts with TLS while the key of
//! the CA that its clients trust is lost.

mod api;
mod cmd;
mod keep;
mod open;
mod page;
mod record;
mod renew;
mod trusting;

pub use open::{Authority, Options, Serves};
pub use record::Issued;

use naru_http::Route;
use part::{Part, concat};

const ROUTES: &[Route] =
    &concat::<{ api::ROUTES.len() + page::ROUTES.len() }>(api::ROUTES, page::ROUTES);

pub static PART: Part = Part {
    name: "security-authority",
    about: ("the internal CA", "내부 CA"),
    routes: ROUTES,
    commands: &[cmd::COMMAND],
    ..Part::EMPTY
};
