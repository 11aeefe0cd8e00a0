//! The front, as a browser, an attacker's page, a proxy and a client that means no good meet it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]
#![allow(clippy::panic, reason = "likewise")]

mod limits;
mod pages;
mod tls;

use authority::Shown;
use http::{HeaderMap, StatusCode};
use kernel::port::{Refused, Witness};
use kernel::{BoxFuture, Result};
use naru_http::front::{Hosts, Rates};
use naru_http::{Access, Body, Call, Door, Front, Limits, Response, Route};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

/// The longest that anything here may take; nothing waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Heard(Mutex<Vec<(String, &'static str)>>);

impl Witness for Heard {
    fn refused(&self, refused: Refused) {
        self.0.lock().unwrap().push((refused.action, refused.code));
    }
}

fn fine(_: Call) -> BoxFuture<'static, Result<Response>> {
    Box::pin(async { Ok(naru_http::text("fine")) })
}

/// Leads to wherever it is told: what a careless page would do.
fn led(call: Call) -> BoxFuture<'static, Result<Response>> {
    Box::pin(async move { naru_http::found(&call.query("to").unwrap_or_default()) })
}

fn json(mut call: Call) -> BoxFuture<'static, Result<Response>> {
    Box::pin(async move {
        let value: serde_json::Value = call.json().await?;
        naru_http::json(&value)
    })
}

fn endless(_: Call) -> BoxFuture<'static, Result<Response>> {
    let much = bytes::Bytes::from(vec![b'x'; 64 * 1024]);
    let pieces = futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(much.clone()));
    Box::pin(async { Ok(Response::new(Body::from_stream(pieces))) })
}

/// How a world differs from the usual.
#[derive(Default)]
struct Setting {
    secure: bool,
    rates: Rates,
    limits: Limits,
    proxies: Vec<&'static str>,
    shown: Option<Arc<Shown>>,
}

struct World {
    address: SocketAddr,
    heard: Arc<Heard>,
    /// The administrator's.
    session: String,
    serving: tokio::task::JoinHandle<()>,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn world(setting: Setting) -> World {
    let dir = tempfile::tempdir().unwrap();
    let store = store::Store::open(&dir.path().join("naru.db"), store::Options::default()).unwrap();
    let accounts = account::Accounts::open(store.clone()).await.unwrap();
    let admin = kernel::Principal::User(kernel::Name::parse("admin").unwrap());
    let new = account::NewSession::new(admin, account::Peer::default(), "test");
    let session = accounts.begin_session(new).await.unwrap();
    let policy = policy::Policy::new(&accounts);
    let about = ("a thing", "것");
    let routes = vec![
        Route::get("/own", Access::SignedIn, about, fine),
        Route::post("/own", Access::SignedIn, about, fine),
        Route::get("/open", Access::Public, about, fine),
        Route::get("/led", Access::Public, about, led),
        Route::post("/json", Access::Public, about, json),
        Route::get("/endless", Access::Public, about, endless),
    ];
    let heard = Arc::new(Heard::default());
    let options = naru_http::SiteOptions {
        store,
        accounts,
        policy,
        kinds: vec![],
        routes,
        assets: vec![],
        error_page: None,
    };
    let site = naru_http::Site::new(options).fronted(Front {
        tls: setting.secure,
        hosts: Hosts::known(["naru.example.com".to_owned()]),
        rates: setting.rates,
        proxies: setting.proxies.iter().map(|p| p.parse().unwrap()).collect(),
        url: None,
        witness: Some(heard.clone()),
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let tls = setting
        .shown
        .map(|shown| authority::server_config(shown, &[b"h2".as_slice(), b"http/1.1"]).unwrap());
    let door = Door { tls, limits: setting.limits, ..listener.into() };
    let serving = tokio::spawn(naru_http::serve(Arc::new(site), door, stop.clone()));
    World { address, heard, session, serving, stop, _dir: dir }
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A connection from an address of this machine.
async fn from(source: &str, world: &World) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    socket.connect(world.address).await.unwrap()
}

/// What comes until the other side closes, which it has to.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset is closed as well.
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    let _ = read.unwrap_or_else(|_| {
        panic!("the server does not close: {}", String::from_utf8_lossy(&bytes))
    });
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn say(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    parse(&rest(stream).await)
}

async fn ask(world: &World, request: &str) -> Answer {
    say(&mut from("127.0.0.1", world).await, request).await
}

fn parse(words: &str) -> Answer {
    let (head, body) =
        words.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {words:?}"));
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    Answer { status, headers, body: body.to_owned() }
}

/// One request, after which the connection is closed.
fn request(method: &str, path: &str, host: &str, more: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n{more}\r\n"
    )
}
