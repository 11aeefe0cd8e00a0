//! Pages.

pub(crate) mod ask;
mod look;
mod mine;

use naru_http::Route;
use part::concat;

const OTHERS: &[Route] =
    &concat::<{ look::ROUTES.len() + mine::ROUTES.len() }>(look::ROUTES, mine::ROUTES);
pub(crate) const ROUTES: &[Route] =
    &concat::<{ ask::ROUTES.len() + OTHERS.len() }>(ask::ROUTES, OTHERS);
