//! A body that has to keep coming.

use super::limits::Pace;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

pub(crate) struct Paced<B = Incoming> {
    body: B,
    pace: Pace,
    got: u64,
    /// How long the server has waited for what has come.
    waited: Duration,
    /// Since when it waits for more.
    since: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

/// A body that came too slowly.
#[derive(Debug)]
pub(crate) struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body comes too slowly")
    }
}

impl std::error::Error for TooSlow {}

/// Whether that is what a body broke off with.
pub(crate) fn too_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<TooSlow>() {
            return true;
        }
        cause = error.source();
    }
    false
}

impl<B> Paced<B> {
    pub fn new(body: B, pace: Pace) -> Paced<B> {
        let (now, none) = (Instant::now(), Duration::ZERO);
        let sleep = Box::pin(tokio::time::sleep_until(now));
        Paced { body, pace, got: 0, waited: none, since: None, sleep }
    }

    /// How much longer may be waited for the next bytes.
    fn left(&self, now: Instant) -> Duration {
        let earned = Duration::from_secs(self.got / u64::from(self.pace.rate.max(1)));
        let waiting = self.since.map_or(Duration::ZERO, |since| now - since);
        (self.pace.grace + earned).saturating_sub(self.waited + waiting)
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let now = Instant::now();
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let waited = self.since.take().map_or(Duration::ZERO, |since| now - since);
            self.waited += waited;
            let bytes = frame.as_ref().and_then(|f| f.as_ref().ok()).and_then(Frame::data_ref);
            self.got += bytes.map_or(0, |bytes| bytes.len() as u64);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        self.since.get_or_insert(now);
        let left = self.left(now);
        // Not by the timer, whose grain is a millisecond: it would be set anew for ever.
        if left.is_zero() {
            return Poll::Ready(Some(Err(TooSlow.into())));
        }
        self.sleep.as_mut().reset(now + left);
        let late = self.sleep.as_mut().poll(context);
        late.map(|()| Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};

    const PACE: Pace = Pace { grace: Duration::from_secs(30), rate: 1000 };

    /// The bytes of `size` that come every `pause`, and how long it took.
    async fn take(size: usize, pause: Duration, times: usize) -> (Result<usize, String>, u64) {
        let began = Instant::now();
        let pieces = stream::iter(0..times).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(vec![0; size])))
        });
        let paced = Paced::new(StreamBody::new(Box::pin(pieces)), PACE);
        let got = match paced.collect().await {
            Ok(whole) => Ok(whole.to_bytes().len()),
            Err(error) if too_slow(&*error) => Err("slow".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        (got, began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_drip_is_cut_off_and_a_slow_line_is_not() {
        let second = Duration::from_secs(1);
        let (drip, after) = take(1, second, 100_000).await;
        assert_eq!((drip, after), (Err("slow".into()), 30));
        let (silent, after) = take(1, 3600 * second, 1).await;
        assert_eq!((silent, after), (Err("slow".into()), 30));
        let (slow, after) = take(1000, second, 600).await;
        assert_eq!((slow, after), (Ok(600_000), 600));
        let (bursts, _) = take(100_000, 60 * second, 10).await;
        assert_eq!(bursts, Err("slow".into()), "the grace is all that there is at first");
        let (bursts, _) = take(100_000, 29 * second, 10).await;
        assert_eq!(bursts, Ok(1_000_000));
    }
}
