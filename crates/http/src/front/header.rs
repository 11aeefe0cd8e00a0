//! The headers of every answer.

use crate::Head;
use http::{HeaderMap, HeaderName, HeaderValue, header};

const SECURITY: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
         magnetometer=(), microphone=(), midi=(), payment=(), usb=()",
    ),
];

/// RFC 6797: a year of TLS alone.
const ALWAYS_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// What a handler has set itself stays.
pub(crate) fn secure(headers: &mut HeaderMap, head: &Head) {
    for (name, value) in SECURITY {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    // Only for a name of ours: every other port of `localhost` would be asked over TLS as well.
    if head.site.front.tls && head.header("host").is_some_and(super::host::is_public) {
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(ALWAYS_TLS);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&head.request) {
        headers.insert(super::request::HEADER, id);
    }
}
