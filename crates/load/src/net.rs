//! Connections: made, kept, shared. One pool for each worker, used by one thread.

mod exchange;
mod tls;

use crate::file::HttpVersion;
use crate::metric::Parts;
use crate::plan::Settings;
use crate::wire::{Meter, Wire};
use bytes::Bytes;
use exchange::{Attempt, lost, read, request, take, take_two, two_streams};
use http::uri::PathAndQuery;
use http::{StatusCode, Uri, Version};
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use kernel::{Error, Result, text};
use rustls_pki_types::ServerName;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Streams of HTTP/2 at a time on one connection.
const STREAMS: u32 = 100;
/// Connections of HTTP/1.1 that wait for their next request; more are closed. VUs bound it lower.
const IDLE: usize = 16_384;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub secure: bool,
    pub host: String,
    pub port: u16,
}

impl Target {
    /// The target and the path of an absolute `http` or `https` address.
    pub fn parse(words: &str) -> Option<(Target, PathAndQuery)> {
        let words = words.split('#').next().unwrap_or(words);
        let uri: Uri = words.parse().ok()?;
        let secure = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let host = uri.host().filter(|h| !h.is_empty())?.to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        Some((Target { secure, host, port }, path))
    }

    /// As the `Host` header has it.
    pub fn authority(&self) -> String {
        let usual = if self.secure { 443 } else { 80 };
        if self.port == usual { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

/// What went wrong with an exchange: a stable word for counting, and the reason.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: &'static str,
    pub why: String,
}

fn fault(kind: &'static str, why: impl std::fmt::Display) -> Fault {
    Fault { kind, why: why.to_string() }
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    /// Empty unless it was asked for.
    pub body: Bytes,
}

/// What an exchange is told.
pub struct Ask {
    pub method: http::Method,
    pub target: Target,
    pub path: PathAndQuery,
    pub headers: http::HeaderMap,
    pub body: Bytes,
    /// Bytes of the answer's body that are kept; the rest is counted and let go.
    pub keep: usize,
}

pub struct Pool {
    tls: TlsConnector,
    version: HttpVersion,
    reuse: bool,
    named: HashMap<String, String>,
    hosts: RefCell<HashMap<Target, Rc<Host>>>,
}

#[derive(Default)]
struct Host {
    idle: RefCell<Vec<One>>,
    two: RefCell<Vec<Two>>,
    /// Who makes a connection of HTTP/2, or finds out whether there is one to be had.
    making: tokio::sync::Mutex<()>,
    /// Whether TLS has agreed on HTTP/2.
    speaks_two: Cell<Option<bool>>,
    addresses: RefCell<Vec<IpAddr>>,
    turn: Cell<usize>,
}

struct One {
    sender: http1::SendRequest<Full<Bytes>>,
    meter: Rc<Meter>,
}

#[derive(Clone)]
struct Two {
    sender: http2::SendRequest<Full<Bytes>>,
    active: Rc<Cell<u32>>,
}

enum Connection {
    One(One),
    Two(Two),
}

/// Spawns on the worker's own thread.
#[derive(Clone)]
struct Here;

impl<F: Future + 'static> Executor<F> for Here {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}

impl Pool {
    pub fn new(settings: &Settings) -> Result<Pool> {
        let named = settings.hosts.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(Pool {
            tls: TlsConnector::from(Arc::new(tls::tls(settings)?)),
            version: settings.version,
            reuse: settings.reuse,
            named,
            hosts: RefCell::default(),
        })
    }

    /// One request and its whole answer. `due` is when it should have been sent. Dropping the future gives
    /// the connection up.
    pub async fn exchange(&self, ask: &Ask, due: Instant) -> (Parts, Result<Answer, Fault>) {
        let mut parts = Parts::default();
        let mut answer = self.attempt(ask, due, &mut parts, true).await;
        // A kept connection that the server has closed meanwhile is not an error of the server's.
        if matches!(&answer, Err(Attempt::Stale)) {
            answer = self.attempt(ask, due, &mut parts, false).await;
        }
        parts.duration = due.elapsed();
        let answer = answer.map_err(|e| match e {
            Attempt::Stale => fault("reset", "the connection was closed before an answer"),
            Attempt::Fault(fault) => fault,
        });
        (parts, answer)
    }

    async fn attempt(
        &self,
        ask: &Ask,
        due: Instant,
        parts: &mut Parts,
        reuse: bool,
    ) -> Result<Answer, Attempt> {
        let host = self.host(&ask.target);
        let kept = if reuse && self.reuse { take(&host) } else { None };
        let stale = kept.is_some();
        let connection = match kept {
            Some(connection) => connection,
            None => self.connect(&ask.target, &host, parts).await?,
        };
        match connection {
            Connection::One(one) => self.one(ask, due, parts, &host, one, stale).await,
            Connection::Two(two) => two_streams(ask, due, parts, two, stale).await,
        }
    }

    fn host(&self, target: &Target) -> Rc<Host> {
        if let Some(found) = self.hosts.borrow().get(target) {
            return found.clone();
        }
        let made = Rc::new(Host::default());
        self.hosts.borrow_mut().insert(target.clone(), made.clone());
        made
    }

    async fn one(
        &self,
        ask: &Ask,
        due: Instant,
        parts: &mut Parts,
        host: &Host,
        mut one: One,
        stale: bool,
    ) -> Result<Answer, Attempt> {
        one.sender.ready().await.map_err(|e| lost(e, stale, 0))?;
        one.meter.reset();
        let sent = Instant::now();
        parts.blocked = sent - due;
        let response = match one.sender.send_request(request(ask, Version::HTTP_11)).await {
            Ok(response) => response,
            Err(error) => {
                parts.service = sent.elapsed();
                return Err(lost(error, stale, one.meter.received.get()));
            }
        };
        let answer = read(response, ask.keep).await;
        let end = Instant::now();
        let wrote = one.meter.wrote.get().unwrap_or(sent).max(sent);
        let first = one.meter.first.get().unwrap_or(end).max(sent);
        parts.service = end - sent;
        // A server may answer before it has everything.
        parts.sending = wrote.min(first) - sent;
        parts.waiting = first - wrote.min(first);
        parts.receiving = end - first;
        parts.sent = one.meter.sent.get();
        parts.received = one.meter.received.get();
        let answer = answer?;
        if self.reuse && !one.sender.is_closed() && host.idle.borrow().len() < IDLE {
            host.idle.borrow_mut().push(one);
        }
        Ok(answer)
    }

    async fn connect(
        &self,
        target: &Target,
        host: &Rc<Host>,
        parts: &mut Parts,
    ) -> Result<Connection, Attempt> {
        let may_two = match (self.version, target.secure) {
            (HttpVersion::One, _) | (HttpVersion::Auto, false) => false,
            (HttpVersion::Two, _) => true,
            (HttpVersion::Auto, true) => host.speaks_two.get() != Some(false),
        };
        if !may_two {
            return Ok(self.open(target, host, parts).await?);
        }
        let _making = host.making.lock().await;
        if self.reuse
            && let Some(found) = take_two(host)
        {
            return Ok(Connection::Two(found));
        }
        Ok(self.open(target, host, parts).await?)
    }

    async fn open(
        &self,
        target: &Target,
        host: &Rc<Host>,
        parts: &mut Parts,
    ) -> Result<Connection, Fault> {
        let address = self.address(target, host, parts).await?;
        let began = Instant::now();
        let stream = TcpStream::connect(address).await.map_err(|e| {
            let kind = match e.kind() {
                std::io::ErrorKind::ConnectionRefused => "refused",
                _ => "connect",
            };
            fault(kind, format!("{address}: {e}"))
        })?;
        let _ = stream.set_nodelay(true);
        parts.connecting = Some(began.elapsed());
        let meter = Rc::new(Meter::default());
        let wire = Wire::new(stream, meter.clone());
        if !target.secure {
            let two = self.version == HttpVersion::Two;
            return self.greet(TokioIo::new(wire), meter, host, two).await;
        }
        let began = Instant::now();
        let name = ServerName::try_from(target.host.trim_matches(['[', ']']).to_owned())
            .map_err(|e| fault("tls", e))?;
        let stream = self.tls.connect(name, wire).await.map_err(|e| fault("tls", e))?;
        parts.tls = Some(began.elapsed());
        let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        if self.version == HttpVersion::Two && !two {
            return Err(fault("protocol", "the server does not speak HTTP/2"));
        }
        host.speaks_two.set(Some(two));
        self.greet(TokioIo::new(stream), meter, host, two).await
    }

    async fn greet<T>(
        &self,
        io: T,
        meter: Rc<Meter>,
        host: &Rc<Host>,
        two: bool,
    ) -> Result<Connection, Fault>
    where
        T: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    {
        if !two {
            let (sender, connection) =
                http1::handshake(io).await.map_err(|e| fault("protocol", e))?;
            tokio::task::spawn_local(connection);
            return Ok(Connection::One(One { sender, meter }));
        }
        let (sender, connection) =
            http2::handshake(Here, io).await.map_err(|e| fault("protocol", e))?;
        tokio::task::spawn_local(connection);
        let made = Two { sender, active: Rc::default() };
        if self.reuse {
            host.two.borrow_mut().push(made.clone());
        }
        made.active.set(made.active.get() + 1);
        Ok(Connection::Two(made))
    }

    /// Names are asked for once; several addresses take turns.
    async fn address(
        &self,
        target: &Target,
        host: &Host,
        parts: &mut Parts,
    ) -> Result<SocketAddr, Fault> {
        let exact = format!("{}:{}", target.host, target.port);
        let named = self.named.get(&exact).or_else(|| self.named.get(&target.host));
        if let Some(named) = named {
            let whole = named.parse::<SocketAddr>();
            let bare = named.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, target.port));
            return whole
                .or(bare)
                .map_err(|_| fault("dns", format!("hosts: {named} is no address")));
        }
        if host.addresses.borrow().is_empty() {
            let began = Instant::now();
            let plain = target.host.trim_matches(['[', ']']);
            let found: Vec<IpAddr> = tokio::net::lookup_host((plain, target.port))
                .await
                .map_err(|e| fault("dns", format!("{plain}: {e}")))?
                .map(|a| a.ip())
                .collect();
            parts.dns = Some(began.elapsed());
            *host.addresses.borrow_mut() = found;
        }
        let turn = host.turn.get();
        host.turn.set(turn.wrapping_add(1));
        let addresses = host.addresses.borrow();
        let at = addresses.get(turn % addresses.len().max(1)).copied();
        at.map(|ip| SocketAddr::new(ip, target.port))
            .ok_or_else(|| fault("dns", format!("{} has no address", target.host)))
    }
}

/// What a request that took too long is counted as.
pub fn timed_out(after: Duration) -> Fault {
    fault("timeout", format!("no whole answer within {}", kernel::time::show_duration(after)))
}

/// An address that is none, once its variables are filled in.
pub fn no_address(words: &str) -> Fault {
    fault("url", format!("“{words}” is not an address"))
}

/// The machine's limits that a plan needs to be raised.
///
/// # Errors
/// `load.hosts` for an entry of `hosts` that is no address.
pub fn check_hosts(settings: &Settings) -> Result<()> {
    for (name, to) in &settings.hosts {
        if to.parse::<SocketAddr>().is_err() && to.parse::<IpAddr>().is_err() {
            return Err(Error::invalid(
                "load.hosts",
                text!(
                    "hosts: “{to}” for {name} is not an IP address",
                    "hosts: {name}의 “{to}”은(는) IP 주소가 아닙니다"
                ),
            ));
        }
    }
    Ok(())
}
