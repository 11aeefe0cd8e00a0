//! Heads of requests and responses.

use super::field::{field, is_token_byte, lines};
use super::{Field, Known, Reject};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Http10,
    Http11,
}

/// A request's head, borrowed from the bytes it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead<'a> {
    pub method: &'a [u8],
    /// In origin form (`/path?query`) or `*`. An absolute target was split: see `authority`.
    pub target: &'a [u8],
    /// Of an absolute target; an HTTP/2 `:authority`.
    pub authority: Option<&'a [u8]>,
    pub version: Version,
    pub fields: Vec<Field<'a>>,
}

/// A response's head, borrowed from the bytes it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead<'a> {
    pub version: Version,
    /// 100 to 999.
    pub status: u16,
    pub reason: &'a [u8],
    pub fields: Vec<Field<'a>>,
}

impl<'a> RequestHead<'a> {
    /// `head` is what [`super::Scan`] found.
    ///
    /// # Errors
    /// The rule that the head breaks. Framing and Host have rules of their own.
    pub fn parse(head: &'a [u8], max_fields: usize) -> Result<RequestHead<'a>, Reject> {
        let (first, fields) = split(head, max_fields)?;
        let mut words = first.split(|b| *b == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Reject::RequestLine);
        };
        if method.is_empty() || method.len() > 32 || !method.iter().all(|b| is_token_byte(*b)) {
            return Err(Reject::RequestLine);
        }
        let version = version_of(version, Reject::RequestLine)?;
        let (authority, target) = target_of(method, target)?;
        Ok(RequestHead { method, target, authority, version, fields })
    }

    pub fn values(&self, known: Known) -> impl Iterator<Item = &'a [u8]> {
        values(&self.fields, known)
    }
}

impl<'a> ResponseHead<'a> {
    /// `head` is what [`super::Scan`] found.
    ///
    /// # Errors
    /// The rule that the head breaks.
    pub fn parse(head: &'a [u8], max_fields: usize) -> Result<ResponseHead<'a>, Reject> {
        let (first, fields) = split(head, max_fields)?;
        let mut words = first.splitn(3, |b| *b == b' ');
        let version = version_of(words.next().unwrap_or_default(), Reject::StatusLine)?;
        let status = match words.next() {
            Some([a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9']) => {
                u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
            }
            _ => return Err(Reject::StatusLine),
        };
        Ok(ResponseHead { version, status, reason: words.next().unwrap_or_default(), fields })
    }

    pub fn values(&self, known: Known) -> impl Iterator<Item = &'a [u8]> {
        values(&self.fields, known)
    }
}

fn values<'a>(fields: &[Field<'a>], known: Known) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |f| f.known == known).map(|f| f.value)
}

/// The first line and the fields below it.
fn split(head: &[u8], max_fields: usize) -> Result<(&[u8], Vec<Field<'_>>), Reject> {
    let mut lines = lines(head);
    let first = lines.next().unwrap_or_default();
    let mut fields = Vec::with_capacity(16);
    for line in lines.take_while(|l| !l.is_empty()) {
        if fields.len() == max_fields {
            return Err(Reject::TooManyFields);
        }
        fields.push(field(line)?);
    }
    Ok((first, fields))
}

fn version_of(word: &[u8], otherwise: Reject) -> Result<Version, Reject> {
    match word {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Reject::Version),
        _ => Err(otherwise),
    }
}

/// Splits a target into authority and origin form (RFC 9112 §3.2).
fn target_of<'a>(method: &[u8], target: &'a [u8]) -> Result<(Option<&'a [u8]>, &'a [u8]), Reject> {
    if method == b"CONNECT" {
        return Err(Reject::Connect);
    }
    if !target.iter().all(|b| matches!(b, b'!'..=b'~') && *b != b'#') {
        return Err(Reject::Target);
    }
    if target.starts_with(b"/") || (target == b"*" && method == b"OPTIONS") {
        return Ok((None, target));
    }
    let rest = after_scheme(target).ok_or(Reject::Target)?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    match rest.split_at(end) {
        (authority, b"") if method == b"OPTIONS" => Ok((Some(authority), b"*")),
        (authority, b"") => Ok((Some(authority), b"/")),
        (authority, path) if path.starts_with(b"/") => Ok((Some(authority), path)),
        _ => Err(Reject::Target),
    }
}

fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let (head, rest) = target.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}
