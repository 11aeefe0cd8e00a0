//! The endpoints of the protocols.

pub(crate) mod authorize;
mod device;
pub(crate) mod discovery;
mod end_session;
pub(crate) mod leave;
mod look;
mod token;
pub(crate) mod wire;

use naru_http::Route;
use part::concat;

const READ: &[Route] =
    &concat::<{ discovery::ROUTES.len() + look::ROUTES.len() }>(discovery::ROUTES, look::ROUTES);
const SIGN: &[Route] =
    &concat::<{ authorize::ROUTES.len() + token::ROUTES.len() }>(authorize::ROUTES, token::ROUTES);
const MORE: &[Route] = &concat::<{ device::ROUTES.len() + end_session::ROUTES.len() }>(
    device::ROUTES,
    end_session::ROUTES,
);
const MOST: &[Route] = &concat::<{ READ.len() + SIGN.len() }>(READ, SIGN);
pub(crate) const ROUTES: &[Route] = &concat::<{ MOST.len() + MORE.len() }>(MOST, MORE);
