//! An edge, instances made by hand, and a client that reads strictly.

use bytes::{Buf, BytesMut};
use kernel::Name;
use kernel::port::{RouteSet, Upstream};
use network_proxy::wire::{Body, Decoder, ResponseHead, Scan, Step, framing};
use network_proxy::{Edge, Limits, Options, Proxy};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub const HOST: &str = "web.shop.localhost";

/// Nothing in these tests takes this long unless it hangs.
pub const LONG: Duration = Duration::from_secs(20);

pub struct TestEdge {
    pub proxy: Proxy,
    pub address: SocketAddr,
    pub stop: CancellationToken,
    pub served: JoinHandle<std::io::Result<()>>,
    _guard: DropGuard,
}

pub fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

pub async fn edge(limits: Limits, origins: &[&Origin]) -> TestEdge {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = Proxy::new(Options { port: address.port(), limits, ..Options::default() });
    publish(&proxy, origins);
    let stop = CancellationToken::new();
    let (server, token) = (proxy.clone(), stop.clone());
    let served = tokio::spawn(async move { server.serve(listener, token).await });
    TestEdge { proxy, address, served, _guard: stop.clone().drop_guard(), stop }
}

pub fn publish(proxy: &Proxy, origins: &[&Origin]) {
    let upstreams = origins.iter().map(|o| o.upstream()).collect();
    let (project, service) = (name("shop"), name("web"));
    proxy.publish(RouteSet { project, service, hosts: vec![], upstreams });
}

/// An instance: a listener whose connections are served by a closure.
pub struct Origin {
    pub instance: String,
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
    /// Every byte received, over all connections.
    pub seen: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Origin {
    pub async fn new<F, W>(instance: &str, serve: F) -> Origin
    where
        F: Fn(Peer, usize) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(vec![])));
        let (count, record) = (connections.clone(), seen.clone());
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let nth = count.fetch_add(1, SeqCst);
                open.spawn(serve(Peer::new(stream, record.clone()), nth));
            }
        });
        Origin { instance: instance.into(), address, connections, seen, task }
    }

    /// Answers each request with `response`, byte for byte, once its body has come.
    pub async fn fixed(response: impl Into<Vec<u8>>) -> Origin {
        let response: Arc<Vec<u8>> = Arc::new(response.into());
        Origin::new("fixed", move |mut peer, _| {
            let response = response.clone();
            async move {
                while peer.request().await.is_some() {
                    peer.send(&response).await;
                }
            }
        })
        .await
    }

    pub fn upstream(&self) -> Upstream {
        Upstream { instance: self.instance.clone(), address: self.address }
    }

    pub fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

/// The edge, as an instance sees it.
pub struct Peer {
    pub stream: TcpStream,
    pub input: BytesMut,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Peer {
    pub fn new(stream: TcpStream, seen: Arc<Mutex<Vec<u8>>>) -> Peer {
        Peer { stream, input: BytesMut::new(), seen }
    }

    /// The next request's head as text and its body; `None` when the connection has ended.
    pub async fn request(&mut self) -> Option<(String, Vec<u8>)> {
        let head = self.head().await?;
        let length = field(&head, "content-length").map(|l| Body::Length(l.parse().unwrap()));
        let coding = field(&head, "transfer-encoding").map(|_| Body::Chunked);
        let mut body = vec![];
        let mut decoder = Decoder::new(length.or(coding).unwrap_or(Body::Empty));
        loop {
            match decoder.step(&self.input).unwrap() {
                Step::Data { skip, len } => {
                    self.input.advance(skip);
                    body.extend_from_slice(&self.input.split_to(len));
                }
                Step::More { skip } => {
                    self.input.advance(skip);
                    self.read().await?;
                }
                Step::End { skip } => {
                    self.input.advance(skip);
                    return Some((head, body));
                }
            }
        }
    }

    pub async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(range) = Scan::request().find(&self.input, 1 << 20).unwrap() {
                return Some(String::from_utf8(self.input.split_to(range.end).to_vec()).unwrap());
            }
            self.read().await?;
        }
    }

    pub async fn read(&mut self) -> Option<usize> {
        let before = self.input.len();
        let n = self.stream.read_buf(&mut self.input).await.ok().filter(|n| *n > 0)?;
        self.seen.lock().unwrap().extend_from_slice(&self.input[before..]);
        Some(n)
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }
}

/// A field of a head, by its lower-case name.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A client connection that reads responses one by one.
pub struct Client<S = TcpStream> {
    pub stream: S,
    pub input: BytesMut,
}

impl Client {
    pub async fn connect(edge: &TestEdge) -> Client {
        Client::over(TcpStream::connect(edge.address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn over(stream: S) -> Client<S> {
        Client { stream, input: BytesMut::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        self.answer("GET").await
    }

    async fn read(&mut self) -> usize {
        let read = tokio::time::timeout(LONG, self.stream.read_buf(&mut self.input));
        read.await.expect("the edge says something").unwrap_or(0)
    }

    /// The next head, interim ones too.
    pub async fn head(&mut self) -> String {
        loop {
            if let Some(range) = Scan::response().find(&self.input, 1 << 20).unwrap() {
                return String::from_utf8(self.input.split_to(range.end).to_vec()).unwrap();
            }
            assert!(self.read().await > 0, "closed before a head: {:?}", self.input);
        }
    }

    /// The next final response to a request with `method`.
    pub async fn answer(&mut self, method: &str) -> Answer {
        let (status, head, mut decoder) = loop {
            let text = self.head().await;
            let head = ResponseHead::parse(text.as_bytes(), 200).unwrap();
            if head.status >= 200 {
                let body = framing::response_body(&head, method == "HEAD").unwrap();
                break (head.status, text.clone(), Decoder::new(body));
            }
        };
        let mut body = vec![];
        loop {
            match decoder.step(&self.input).unwrap() {
                Step::Data { skip, len } => {
                    self.input.advance(skip);
                    body.extend_from_slice(&self.input.split_to(len));
                }
                Step::More { skip } => {
                    self.input.advance(skip);
                    if self.read().await == 0 {
                        decoder.end_of_input().expect("a whole body");
                        return Answer { status, head, body };
                    }
                }
                Step::End { skip } => {
                    self.input.advance(skip);
                    return Answer { status, head, body };
                }
            }
        }
    }

    /// Everything until the edge closes.
    pub async fn rest(&mut self) -> String {
        while self.read().await > 0 {}
        String::from_utf8_lossy(&self.input.split()).into_owned()
    }
}

/// Sends bytes on a connection of their own and reads until the edge closes it.
pub async fn talk(edge: &TestEdge, bytes: impl AsRef<[u8]>) -> String {
    let mut client = Client::connect(edge).await;
    client.send(bytes).await;
    client.rest().await
}

pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
