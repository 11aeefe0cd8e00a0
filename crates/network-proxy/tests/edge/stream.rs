//! Bodies of any size, as they come.

use crate::kit::*;
use network_proxy::{Edge, Limits};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MEGABYTE: usize = 1 << 20;

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Reads an exact number of bytes without keeping them; answers the sum.
async fn swallow(stream: &mut (impl tokio::io::AsyncRead + Unpin), mut left: usize) -> u64 {
    let mut sum = 0;
    let mut room = vec![0; 64 * 1024];
    while left > 0 {
        let most = left.min(room.len());
        let n = stream.read(&mut room[..most]).await.unwrap();
        assert!(n > 0, "{left} bytes are missing");
        sum += room[..n].iter().map(|b| u64::from(*b)).sum::<u64>();
        left -= n;
    }
    sum
}

#[tokio::test]
async fn a_hundred_megabytes_each_way_in_little_memory() {
    let origin = Origin::new("big", |mut peer, _| async move {
        let head = peer.head().await.unwrap();
        if head.starts_with("POST") {
            let early: u64 = peer.input.iter().map(|b| u64::from(*b)).sum();
            let left = 100 * MEGABYTE - peer.input.len();
            let sum = early + swallow(&mut peer.stream, left).await;
            peer.send(ok(&sum.to_string()).as_bytes()).await;
        } else {
            let length = 100 * MEGABYTE;
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes())
                .await;
            let portion = vec![3; MEGABYTE];
            for _ in 0..100 {
                peer.send(&portion).await;
            }
        }
    })
    .await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let before = resident();

    let mut client = Client::connect(&edge).await;
    let length = 100 * MEGABYTE;
    client
        .send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n"))
        .await;
    let portion = vec![2; MEGABYTE];
    for _ in 0..100 {
        client.stream.write_all(&portion).await.unwrap();
    }
    assert_eq!(client.answer("POST").await.text(), (2 * length).to_string());

    let mut client = Client::connect(&edge).await;
    client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    client.head().await;
    let early: u64 = client.input.iter().map(|b| u64::from(*b)).sum();
    let sum = early + swallow(&mut client.stream, length - client.input.len()).await;
    assert_eq!(sum, 3 * length as u64);

    let grown = resident().saturating_sub(before) / MEGABYTE;
    assert!(grown < 32, "grew by {grown} MiB");
}

/// The client does not read: the instance must come to a halt, long before all is in memory.
#[tokio::test]
async fn a_client_that_does_not_read_holds_the_instance_back() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let origin = Origin::new("pushing", move |mut peer, _| {
        let tell = tell.clone();
        async move {
            peer.head().await;
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            let chunk = [b"10000\r\n".as_slice(), &[7; 65536], b"\r\n"].concat();
            for n in 0..1600 {
                if tokio::time::timeout(Duration::from_millis(500), peer.stream.write_all(&chunk))
                    .await
                    .is_err()
                {
                    tell.send(n).unwrap();
                    return;
                }
            }
            tell.send(1600).unwrap();
        }
    })
    .await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = Client::connect(&edge).await;
    client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let chunks = told.recv().await.unwrap();
    assert!(
        chunks < 800,
        "took {chunks} chunks of 64 KiB from an instance for a client that reads none"
    );
}

#[tokio::test]
async fn an_event_arrives_before_the_response_ends() {
    let (go, gone) = tokio::sync::mpsc::channel::<()>(1);
    let gone = std::sync::Arc::new(tokio::sync::Mutex::new(gone));
    let origin = Origin::new("events", move |mut peer, _| {
        let gone = gone.clone();
        async move {
            peer.request().await;
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await;
            peer.send(b"9\r\ndata: 1\n\n\r\n").await;
            gone.lock().await.recv().await;
            peer.send(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n").await;
        }
    })
    .await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = Client::connect(&edge).await;
    client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let head = client.head().await;
    assert_eq!(field(&head, "content-type"), Some("text/event-stream"));
    while !client.input.ends_with(b"data: 1\n\n\r\n") {
        client.stream.read_buf(&mut client.input).await.unwrap();
    }
    go.send(()).await.unwrap();
    while !client.input.ends_with(b"0\r\n\r\n") {
        client.stream.read_buf(&mut client.input).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_leaves_frees_the_instance() {
    let origin = Origin::new("quiet", |mut peer, _| async move {
        peer.request().await;
        let _ = peer.read().await;
    })
    .await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = Client::connect(&edge).await;
    client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    while origin.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(client);
    publish(&edge.proxy, &[]);
    assert_eq!(edge.proxy.drain("quiet", LONG).await, 0);
}

#[tokio::test]
async fn head_and_bodyless_statuses_leave_the_connection_in_step() {
    let origin = Origin::new("odd", |mut peer, _| async move {
        while let Some((head, _)) = peer.request().await {
            let answer = match head.split(' ').nth(1).unwrap() {
                "/204" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
                "/304" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"e\"\r\n\r\n"
                    .to_owned(),
                _ if head.starts_with("HEAD") => {
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_owned()
                }
                "/103" => format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{}", ok("after")),
                _ => ok("hello"),
            };
            peer.send(answer.as_bytes()).await;
        }
    })
    .await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = Client::connect(&edge).await;
    for (method, path, status, body) in [
        ("HEAD", "/", 200, ""),
        ("GET", "/204", 204, ""),
        ("GET", "/304", 304, ""),
        ("GET", "/103", 200, "after"),
        ("GET", "/", 200, "hello"),
    ] {
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        let answer = client.answer(method).await;
        assert_eq!((answer.status, answer.text()), (status, body), "{method} {path}");
    }
    assert_eq!(origin.connections(), 1);
    client.send(format!("GET /103 HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    assert!(client.head().await.starts_with("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n"));
}

#[tokio::test]
async fn expect_is_answered_by_the_instance_or_in_its_place() {
    let origin = Origin::new("careful", |mut peer, _| async move {
        let head = peer.head().await.unwrap();
        match head.split(' ').nth(1).unwrap() {
            "/yes" => peer.send(b"HTTP/1.1 100 Continue\r\n\r\n").await,
            "/no" => {
                return peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
            }
            _ => {}
        }
        while !peer.input.ends_with(b"body") {
            peer.read().await;
        }
        peer.send(ok("got it").as_bytes()).await;
    })
    .await;
    let edge = edge(Limits::default(), &[&origin]).await;
    for (path, interim, status) in
        [("/yes", true, 200), ("/no", false, 403), ("/silent", true, 200)]
    {
        let mut client = Client::connect(&edge).await;
        client
            .send(format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"))
            .await;
        let head = client.head().await;
        assert_eq!(head.starts_with("HTTP/1.1 100 "), interim, "{path}: {head}");
        if interim {
            client.send("body").await;
            assert_eq!(client.answer("POST").await.status, status);
        } else {
            assert!(
                head.starts_with("HTTP/1.1 403 ") && head.contains("Connection: close"),
                "{head}"
            );
        }
    }
}

/// An echo behind an upgrade. Says what it got before 101 if it got anything.
async fn echo() -> Origin {
    Origin::new("echo", |mut peer, _| async move {
        let head = peer.head().await.unwrap();
        if field(&head, "upgrade") != Some("echo") || !peer.input.is_empty() {
            return peer.send(ok("not upgraded").as_bytes()).await;
        }
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Stays: x\r\n\r\nwelcome").await;
        let (mut read, mut write) = peer.stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
        let _ = write.shutdown().await;
    })
    .await
}

fn upgrade(protocol: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n")
}

#[tokio::test]
async fn an_upgrade_goes_raw_after_101_and_counts_in_a_drain() {
    let origin = echo().await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = Client::connect(&edge).await;
    client.send(upgrade("echo")).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("X-Stays: x"), "{head}");
    let message: Vec<u8> = (0..=255u8).cycle().take(100_000).collect();
    let (mut read, mut write) = client.stream.split();
    let sending = async { write.write_all(&message).await.unwrap() };
    let mut got = client.input.to_vec();
    let receiving = async {
        while got.len() < "welcome".len() + message.len() {
            read.read_buf(&mut got).await.unwrap();
        }
    };
    tokio::join!(sending, receiving);
    assert_eq!(got, [b"welcome".as_slice(), &message].concat());
    publish(&edge.proxy, &[]);
    assert_eq!(edge.proxy.drain("echo", Duration::from_millis(20)).await, 1);
    write.shutdown().await.unwrap();
    assert_eq!(edge.proxy.drain("echo", LONG).await, 0);
}

/// The instance is in the middle of a frame when it is drained: the frame is finished, then the edge says
/// goodbye, and the client's answer still reaches the instance.
#[tokio::test]
async fn a_drain_closes_a_websocket_between_two_frames() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let origin = Origin::new("socket", move |mut peer, _| {
        let mut gone = gone.clone();
        async move {
            peer.head().await;
            peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
                .await;
            peer.send(b"\x81\x05hel").await;
            gone.wait_for(|go| *go).await.unwrap();
            peer.send(b"lo").await;
            while peer.read().await.is_some() {}
        }
    })
    .await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = Client::connect(&edge).await;
    client.send(upgrade("websocket")).await;
    client.head().await;
    while client.input.len() < 5 {
        client.stream.read_buf(&mut client.input).await.unwrap();
    }
    publish(&edge.proxy, &[]);
    let proxy = edge.proxy.clone();
    let draining = tokio::spawn(async move { proxy.drain("socket", LONG).await });
    go.send(true).unwrap();
    while client.input.len() < 11 {
        client.stream.read_buf(&mut client.input).await.unwrap();
    }
    assert_eq!(&client.input[..], b"\x81\x05hello\x88\x02\x03\xe9");
    let farewell = b"\x88\x82\0\0\0\0\x03\xe9";
    client.send(farewell).await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(draining.await.unwrap(), 0);
    let arrived = async {
        while !origin.seen.lock().unwrap().ends_with(farewell) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, arrived).await.expect("the farewell reaches the instance");
}

#[tokio::test]
async fn bytes_before_101_are_not_smuggled_into_the_tunnel() {
    let origin = echo().await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let hidden = format!("GET /hidden HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let answer = talk(&edge, format!("{}{hidden}", upgrade("echo"))).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(!origin.seen().contains("hidden"), "{}", origin.seen());
}
