//! Accepting connections, and ending them in good order.

use crate::edge::Shared;
use crate::forward::Origin;
use crate::h1::{Conn, End, answer_bytes};
use crate::h2s;
use crate::page::{Page, Problem, Reader};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Out of file descriptors or memory: accepting again at once would only spin.
const PAUSE: Duration = Duration::from_millis(50);

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
                    match Place::take(&shared) {
                        Some(place) => {
                            let work = serve(shared.clone(), stream, origin, tls.clone(), stop.clone());
                            open.spawn(async move {
                                work.await;
                                drop(place);
                            });
                        }
                        None => turn_away(&stream, tls.is_some()),
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
    Ok(())
}

/// One of the connections that [`crate::Limits::connections`] allows.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Place> {
        let before = shared.connections.fetch_add(1, Ordering::AcqRel);
        let place = Place(shared.clone());
        (before < shared.limits().connections).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Says so without waiting: whoever is in a crowd must not cost a task.
fn turn_away(stream: &TcpStream, secure: bool) {
    if !secure {
        let page = Page::new(&Problem::Crowded, None);
        let _ = stream.try_write(&answer_bytes(&page, &Reader::default(), false, false));
    }
}

fn fatal(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected)
}

async fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    origin: Origin,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) {
    let Some(tls) = tls else {
        let conn = Conn::new(stream, shared.clone(), origin.clone(), stop.clone());
        if let End::Http2(stream, read) = conn.run(true).await {
            h2s::run(h2s::Rewound::new(stream, read), shared, origin, stop).await;
        }
        return;
    };
    let shaking = tokio::time::timeout(shared.limits().head_time, tls.accept(stream));
    let Ok(Ok(stream)) = shaking.await else { return };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        h2s::run(stream, shared, origin, stop).await;
    } else {
        Conn::new(stream, shared, origin, stop).run(false).await;
    }
}
