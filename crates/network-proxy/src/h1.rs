//! A client's HTTP/1 connection: requests in order, one at a time.

use crate::edge::Shared;
use crate::exchange::{Failure, Outcome};
use crate::forward::{self, Asked, Origin};
use crate::page::{POLICY, Page, Problem, Reader};
use crate::pump::{Pump, poll_glance};
use crate::random::Random;
use crate::route::Route;
use crate::timer::Timer;
use crate::wire::{self, Body, Encoder, H2_PREFACE_HEAD, Reject, RequestHead, Scan};
use bytes::{Buf, BytesMut};
use std::future::poll_fn;
use std::io::Write;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// After a refusal the client may still be sending; to close at once would reset the connection and lose the
/// answer on its way.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

pub(crate) struct Conn<S> {
    pub(crate) io: S,
    /// Received and not yet used.
    pub(crate) input: BytesMut,
    pub(crate) shared: Arc<Shared>,
    pub(crate) origin: Origin,
    pub(crate) random: Random,
    pub(crate) timer: Timer,
    pub(crate) stop: CancellationToken,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// What came first on an idle connection.
enum Next {
    Head(Range<usize>),
    Refused(Reject),
    Closed,
}

/// How a connection's life as HTTP/1 ended.
pub(crate) enum End<S> {
    Closed,
    /// It speaks HTTP/2: the stream and the bytes read from it.
    Http2(S, BytesMut),
}

/// A request whose head was read.
pub(crate) struct Request {
    pub(crate) asked: Asked,
    pub(crate) route: Arc<Route>,
    pub(crate) upload: Pump,
    pub(crate) started: Instant,
    reader: Reader,
}

enum Plan {
    Forward(Box<Request>),
    Answer(Asked, Problem, Reader),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conn<S> {
    pub(crate) fn new(io: S, shared: Arc<Shared>, origin: Origin, stop: CancellationToken) -> Self {
        let stopped = Box::pin(stop.clone().cancelled_owned());
        let (input, random, timer) = (BytesMut::new(), Random::new(), Timer::new());
        Conn { io, input, shared, origin, random, timer, stop, stopped }
    }

    /// Serves until either side has had enough. `preface`: HTTP/2 may begin instead.
    pub(crate) async fn run(mut self, mut preface: bool) -> End<S> {
        loop {
            let head = match self.next().await {
                Next::Head(head) => head,
                Next::Closed => break,
                Next::Refused(reject) => {
                    self.refuse(reject).await;
                    break;
                }
            };
            if preface && self.input.get(head.clone()) == Some(H2_PREFACE_HEAD) {
                return End::Http2(self.io, self.input);
            }
            preface = false;
            if !self.serve(head).await {
                break;
            }
            if self.input.is_empty() {
                self.input = BytesMut::new();
            }
        }
        let _ = tokio::time::timeout(LINGER, self.io.shutdown()).await;
        End::Closed
    }

    /// Says that there are too many connections.
    pub(crate) async fn turn_away(mut self) {
        let page = Page::new(&Problem::Crowded, None);
        self.answer(&page, &Reader::default(), None, false).await;
    }

    async fn next(&mut self) -> Next {
        let limits = self.shared.limits().clone();
        let mut scan = Scan::request();
        let mut since = Instant::now();
        let mut begun = false;
        loop {
            match scan.find(&self.input, limits.head_bytes) {
                Ok(Some(head)) => return Next::Head(head),
                Ok(None) => {}
                Err(reject) => return Next::Refused(reject),
            }
            if !begun && !scan.is_empty(&self.input) {
                (begun, since) = (true, Instant::now());
            }
            let until = since + if begun { limits.head_time } else { limits.idle };
            let read = poll_fn(|cx| {
                if let Poll::Ready(read) = poll_glance(cx, &mut self.io, &mut self.input) {
                    return Poll::Ready(Some(read));
                }
                let stopped = !begun && self.stopped.as_mut().poll(cx).is_ready();
                if stopped || self.timer.poll(cx, until).is_ready() {
                    return Poll::Ready(None);
                }
                Poll::Pending
            });
            match read.await {
                Some(Ok(1..)) => {}
                None if begun => return Next::Refused(Reject::TooSlow),
                _ => return Next::Closed,
            }
        }
    }

    /// Reads a head and rebuilds it for an instance.
    fn plan(&mut self, range: Range<usize>) -> Result<Plan, Reject> {
        let limits = self.shared.limits();
        let end = range.end;
        let bytes = self.input.get(range).unwrap_or_default();
        let head = RequestHead::parse(bytes, limits.fields)?;
        let authority = wire::authority(&head)?;
        let (asked, connection) = Asked::of(&head)?;
        if matches!(asked.body, Body::Length(n) if n > limits.body_bytes) {
            return Err(Reject::BodyTooLarge);
        }
        let host = wire::host_key(authority);
        let route = self.shared.routes.table().find(&host).cloned();
        let mut out = BytesMut::new();
        let (facts, random) = ((&asked, &connection), &mut self.random);
        forward::request(&head, authority, facts, &self.origin, random, &mut out);
        let reader = Reader::of(&head);
        let Some(route) = route else {
            let problem = Problem::UnknownHost(host.into_owned());
            self.input.advance(end);
            return Ok(Plan::Answer(asked, problem, reader));
        };
        let encoder = if asked.body == Body::Chunked { Encoder::Chunked } else { Encoder::Plain };
        let mut upload = Pump::new(out, asked.body, encoder, limits.body_bytes);
        self.input.advance(end);
        // What is already here of the body is read before anything is sent: if it breaks a rule, the
        // instance never hears of the request.
        upload.take(&mut self.input)?;
        let started = Instant::now();
        Ok(Plan::Forward(Box::new(Request { asked, route, upload, started, reader })))
    }

    /// Serves one request; answers whether another may follow.
    async fn serve(&mut self, head: Range<usize>) -> bool {
        match self.plan(head) {
            Err(reject) => {
                self.refuse(reject).await;
                false
            }
            Ok(Plan::Answer(asked, problem, reader)) => {
                let keep = asked.may_follow();
                let page = Page::new(&problem, None);
                self.answer(&page, &reader, Some(asked), keep).await
            }
            Ok(Plan::Forward(mut request)) => self.forward(&mut request).await,
        }
    }

    async fn forward(&mut self, request: &mut Request) -> bool {
        let stats = request.route.stats.clone();
        let exchanged = self.exchange(request).await;
        let took = request.started.elapsed();
        let (status, keep) = match exchanged {
            Ok(Outcome { status, keep }) => {
                if !keep && !request.upload.ended() {
                    self.linger().await;
                }
                (status, keep)
            }
            Err(Failure::Gone) => (499, false),
            Err(Failure::Broken(status)) => (status, false),
            Err(Failure::Refused(reject)) => {
                self.refuse(reject).await;
                (reject.status(), false)
            }
            Err(Failure::Problem(problem)) => {
                let page = Page::new(&problem, Some(&request.route));
                tracing::debug!(code = page.code, service = %request.route.service, ?problem);
                let keep = request.asked.may_follow();
                let kept = self.answer(&page, &request.reader, Some(request.asked), keep).await;
                (page.status, kept)
            }
        };
        stats.record(status, took);
        keep
    }

    async fn refuse(&mut self, reject: Reject) {
        let page = Page::new(&Problem::Refused(reject), None);
        self.answer(&page, &Reader::default(), None, false).await;
    }

    /// Sends a page of the edge's own; answers `keep` when it went well.
    async fn answer(
        &mut self,
        page: &Page,
        reader: &Reader,
        asked: Option<Asked>,
        keep: bool,
    ) -> bool {
        let keep = keep && !self.stop.is_cancelled();
        let bytes = answer_bytes(page, reader, asked.is_some_and(|a| a.head), keep);
        let until = Instant::now() + self.shared.limits().idle;
        let sent = async {
            self.io.write_all(&bytes).await?;
            self.io.flush().await
        };
        if !matches!(self.timer.limit(until, sent).await, Some(Ok(()))) {
            return false;
        }
        if !keep {
            self.linger().await;
        }
        keep
    }

    /// Ends our side, then lets the client finish what it is sending, within bounds.
    async fn linger(&mut self) {
        let until = Instant::now() + LINGER;
        let Some(Ok(())) = self.timer.limit(until, self.io.shutdown()).await else { return };
        let mut left = LINGER_BYTES;
        while left > 0 {
            self.input.clear();
            let read = poll_fn(|cx| poll_glance(cx, &mut self.io, &mut self.input));
            match self.timer.limit(until, read).await {
                Some(Ok(n @ 1..)) => left = left.saturating_sub(n),
                _ => return,
            }
        }
    }
}

/// The bytes of an answer of the edge's own.
fn answer_bytes(page: &Page, reader: &Reader, to_head: bool, keep: bool) -> Vec<u8> {
    let (kind, body) = page.body(reader);
    let reason = http::StatusCode::from_u16(page.status).ok().and_then(|s| s.canonical_reason());
    let mut out = Vec::with_capacity(512 + body.len());
    let _ = write!(
        out,
        "HTTP/1.1 {} {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Content-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\n",
        page.status,
        reason.unwrap_or_default(),
        body.len(),
    );
    if let Some(seconds) = page.retry_after {
        let _ = write!(out, "Retry-After: {seconds}\r\n");
    }
    if page.status == 405 {
        out.extend_from_slice(b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n");
    }
    out.extend_from_slice(if keep { b"\r\n" } else { b"Connection: close\r\n\r\n" });
    if !to_head {
        out.extend_from_slice(body.as_bytes());
    }
    out
}
