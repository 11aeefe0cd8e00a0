//! What `fuzz/` throws bytes at: the readers of headers and queries, private otherwise.

use crate::{call, serve};
use http::HeaderMap;
use kernel::Lang;

/// The secret in an `Authorization` header.
pub fn secret(header: &str) -> Option<String> {
    serve::secret(header)
}

/// A cookie's value.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    call::cookie(headers, name)
}

/// The pairs of a query or a form.
pub fn pairs(words: &str) -> Vec<(String, String)> {
    call::pairs(words)
}

/// The language in which the caller reads.
pub fn language(headers: &HeaderMap) -> Lang {
    serve::language(headers)
}
