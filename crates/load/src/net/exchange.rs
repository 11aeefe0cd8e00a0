//! One exchange on a connection that is there: the request as it is sent, the answer as it is read.

use super::{Answer, Ask, Connection, Fault, Host, STREAMS, Two, fault};
use crate::metric::Parts;
use bytes::{Bytes, BytesMut};
use http::{Request, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

pub(super) enum Attempt {
    /// The kept connection was already closed.
    Stale,
    Fault(Fault),
}

impl From<Fault> for Attempt {
    fn from(fault: Fault) -> Attempt {
        Attempt::Fault(fault)
    }
}

pub(super) fn lost(error: hyper::Error, stale: bool, received: u64) -> Attempt {
    let gone = error.is_canceled() || error.is_closed() || error.is_incomplete_message();
    let broken = std::error::Error::source(&error)
        .and_then(|e| e.downcast_ref::<std::io::Error>())
        .is_some_and(|e| {
            use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
            matches!(e.kind(), BrokenPipe | ConnectionReset)
        });
    if stale && received == 0 && (gone || broken) {
        return Attempt::Stale;
    }
    let kind = if gone || broken { "reset" } else { "protocol" };
    Attempt::Fault(fault(kind, deep(&error)))
}

/// An error with its causes.
pub(super) fn deep(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        out = format!("{out}: {cause}");
        next = cause.source();
    }
    out
}

pub(super) fn take(host: &Host) -> Option<Connection> {
    while let Some(one) = host.idle.borrow_mut().pop() {
        if !one.sender.is_closed() {
            return Some(Connection::One(one));
        }
    }
    take_two(host).map(Connection::Two)
}

/// The connection with the fewest streams, if it has room; counted as used.
pub(super) fn take_two(host: &Host) -> Option<Two> {
    let mut all = host.two.borrow_mut();
    all.retain(|two| !two.sender.is_closed());
    let least = all.iter().min_by_key(|two| two.active.get())?;
    if least.active.get() >= STREAMS {
        return None;
    }
    least.active.set(least.active.get() + 1);
    Some(least.clone())
}

/// Counts a stream down however its exchange ends.
pub(super) struct Stream(pub(super) Rc<Cell<u32>>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

pub(super) async fn two_streams(
    ask: &Ask,
    due: Instant,
    parts: &mut Parts,
    mut two: Two,
    stale: bool,
) -> Result<Answer, Attempt> {
    let _stream = Stream(two.active.clone());
    two.sender.ready().await.map_err(|e| lost(e, stale, 0))?;
    let sent = Instant::now();
    parts.blocked = sent - due;
    let response = match two.sender.send_request(request(ask, Version::HTTP_2)).await {
        Ok(response) => response,
        Err(error) => {
            parts.service = sent.elapsed();
            return Err(lost(error, stale, 0));
        }
    };
    // Streams share the connection: what each took of its bytes is not to be told apart.
    let first = Instant::now();
    parts.waiting = first - sent;
    let (answer, bytes) = read_counted(response, ask.keep).await;
    parts.receiving = first.elapsed();
    parts.service = sent.elapsed();
    parts.sent = ask.body.len() as u64;
    parts.received = bytes;
    Ok(answer?)
}

pub(super) fn request(ask: &Ask, version: Version) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(ask.body.clone()));
    *request.method_mut() = ask.method.clone();
    *request.version_mut() = version;
    *request.headers_mut() = ask.headers.clone();
    *request.uri_mut() = if version == Version::HTTP_2 {
        let scheme = if ask.target.secure { "https" } else { "http" };
        let built = Uri::builder()
            .scheme(scheme)
            .authority(ask.target.authority())
            .path_and_query(ask.path.clone())
            .build();
        request.headers_mut().remove(http::header::HOST);
        built.unwrap_or_default()
    } else {
        Uri::from(ask.path.clone())
    };
    request
}

pub(super) async fn read(response: http::Response<Incoming>, keep: usize) -> Result<Answer, Fault> {
    read_counted(response, keep).await.0
}

/// The answer, and the bytes of its body.
pub(super) async fn read_counted(
    response: http::Response<Incoming>,
    keep: usize,
) -> (Result<Answer, Fault>, u64) {
    let (head, mut body) = response.into_parts();
    let mut kept = BytesMut::new();
    let mut count = 0_u64;
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return (Err(fault("reset", deep(&error))), count),
        };
        if let Some(data) = frame.data_ref() {
            count += data.len() as u64;
            let room = keep.saturating_sub(kept.len()).min(data.len());
            kept.extend_from_slice(data.get(..room).unwrap_or_default());
        }
    }
    let answer = Answer { status: head.status, headers: head.headers, body: kept.freeze() };
    (Ok(answer), count)
}
