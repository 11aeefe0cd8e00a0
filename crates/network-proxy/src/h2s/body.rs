//! The bytes of one stream: the request up, the response down.

use crate::exchange::Failure;
use crate::forward::{self, Asked, Reply};
use crate::limits::Limits;
use crate::page::Problem;
use crate::wire::framing::Connection;
use crate::wire::{Body, Decoder, Encoder, Known, Reject, ResponseHead, Scan, Step};
use bytes::{Buf, Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use std::future::poll_fn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout, timeout_at};

const PORTION: usize = 64 * 1024;
/// Room for one read of a head.
const HEAD: usize = 8 * 1024;
const INTERIM: usize = 16;

/// Sends the request. An instance that takes no more has perhaps answered already: that is not an error.
pub(super) async fn upload(
    head: &[u8],
    framed: Body,
    body: &mut RecvStream,
    mut to: WriteHalf<'_>,
    limits: &Limits,
) -> Result<(), Failure> {
    let encoder = if framed == Body::Chunked { Encoder::Chunked } else { Encoder::Plain };
    let mut out = BytesMut::from(head);
    let mut pace = Pace { since: Instant::now(), before: 0, total: 0 };
    loop {
        let began = Instant::now();
        match timeout(limits.response, to.write_all(&out)).await {
            Ok(Ok(())) => out.clear(),
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => return Err(Failure::Problem(Problem::Timeout)),
        }
        // Waiting for the instance is not the client's slowness.
        pace.since += began.elapsed();
        if framed == Body::Empty {
            return Ok(());
        }
        match pace.next(body, limits).await? {
            Some(data) => encoder.data(&data, &mut out),
            None => {
                encoder.end(&trailer_lines(body).await?, &mut out);
                // What cannot be written now will show when the response is read.
                let _ = timeout(limits.response, to.write_all(&out)).await;
                return Ok(());
            }
        }
    }
}

/// How fast a body comes: the window under way began at `since`, `before` bytes into the body.
struct Pace {
    since: Instant,
    before: u64,
    total: u64,
}

impl Pace {
    /// The next portion; `None` at the end of the body.
    async fn next(
        &mut self,
        body: &mut RecvStream,
        limits: &Limits,
    ) -> Result<Option<Bytes>, Failure> {
        loop {
            match timeout_at(self.since + limits.body_window, body.data()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) => return Err(Failure::Gone),
                Ok(Some(Ok(data))) => {
                    self.total += data.len() as u64;
                    if self.total > limits.body_bytes {
                        return Err(Failure::Refused(Reject::BodyTooLarge));
                    }
                    let _ = body.flow_control().release_capacity(data.len());
                    return Ok(Some(data));
                }
                Err(_) if self.total - self.before < limits.body_least => {
                    return Err(Failure::Refused(Reject::TooSlow));
                }
                Err(_) => (self.since, self.before) = (Instant::now(), self.total),
            }
        }
    }
}

async fn trailer_lines(body: &mut RecvStream) -> Result<Vec<u8>, Failure> {
    let trailers = body.trailers().await.map_err(|_| Failure::Gone)?;
    let mut lines = Vec::new();
    for (name, value) in trailers.iter().flatten() {
        if Known::of(name.as_str().as_bytes()).barred_from_trailer() {
            return Err(Failure::Refused(Reject::Trailer));
        }
        lines.extend_from_slice(name.as_str().as_bytes());
        lines.extend_from_slice(b": ");
        lines.extend_from_slice(value.as_bytes());
        lines.extend_from_slice(b"\r\n");
    }
    Ok(lines)
}

/// Waits for the head of the final response. Interim ones end here: an HTTP/2 client does not need them.
pub(super) async fn response_head(
    from: &mut ReadHalf<'_>,
    received: &mut BytesMut,
    asked: &Asked,
    limits: &Limits,
) -> Result<(Reply, Response<()>), Failure> {
    for _ in 0..INTERIM {
        let mut scan = Scan::response();
        let range = loop {
            if let Some(head) = scan.find(received, limits.head_bytes).map_err(malformed)? {
                break head;
            }
            received.reserve(HEAD);
            match from.read_buf(received).await {
                Ok(1..) => {}
                _ if received.is_empty() => return Err(Failure::Problem(Problem::Closed)),
                _ => return Err(malformed(Reject::Truncated)),
            }
        };
        let end = range.end;
        let bytes = received.get(range).unwrap_or_default();
        let head = ResponseHead::parse(bytes, limits.fields).map_err(malformed)?;
        if head.status < 200 && head.status != 101 {
            received.advance(end);
            continue;
        }
        if head.status == 101 {
            return Err(malformed(Reject::StatusLine));
        }
        let (reply, connection) = Reply::of(&head, asked, false).map_err(malformed)?;
        let response = translate(&head, &connection, reply.body)?;
        received.advance(end);
        return Ok((reply, response));
    }
    Err(malformed(Reject::StatusLine))
}

fn translate(
    head: &ResponseHead<'_>,
    connection: &Connection<'_>,
    body: Body,
) -> Result<Response<()>, Failure> {
    let mut response = Response::new(());
    *response.status_mut() =
        StatusCode::from_u16(head.status).map_err(|_| malformed(Reject::StatusLine))?;
    let headers = response.headers_mut();
    for field in head.fields.iter().filter(|f| forward::response_field_passes(f, connection)) {
        append(headers, field.name, field.value)?;
    }
    match body {
        Body::Length(n) => {
            headers.insert(http::header::CONTENT_LENGTH, n.into());
        }
        Body::Empty if head.status != 204 => {
            for value in head.values(Known::ContentLength) {
                append(headers, b"content-length", value)?;
            }
        }
        _ => {}
    }
    Ok(response)
}

fn append(headers: &mut HeaderMap, name: &[u8], value: &[u8]) -> Result<(), Failure> {
    let name = HeaderName::from_bytes(name).map_err(|_| malformed(Reject::FieldName))?;
    let value = HeaderValue::from_bytes(value).map_err(|_| malformed(Reject::FieldValue))?;
    headers.append(name, value);
    Ok(())
}

/// Sends the body of a response as the client makes room for it.
pub(super) async fn download(
    from: &mut ReadHalf<'_>,
    received: &mut BytesMut,
    body: Body,
    mut send: SendStream<Bytes>,
    limits: &Limits,
) -> Result<(), Failure> {
    let mut decoder = Decoder::new(body);
    loop {
        match decoder.step(received).map_err(malformed)? {
            Step::Data { skip, len } => {
                received.advance(skip);
                send_data(&mut send, received.split_to(len).freeze(), limits).await?;
            }
            Step::End { skip } => {
                received.advance(skip);
                return finish(&mut send, decoder.trailer());
            }
            Step::More { skip } => {
                received.advance(skip);
                received.reserve(PORTION);
                let read = tokio::select! {
                    read = timeout(limits.silence, from.read_buf(received)) => read,
                    _ = poll_fn(|cx| send.poll_reset(cx)) => return Err(Failure::Gone),
                };
                match read {
                    Ok(Ok(1..)) => {}
                    Ok(Ok(_)) => {
                        decoder.end_of_input().map_err(malformed)?;
                        return finish(&mut send, &[]);
                    }
                    _ => return Err(malformed(Reject::Truncated)),
                }
            }
        }
    }
}

async fn send_data(
    send: &mut SendStream<Bytes>,
    mut data: Bytes,
    limits: &Limits,
) -> Result<(), Failure> {
    while !data.is_empty() {
        send.reserve_capacity(data.len());
        let room = timeout(limits.idle, poll_fn(|cx| send.poll_capacity(cx)));
        let Ok(Some(Ok(room))) = room.await else { return Err(Failure::Gone) };
        let portion = data.split_to(room.min(data.len()));
        send.send_data(portion, false).map_err(|_| Failure::Gone)?;
    }
    Ok(())
}

fn finish(send: &mut SendStream<Bytes>, trailer: &[u8]) -> Result<(), Failure> {
    let mut trailers = HeaderMap::new();
    for line in trailer.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        append(&mut trailers, name, value.get(1..).unwrap_or_default().trim_ascii())?;
    }
    let sent = match trailers.is_empty() {
        true => send.send_data(Bytes::new(), true),
        false => send.send_trailers(trailers),
    };
    sent.map_err(|_| Failure::Gone)
}

fn malformed(reject: Reject) -> Failure {
    Failure::Problem(Problem::Malformed(reject))
}
