//! What a request has opened ends when whoever opened it may be here no more: its handler, the body of its answer,
//! its connection, also one that has become something else.
//!
//! The connection is the backstop: it is dropped soon after its request's [`Live`] has ended, however little the
//! client reads. Handlers and bodies end at once, so that nothing more is said meanwhile.

use crate::{Body, Response};
use account::Live;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use kernel::BoxFuture;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// For the last answer to be written, once it has ended; longer than a handler has that ended itself.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Whose request a connection serves now, or served last.
#[derive(Clone)]
pub(crate) struct Slot(watch::Sender<Option<Live>>);

impl Slot {
    pub fn new() -> Slot {
        Slot(watch::Sender::new(None))
    }

    pub fn set(&self, live: Option<Live>) {
        self.0.send_replace(live);
    }

    /// Resolves when the connection has to be dropped. Cancel safe, but begins anew.
    pub async fn ended(&self) {
        let mut current = self.0.subscribe();
        loop {
            let live = current.borrow_and_update().clone();
            let ended = async {
                match &live {
                    Some(live) => live.ended().await,
                    None => std::future::pending().await,
                }
                tokio::time::sleep(LAST_WORDS).await;
            };
            tokio::select! {
                // The sender is `self`: it does not go away.
                _ = current.changed() => {}
                () = ended => return,
            }
        }
    }
}

/// The answer with a body that breaks off when `live` ends, so that nobody takes it for whole. One that is there
/// already goes out as it is.
pub(crate) fn hold(response: Response, live: &Live) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    let ended: BoxFuture<'static, ()> = Box::pin(live.ended());
    let live = live.clone();
    response.map(|body| Body::new(Held { body, ended, _live: live }))
}

struct Held {
    body: Body,
    ended: BoxFuture<'static, ()>,
    /// The body is what is open.
    _live: Live,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(axum::Error::new(broken_off()))));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn broken_off() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "whoever opened this may be here no more")
}

/// A connection that is about to become something else (RFC 9110 §15.2.2).
pub struct Upgrade {
    on: OnUpgrade,
    live: Option<Live>,
}

impl Upgrade {
    pub(crate) fn new(on: OnUpgrade, live: Option<Live>) -> Upgrade {
        Upgrade { on, live }
    }

    /// The connection itself, once the answer with status 101 has been given.
    ///
    /// # Errors
    /// When the client has left.
    pub async fn connection(self) -> io::Result<Tunnel> {
        let upgraded = self.on.await.map_err(io::Error::other)?;
        let live = self.live;
        let ended: BoxFuture<'static, ()> = match &live {
            Some(live) => Box::pin(live.ended()),
            None => Box::pin(std::future::pending()),
        };
        Ok(Tunnel { io: TokioIo::new(upgraded), ended, over: false, _live: live })
    }
}

/// A connection of its own protocol. It breaks when whoever opened it may be here no more.
pub struct Tunnel {
    io: TokioIo<Upgraded>,
    ended: BoxFuture<'static, ()>,
    over: bool,
    _live: Option<Live>,
}

impl Tunnel {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        self.over = self.over || self.ended.as_mut().poll(context).is_ready();
        if self.over { Err(broken_off()) } else { Ok(()) }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
