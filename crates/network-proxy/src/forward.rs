//! What one side said, said anew to the other: hop-by-hop rules (RFC 9110 §7.6), framing and provenance.
//!
//! Pure: from a parsed head to the bytes of the next.

use crate::random::Random;
use crate::wire::framing::{self, Connection};
use crate::wire::{
    Body, Encoder, Field, Known, Reject, RequestHead, ResponseHead, Version, tokens,
};
use bytes::{BufMut, BytesMut};
use std::io::Write;

/// What must be remembered of a request when its head is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) version: Version,
    pub(crate) head: bool,
    /// By its method, sending it twice does no more than sending it once (RFC 9110 §9.2.2).
    pub(crate) idempotent: bool,
    pub(crate) persists: bool,
    pub(crate) body: Body,
    /// `Expect: 100-continue`, with a body to come.
    pub(crate) expects: bool,
    pub(crate) upgrade: bool,
}

/// Where a request came from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) address: String,
    pub(crate) secure: bool,
}

impl Asked {
    /// # Errors
    /// The request must be refused; see [`Reject`].
    pub(crate) fn of<'a>(head: &RequestHead<'a>) -> Result<(Asked, Connection<'a>), Reject> {
        let connection = Connection::parse(head.values(Known::Connection))?;
        let body = framing::request_body(head)?;
        let mut expects = false;
        for value in head.values(Known::Expect) {
            if !value.eq_ignore_ascii_case(b"100-continue") {
                return Err(Reject::Expectation);
            }
            expects =
                head.version == Version::Http11 && !matches!(body, Body::Empty | Body::Length(0));
        }
        let asked = Asked {
            version: head.version,
            head: head.method == b"HEAD",
            idempotent: matches!(head.method, b"GET" | b"HEAD" | b"OPTIONS" | b"PUT" | b"DELETE"),
            persists: connection.persists(head.version),
            body,
            expects,
            upgrade: connection.upgrade && may_upgrade(head, body),
        };
        Ok((asked, connection))
    }

    /// After an answer of the edge's own the connection may go on: nothing of this request is left on it.
    pub(crate) fn may_follow(&self) -> bool {
        self.persists && self.body == Body::Empty && self.version == Version::Http11
    }

    /// No byte of a body, and no harm in asking twice.
    pub(crate) fn replayable(&self) -> bool {
        self.idempotent && self.body == Body::Empty
    }
}

/// Upgrades are for GET without a body, one protocol at a time, and never to HTTP/2: that would hide
/// requests from the edge.
fn may_upgrade(head: &RequestHead<'_>, body: Body) -> bool {
    let mut asked = head.values(Known::Upgrade).flat_map(tokens);
    let plain = |t: &[u8]| !t.get(..2).is_some_and(|p| p.eq_ignore_ascii_case(b"h2"));
    let one = asked.next().is_some_and(plain) && asked.next().is_none();
    one && head.method == b"GET" && body == Body::Empty && head.version == Version::Http11
}

/// Writes the head of a request to an instance.
pub(crate) fn request(
    head: &RequestHead<'_>,
    authority: &[u8],
    (asked, connection): (&Asked, &Connection<'_>),
    origin: &Origin,
    random: &mut Random,
    out: &mut BytesMut,
) {
    out.reserve(1024);
    put(out, &[head.method, b" ", head.target, b" HTTP/1.1\r\nHost: ", authority, b"\r\n"]);
    for field in head.fields.iter().filter(|f| request_field_passes(f, connection)) {
        line(out, field.name, field.value);
    }
    framing_lines(out, asked.body);
    let trailers = head.values(Known::Te).flat_map(tokens);
    let trailers = trailers.into_iter().any(|t| t.eq_ignore_ascii_case(b"trailers"));
    match (asked.upgrade, trailers) {
        (true, _) => {
            put(out, &[b"Connection: upgrade\r\n"]);
            head.values(Known::Upgrade).for_each(|v| line(out, b"Upgrade", v));
        }
        (false, true) => put(out, &[b"TE: trailers\r\nConnection: te\r\n"]),
        (false, false) => {}
    }
    if asked.expects {
        put(out, &[b"Expect: 100-continue\r\n"]);
    }
    provenance(head, authority, origin, random, out);
    put(out, &[b"\r\n"]);
}

fn request_field_passes(field: &Field<'_>, connection: &Connection<'_>) -> bool {
    match field.known {
        Known::Other => connection.named.is_empty() || !connection.names(field.name),
        Known::Auth | Known::Accept | Known::AcceptLanguage | Known::Via | Known::Trailer => true,
        _ => false,
    }
}

fn provenance(
    head: &RequestHead<'_>,
    authority: &[u8],
    origin: &Origin,
    random: &mut Random,
    out: &mut BytesMut,
) {
    line(out, b"X-Forwarded-For", origin.address.as_bytes());
    line(out, b"X-Forwarded-Proto", if origin.secure { b"https" } else { b"http" });
    line(out, b"X-Forwarded-Host", authority);
    put(out, &[b"Via: 1.1 naru\r\n"]);
    put(out, &[b"X-Request-Id: "]);
    match only(head.values(Known::RequestId)).filter(|v| sound_id(v)) {
        Some(id) => put(out, &[id]),
        None => hex(out, &[random.next(), random.next()]),
    }
    put(out, &[b"\r\nTraceparent: "]);
    match only(head.values(Known::Traceparent)).filter(|v| sound_traceparent(v)) {
        Some(parent) => put(out, &[parent]),
        None => {
            put(out, &[b"00-"]);
            hex(out, &[random.next(), random.next() | 1]);
            put(out, &[b"-"]);
            hex(out, &[random.next() | 1]);
            put(out, &[b"-01"]);
        }
    }
    put(out, &[b"\r\n"]);
}

fn only<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

fn sound_id(id: &[u8]) -> bool {
    let sound = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'=');
    (1..=128).contains(&id.len()) && id.iter().all(sound)
}

/// Version 00 of W3C Trace Context §3.2.
fn sound_traceparent(value: &[u8]) -> bool {
    let parts: Vec<&[u8]> = value.split(|b| *b == b'-').collect();
    let [b"00", trace, span, flags] = parts.as_slice() else { return false };
    let hex = |part: &[u8], len: usize| {
        part.len() == len && part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let some = |part: &[u8]| part.iter().any(|b| *b != b'0');
    hex(trace, 32) && some(trace) && hex(span, 16) && some(span) && hex(flags, 2)
}

/// How a response's body goes on to a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    /// As the instance sends it.
    pub(crate) body: Body,
    pub(crate) encoder: Encoder,
    /// The client's connection may serve another request.
    pub(crate) persists: bool,
    /// The instance's connection may serve another request.
    pub(crate) reusable: bool,
}

impl Reply {
    /// `closing`: the edge wants the client's connection to end.
    ///
    /// # Errors
    /// The response must be refused.
    pub(crate) fn of<'a>(
        head: &ResponseHead<'a>,
        asked: &Asked,
        closing: bool,
    ) -> Result<(Reply, Connection<'a>), Reject> {
        let connection = Connection::parse(head.values(Known::Connection))?;
        let body = framing::response_body(head, asked.head)?;
        let unsaid = matches!(body, Body::Chunked | Body::UntilClose);
        let old = asked.version == Version::Http10;
        let reply = Reply {
            body,
            encoder: if unsaid && !old { Encoder::Chunked } else { Encoder::Plain },
            persists: asked.persists && !closing && !(unsaid && old),
            reusable: body != Body::UntilClose && connection.persists(head.version),
        };
        Ok((reply, connection))
    }
}

/// Writes the head of a final response to an HTTP/1 client.
fn response(
    head: &ResponseHead<'_>,
    (reply, connection): (&Reply, &Connection<'_>),
    asked: &Asked,
    out: &mut BytesMut,
) {
    out.reserve(1024);
    status_line(out, head);
    for field in head.fields.iter().filter(|f| response_field_passes(f, connection)) {
        line(out, field.name, field.value);
    }
    match (reply.body, reply.encoder) {
        (Body::Length(n), _) => length_line(out, n),
        (_, Encoder::Chunked) => put(out, &[b"Transfer-Encoding: chunked\r\n"]),
        // A length without a body is what HEAD and 304 are about; 204 must not have one.
        (Body::Empty, _) if head.status != 204 => {
            head.values(Known::ContentLength).for_each(|v| line(out, b"Content-Length", v));
        }
        _ => {}
    }
    match (reply.persists, asked.version) {
        (false, _) => put(out, &[b"Connection: close\r\n"]),
        (true, Version::Http10) => put(out, &[b"Connection: keep-alive\r\n"]),
        (true, Version::Http11) => {}
    }
    put(out, &[b"\r\n"]);
}

/// What a connection was upgraded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    WebSocket,
    Other,
}

/// What an instance said, and the head that tells it to an HTTP/1 client.
pub(crate) enum Said {
    /// 1xx: more follows.
    Interim(u16, BytesMut),
    /// The 101 that was asked for: from here on the bytes are raw.
    Upgrade(Protocol, BytesMut),
    Final(u16, Reply, BytesMut),
}

impl Said {
    /// # Errors
    /// The response must be refused: a broken rule, or a 101 that nobody asked for.
    pub(crate) fn read(
        head: &[u8],
        max_fields: usize,
        asked: &Asked,
        closing: bool,
    ) -> Result<Said, Reject> {
        let head = ResponseHead::parse(head, max_fields)?;
        let mut out = BytesMut::new();
        if head.status >= 200 {
            let (reply, connection) = Reply::of(&head, asked, closing)?;
            response(&head, (&reply, &connection), asked, &mut out);
            return Ok(Said::Final(head.status, reply, out));
        }
        let connection = Connection::parse(head.values(Known::Connection))?;
        if head.status != 101 {
            interim(&head, &connection, &mut out);
            return Ok(Said::Interim(head.status, out));
        }
        let protocol = match only(head.values(Known::Upgrade)) {
            _ if !(asked.upgrade && connection.upgrade) => return Err(Reject::StatusLine),
            None => return Err(Reject::StatusLine),
            Some(name) if name.eq_ignore_ascii_case(b"websocket") => Protocol::WebSocket,
            Some(_) => Protocol::Other,
        };
        interim(&head, &connection, &mut out);
        Ok(Said::Upgrade(protocol, out))
    }
}

/// Writes the head of a 1xx answer, with `Upgrade` when it is the agreed 101.
fn interim(head: &ResponseHead<'_>, connection: &Connection<'_>, out: &mut BytesMut) {
    status_line(out, head);
    for field in head.fields.iter().filter(|f| response_field_passes(f, connection)) {
        line(out, field.name, field.value);
    }
    if head.status == 101 {
        put(out, &[b"Connection: upgrade\r\n"]);
        head.values(Known::Upgrade).for_each(|v| line(out, b"Upgrade", v));
    }
    put(out, &[b"\r\n"]);
}

pub(crate) fn response_field_passes(field: &Field<'_>, connection: &Connection<'_>) -> bool {
    match field.known {
        Known::Host
        | Known::ContentLength
        | Known::TransferEncoding
        | Known::Connection
        | Known::Hop
        | Known::Te
        | Known::Upgrade
        | Known::Expect
        | Known::Twin => false,
        _ => connection.named.is_empty() || !connection.names(field.name),
    }
}

fn status_line(out: &mut BytesMut, head: &ResponseHead<'_>) {
    let [hundreds, tens, ones] = [head.status / 100, head.status / 10 % 10, head.status % 10];
    let digit = |n: u16| b'0' + (n % 10) as u8;
    put(out, &[b"HTTP/1.1 ", &[digit(hundreds), digit(tens), digit(ones)], b" "]);
    put(out, &[head.reason, b"\r\n"]);
}

fn framing_lines(out: &mut BytesMut, body: Body) {
    match body {
        Body::Length(n) => length_line(out, n),
        Body::Chunked => put(out, &[b"Transfer-Encoding: chunked\r\n"]),
        Body::Empty | Body::UntilClose => {}
    }
}

fn length_line(out: &mut BytesMut, n: u64) {
    let _ = write!(out.writer(), "Content-Length: {n}\r\n");
}

fn line(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    put(out, &[name, b": ", value, b"\r\n"]);
}

fn put(out: &mut BytesMut, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn hex(out: &mut BytesMut, words: &[u64]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for word in words {
        let digit = |i: usize| {
            let four = (word >> (60 - 4 * i)) & 15;
            DIGITS.get(four as usize).copied().unwrap_or(b'0')
        };
        let text: [u8; 16] = std::array::from_fn(digit);
        out.extend_from_slice(&text);
    }
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
