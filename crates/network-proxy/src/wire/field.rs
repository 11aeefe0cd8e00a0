//! Header fields.

use super::Reject;

/// One field line. `value` has no blanks around it and no CR, LF or NUL in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
    pub known: Known,
}

/// Fields that an intermediary must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Other,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    /// Hop by hop and of no use to us: Keep-Alive, Proxy-Connection, Proxy-Authorization, HTTP2-Settings …
    Hop,
    Te,
    Trailer,
    Upgrade,
    Expect,
    /// X-Forwarded-*, Forwarded, X-Real-IP: the edge says these itself.
    Forwarded,
    Via,
    RequestId,
    Traceparent,
    /// Authorization, Cookie and their like.
    Auth,
    Accept,
    AcceptLanguage,
    /// A known name written with `_` for `-`: many programs cannot tell the two apart.
    Twin,
}

/// Longer names are never known ones.
const LONGEST: usize = 24;

impl Known {
    pub fn of(name: &[u8]) -> Known {
        let mut lower = [0u8; LONGEST];
        let Some(lower) = lower.get_mut(..name.len()) else { return Known::Other };
        let mut twin = false;
        for (to, from) in lower.iter_mut().zip(name) {
            twin |= *from == b'_';
            *to = if *from == b'_' { b'-' } else { from.to_ascii_lowercase() };
        }
        match Known::of_lower(lower) {
            Known::Other => Known::Other,
            _ if twin => Known::Twin,
            known => known,
        }
    }

    fn of_lower(name: &[u8]) -> Known {
        match name {
            b"host" => Known::Host,
            b"content-length" => Known::ContentLength,
            b"transfer-encoding" => Known::TransferEncoding,
            b"connection" => Known::Connection,
            b"keep-alive"
            | b"proxy-connection"
            | b"proxy-authorization"
            | b"http2-settings"
            | b"proxy-authenticate"
            | b"proxy-authentication-info" => Known::Hop,
            b"te" => Known::Te,
            b"trailer" => Known::Trailer,
            b"upgrade" => Known::Upgrade,
            b"expect" => Known::Expect,
            b"forwarded"
            | b"x-forwarded-for"
            | b"x-forwarded-proto"
            | b"x-forwarded-host"
            | b"x-forwarded-port"
            | b"x-forwarded-server"
            | b"x-forwarded-prefix"
            | b"x-real-ip" => Known::Forwarded,
            b"via" => Known::Via,
            b"x-request-id" => Known::RequestId,
            b"traceparent" => Known::Traceparent,
            b"authorization" | b"cookie" | b"set-cookie" | b"www-authenticate" => Known::Auth,
            b"accept" => Known::Accept,
            b"accept-language" => Known::AcceptLanguage,
            _ => Known::Other,
        }
    }

    /// May not be in a trailer: frames, routes, authenticates or steers (RFC 9110 §6.5.1).
    pub(crate) fn barred_from_trailer(self) -> bool {
        !matches!(self, Known::Other | Known::Accept | Known::AcceptLanguage | Known::Via)
    }
}

/// The elements of a comma-separated list, without blanks and without the empty ones.
pub fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|t| !t.is_empty())
}

/// `tchar` of RFC 9110 §5.6.2.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte < 128 && (TOKEN >> byte) & 1 == 1
}

/// One bit for each byte.
const TOKEN: u128 =
    bits(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

const fn bits(mut bytes: &[u8]) -> u128 {
    let mut all = 0;
    while let [first, rest @ ..] = bytes {
        all |= 1 << *first;
        bytes = rest;
    }
    all
}

/// The lines of a block whose every line ends in CR LF. [`super::Scan`] has seen to that.
pub(crate) fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Reads one line as a field.
pub(crate) fn field(line: &[u8]) -> Result<Field<'_>, Reject> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Reject::Fold);
    }
    let colon = line.iter().position(|b| !is_token_byte(*b)).ok_or(Reject::FieldName)?;
    let (name, rest) = line.split_at(colon);
    let value = rest.strip_prefix(b":").ok_or(Reject::FieldName)?;
    if name.is_empty() {
        return Err(Reject::FieldName);
    }
    Ok(Field { name, value: blanks_off(value), known: Known::of(name) })
}

fn blanks_off(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
