//! Pages.

pub(crate) mod ask;

use naru_http::Route;

pub(crate) const ROUTES: &[Route] = ask::ROUTES;
