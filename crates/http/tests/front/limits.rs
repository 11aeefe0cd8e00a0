//! Clients that are slow on purpose, or many. The limits are small here, and nothing waits longer than they are.

use crate::{Setting, World, ask, from, parse, request, rest, say, world};
use naru_http::Limits;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SOON: Duration = Duration::from_millis(50);

async fn limited(limits: Limits) -> World {
    world(Setting { limits, ..Setting::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_is_given_up() {
    let world = limited(Limits { head: SOON, ..Limits::default() }).await;
    for beginning in ["", "GET /open HTTP/1.1\r\nHost: localhost\r\nX-A: b"] {
        let mut stream = from("127.0.0.1", &world).await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        assert!(!rest(&mut stream).await.contains("200"), "{beginning}");
    }
    assert_eq!(ask(&world, &request("GET", "/open", "localhost", "")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_given_up() {
    let pace = naru_http::Pace { grace: SOON, rate: 1024 };
    let world = limited(Limits { pace, ..Limits::default() }).await;
    let head = "POST /json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{";
    let answer = say(&mut from("127.0.0.1", &world).await, head).await;
    assert_eq!(answer.status, 408, "{}", answer.body);
    assert!(answer.body.contains("body.slow"), "{}", answer.body);
    let whole = "POST /json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(ask(&world, whole).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_with_nothing_more_to_say_is_closed() {
    let world = limited(Limits { idle: SOON, ..Limits::default() }).await;
    let mut stream = from("127.0.0.1", &world).await;
    let open = "GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(open.as_bytes()).await.unwrap();
    assert_eq!(parse(&rest(&mut stream).await).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_of_an_answer_loses_its_connection() {
    let connections = 1;
    let world = limited(Limits { stalled: SOON, connections, ..Limits::default() }).await;
    let mut greedy = from("127.0.0.1", &world).await;
    let endless = "GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n";
    greedy.write_all(endless.as_bytes()).await.unwrap();
    // It holds the only place until it is thrown out: then the next is answered.
    assert_eq!(ask(&world, &request("GET", "/open", "localhost", "")).await.status, 200);
    drop(greedy);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_so_many_connections_and_others_are_served_meanwhile() {
    let world = limited(Limits { of_one_address: 2, uncounted: vec![], ..Limits::default() }).await;
    let open = "GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut stream = from("127.0.0.1", &world).await;
        stream.write_all(open.as_bytes()).await.unwrap();
        // An answer has begun: the connection is counted.
        stream.read_exact(&mut [0; 12]).await.unwrap();
        kept.push(stream);
    }
    let mut third = from("127.0.0.1", &world).await;
    let turned = parse(&rest(&mut third).await);
    assert_eq!(turned.status, 429);
    assert_eq!(turned.header("retry-after"), "5");
    let other = request("GET", "/open", "localhost", "");
    assert_eq!(say(&mut from("127.0.0.2", &world).await, &other).await.status, 200);
    let mut first = kept.remove(0);
    first.write_all(request("GET", "/open", "localhost", "").as_bytes()).await.unwrap();
    assert!(rest(&mut first).await.ends_with("fine"), "what is open goes on");
}
