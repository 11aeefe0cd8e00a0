//! The endpoints of the protocols.

pub(crate) mod authorize;
pub(crate) mod discovery;
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
pub(crate) const ROUTES: &[Route] = &concat::<{ READ.len() + SIGN.len() }>(READ, SIGN);
