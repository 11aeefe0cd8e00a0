//! Connections: made, kept, shared. One pool for each worker, used by one thread.

use crate::file::HttpVersion;
use crate::metric::Parts;
use crate::plan::{Settings, Trust};
use crate::wire::{Meter, Wire};
use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{Request, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use kernel::{Error, Result, text};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
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
            tls: TlsConnector::from(Arc::new(tls(settings)?)),
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

enum Attempt {
    /// The kept connection was already closed.
    Stale,
    Fault(Fault),
}

impl From<Fault> for Attempt {
    fn from(fault: Fault) -> Attempt {
        Attempt::Fault(fault)
    }
}

fn lost(error: hyper::Error, stale: bool, received: u64) -> Attempt {
    let gone = error.is_canceled() || error.is_closed() || error.is_incomplete_message();
    let broken = std::error::Error::source(&error)
        .and_then(|e| e.downcast_ref::<std::io::Error>())
        .is_some_and(|e| {
            use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
            matches!(e.kind(), BrokenPipe | ConnectionReset)
        });
    if stale && received == 0 && (gone || broken) {
        return Attempt::Stale;
    }
    let kind = if gone || broken { "reset" } else { "protocol" };
    Attempt::Fault(fault(kind, deep(&error)))
}

/// An error with its causes.
fn deep(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        out = format!("{out}: {cause}");
        next = cause.source();
    }
    out
}

fn take(host: &Host) -> Option<Connection> {
    while let Some(one) = host.idle.borrow_mut().pop() {
        if !one.sender.is_closed() {
            return Some(Connection::One(one));
        }
    }
    take_two(host).map(Connection::Two)
}

/// The connection with the fewest streams, if it has room; counted as used.
fn take_two(host: &Host) -> Option<Two> {
    let mut all = host.two.borrow_mut();
    all.retain(|two| !two.sender.is_closed());
    let least = all.iter().min_by_key(|two| two.active.get())?;
    if least.active.get() >= STREAMS {
        return None;
    }
    least.active.set(least.active.get() + 1);
    Some(least.clone())
}

/// Counts a stream down however its exchange ends.
struct Stream(Rc<Cell<u32>>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

async fn two_streams(
    ask: &Ask,
    due: Instant,
    parts: &mut Parts,
    mut two: Two,
    stale: bool,
) -> Result<Answer, Attempt> {
    let _stream = Stream(two.active.clone());
    two.sender.ready().await.map_err(|e| lost(e, stale, 0))?;
    let sent = Instant::now();
    parts.blocked = sent - due;
    let response = match two.sender.send_request(request(ask, Version::HTTP_2)).await {
        Ok(response) => response,
        Err(error) => {
            parts.service = sent.elapsed();
            return Err(lost(error, stale, 0));
        }
    };
    // Streams share the connection: what each took of its bytes is not to be told apart.
    let first = Instant::now();
    parts.waiting = first - sent;
    let (answer, bytes) = read_counted(response, ask.keep).await;
    parts.receiving = first.elapsed();
    parts.service = sent.elapsed();
    parts.sent = ask.body.len() as u64;
    parts.received = bytes;
    Ok(answer?)
}

fn request(ask: &Ask, version: Version) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(ask.body.clone()));
    *request.method_mut() = ask.method.clone();
    *request.version_mut() = version;
    *request.headers_mut() = ask.headers.clone();
    *request.uri_mut() = if version == Version::HTTP_2 {
        let scheme = if ask.target.secure { "https" } else { "http" };
        let built = Uri::builder()
            .scheme(scheme)
            .authority(ask.target.authority())
            .path_and_query(ask.path.clone())
            .build();
        request.headers_mut().remove(http::header::HOST);
        built.unwrap_or_default()
    } else {
        Uri::from(ask.path.clone())
    };
    request
}

async fn read(response: http::Response<Incoming>, keep: usize) -> Result<Answer, Fault> {
    read_counted(response, keep).await.0
}

/// The answer, and the bytes of its body.
async fn read_counted(
    response: http::Response<Incoming>,
    keep: usize,
) -> (Result<Answer, Fault>, u64) {
    let (head, mut body) = response.into_parts();
    let mut kept = BytesMut::new();
    let mut count = 0_u64;
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return (Err(fault("reset", deep(&error))), count),
        };
        if let Some(data) = frame.data_ref() {
            count += data.len() as u64;
            let room = keep.saturating_sub(kept.len()).min(data.len());
            kept.extend_from_slice(data.get(..room).unwrap_or_default());
        }
    }
    let answer = Answer { status: head.status, headers: head.headers, body: kept.freeze() };
    (Ok(answer), count)
}

fn tls(settings: &Settings) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?;
    let mut config = match &settings.trust {
        Trust::Machine => builder.with_root_certificates(machine()).with_no_client_auth(),
        Trust::Only(authorities) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(authorities.iter().cloned());
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Trust::Anyone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
            .with_no_client_auth(),
    };
    config.alpn_protocols = match settings.version {
        HttpVersion::One => vec![b"http/1.1".to_vec()],
        HttpVersion::Two => vec![b"h2".to_vec()],
        HttpVersion::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Ok(config)
}

/// See [`Trust::Machine`].
fn machine() -> RootCertStore {
    const PLACES: [&str; 4] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/cert.pem",
        "/etc/ssl/ca-bundle.pem",
    ];
    let named = std::env::var("SSL_CERT_FILE").ok();
    let mut roots = RootCertStore::empty();
    for place in named.iter().map(String::as_str).chain(PLACES) {
        let Ok(found) = CertificateDer::pem_file_iter(place) else { continue };
        roots.add_parsable_certificates(found.flatten());
        if !roots.is_empty() {
            break;
        }
    }
    roots
}

/// Whoever answers is believed to be the server; signatures still have to be right.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
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
