//! Who may do what: shown, explained, asked for. What is decided, and how, is `policy`'s.

mod api;
mod cmd;
mod page;
mod sync;

pub use sync::start;

use naru_http::Route;
use part::{Part, concat};

const ROUTES: &[Route] =
    &concat::<{ api::ROUTES.len() + page::ROUTES.len() }>(api::ROUTES, page::ROUTES);

pub static PART: Part = Part {
    name: "security-access",
    about: ("policies, grants, who may what", "정책, 임시 권한, 누가 무엇을 할 수 있는지"),
    routes: ROUTES,
    commands: cmd::COMMANDS,
    ..Part::EMPTY
};
