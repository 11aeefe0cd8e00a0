//! What a part offers over HTTP, as plain data.

use crate::{Call, Response};
use http::Method;
use kernel::kind::Text2;
use kernel::{BoxFuture, Result};
use policy::{Action, Permission};

/// Who may call a route. Checked before the handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: health, sign-in, assets.
    Public,
    /// Anybody who is signed in; the handler shows each caller only what is theirs.
    SignedIn,
    /// A right in the project named by the path's `{project}`.
    Project(Permission),
    /// An action: in the project named by the path's `{project}`, on the platform when it names none.
    Action(Action),
    /// Administrators of the platform.
    Platform,
    /// The handler decides, because the path does not say enough (git's services).
    Inside,
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

/// A file of the program itself, served under `/assets/<name>` and cached for ever by its hash.
#[derive(Clone, Copy)]
pub struct Asset {
    pub name: &'static str,
    pub content_type: &'static str,
    pub bytes: &'static [u8],
}
