//! What a part offers over HTTP, as plain data.

use crate::{Call, Response};
use http::Method;
use kernel::kind::Text2;
use kernel::{BoxFuture, Result};
use policy::{Action, Permission};
use std::collections::BTreeSet;

/// Who may call a route. Checked before the handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: health, sign-in, assets.
    Public,
    /// Anybody, and other sites' pages too, as OAuth 2.0 has it. A session decides nothing here: what does not only read
    /// is not even told who asks.
    CrossSite,
    /// Anybody who is signed in; the handler shows each caller only what is theirs.
    SignedIn,
    /// A right in the project named by the path's `{project}`.
    Project(Permission),
    /// An action: in the project named by the path's `{project}`, on the platform when it names none.
    Action(Action),
    /// Administrators of the platform.
    Platform,
    /// The handler decides, because the path does not say enough (git's services). It asks for this at least, in the
    /// project that it finds.
    Inside(Permission),
}

pub type Handler = fn(Call) -> BoxFuture<'static, Result<Response>>;

/// One method of one path. Paths use `{name}` for a segment and `{*rest}` for all that follows.
#[derive(Clone, Copy)]
pub struct Route {
    pub method: Verb,
    pub path: &'static str,
    pub access: Access,
    pub about: Text2,
    /// `|call| Box::pin(handler(call))`
    pub handle: Handler,
}

/// Methods that a static table can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Get,
    Put,
    Post,
    Patch,
    Delete,
    /// What a browser asks before another site's page may call (CORS preflight).
    Options,
}

impl Verb {
    pub fn http(self) -> Method {
        match self {
            Verb::Get => Method::GET,
            Verb::Put => Method::PUT,
            Verb::Post => Method::POST,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
            Verb::Options => Method::OPTIONS,
        }
    }
}

impl Route {
    /// Whether it has to do without knowing who asks.
    pub(crate) fn blind(&self) -> bool {
        self.access == Access::CrossSite && self.method != Verb::Get
    }

    pub const fn get(path: &'static str, access: Access, about: Text2, handle: Handler) -> Route {
        Route { method: Verb::Get, path, access, about, handle }
    }
    pub const fn post(path: &'static str, access: Access, about: Text2, handle: Handler) -> Route {
        Route { method: Verb::Post, path, access, about, handle }
    }
    pub const fn put(path: &'static str, access: Access, about: Text2, handle: Handler) -> Route {
        Route { method: Verb::Put, path, access, about, handle }
    }
    pub const fn patch(path: &'static str, access: Access, about: Text2, handle: Handler) -> Route {
        Route { method: Verb::Patch, path, access, about, handle }
    }
    pub const fn delete(
        path: &'static str,
        access: Access,
        about: Text2,
        handle: Handler,
    ) -> Route {
        Route { method: Verb::Delete, path, access, about, handle }
    }
    pub const fn options(
        path: &'static str,
        access: Access,
        about: Text2,
        handle: Handler,
    ) -> Route {
        Route { method: Verb::Options, path, access, about, handle }
    }
}

/// What is wrong with a table of routes. A server does not start with one of these: a route that nobody declared would
/// be one that nobody decides about.
pub fn undeclared(routes: &[Route]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for route in routes {
        let name = format!("{} {}", route.method.http(), route.path);
        let in_project = route.path.contains("{project}");
        let fault = match route.access {
            Access::Project(_) if !in_project => Some("a right in a project, and no project"),
            Access::Action(action) if in_project && !action.in_projects() => {
                Some("an action that is never done in a project")
            }
            Access::Action(action) if !in_project && !action.on_platform() => {
                Some("an action of projects, and no project")
            }
            Access::Inside(_) if !in_project && !route.path.contains("{id}") => {
                Some("nothing to find a project by")
            }
            _ => None,
        };
        wrong.extend(fault.map(|fault| format!("{name}: {fault}")));
        if !seen.insert(name.clone()) {
            wrong.push(format!("{name}: declared twice"));
        }
    }
    wrong
}

/// A file of the program itself, served under `/assets/<name>` and cached for ever by its hash.
#[derive(Clone, Copy)]
pub struct Asset {
    pub name: &'static str,
    pub content_type: &'static str,
    pub bytes: &'static [u8],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &'static str, access: Access) -> Route {
        Route::get(path, access, ("", ""), |_| Box::pin(async { Ok(crate::empty()) }))
    }

    #[test]
    fn a_route_without_somebody_to_decide_about_it_is_found() {
        let view = Access::Project(Permission::View);
        let all = [
            route("/projects/{project}", view),
            route("/lost", view),
            route("/projects/{project}/audit", Access::Action(Action::AuditRead)),
            route("/deploy", Access::Action(Action::Deploy)),
            route("/repositories/{name}", Access::Inside(Permission::View)),
            route("/projects/{project}", Access::Public),
        ];
        let found = undeclared(&all);
        assert_eq!(found.len(), 5, "{found:?}");
        assert!(found.iter().all(|f| !f.starts_with("GET /projects/{project}: a")), "{found:?}");
        assert!(undeclared(&all[..1]).is_empty());
    }
}
