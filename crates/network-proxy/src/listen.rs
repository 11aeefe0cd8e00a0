//! Accepting connections, and ending them in good order.

use crate::edge::Shared;
use crate::forward::Origin;
use crate::h1::{Conn, End};
use crate::h2s;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Out of file descriptors or memory: accepting again at once would only spin.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections over the limit that are answered at a time; beyond these, silence.
const APOLOGIES: usize = 64;

pub(crate) async fn run(
    shared: Arc<Shared>,
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    stop: CancellationToken,
) -> io::Result<()> {
    let tls = tls.map(TlsAcceptor::from);
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = open.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    let origin = Origin {
                        address: peer.ip().to_canonical().to_string(),
                        secure: tls.is_some(),
                    };
                    if let Some(place) = Place::take(&shared) {
                        let client = Client { shared: shared.clone(), origin, stop: stop.clone() };
                        open.spawn(client.serve(stream, tls.clone(), place));
                    }
                }
                Err(e) if fatal(&e) => return Err(e),
                Err(e) => {
                    tracing::warn!(error = %e, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    let all = async { while open.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(shared.limits().grace, all).await;
    open.shutdown().await;
    Ok(())
}

/// One of the connections that [`crate::Limits::connections`] allows, or one of a few more that are only
/// told that there are too many.
struct Place {
    shared: Arc<Shared>,
    crowded: bool,
}

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Place> {
        let before = shared.connections.fetch_add(1, Ordering::AcqRel);
        let most = shared.limits().connections;
        let place = Place { shared: shared.clone(), crowded: before >= most };
        (before < most.saturating_add(APOLOGIES)).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

fn fatal(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected)
}

/// An accepted connection.
struct Client {
    shared: Arc<Shared>,
    origin: Origin,
    stop: CancellationToken,
}

impl Client {
    /// The rarer ways are boxed: a future is as large as its largest way, and ten thousand idle connections
    /// hold one each.
    async fn serve(self, stream: TcpStream, tls: Option<TlsAcceptor>, place: Place) {
        match tls {
            None if place.crowded => Box::pin(self.conn(stream).turn_away()).await,
            None => {
                if let End::Http2(stream, read) = self.conn(stream).run(true).await {
                    Box::pin(self.http2(h2s::Rewound::new(stream, read))).await;
                }
            }
            // A handshake costs more than any answer.
            Some(_) if place.crowded => {}
            Some(tls) => Box::pin(self.serve_tls(stream, tls)).await,
        }
    }

    async fn serve_tls(self, stream: TcpStream, tls: TlsAcceptor) {
        let shaking = tokio::time::timeout(self.shared.limits().head_time, tls.accept(stream));
        let Ok(Ok(stream)) = Box::pin(shaking).await else { return };
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Box::pin(self.http2(stream)).await,
            _ => drop(self.conn(stream).run(false).await),
        }
    }

    fn conn<S: AsyncRead + AsyncWrite + Unpin>(&self, io: S) -> Conn<S> {
        Conn::new(io, self.shared.clone(), self.origin.clone(), self.stop.clone())
    }

    async fn http2<S: AsyncRead + AsyncWrite + Unpin>(self, io: S) {
        h2s::run(io, self.shared, self.origin, self.stop).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_idle_connection_is_small() {
        let shared = crate::Proxy::new(crate::Options::default()).shared;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let place = Place::take(&shared).unwrap();
        let origin = Origin { address: String::new(), secure: false };
        let client = Client { shared, origin, stop: CancellationToken::new() };
        let size = size_of_val(&client.serve(stream, None, place));
        assert!(size < 3 * 1024, "{size} bytes for each connection");
    }
}
