//! Server-sent events (HTML Living Standard §9.2).

use crate::{Body, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderValue, header};
use kernel::Result;
use std::time::Duration;

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// What a client that comes back sends as `Last-Event-ID`.
    pub id: Option<String>,
    /// `None` is `message`.
    pub event: Option<&'static str>,
    pub data: String,
}

impl Frame {
    /// Appends the frame as it is sent.
    pub fn write(&self, out: &mut Vec<u8>) {
        // An id or name never holds a line break: both are ours.
        if let Some(id) = &self.id {
            push(out, &["id: ", id]);
        }
        if let Some(event) = self.event {
            push(out, &["event: ", event]);
        }
        for line in self.data.split('\n') {
            push(out, &["data: ", line.trim_end_matches('\r')]);
        }
        out.push(b'\n');
    }
}

fn push(out: &mut Vec<u8>, words: &[&str]) {
    words.iter().for_each(|word| out.extend_from_slice(word.as_bytes()));
    out.push(b'\n');
}

/// Marks an answer that has no end of its own, so that the server ends it when it stops.
#[derive(Clone, Copy)]
pub(crate) struct Endless;

/// A stream of events. A comment every 20 seconds keeps proxies from giving up; an error ends it.
pub fn sse(frames: impl Stream<Item = Result<Frame>> + Send + 'static) -> Response {
    sse_written(frames.map(|frame| {
        let mut out = Vec::new();
        frame?.write(&mut out);
        Ok(out.into())
    }))
}

/// As [`sse`], of frames that are written already, any number in one piece.
pub fn sse_written(frames: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Response {
    let beat = futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        Some((Bytes::from_static(b": still here\n\n"), ()))
    });
    let frames = frames
        .take_while(|f| std::future::ready(f.is_ok()))
        .filter_map(|f| std::future::ready(f.ok().map(Some)))
        // A sentinel, so that the end of the frames ends the beat as well.
        .chain(futures_util::stream::iter([None]));
    let all = futures_util::stream::select(frames, beat.map(Some))
        .take_while(|b| std::future::ready(b.is_some()))
        .filter_map(std::future::ready)
        .map(Ok::<_, std::convert::Infallible>);
    let mut response = Response::new(Body::from_stream(all));
    response.extensions_mut().insert(Endless);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn frames_come_out_and_the_stream_ends_with_them() {
        let frames = [
            Ok(Frame { id: Some("7".into()), event: Some("resource"), data: "a\nb".into() }),
            Ok(Frame { data: "{}".into(), ..Frame::default() }),
        ];
        let body = sse(futures_util::stream::iter(frames)).into_body();
        let whole = body.collect().await.unwrap().to_bytes();
        assert_eq!(whole, "id: 7\nevent: resource\ndata: a\ndata: b\n\ndata: {}\n\n");
    }
}
