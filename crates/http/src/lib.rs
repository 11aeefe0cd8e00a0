//! The edge of the API: routes, who is asking, generic resources, watches.
//!
//! Parts give plain tables of [`Route`]s; [`Site`] holds what every request may need; [`serve`] is the
//! listener. A handler gets a [`Call`] whose principal has already been found and whose right has already
//! been decided: a route without an [`Access`] does not compile, and `Public` has to be said.

mod assets;
mod call;
pub mod front;
#[doc(hidden)]
pub mod fuzz;
mod gate;
mod generic;
mod hold;
mod listen;
mod openapi;
mod place;
mod reply;
mod review;
mod route;
mod serve;
mod site;
mod sse;

pub use axum::body::Body;
pub use call::{Call, Head, pairs};
pub use front::Front;
pub use hold::{Tunnel, Upgrade};
pub use http::Uri;
pub use listen::{Door, Limits, Pace, listen};
pub use place::PRODUCTION;
pub use reply::{Response, empty, found, html, json, json_status, text};
pub use route::{Access, Asset, Handler, Route, Verb, undeclared};
pub use serve::serve;
pub use site::{ErrorPage, Site, SiteOptions};
pub use sse::{Frame, sse, sse_written};
