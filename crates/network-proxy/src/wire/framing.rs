//! How long a body is (RFC 9112 §6), and how long the connection lives (§9.3).

use super::{Body, Known, Reject, RequestHead, ResponseHead, Version, tokens};

/// # Errors
/// Any combination of fields of which two recipients could think differently.
pub fn request_body(head: &RequestHead<'_>) -> Result<Body, Reject> {
    let length = length(head.values(Known::ContentLength))?;
    let chunked = chunked(head.values(Known::TransferEncoding), head.version)?;
    match (length, chunked) {
        (Some(_), true) => Err(Reject::LengthAndCoding),
        (None, true) => Ok(Body::Chunked),
        (Some(n), false) => Ok(Body::Length(n)),
        (None, false) => Ok(Body::Empty),
    }
}

/// `to_head`: the request was HEAD.
///
/// # Errors
/// As for requests; what is said of a body that is not sent is checked all the same.
pub fn response_body(head: &ResponseHead<'_>, to_head: bool) -> Result<Body, Reject> {
    let length = length(head.values(Known::ContentLength))?;
    let chunked = chunked(head.values(Known::TransferEncoding), head.version)?;
    if length.is_some() && chunked {
        return Err(Reject::LengthAndCoding);
    }
    if to_head || matches!(head.status, 100..200 | 204 | 304) {
        return Ok(Body::Empty);
    }
    Ok(match (length, chunked) {
        (_, true) => Body::Chunked,
        (Some(n), _) => Body::Length(n),
        (None, false) => Body::UntilClose,
    })
}

fn length<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<Option<u64>, Reject> {
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Reject::LengthRepeated);
    }
    // 18 digits always fit 64 bits.
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Reject::Length);
    }
    Ok(Some(value.iter().fold(0, |n, b| n * 10 + u64::from(b - b'0'))))
}

fn chunked<'a>(
    mut values: impl Iterator<Item = &'a [u8]>,
    version: Version,
) -> Result<bool, Reject> {
    let Some(value) = values.next() else { return Ok(false) };
    if version < Version::Http11 {
        return Err(Reject::CodingBefore11);
    }
    if values.next().is_some() || !value.eq_ignore_ascii_case(b"chunked") {
        return Err(Reject::Coding);
    }
    Ok(true)
}

/// Fields that Connection may name. Each is compared with each field.
const NAMED: usize = 16;

/// What the Connection fields say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection<'a> {
    pub close: bool,
    pub keep_alive: bool,
    pub upgrade: bool,
    /// Other fields that end here.
    pub named: Vec<&'a [u8]>,
}

impl<'a> Connection<'a> {
    /// # Errors
    /// `ConnectionNames` when it would take away a field that frames, routes or authenticates, or names very
    /// many.
    pub fn parse(values: impl Iterator<Item = &'a [u8]>) -> Result<Connection<'a>, Reject> {
        let mut found = Connection::default();
        for token in values.flat_map(tokens) {
            if token.eq_ignore_ascii_case(b"keep-alive") {
                found.keep_alive = true;
            } else if token.eq_ignore_ascii_case(b"close") {
                found.close = true;
            } else if token.eq_ignore_ascii_case(b"upgrade") {
                found.upgrade = true;
            } else {
                found.name(token)?;
            }
        }
        Ok(found)
    }

    fn name(&mut self, token: &'a [u8]) -> Result<(), Reject> {
        match Known::of(token) {
            Known::Host
            | Known::ContentLength
            | Known::TransferEncoding
            | Known::Auth
            | Known::Forwarded
            | Known::Twin => return Err(Reject::ConnectionNames),
            Known::Other if self.named.len() == NAMED => return Err(Reject::ConnectionNames),
            Known::Other => self.named.push(token),
            _ => {}
        }
        Ok(())
    }

    /// May another message follow on the connection?
    pub fn persists(&self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }

    pub fn names(&self, field: &[u8]) -> bool {
        self.named.iter().any(|n| n.eq_ignore_ascii_case(field))
    }
}
