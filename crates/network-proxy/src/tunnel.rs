//! A connection after 101 Switching Protocols.

use crate::h1::Conn;
use crate::pump::{Broken, Pump};
use crate::wire::{Body, Encoder};
use bytes::BytesMut;
use std::future::poll_fn;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

impl<S: AsyncRead + AsyncWrite + Unpin> Conn<S> {
    /// After 101: bytes as they are, until both sides have ended or neither spoke for long.
    pub(crate) async fn tunnel(
        &mut self,
        head: BytesMut,
        mut received: BytesMut,
        stream: &mut TcpStream,
    ) {
        let raw = |head| Pump::new(head, Body::UntilClose, Encoder::Plain, u64::MAX);
        let (mut up, mut down) = (raw(BytesMut::new()), raw(head));
        let (mut up_shut, mut down_shut) = (false, false);
        let (mut since, mut moved) = (Instant::now(), 0);
        poll_fn(|cx| {
            let go = end_half(&mut up_shut, cx, stream, |cx, stream| {
                up.poll(cx, &mut self.input, &mut self.io, stream)
            });
            let come = end_half(&mut down_shut, cx, &mut self.io, |cx, io| {
                down.poll(cx, &mut received, stream, io)
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
    if std::pin::Pin::new(writer).poll_shutdown(cx).is_ready() {
        *shut = true;
    }
    Ok(*shut)
}
