//! The cookie of a browser's session.
//!
//! It is out of reach of scripts (`HttpOnly`) and of other sites' requests but for following a link
//! (`SameSite=Lax`). Over TLS it is `Secure` and named `__Host-…`, so that nothing on another host or in plain
//! HTTP can plant one (RFC 6265bis §4.1.3.2).

use crate::Head;
use http::HeaderValue;
use kernel::{Error, Result};
use std::time::Duration;

const PLAIN: &str = "naru_session";
const SECURE: &str = "__Host-naru_session";

fn name(tls: bool) -> &'static str {
    if tls { SECURE } else { PLAIN }
}

/// The session's secret as the browser sent it.
pub fn session(head: &Head) -> Option<&str> {
    head.cookie(name(head.site.front.tls))
}

/// The value of `Set-Cookie` that keeps a session for `lasts`.
///
/// # Errors
/// Internal, when `secret` cannot stand in a cookie.
pub fn keep(head: &Head, secret: &str, lasts: Duration) -> Result<HeaderValue> {
    keep_as(head, name(head.site.front.tls), secret, lasts)
}

/// As [`keep`], for another secret of the browser's, under a name of its own.
///
/// # Errors
/// As [`keep`].
pub fn keep_as(head: &Head, name: &str, secret: &str, lasts: Duration) -> Result<HeaderValue> {
    written(head.site.front.tls, name, secret, lasts)
}

/// The value of `Set-Cookie` that ends it.
pub fn end(head: &Head) -> Result<HeaderValue> {
    keep(head, "", Duration::ZERO)
}

fn written(tls: bool, name: &str, secret: &str, lasts: Duration) -> Result<HeaderValue> {
    let fine = |b: u8| b.is_ascii_graphic() && !b"\",;\\".contains(&b);
    if !secret.bytes().all(fine) {
        return Err(Error::internal("a session's secret that does not fit in a cookie"));
    }
    let secure = if tls { "; Secure" } else { "" };
    let seconds = lasts.as_secs();
    let words =
        format!("{name}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&words).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_with_and_without_tls() {
        let day = Duration::from_secs(86400);
        assert_eq!(
            written(false, name(false), "abc", day).unwrap(),
            "naru_session=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400"
        );
        assert_eq!(
            written(true, name(true), "abc", day).unwrap(),
            "__Host-naru_session=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400; Secure"
        );
        assert!(written(true, name(true), "a; Domain=evil", day).is_err());
        assert!(written(true, name(true), "a\r\nSet-Cookie: b", day).is_err());
    }
}
