//! The listener: who gets a connection, for how long, and what is spoken on it.
//!
//! Every wait has a limit ([`Limits`]) and every number a bound, for all together and for each address, so that one
//! client that has gone wild, or has never meant well, does not take the server from the others.

mod idle;
mod limits;
mod pace;
mod plain;
mod source;
mod wire;

pub use limits::{Limits, Pace};
pub(crate) use pace::too_slow;

use crate::front::Hosts;
use crate::hold::Slot;
use crate::{Body, Response};
use axum::extract::ConnectInfo;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use idle::Busy;
use pace::Paced;
use rustls::ServerConfig;
use source::{Place, Sources};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::Wire;

/// For requests under way when the server stops.
const DRAIN: Duration = Duration::from_secs(5);
/// For the end of a connection to be said on which nothing is under way.
const GOODBYE: Duration = Duration::from_millis(500);
const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// Out of descriptors, most likely: connections have to end before the next try.
const PAUSE: Duration = Duration::from_millis(50);

/// A socket that people come in by, and how.
pub struct Door {
    pub listener: TcpListener,
    /// With it nothing else is spoken: who comes in plain HTTP is told so.
    pub tls: Option<Arc<ServerConfig>>,
    /// Where who comes in plain HTTP may be sent on to.
    pub hosts: Hosts,
    pub limits: Limits,
}

impl From<TcpListener> for Door {
    fn from(listener: TcpListener) -> Door {
        Door { listener, tls: None, hosts: Hosts::default(), limits: Limits::default() }
    }
}

/// What all connections of a door share.
struct Shared<S> {
    answer: S,
    tls: Option<TlsAcceptor>,
    hosts: Hosts,
    limits: Limits,
    handshakes: Semaphore,
    sources: Arc<Sources>,
    stop: CancellationToken,
}

/// Serves HTTP/1.1, and over TLS HTTP/2 as well, within the limits of the door. `answer` bounds what it reads of a
/// body. Ends when `stop` does, after what is under way has had five seconds.
pub async fn listen<S, F>(door: impl Into<Door>, answer: S, stop: CancellationToken)
where
    S: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let Door { listener, tls, hosts, limits } = door.into();
    let places = Arc::new(Semaphore::new(limits.connections));
    let shared = Arc::new(Shared {
        answer,
        tls: tls.map(TlsAcceptor::from),
        hosts,
        handshakes: Semaphore::new(limits.handshakes),
        sources: Sources::new(limits.of_one_address, limits.uncounted.clone()),
        limits,
        stop: stop.clone(),
    });
    let tasks = TaskTracker::new();
    loop {
        let Ok(permit) = places.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => match shared.sources.take(peer.ip(), permit) {
                Some(place) => drop(tasks.spawn(shared.clone().meet(stream, peer, place))),
                None => turn_away(&stream, shared.tls.is_some()),
            },
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    tasks.close();
    // What is still open after that is a stream that nobody ends: its client comes back to the next server.
    let _ = tokio::time::timeout(DRAIN, tasks.wait()).await;
}

/// One address has all the connections it may have: said as far as it fits in the socket's buffer, without waiting.
fn turn_away(stream: &TcpStream, tls: bool) {
    const WORDS: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nConnection: close\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Length: 30\r\n\r\ntoo many connections from you\n";
    if !tls {
        let _ = stream.try_write(WORDS);
    }
}

impl<S, F> Shared<S>
where
    S: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    async fn meet(self: Arc<Shared<S>>, stream: TcpStream, peer: SocketAddr, place: Place) {
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.clone() else {
            let wire = Wire::new(stream, place, self.limits.stalled);
            return self.talk(wire, false, peer, self.answer.clone()).await;
        };
        let shaken = tokio::time::timeout(self.limits.handshake, self.shake(&tls, stream, place));
        match shaken.await {
            Ok(Some(Greeted::Secure(stream))) => {
                let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                self.talk(stream, two, peer, self.answer.clone()).await;
            }
            Ok(Some(Greeted::Plain(wire))) => {
                let hosts = self.hosts.clone();
                let answer = move |request| std::future::ready(plain::answer(&request, &hosts));
                self.talk(wire, false, peer, answer).await;
            }
            Ok(None) | Err(_) => {}
        }
    }

    /// The first byte tells a handshake (RFC 8446 §5.1) from words.
    async fn shake(&self, tls: &TlsAcceptor, stream: TcpStream, place: Place) -> Option<Greeted> {
        let mut first = [0];
        stream.peek(&mut first).await.ok().filter(|read| *read > 0)?;
        let wire = Wire::new(stream, place, self.limits.stalled);
        if first != [0x16] {
            return Some(Greeted::Plain(wire));
        }
        // Only who has begun one takes from those that may be under way.
        let _permit = self.handshakes.acquire().await.ok()?;
        match tls.accept(wire).await {
            Ok(stream) => Some(Greeted::Secure(Box::new(stream))),
            Err(error) => {
                tracing::debug!(%error, "no handshake");
                None
            }
        }
    }

    async fn talk<I, A, G>(&self, io: I, two: bool, peer: SocketAddr, answer: A)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        A: Fn(Request<Body>) -> G + Send + Sync + 'static,
        G: Future<Output = Response> + Send + 'static,
    {
        let (slot, busy) = (Slot::new(), Busy::new());
        let (held, counted, pace) = (slot.clone(), busy.clone(), self.limits.pace);
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let one = counted.one();
            let mut request = request.map(|body| Body::new(Paced::new(body, pace)));
            name_host(&mut request);
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(held.clone());
            let answer = answer(request);
            async move {
                let mut answer = answer.await;
                // What is left of a body that came too slowly would come as slowly. HTTP/2 ends the stream by itself.
                if answer.status() == StatusCode::REQUEST_TIMEOUT && !two {
                    answer.headers_mut().insert(header::CONNECTION, CLOSE);
                }
                Ok::<_, Infallible>(one.until_the_end_of(answer))
            }
        });
        let builder = self.protocol(two);
        let served = builder.serve_connection_with_upgrades(TokioIo::new(io), service);
        let mut served = std::pin::pin!(served);
        let patience = tokio::select! {
            // A client that leaves in the middle is not news.
            _ = served.as_mut() => return,
            () = slot.ended() => return,
            // Nothing is under way but perhaps the beginning of a head.
            () = busy.idle(self.limits.head, self.limits.idle) => GOODBYE,
            () = self.stop.cancelled() => DRAIN,
        };
        served.as_mut().graceful_shutdown();
        tokio::select! {
            _ = served.as_mut() => {}
            () = slot.ended() => {}
            () = tokio::time::sleep(patience) => {}
        }
    }

    fn protocol(&self, two: bool) -> auto::Builder<TokioExecutor> {
        let limits = &self.limits;
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_headers(limits.headers)
            .max_buf_size(limits.head_bytes);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(limits.head)
            .keep_alive_timeout(limits.head)
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX));
        if two { builder.http2_only() } else { builder.http1_only() }
    }
}

/// What a client of a door with TLS has turned out to speak.
enum Greeted {
    Secure(Box<tokio_rustls::server::TlsStream<Wire>>),
    Plain(Wire),
}

/// HTTP/2 names the host in `:authority` (RFC 9113 §8.3.1): handlers find it where HTTP/1.1 has it.
fn name_host(request: &mut Request<Body>) {
    if request.version() != http::Version::HTTP_2 {
        return;
    }
    let uri = std::mem::take(request.uri_mut());
    let named = uri.authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok());
    if let Some(host) = named {
        request.headers_mut().insert(header::HOST, host);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().unwrap_or_else(|_| Uri::from_static("/"));
}
