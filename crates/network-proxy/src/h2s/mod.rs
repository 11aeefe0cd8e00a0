//! Clients that speak HTTP/2 (RFC 9113), through the `h2` crate. Each stream becomes an HTTP/1.1 request to
//! an instance; the rules on heads are those of HTTP/1, so that nothing reaches an instance in one way that
//! would be refused in the other.

mod body;
mod stream;

use crate::edge::Shared;
use crate::forward::Origin;
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// What a client may send on one stream, and on all of them, before an instance has taken it.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

pub(crate) async fn run<S>(io: S, shared: Arc<Shared>, origin: Origin, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = shared.limits();
    let mut builder = h2::server::Builder::new();
    builder
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.streams)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(STREAM_WINDOW as usize);
    let shaking = tokio::time::timeout(limits.head_time, builder.handshake::<_, Bytes>(io));
    let Ok(Ok(mut connection)) = shaking.await else { return };
    let origin = Arc::new(origin);
    let mut streams = JoinSet::new();
    let mut stopping = false;
    let mut quiet_since = Instant::now();
    loop {
        let idle = quiet_since + limits.idle;
        tokio::select! {
            next = connection.accept() => match next {
                // Opened and reset in turn, streams do not count against their limit; their tasks do.
                Some(Ok(_)) if streams.len() >= 2 * limits.streams as usize => {
                    connection.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM);
                }
                Some(Ok((request, respond))) => {
                    streams.spawn(stream::serve(shared.clone(), origin.clone(), request, respond));
                }
                Some(Err(_)) | None => break,
            },
            Some(_) = streams.join_next() => quiet_since = Instant::now(),
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.graceful_shutdown();
            }
            () = sleep_until(idle), if streams.is_empty() && !stopping => {
                stopping = true;
                connection.graceful_shutdown();
            }
            // Said goodbye, and the client does not leave.
            () = sleep_until(idle + limits.grace), if streams.is_empty() && stopping => break,
        }
    }
}

/// A connection with the bytes that were already read from it put back in front.
pub(crate) struct Rewound<S> {
    io: S,
    read: BytesMut,
}

impl<S> Rewound<S> {
    pub(crate) fn new(io: S, read: BytesMut) -> Rewound<S> {
        Rewound { io, read }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, into);
        }
        let n = self.read.len().min(into.remaining());
        into.put_slice(self.read.get(..n).unwrap_or_default());
        self.read.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, from)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, from)
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
