//! Applications that people sign in to with their naru account: an OpenID provider (OpenID Connect Core 1.0) and
//! authorization server (RFC 6749, RFC 9700).
//!
//! An application is the resource [`Application`]. What people have granted it, and the tokens that came of it, are
//! rows; a token's text is given out once and kept as its hash, and it is worth something only as long as its grant is
//! there. What may be is decided by pure functions in `plan`; the endpoints in `endpoint` read, decide and write.
//!
//! Invariants:
//! - Nobody is sent to an address that the application has not registered.
//! - A code works once. Whoever shows it again ends what came of it.
//! - A grant ends with the account, the application, and, unless the person agreed to more, the session that it was
//!   made in.
//! - There is one issuer and one key set, for people, jobs and instances.

mod api;
mod back_channel;
mod claims;
mod client;
mod cmd;
mod code;
mod consent;
mod device;
mod end;
mod endpoint;
mod grant;
mod guesses;
pub mod kind;
mod manage;
mod page;
pub mod plan;
mod secret;
mod state;
#[cfg(test)]
mod tests;

pub use kind::{Application, ApplicationStatus};
pub use manage::{ApplicationView, Mine, SignIn};
pub use secret::SecretView;
pub use state::{Options, Sso};

use naru_http::{Asset, Route};
use part::{Part, concat};

pub(crate) const PART_NAME: &str = "security-sso";

pub static PART: Part = Part {
    name: PART_NAME,
    about: ("applications that people sign in to", "사람들이 로그인하는 애플리케이션"),
    kinds: kind::KINDS,
    routes: ROUTES,
    commands: &[cmd::COMMAND],
    assets: &[Asset {
        name: endpoint::leave::SCRIPT,
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("assets/send-form.js"),
    }],
};

const OWN: &[Route] =
    &concat::<{ api::ROUTES.len() + page::ROUTES.len() }>(api::ROUTES, page::ROUTES);
const ROUTES: &[Route] = &concat::<{ endpoint::ROUTES.len() + OWN.len() }>(endpoint::ROUTES, OWN);
