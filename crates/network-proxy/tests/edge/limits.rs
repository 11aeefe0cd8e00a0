//! Clients that are slow, large or many.

use crate::kit::*;
use network_proxy::Limits;
use std::time::Duration;

fn soon() -> Limits {
    let short = Duration::from_millis(100);
    Limits { head_time: short, body_window: short, response: short, ..Limits::default() }
}

#[tokio::test]
async fn slow_heads_and_bodies_get_408_and_the_door() {
    let origin = Origin::fixed(ok("")).await;
    let edge = edge(soon(), &[&origin]).await;
    let slow_head = "GET / HTTP/1.1\r\nHost: ".to_owned();
    let slow_body = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9000\r\n\r\nabc");
    for request in [slow_head, slow_body] {
        let answer = talk(&edge, &request).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{request:?} gave {answer}");
        assert!(answer.contains("Connection: close"), "{answer}");
    }
}

/// Each byte comes well within any single wait; the rate is what is too low.
#[tokio::test]
async fn a_trickle_is_slow_too() {
    let origin = Origin::fixed(ok("")).await;
    let edge = edge(soon(), &[&origin]).await;
    let mut client = Client::connect(&edge).await;
    client.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9000\r\n\r\n")).await;
    let (mut read, mut write) = client.stream.into_split();
    let trickle = async move {
        use tokio::io::AsyncWriteExt;
        let mut beat = tokio::time::interval(Duration::from_millis(10));
        while write.write_all(b"x").await.is_ok() {
            beat.tick().await;
        }
    };
    let trickling = tokio::spawn(trickle);
    let mut answer = String::new();
    let reading = tokio::io::AsyncReadExt::read_to_string(&mut read, &mut answer);
    let _ = tokio::time::timeout(LONG, reading).await.expect("the edge gives up");
    trickling.abort();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_silent_instance_is_a_504_that_names_it() {
    let origin = Origin::new("mute", |mut peer, _| async move {
        peer.request().await;
        std::future::pending::<()>().await;
    })
    .await;
    let edge = edge(soon(), &[&origin]).await;
    let answer = Client::connect(&edge).await.get("/").await;
    assert_eq!(answer.status, 504);
    assert!(answer.text().contains("shop/web"), "{}", answer.text());
    assert_eq!(edge.proxy.routes()[0].server_errors, 1);
}

#[tokio::test]
async fn heads_and_bodies_have_a_size() {
    let origin = Origin::fixed(ok("")).await;
    let limits = Limits { body_bytes: 1000, ..Limits::default() };
    let edge = edge(limits, &[&origin]).await;
    let long = "y".repeat(40_000);
    let many = "X: y\r\n".repeat(200);
    let chunk = format!("400\r\n{}\r\n0\r\n\r\n", "z".repeat(1024));
    for (status, request) in [
        (431, format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX: {long}\r\n\r\n")),
        (431, format!("GET /{long} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{many}\r\n")),
        (413, format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1001\r\n\r\n")),
        (
            413,
            format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"),
        ),
    ] {
        let answer = talk(&edge, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "wanted {status}: {answer}");
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn an_instance_with_an_endless_head_is_a_502() {
    let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(40_000));
    let origin = Origin::fixed(head).await;
    let edge = edge(Limits::default(), &[&origin]).await;
    assert_eq!(Client::connect(&edge).await.get("/").await.status, 502);
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let origin = Origin::fixed(ok("hello")).await;
    let limits = Limits { connections: 2, ..Limits::default() };
    let edge = edge(limits, &[&origin]).await;
    let (mut one, mut two) = (Client::connect(&edge).await, Client::connect(&edge).await);
    assert_eq!((one.get("/").await.status, two.get("/").await.status), (200, 200));
    let mut three = Client::connect(&edge).await;
    three.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let answer = three.rest().await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After"), "{answer}");
    assert_eq!(one.get("/").await.status, 200);
}

#[tokio::test]
async fn an_idle_connection_ends_without_a_word() {
    let edge = edge(Limits { idle: Duration::from_millis(50), ..Limits::default() }, &[]).await;
    assert_eq!(talk(&edge, "").await, "");
}
