//! Pages of changes and key metrics.

use naru_http::Route;

pub const ROUTES: &[Route] = &[];
