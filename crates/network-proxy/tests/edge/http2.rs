//! The same through HTTP/2, in the clear and over TLS.

use crate::kit::*;
use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response};
use network_proxy::{Edge, Limits};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

async fn h2_over<S>(stream: S) -> SendRequest<Bytes>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    send
}

async fn h2_client(edge: &TestEdge) -> SendRequest<Bytes> {
    h2_over(TcpStream::connect(edge.address).await.unwrap()).await
}

async fn read(response: Response<h2::RecvStream>) -> (u16, http::HeaderMap, Vec<u8>, usize) {
    let (parts, mut body) = response.into_parts();
    let (mut all, mut total) = (vec![], 0);
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        total += data.len();
        if all.len() < 65536 {
            all.extend_from_slice(&data);
        }
    }
    (parts.status.as_u16(), parts.headers, all, total)
}

fn get(path: &str) -> http::request::Builder {
    Request::get(format!("http://{HOST}{path}"))
}

async fn fetch(
    client: &mut SendRequest<Bytes>,
    request: Request<()>,
) -> (u16, http::HeaderMap, Vec<u8>, usize) {
    let mut ready = client.clone().ready().await.unwrap();
    let (response, _) = ready.send_request(request, true).unwrap();
    read(response.await.unwrap()).await
}

#[tokio::test]
async fn prior_knowledge_is_served_as_http1_to_the_instance() {
    let origin = Origin::fixed(
        "HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nX-Stays: 2\r\n\
         Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 9\r\n\r\n",
    )
    .await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = h2_client(&edge).await;
    let request = get("/x?y").header("cookie", "a=1").header("cookie", "b=2").body(()).unwrap();
    let (status, headers, body, _) = fetch(&mut client, request).await;
    assert_eq!((status, body.as_slice()), (200, b"hello".as_slice()));
    assert!(headers.contains_key("x-stays") && !headers.contains_key("x-hop"), "{headers:?}");
    let seen = origin.seen();
    assert!(seen.starts_with(&format!("GET /x?y HTTP/1.1\r\nHost: {HOST}\r\n")), "{seen}");
    assert!(seen.contains("cookie: a=1; b=2\r\n"), "{seen}");
    let requests = (0..100).map(|i| get(&format!("/{i}")).body(()).unwrap());
    let mut all = tokio::task::JoinSet::new();
    for request in requests {
        let mut client = client.clone();
        all.spawn(async move { fetch(&mut client, request).await.0 });
    }
    assert!(all.join_all().await.iter().all(|s| *s == 200));
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    const LENGTH: usize = 20 << 20;
    let origin = Origin::new("big", |mut peer, _| async move {
        while let Some((head, body)) = peer.request().await {
            assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
            let length = body.len();
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes())
                .await;
            peer.send(&body).await;
        }
    })
    .await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = h2_client(&edge).await.ready().await.unwrap();
    let request = Request::post(format!("http://{HOST}/")).body(()).unwrap();
    let (response, mut send) = client.send_request(request, false).unwrap();
    let mut left = LENGTH;
    while left > 0 {
        send.reserve_capacity(left.min(65536));
        let room = std::future::poll_fn(|cx| send.poll_capacity(cx)).await.unwrap().unwrap();
        let n = room.min(left);
        left -= n;
        send.send_data(Bytes::from(vec![5; n]), left == 0).unwrap();
    }
    let (status, headers, _, total) = read(response.await.unwrap()).await;
    assert_eq!((status, total), (200, LENGTH));
    assert_eq!(headers["content-length"], LENGTH.to_string());
}

#[tokio::test]
async fn what_http1_would_refuse_is_refused() {
    let origin = Origin::fixed(ok("")).await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = h2_client(&edge).await;
    let long = "y".repeat(10_000);
    for (status, request) in [
        (400, get("/").header("host", "other.shop.localhost")),
        (417, get("/").header("expect", "gold")),
        (404, Request::get("http://nobody.shop.localhost/")),
        (405, Request::connect("a:443")),
    ] {
        let (got, ..) = fetch(&mut client, request.body(()).unwrap()).await;
        assert_eq!(got, status);
    }
    let many = (0..5).fold(get("/"), |r, i| r.header(format!("x-{i}"), &long));
    let mut ready = client.clone().ready().await.unwrap();
    let (response, _) = ready.send_request(many.body(()).unwrap(), true).unwrap();
    assert!(!matches!(response.await, Ok(r) if r.status().is_success()), "a head over the limit");
    assert_eq!(origin.connections(), 0);
}

/// What the edge made of one request on stream 1.
#[derive(Debug, PartialEq)]
enum Verdict {
    Ok,
    OtherStatus,
    Reset,
    GoAway,
}

/// Frames made by hand: what the client crate would never send.
async fn by_hand(edge: &TestEdge, fields: &[(&str, &str)]) -> Verdict {
    let mut block = vec![];
    for (name, value) in fields {
        // A literal without indexing, new name (RFC 7541 §6.2.2).
        block.extend([0, name.len() as u8]);
        block.extend(name.bytes());
        block.push(value.len() as u8);
        block.extend(value.bytes());
    }
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let headers = [0, 0, block.len() as u8, 1, 5, 0, 0, 0, 1];
    stream.write_all(&[preface.as_slice(), &headers, &block].concat()).await.unwrap();
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return Verdict::GoAway;
        }
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).await.unwrap();
        match head[3] {
            // The indexed field `:status: 200` (RFC 7541 appendix A).
            1 if payload[0] == 0x88 => return Verdict::Ok,
            1 => return Verdict::OtherStatus,
            3 => return Verdict::Reset,
            7 => return Verdict::GoAway,
            _ => {}
        }
    }
}

#[tokio::test]
async fn fields_that_could_split_a_request_end_the_stream() {
    let origin = Origin::fixed(ok("")).await;
    let edge = edge(Limits::default(), &[&origin]).await;
    for (name, value, sound) in [
        ("x", "a\r\nHost: b", false),
        ("x", "a\nb", false),
        ("x", "a\0b", false),
        ("connection", "close", false),
        ("transfer-encoding", "chunked", false),
        ("keep-alive", "5", false),
        ("upgrade", "x", false),
        ("te", "gzip", false),
        ("X-Upper", "a", false),
        (":path", "/a b", false),
        (":path", "x", false),
        (":path", "/\r\nX: y", false),
        (":path", "/sound", true),
        ("x", "sound", true),
    ] {
        let path = if name == ":path" { value } else { "/" };
        let mut fields =
            vec![(":method", "GET"), (":scheme", "http"), (":authority", HOST), (":path", path)];
        fields.extend((name != ":path").then_some((name, value)));
        let verdict = by_hand(&edge, &fields).await;
        assert_eq!(verdict == Verdict::Ok, sound, "{name}: {value:?} gave {verdict:?}");
        assert_eq!(!origin.seen().is_empty(), sound, "{name}: {value:?}");
        origin.seen.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn a_stop_lets_streams_finish() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let origin = Origin::new("slow", move |mut peer, _| {
        let mut gone = gone.clone();
        async move {
            peer.request().await;
            gone.wait_for(|go| *go).await.unwrap();
            peer.send(ok("finished").as_bytes()).await;
        }
    })
    .await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = h2_client(&edge).await.ready().await.unwrap();
    let (response, _) = client.send_request(get("/").body(()).unwrap(), true).unwrap();
    while origin.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    edge.stop.cancel();
    go.send(true).unwrap();
    let (status, _, body, _) = read(response.await.unwrap()).await;
    assert_eq!((status, body.as_slice()), (200, b"finished".as_slice()));
    drop(client);
    edge.served.await.unwrap().unwrap();
}

/// Opening and resetting streams is cheap for a client; it must not leave work behind.
#[tokio::test]
async fn a_reset_stream_frees_the_instance() {
    let origin = Origin::new("mute", |mut peer, _| async move {
        peer.request().await;
        let _ = peer.read().await;
    })
    .await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = h2_client(&edge).await;
    for _ in 0..20 {
        client = client.ready().await.unwrap();
        let (_response, mut send) = client.send_request(get("/").body(()).unwrap(), true).unwrap();
        send.send_reset(h2::Reason::CANCEL);
    }
    let (response, mut send) =
        client.ready().await.unwrap().send_request(get("/last").body(()).unwrap(), true).unwrap();
    while !origin.seen().contains("GET /last") {
        tokio::task::yield_now().await;
    }
    send.send_reset(h2::Reason::CANCEL);
    drop(response);
    publish(&edge.proxy, &[]);
    assert_eq!(edge.proxy.drain("mute", LONG).await, 0);
}

#[tokio::test]
async fn a_trickle_is_slow_here_too() {
    let origin = Origin::fixed(ok("")).await;
    let short = std::time::Duration::from_millis(100);
    let edge = edge(Limits { body_window: short, ..Limits::default() }, &[&origin]).await;
    let mut client = h2_client(&edge).await.ready().await.unwrap();
    let request = Request::post(format!("http://{HOST}/")).body(()).unwrap();
    let (response, mut send) = client.send_request(request, false).unwrap();
    let trickle = tokio::spawn(async move {
        let mut beat = tokio::time::interval(short / 10);
        while send.send_data(Bytes::from_static(b"x"), false).is_ok() {
            beat.tick().await;
        }
    });
    let response = tokio::time::timeout(LONG, response).await.expect("the edge gives up");
    assert_eq!(response.unwrap().status(), 408);
    trickle.abort();
}

#[tokio::test]
async fn tls_speaks_what_was_agreed() {
    let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let tls = network_proxy::tls_config(cert.as_bytes(), key.as_bytes()).unwrap();
    // More than the buffers between the two hold.
    let body = "secret ".repeat(1_200_000);
    let origin = Origin::fixed(ok(&body)).await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (proxy, stop) = (edge.proxy.clone(), edge.stop.clone());
    tokio::spawn(async move { proxy.serve_tls(listener, tls, stop).await });

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    for protocol in ["h2", "http/1.1"] {
        let mut config = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = connector.connect(ServerName::try_from(HOST).unwrap(), stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
        if protocol == "h2" {
            let mut client = h2_over(stream).await;
            let (status, _, _, total) = fetch(&mut client, get("/").body(()).unwrap()).await;
            assert_eq!((status, total), (200, body.len()));
        } else {
            let mut client = Client::over(stream);
            for _ in 0..2 {
                assert!(client.get("/").await.text() == body, "the body differs");
            }
        }
    }
    assert_eq!(origin.seen().matches("X-Forwarded-Proto: https\r\n").count(), 3);
    assert!(network_proxy::tls_config(b"", key.as_bytes()).is_err());
    assert!(network_proxy::tls_config(cert.as_bytes(), b"nonsense").is_err());
    publish(&edge.proxy, &[]);
    assert_eq!(edge.proxy.drain("fixed", LONG).await, 0);
}
