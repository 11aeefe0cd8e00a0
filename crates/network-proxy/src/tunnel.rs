//! A connection after 101 Switching Protocols.

use crate::exchange::Link;
use crate::forward::Protocol;
use crate::h1::Conn;
use crate::pump::{Broken, Pump};
use crate::wire::{Body, Encoder};
use bytes::BytesMut;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// A WebSocket close frame with code 1001, going away (RFC 6455 §7.4.1): clients connect again, and reach
/// an instance that stays.
const GOING_AWAY: &[u8] = &[0x88, 2, 0x03, 0xe9];

impl<S: AsyncRead + AsyncWrite + Unpin> Conn<S> {
    /// Bytes as they are, until both sides have ended or neither spoke for long. When the instance retires
    /// or the edge stops, a WebSocket is closed in good order between two frames.
    pub(crate) async fn tunnel(
        &mut self,
        protocol: Protocol,
        head: BytesMut,
        mut received: BytesMut,
        link: &mut Link,
    ) {
        let raw = |head| Pump::new(head, Body::UntilClose, Encoder::Plain, u64::MAX);
        let mut up = raw(BytesMut::new());
        let mut down = match protocol {
            Protocol::WebSocket => Pump::frames(head),
            Protocol::Other => raw(head),
        };
        let (stream, stop) = (&mut link.stream, self.stop.clone());
        let mut leaving = pin!(async {
            tokio::select! {
                () = link.lease.retired() => {}
                () = stop.cancelled() => {}
            }
        });
        let mut left = false;
        let (mut up_shut, mut down_shut) = (false, false);
        let (mut since, mut moved) = (Instant::now(), 0);
        poll_fn(|cx| {
            left = left || leaving.as_mut().poll(cx).is_ready();
            let go = end_half(&mut up_shut, cx, stream, |cx, stream| {
                up.poll(cx, &mut self.input, &mut self.io, stream)
            });
            let come = end_half(&mut down_shut, cx, &mut self.io, |cx, io| {
                let polled = down.poll(cx, &mut received, stream, io);
                match polled.is_pending() && left && down.end_between_frames(GOING_AWAY) {
                    true => down.poll(cx, &mut received, stream, io),
                    false => polled,
                }
            });
            match (go, come) {
                (Ok(false), Ok(_)) | (Ok(_), Ok(false)) => {}
                _ => return Poll::Ready(()),
            }
            if moved != up.moved + down.moved {
                (since, moved) = (Instant::now(), up.moved + down.moved);
            }
            let limits = self.shared.limits();
            let half = up_shut || down_shut;
            let pause = if half { limits.idle } else { limits.silence };
            self.timer.poll(cx, since + pause)
        })
        .await;
    }
}

/// Polls one direction; when it has ended, ends the writing side too. Answers whether all of it is over.
fn end_half<W: AsyncWrite + Unpin>(
    shut: &mut bool,
    cx: &mut Context<'_>,
    writer: &mut W,
    poll: impl FnOnce(&mut Context<'_>, &mut W) -> Poll<Result<(), Broken>>,
) -> Result<bool, Broken> {
    if *shut {
        return Ok(true);
    }
    match poll(cx, writer) {
        Poll::Pending => return Ok(false),
        Poll::Ready(done) => done?,
    }
    if Pin::new(writer).poll_shutdown(cx).is_ready() {
        *shut = true;
    }
    Ok(*shut)
}
