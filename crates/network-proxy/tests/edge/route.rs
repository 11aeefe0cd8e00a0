//! Which instance answers, and what the edge says when none does.

use crate::kit::*;
use kernel::port::{RouteSet, Upstream};
use network_proxy::{Edge, Limits};
use std::net::SocketAddr;

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn hosts_lead_to_services() {
    let origin = Origin::fixed(ok("hello")).await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = Client::connect(&edge).await;
    for (host, status) in [
        (HOST, 200),
        ("WEB.shop.localhost:1234", 200),
        ("web.shop.localhost.", 200),
        ("other.shop.localhost", 404),
        ("localhost", 404),
    ] {
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(client.answer("GET").await.status, status, "{host}");
    }
    client.send(format!("GET http://{HOST}/abs?q HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    assert_eq!(client.answer("GET").await.status, 200);
    assert!(origin.seen().contains(&format!("GET /abs?q HTTP/1.1\r\nHost: {HOST}\r\n")));
    edge.proxy.withdraw(&name("shop"), &name("web"));
    assert_eq!(client.get("/").await.status, 404);
    let url = edge.proxy.url(&name("shop"), &name("web"));
    assert_eq!(url, format!("http://{HOST}:{}", edge.address.port()));
}

#[tokio::test]
async fn a_person_reads_which_service_and_why() {
    let edge = edge(Limits::default(), &[]).await;
    let mut client = Client::connect(&edge).await;
    client
        .send(format!(
            "GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/html\r\nAccept-Language: ko\r\n\r\n"
        ))
        .await;
    let answer = client.answer("GET").await;
    assert_eq!((answer.status, field(&answer.head, "retry-after")), (503, Some("2")));
    assert!(
        answer.text().contains("shop/web 서비스에 준비된 인스턴스가 없습니다"),
        "{}",
        answer.text()
    );
    assert!(field(&answer.head, "content-security-policy").unwrap().contains("default-src 'none'"));

    let upstreams = vec![Upstream { instance: "dead".into(), address: nobody().await }];
    let (project, service) = (name("shop"), name("web"));
    edge.proxy.publish(RouteSet { project, service, hosts: vec![], upstreams });
    client
        .send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept: application/json\r\n\r\n"))
        .await;
    let answer = client.answer("GET").await;
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &json["code"]), (502, &"edge.unreachable".into()));
    assert_eq!(json["why"], "instance dead refused the connection");

    client.send(format!("HEAD / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    assert_eq!(client.answer("HEAD").await.status, 502);
    assert_eq!(client.get("/").await.status, 502, "HEAD left nothing behind");
}

#[tokio::test]
async fn a_dead_instance_costs_no_request() {
    let origin = Origin::fixed(ok("alive")).await;
    let edge = edge(Limits::default(), &[]).await;
    let dead = Upstream { instance: "dead".into(), address: nobody().await };
    let upstreams = vec![dead, origin.upstream()];
    let (project, service) = (name("shop"), name("web"));
    edge.proxy.publish(RouteSet { project, service, hosts: vec![], upstreams });
    let mut client = Client::connect(&edge).await;
    for i in 0..40 {
        client
            .send(format!("POST /{i} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 2\r\n\r\nab"))
            .await;
        assert_eq!(client.answer("POST").await.status, 200);
    }
    let view = edge.proxy.routes().remove(0);
    assert_eq!((view.requests, view.server_errors, view.in_flight), (40, 0, 0));
    assert!(view.latency.p50 > 0.0);
    assert_eq!(view.upstreams[1].requests, 40, "each reached the living one, once");
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let origin = Origin::fixed(ok("hello")).await;
    let edge = edge(Limits::default(), &[&origin]).await;
    for _ in 0..3 {
        let mut client = Client::connect(&edge).await;
        for _ in 0..10 {
            let answer = client.get("/").await;
            assert_eq!((answer.status, answer.text()), (200, "hello"));
        }
    }
    assert_eq!(origin.connections(), 1);
    let pipelined = format!("GET /1 HTTP/1.1\r\nHost: {HOST}\r\n\r\n").repeat(50);
    let mut client = Client::connect(&edge).await;
    client.send(pipelined).await;
    for _ in 0..50 {
        assert_eq!(client.answer("GET").await.text(), "hello");
    }
}

/// The instance answers one request per connection and closes it while it lies in the pool, sometimes after
/// the next request was already sent.
#[tokio::test]
async fn a_kept_connection_that_died_is_not_the_clients_trouble() {
    let origin = Origin::new("fickle", |mut peer, _| async move {
        if peer.request().await.is_some() {
            peer.send(ok("one").as_bytes()).await;
            // The next request is read, and never answered.
            let _ = peer.read().await;
        }
    })
    .await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = Client::connect(&edge).await;
    for _ in 0..20 {
        assert_eq!(client.get("/").await.status, 200);
    }
    client.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n")).await;
    assert_eq!(client.answer("POST").await.status, 502, "a POST is never sent twice");
}

/// Each instance dies of the request. Asking them all would take the whole service down.
#[tokio::test]
async fn a_deadly_request_reaches_two_instances_at_most() {
    let mut origins = vec![];
    for i in 0..5 {
        let name = format!("fragile-{i}");
        origins.push(
            Origin::new(&name, |mut peer, _| async move { drop(peer.request().await) }).await,
        );
    }
    let edge = edge(Limits::default(), &origins.iter().collect::<Vec<_>>()).await;
    let answer = Client::connect(&edge).await.get("/").await;
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("closed the connection"), "{}", answer.text());
    assert_eq!(origins.iter().map(Origin::connections).sum::<usize>(), 2);
}

#[tokio::test]
async fn the_oldest_clients_and_instances_are_served() {
    let origin = Origin::new("old", |mut peer, _| async move {
        peer.request().await;
        peer.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end").await;
    })
    .await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let answer = talk(&edge, format!("GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n")).await;
    assert!(answer.ends_with("\r\nConnection: close\r\n\r\nuntil the end"), "{answer}");
    let mut client = Client::connect(&edge).await;
    for _ in 0..2 {
        let answer = client.get("/").await;
        assert_eq!(answer.text(), "until the end");
        assert_eq!(field(&answer.head, "transfer-encoding"), Some("chunked"));
    }
}
