//! The one host a request is for.

use super::{Known, Reject, RequestHead, Version};
use std::borrow::Cow;

/// The authority as the client wrote it. An HTTP/1.0 request may have none: then it is empty.
///
/// # Errors
/// Host is missing, repeated, malformed, or differs from the authority of an absolute target.
pub fn authority<'a>(head: &RequestHead<'a>) -> Result<&'a [u8], Reject> {
    let mut hosts = head.values(Known::Host);
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Reject::HostRepeated);
    }
    if host.is_some_and(|h| !sound(h)) {
        return Err(Reject::HostMalformed);
    }
    match (head.authority, host) {
        (Some(authority), _) if !sound(authority) => Err(Reject::Target),
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            Err(Reject::HostDiffers)
        }
        (_, Some(host)) => Ok(host),
        (authority, None) if head.version == Version::Http10 => Ok(authority.unwrap_or_default()),
        (_, None) => Err(Reject::HostMissing),
    }
}

/// `host` or `host:port`, with a registered name, an IPv4 address or a bracketed IPv6 address. Of a
/// registered name only what DNS can carry is taken, and the underscore.
fn sound(authority: &[u8]) -> bool {
    let Some((host, port)) = split_port(authority) else { return false };
    let inner = match host {
        [b'[', inner @ .., b']'] => {
            return !inner.is_empty()
                && inner.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
        }
        name => name,
    };
    !inner.is_empty()
        && inner.len() <= 255
        && inner.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        && port.len() <= 5
}

fn split_port(authority: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = match authority.first() {
        Some(b'[') => authority.iter().position(|b| *b == b']')? + 1,
        _ => authority.iter().position(|b| *b == b':').unwrap_or(authority.len()),
    };
    match authority.split_at_checked(end)? {
        (host, []) => Some((host, &[])),
        (host, [b':', port @ ..]) if port.iter().all(u8::is_ascii_digit) => Some((host, port)),
        _ => None,
    }
}

/// The host of a sound authority as routes are keyed: lower case, without port and final dot.
pub fn host_key(authority: &[u8]) -> Cow<'_, str> {
    let host = split_port(authority).map_or(authority, |(host, _)| host);
    let host = std::str::from_utf8(host.strip_suffix(b".").unwrap_or(host)).unwrap_or_default();
    match host.bytes().any(|b| b.is_ascii_uppercase()) {
        true => Cow::Owned(host.to_ascii_lowercase()),
        false => Cow::Borrowed(host),
    }
}
