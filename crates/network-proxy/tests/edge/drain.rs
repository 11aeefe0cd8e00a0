//! Nothing is lost while instances come and go, and while the edge itself leaves.

use crate::kit::*;
use network_proxy::{Edge, Limits};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::Barrier;

/// Dies at once when dropped, as a killed process does.
async fn instance(generation: usize) -> Origin {
    let body = ok(&format!("generation {generation}"));
    Origin::new(&format!("web-{generation}"), move |mut peer, _| {
        let body = body.clone();
        async move {
            while peer.request().await.is_some() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                peer.send(body.as_bytes()).await;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_rollouts_under_load_lose_no_request() {
    let first = instance(0).await;
    let edge = Arc::new(edge(Limits::default(), &[&first]).await);
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let client = |n: usize| {
        let (edge, over, answered) = (edge.clone(), over.clone(), answered.clone());
        async move {
            let mut client = Client::connect(&edge).await;
            while !over.load(SeqCst) {
                let answer = if n.is_multiple_of(2) {
                    client.get("/").await
                } else {
                    client
                        .send(format!(
                            "POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 2\r\n\r\nab"
                        ))
                        .await;
                    client.answer("POST").await
                };
                assert_eq!(answer.status, 200, "{}", answer.text());
                answered.fetch_add(1, SeqCst);
            }
        }
    };
    let clients: Vec<_> = (0..8).map(|n| tokio::spawn(client(n))).collect();
    let mut now = first;
    for generation in 1..=20 {
        let next = instance(generation).await;
        publish(&edge.proxy, &[&now, &next]);
        let target = answered.load(SeqCst) + 40;
        while answered.load(SeqCst) < target {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        publish(&edge.proxy, &[&next]);
        assert_eq!(edge.proxy.drain(&now.instance, LONG).await, 0);
        now = next;
    }
    while answered.load(SeqCst) < 1_500 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    over.store(true, SeqCst);
    for client in clients {
        client.await.expect("every answer was 200");
    }
    // The last answers may be with their clients before the edge has counted them.
    let edge = Arc::into_inner(edge).unwrap();
    edge.stop.cancel();
    edge.served.await.unwrap().unwrap();
    let view = edge.proxy.routes().remove(0);
    assert_eq!((view.server_errors, view.client_errors, view.in_flight), (0, 0, 0));
    assert_eq!(view.requests as usize, answered.load(SeqCst));
}

#[tokio::test]
async fn a_drain_closes_the_kept_connections() {
    let origin = Origin::fixed(ok("hello")).await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = Client::connect(&edge).await;
    client.get("/").await;
    publish(&edge.proxy, &[]);
    assert_eq!(edge.proxy.drain("fixed", LONG).await, 0);
    assert_eq!(client.get("/").await.status, 503);
    publish(&edge.proxy, &[&origin]);
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn the_edge_finishes_what_it_began_and_takes_nothing_new() {
    let meet = Arc::new(Barrier::new(2));
    let there = meet.clone();
    let origin = Origin::new("slow", move |mut peer, _| {
        let meet = there.clone();
        async move {
            while peer.request().await.is_some() {
                meet.wait().await;
                meet.wait().await;
                peer.send(ok("finished").as_bytes()).await;
            }
        }
    })
    .await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut idle = Client::connect(&edge).await;
    let mut busy = Client::connect(&edge).await;
    busy.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    meet.wait().await;
    edge.stop.cancel();
    assert_eq!(idle.rest().await, "", "an idle connection ends");
    meet.wait().await;
    let answer = busy.answer("GET").await;
    assert_eq!((answer.text(), field(&answer.head, "connection")), ("finished", Some("close")));
    edge.served.await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(edge.address).await.is_err());
}

#[tokio::test]
async fn the_edge_does_not_wait_for_ever() {
    let origin = Origin::new("mute", |mut peer, _| async move {
        peer.request().await;
        std::future::pending::<()>().await;
    })
    .await;
    let limits = Limits { grace: Duration::from_millis(50), ..Limits::default() };
    let edge = edge(limits, &[&origin]).await;
    let mut client = Client::connect(&edge).await;
    client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    while origin.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    edge.stop.cancel();
    tokio::time::timeout(LONG, edge.served).await.expect("ends").unwrap().unwrap();
    assert_eq!(edge.proxy.routes()[0].in_flight, 0);
}
