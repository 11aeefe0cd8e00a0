//! The front over TLS.

use crate::{Setting, World, ask, from, parse, request, rest, say, world};
use authority::{Host, Root, Shown, Trust, Usage, Wanted, certified, to_pem};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kernel::Time;
use naru_http::Limits;
use rustls::ClientConfig;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

fn now() -> Time {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Time(now.as_millis() as i64)
}

/// A certificate of `root` for the front, and its key.
fn key(root: &Root) -> rustls::sign::CertifiedKey {
    let wanted = Wanted {
        names: vec![Host::Name("localhost".into()), Host::Name("naru.example.com".into())],
        usage: Usage::Server,
        life: authority::LONGEST,
        serial: authority::Serial::draw(now()).unwrap(),
        revocations: None,
    };
    let (signed, key) = root.sign_own(&wanted, now()).unwrap();
    certified(to_pem(&signed.chain[0]).as_bytes(), key.as_bytes()).unwrap()
}

struct Secure {
    world: World,
    root: Root,
    shown: Arc<Shown>,
}

async fn secure(limits: Limits) -> Secure {
    let root = Root::make(now(), vec![]).unwrap();
    let shown = Arc::new(Shown::to(BTreeSet::from(["naru.example.com".to_owned()])));
    shown.renew(key(&root));
    let setting =
        Setting { secure: true, limits, shown: Some(shown.clone()), ..Setting::default() };
    Secure { world: world(setting).await, root, shown }
}

impl Secure {
    fn trust(&self, protocol: &[u8]) -> Arc<ClientConfig> {
        let trust = Trust::pem(to_pem(&self.root.certificate).as_bytes()).unwrap();
        trust.client_config(&[protocol]).unwrap()
    }

    async fn connect(
        &self,
        name: &'static str,
        protocol: &[u8],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = from("127.0.0.1", &self.world).await;
        let name = name.try_into().unwrap();
        TlsConnector::from(self.trust(protocol)).connect(name, stream).await
    }
}

fn shown_to(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_ours_are_answered_and_no_others() {
    let front = secure(Limits::default()).await;
    for name in ["localhost", "naru.example.com"] {
        let mut stream = front.connect(name, b"http/1.1").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
        let answer = say(&mut stream, &request("GET", "/open", name, "")).await;
        assert_eq!(answer.status, 200);
    }
    let refused = front.connect("evil.example.com", b"http/1.1").await.unwrap_err();
    assert!(
        !authority::distrusted(&refused),
        "turned away, and not shown another's certificate: {refused}"
    );
    let other = secure(Limits::default()).await;
    let stream = from("127.0.0.1", &front.world).await;
    let name = "localhost".try_into().unwrap();
    let wrong = TlsConnector::from(other.trust(b"http/1.1")).connect(name, stream).await;
    assert!(authority::distrusted(&wrong.unwrap_err()));
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_has_hosts_cookies_and_several_requests_at_a_time() {
    let front = secure(Limits::default()).await;
    let stream = front.connect("naru.example.com", b"h2").await.unwrap();
    let io = TokioIo::new(stream);
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let ask = |path: &str, host: &str| {
        let cookie = format!("__Host-naru_session={}", front.world.session);
        let request = http::Request::get(format!("https://{host}{path}")).header("cookie", cookie);
        let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
        let mut sender = sender.clone();
        async move { sender.send_request(request).await.unwrap() }
    };
    let (own, open, evil) = tokio::join!(
        ask("/own", "naru.example.com"),
        ask("/open?a=b", "naru.example.com"),
        ask("/open", "evil.example.com"),
    );
    assert_eq!((own.status().as_u16(), open.status().as_u16()), (200, 200));
    assert_eq!(evil.status(), 403, "the host is looked at in its new place, too");
    assert_eq!(own.headers()["x-frame-options"], "DENY");
    assert_eq!(own.into_body().collect().await.unwrap().to_bytes(), "fine");
    drop(sender);
    connection.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_sent_on_or_told() {
    let front = secure(Limits::default()).await;
    let looks = ask(&front.world, &request("GET", "/open?a=b", "naru.example.com", "")).await;
    assert_eq!(looks.status, 308);
    assert_eq!(looks.header("location"), "https://naru.example.com/open?a=b");
    let foreign = ask(&front.world, &request("GET", "/open", "evil.example.com", "")).await;
    assert_eq!((foreign.status.as_u16(), foreign.header("location")), (400, ""));
    let more = "Authorization: Bearer x\r\n";
    for request in
        [request("POST", "/own", "localhost", ""), request("GET", "/own", "localhost", more)]
    {
        let answer = ask(&front.world, &request).await;
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains("this port speaks TLS"), "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_does_not_go_on_is_given_up() {
    let handshake = Duration::from_millis(50);
    let front = secure(Limits { handshake, handshakes: 1, ..Limits::default() }).await;
    for beginning in [&b""[..], &[0x16], &[0x16, 3, 1, 2, 0, 1]] {
        let mut stream = from("127.0.0.1", &front.world).await;
        stream.write_all(beginning).await.unwrap();
        assert_eq!(rest(&mut stream).await, "", "{beginning:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_from_the_next_handshake_on_and_what_is_open_goes_on() {
    let front = secure(Limits::default()).await;
    let mut old = front.connect("localhost", b"http/1.1").await.unwrap();
    let before = shown_to(&old);
    old.write_all(b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    old.read_exact(&mut [0; 12]).await.unwrap();
    front.shown.renew(key(&front.root));
    let mut new = front.connect("localhost", b"http/1.1").await.unwrap();
    assert_ne!(shown_to(&new), before);
    let last = request("GET", "/open", "localhost", "");
    assert_eq!(say(&mut new, &last).await.status, 200);
    old.write_all(last.as_bytes()).await.unwrap();
    let rest = rest(&mut old).await;
    let second = rest.split_once("fine").unwrap().1;
    assert_eq!(parse(second).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_lets_go_of_connections_of_either_kind() {
    let mut front = secure(Limits::default()).await;
    let idle = front.connect("localhost", b"http/1.1").await.unwrap();
    let stream = front.connect("localhost", b"h2").await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("https://localhost/open").body(Empty::<bytes::Bytes>::new());
    assert_eq!(sender.send_request(request.unwrap()).await.unwrap().status(), 200);
    front.world.stop.cancel();
    let serving = tokio::time::timeout(Duration::from_secs(4), &mut front.world.serving).await;
    serving.expect("the drain's own limit was not needed").unwrap();
    connection.await.unwrap().unwrap();
    drop(idle);
}
