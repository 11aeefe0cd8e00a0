//! Pages of the house's own nouns.

use naru_http::Route;

pub const ROUTES: &[Route] = &[];
