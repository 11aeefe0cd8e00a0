//! The bytes of one exchange, both ways at once.

use crate::exchange::{Failure, Link, Outcome};
use crate::forward::{Reply, Said};
use crate::h1::{Conn, Request};
use crate::limits::Limits;
use crate::page::Problem;
use crate::pump::{Broken, Pump, poll_glance};
use crate::wire::{Reject, Scan, Version};
use bytes::{Buf, BytesMut};
use std::future::poll_fn;
use std::ops::Range;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Interim answers (1xx) before a final one.
const INTERIM: usize = 16;
/// How long an instance may think about `Expect: 100-continue` before the edge says it. Many never do.
const CONTINUE: Duration = Duration::from_secs(1);
/// Pipelined requests are read ahead no further than this.
const AHEAD: usize = 64 * 1024;

/// One attempt's view of the way up.
struct Up<'a> {
    pump: &'a mut Pump,
    /// The body waits for 100-continue.
    held: bool,
    /// The instance takes no more; perhaps it has answered already.
    broken: bool,
    /// When something last moved.
    since: Instant,
    moved: u64,
    /// Start of the window in which the body must make progress, and what had come by then.
    window: Instant,
    before: u64,
}

/// What a deadline is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alarm {
    Continue,
    Slow,
    Response,
}

impl<'a> Up<'a> {
    fn new(pump: &'a mut Pump, expects: bool, now: Instant) -> Up<'a> {
        let held = expects && !pump.ended();
        let (moved, before) = (pump.moved, pump.content());
        Up { pump, held, broken: false, since: now, moved, window: now, before }
    }

    fn over(&self) -> bool {
        self.broken || self.pump.done()
    }

    /// Moves the request on. An error is the client's.
    fn poll<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut BytesMut,
        client: &mut S,
        stream: &mut TcpStream,
    ) -> Result<(), Failure> {
        if self.over() {
            return Ok(());
        }
        let step = match self.held {
            true => self.pump.poll_flush(cx, stream).map_err(|_| Broken::Write),
            false => self.pump.poll(cx, input, client, stream),
        };
        match step {
            Poll::Ready(Err(Broken::Write)) => self.broken = true,
            Poll::Ready(Err(Broken::Source(Reject::Truncated) | Broken::Read)) => {
                return Err(Failure::Gone);
            }
            Poll::Ready(Err(Broken::Source(reject))) => return Err(Failure::Refused(reject)),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        Ok(())
    }

    fn alarm(&mut self, limits: &Limits) -> (Instant, Alarm) {
        if self.moved != self.pump.moved {
            (self.moved, self.since) = (self.pump.moved, Instant::now());
        }
        if self.held && self.pump.flushed() {
            return (self.since + CONTINUE, Alarm::Continue);
        }
        if !self.over() && !self.pump.on_writer {
            return (self.window + limits.body_window, Alarm::Slow);
        }
        self.window = self.since;
        (self.since + limits.response, Alarm::Response)
    }

    /// The window is over: was there enough?
    fn slow(&mut self, limits: &Limits) -> bool {
        let came = self.pump.content() - self.before;
        (self.window, self.before) = (Instant::now(), self.pump.content());
        came < limits.body_least
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conn<S> {
    /// Sends the request on `link` and its response to the client. Answers also whether the link can be
    /// used again. `Problem::Closed` means that not one byte came back.
    pub(crate) async fn attempt(
        &mut self,
        request: &mut Request,
        link: &mut Link,
    ) -> Result<(Outcome, bool), Failure> {
        let asked = request.asked;
        let fields = self.shared.limits().fields;
        let stream = &mut link.stream;
        let mut received = BytesMut::new();
        let mut up = Up::new(&mut request.upload, asked.expects, Instant::now());
        for interim in 0..INTERIM {
            let range = match self.response_head(&mut up, stream, &mut received).await {
                Err(Failure::Problem(Problem::Closed)) if interim > 0 => {
                    return Err(malformed(Reject::Truncated));
                }
                found => found?,
            };
            let end = range.end;
            let closing = self.stop.is_cancelled() || !up.pump.done();
            let head = received.get(range).unwrap_or_default();
            let said = Said::read(head, fields, &asked, closing).map_err(malformed)?;
            received.advance(end);
            match said {
                // The instance is polite, and nobody waits for it.
                Said::Interim(100, _) if !up.held => {}
                Said::Interim(status, out) => {
                    if asked.version == Version::Http11 {
                        self.say(&out).await?;
                    }
                    up.held &= status != 100;
                }
                // What came before the agreement was written as requests, not as the new protocol.
                Said::Upgrade(..) if !self.input.is_empty() => {
                    return Err(Failure::Refused(Reject::Upgrade));
                }
                Said::Upgrade(protocol, out) => {
                    // Boxed: see `listen`.
                    Box::pin(self.tunnel(protocol, out, received, link)).await;
                    return Ok((Outcome { status: 101, keep: false }, false));
                }
                Said::Final(status, reply, out) => {
                    return self.deliver((status, reply, out), &mut up, stream, received).await;
                }
            }
        }
        Err(malformed(Reject::StatusLine))
    }

    /// Hands the final response on.
    async fn deliver(
        &mut self,
        (status, reply, head): (u16, Reply, BytesMut),
        up: &mut Up<'_>,
        stream: &mut TcpStream,
        mut received: BytesMut,
    ) -> Result<(Outcome, bool), Failure> {
        let mut download = Pump::new(head, reply.body, reply.encoder, u64::MAX);
        download.take(&mut received).map_err(malformed)?;
        let relayed = self.relay(up, &mut download, stream, &mut received).await;
        relayed.map_err(|failure| late(failure, download.moved, status))?;
        let whole = up.pump.done() && !up.broken;
        let reusable = reply.reusable && whole && received.is_empty();
        Ok((Outcome { status, keep: reply.persists && whole }, reusable))
    }

    /// Sends what there is of the request and waits for the head of a response.
    async fn response_head(
        &mut self,
        up: &mut Up<'_>,
        stream: &mut TcpStream,
        received: &mut BytesMut,
    ) -> Result<Range<usize>, Failure> {
        let mut scan = Scan::response();
        loop {
            let alarm = poll_fn(|cx| {
                if let Err(failure) = up.poll(cx, &mut self.input, &mut self.io, stream) {
                    return Poll::Ready(Err(failure));
                }
                if let Poll::Ready(found) = self.poll_head(cx, &mut scan, stream, received) {
                    return Poll::Ready(found.map(Ok));
                }
                if up.over() && self.client_left(cx) {
                    return Poll::Ready(Err(Failure::Gone));
                }
                let (at, alarm) = up.alarm(self.shared.limits());
                self.timer.poll(cx, at).map(|()| Ok(Err(alarm)))
            });
            match alarm.await? {
                Ok(range) => return Ok(range),
                Err(Alarm::Response) => return Err(Failure::Problem(Problem::Timeout)),
                Err(Alarm::Continue) => {
                    up.held = false;
                    self.say(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                }
                Err(Alarm::Slow) if up.slow(self.shared.limits()) => {
                    return Err(Failure::Refused(Reject::TooSlow));
                }
                Err(Alarm::Slow) => {}
            }
        }
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        scan: &mut Scan,
        stream: &mut TcpStream,
        received: &mut BytesMut,
    ) -> Poll<Result<Range<usize>, Failure>> {
        loop {
            match scan.find(received, self.shared.limits().head_bytes) {
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
                Err(reject) => return Poll::Ready(Err(malformed(reject))),
            }
            match std::task::ready!(poll_glance(cx, stream, received)) {
                Ok(1..) => {}
                _ if received.is_empty() => {
                    return Poll::Ready(Err(Failure::Problem(Problem::Closed)));
                }
                _ => return Poll::Ready(Err(malformed(Reject::Truncated))),
            }
        }
    }

    /// Moves the response, and what is left of the request, until the response has been written.
    async fn relay(
        &mut self,
        up: &mut Up<'_>,
        download: &mut Pump,
        stream: &mut TcpStream,
        received: &mut BytesMut,
    ) -> Result<(), Failure> {
        let mut since = None;
        let mut moved = download.moved;
        poll_fn(|cx| {
            match download.poll(cx, received, stream, &mut self.io) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(Broken::Write)) => return Poll::Ready(Err(Failure::Gone)),
                Poll::Ready(Err(Broken::Source(reject))) => {
                    return Poll::Ready(Err(malformed(reject)));
                }
                Poll::Ready(Err(Broken::Read)) => {
                    return Poll::Ready(Err(malformed(Reject::Truncated)));
                }
                Poll::Pending => {}
            }
            if !up.held
                && let Err(failure) = up.poll(cx, &mut self.input, &mut self.io, stream)
            {
                return Poll::Ready(Err(failure));
            }
            if (up.over() || up.held) && self.client_left(cx) {
                return Poll::Ready(Err(Failure::Gone));
            }
            if since.is_none() || moved != download.moved + up.pump.moved {
                (since, moved) = (Some(Instant::now()), download.moved + up.pump.moved);
            }
            let limits = self.shared.limits();
            let pause = if download.on_writer { limits.idle } else { limits.silence };
            let at = since.unwrap_or_else(Instant::now) + pause;
            self.timer.poll(cx, at).map(|()| Err(Failure::Problem(Problem::Timeout)))
        })
        .await
    }

    /// The client has closed. What it sends meanwhile is read ahead a little, or its end would go unseen.
    fn client_left(&mut self, cx: &mut Context<'_>) -> bool {
        while self.input.len() < AHEAD {
            match poll_glance(cx, &mut self.io, &mut self.input) {
                Poll::Pending => return false,
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return true,
            }
        }
        false
    }

    async fn say(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let until = Instant::now() + self.shared.limits().idle;
        let sent = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        match self.timer.limit(until, sent).await {
            Some(Ok(())) => Ok(()),
            _ => Err(Failure::Gone),
        }
    }
}

fn malformed(reject: Reject) -> Failure {
    Failure::Problem(Problem::Malformed(reject))
}

/// Once a byte of the response is out, there is only the end of the connection to say that it failed.
fn late(failure: Failure, moved: u64, status: u16) -> Failure {
    match failure {
        Failure::Gone => Failure::Gone,
        failure if moved == 0 => failure,
        _ => Failure::Broken(status),
    }
}
