//! What `fuzz/` throws bytes at beside [`crate::gitlab::fuzz`]: the readers of what clients send, private
//! otherwise.

use crate::form::Fields;
use crate::local::frames::Frames;
use futures_util::FutureExt;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};

/// Names and values in a request's body; `None` when it is refused. Plain forms are read by the listener.
pub fn fields(content_type: &str, body: &[u8]) -> Option<Vec<(String, String)>> {
    let mut fields = Fields::default();
    fields.add_body(content_type, body, |_| Vec::new()).ok()?;
    Some(fields.pairs().to_vec())
}

/// What comes over a connection that has become a terminal, in these portions: its frames as they would be
/// sent on, and whether they were all that came.
pub fn terminal(portions: &[&[u8]]) -> (Vec<u8>, bool) {
    let mut frames = Frames::new(Portions(portions.iter().copied().collect()));
    let mut sent = Vec::new();
    loop {
        // Nobody is waited for: all that will come is there.
        match frames.next().now_or_never() {
            Some(Ok(Some(frame))) => sent.extend(frame.encode()),
            Some(Ok(None)) => return (sent, true),
            Some(Err(_)) | None => return (sent, false),
        }
    }
}

/// A connection over which bytes come in these portions.
struct Portions<'a>(VecDeque<&'a [u8]>);

impl AsyncRead for Portions<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(portion) = self.0.pop_front() {
            let (now, later) = portion.split_at(portion.len().min(into.remaining()));
            into.put_slice(now);
            if !later.is_empty() {
                self.0.push_front(later);
            }
            // Nothing read would be the end.
            if !now.is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}
