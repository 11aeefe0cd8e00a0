//! People, groups and service accounts on all surfaces: signing in, one's own account, and the accounts of others.
//!
//! What an account is and how a sign-in is decided is the engine `account`'s; this part asks, and shows.

mod api;
mod cmd;
mod door;
mod fresh;
mod group;
mod me;
mod offboard;
mod people;
mod qr;
mod service;
mod shown;
mod sign_in;
#[cfg(test)]
mod tests;
mod token;

use naru_http::Route;
use part::{Part, concat};

pub static PART: Part = Part {
    name: "security-directory",
    about: ("people, groups, service accounts, sign-in", "사람, 그룹, 서비스 계정, 로그인"),
    kinds: account::KINDS,
    routes: ROUTES,
    commands: cmd::COMMANDS,
    ..Part::EMPTY
};

const API: &[Route] =
    &concat::<{ api::ROUTES.len() + token::ROUTES.len() }>(api::ROUTES, token::ROUTES);
const OWN: &[Route] =
    &concat::<{ sign_in::ROUTES.len() + me::ROUTES.len() }>(sign_in::ROUTES, me::ROUTES);
const GROUPS: &[Route] =
    &concat::<{ group::ROUTES.len() + service::ROUTES.len() }>(group::ROUTES, service::ROUTES);
const OTHERS: &[Route] = &concat::<{ people::ROUTES.len() + GROUPS.len() }>(people::ROUTES, GROUPS);
const PAGES: &[Route] = &concat::<{ OWN.len() + OTHERS.len() }>(OWN, OTHERS);
const ROUTES: &[Route] = &concat::<{ API.len() + PAGES.len() }>(API, PAGES);
