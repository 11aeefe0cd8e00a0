//! The house's own nouns on its surfaces: projects, resources, runs, events.
//!
//! Everything here is about nouns that no domain owns; a domain's own nouns come with its part.

mod apply;
mod event;
mod log;
mod manifest;
pub mod page;
mod resource;
mod runs;

use part::Part;

pub use manifest::{Document, read_documents};

/// Opened state for the handlers: the engine behind runs.
#[derive(Clone)]
pub struct Console {
    pub engine: run::Engine,
}

pub static PART: Part = Part {
    name: "console",
    about: ("projects, resources, runs, events", "프로젝트, 리소스, 실행, 이벤트"),
    kinds: policy::KINDS,
    routes: ROUTES,
    commands: COMMANDS,
    ..Part::EMPTY
};

const COMMANDS: &[cli::Command] = &[
    apply::APPLY,
    resource::GET,
    resource::DESCRIBE,
    resource::DELETE,
    apply::DIFF,
    resource::KINDS,
    resource::EXPLAIN,
    resource::PROJECT,
    runs::COMMAND,
    event::COMMAND,
];

const ROUTES: &[naru_http::Route] =
    &concat::<{ API.len() + page::ROUTES.len() }>(API, page::ROUTES);

const API: &[naru_http::Route] =
    &concat::<{ runs::ROUTES.len() + event::ROUTES.len() }>(runs::ROUTES, event::ROUTES);

use part::concat;
