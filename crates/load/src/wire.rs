//! A connection that knows what went through it, and when.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes as they are on the network, below TLS.
#[derive(Debug, Default)]
pub struct Meter {
    pub sent: Cell<u64>,
    pub received: Cell<u64>,
    /// The last time something was written.
    pub wrote: Cell<Option<Instant>>,
    /// The first time something came after the meter was reset.
    pub first: Cell<Option<Instant>>,
}

impl Meter {
    /// Before an exchange that has the connection for itself.
    pub fn reset(&self) {
        self.sent.set(0);
        self.received.set(0);
        self.wrote.set(None);
        self.first.set(None);
    }
}

pub struct Wire {
    stream: TcpStream,
    meter: Rc<Meter>,
}

impl Wire {
    pub fn new(stream: TcpStream, meter: Rc<Meter>) -> Wire {
        Wire { stream, meter }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let came = buf.filled().len() - before;
        if came > 0 {
            let meter = &self.meter;
            meter.received.set(meter.received.get() + came as u64);
            if meter.first.get().is_none() {
                meter.first.set(Some(Instant::now()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let went = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.wrote(went);
        Poll::Ready(Ok(went))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let went = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs))?;
        self.wrote(went);
        Poll::Ready(Ok(went))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Wire {
    fn wrote(&self, went: usize) {
        self.meter.sent.set(self.meter.sent.get() + went as u64);
        self.meter.wrote.set(Some(Instant::now()));
    }
}
