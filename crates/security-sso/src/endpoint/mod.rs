//! The endpoints of the protocols.

mod discovery;

use naru_http::Route;

pub(crate) const ROUTES: &[Route] = discovery::ROUTES;
