//! Whether anything is under way on a connection.

use crate::{Body, Response};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;

/// Requests of a connection: those whose answers have not ended, and whether there was any.
#[derive(Clone)]
pub(crate) struct Busy(Arc<watch::Sender<Count>>);

#[derive(Clone, Copy, Default)]
struct Count {
    open: usize,
    any: bool,
}

/// One of them.
pub(crate) struct One(Busy);

impl Busy {
    pub fn new() -> Busy {
        Busy(Arc::new(watch::Sender::new(Count::default())))
    }

    pub fn one(&self) -> One {
        self.0.send_modify(|count| *count = Count { open: count.open + 1, any: true });
        One(self.clone())
    }

    /// Resolves when the first has not come for `first`, or when there has been none for `limit` since the last. Cancel
    /// safe, but begins anew.
    pub async fn idle(&self, first: Duration, limit: Duration) {
        let mut count = self.0.subscribe();
        loop {
            let now = *count.borrow_and_update();
            let changed = async {
                // The sender is here.
                let _ = count.changed().await;
            };
            if now.open > 0 {
                changed.await;
            } else if tokio::time::timeout(if now.any { limit } else { first }, changed)
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| count.open = count.open.saturating_sub(1));
    }
}

impl One {
    /// The answer, whose body takes this along.
    pub fn until_the_end_of(self, response: Response) -> Response {
        response.map(|body| Body::new(Counted { body, _one: self }))
    }
}

struct Counted {
    body: Body,
    _one: One,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
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

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_goes_on_is_not_idle_however_long_it_says_nothing() {
        let limit = Duration::from_secs(60);
        let busy = Busy::new();
        let began = tokio::time::Instant::now();
        let streaming = busy.one().until_the_end_of(Response::new(Body::empty()));
        let idle = busy.idle(Duration::from_secs(1), limit);
        let mut idle = std::pin::pin!(idle);
        let day = Duration::from_secs(86_400);
        assert!(tokio::time::timeout(day, idle.as_mut()).await.is_err());
        drop(streaming);
        idle.await;
        assert_eq!(began.elapsed(), day + limit);
    }
}
