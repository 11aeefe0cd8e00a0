//! What is refused is never forwarded, and what is forwarded was written anew.

use crate::kit::*;
use network_proxy::Limits;

fn post(fields: &str, body: &str) -> String {
    format!("POST /x HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n{body}")
}

/// Every row of the table of smuggled framing, each followed by what an attacker would hide behind it.
fn refused() -> Vec<(u16, String)> {
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    let get = |line: &str, fields: &str| format!("{line}\r\n{fields}\r\n");
    let host = format!("Host: {HOST}\r\n");
    let mut rows: Vec<(u16, String)> = [
        post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        post("Content-Length: 2\r\nContent-Length: 2\r\n", "ab"),
        post("Content-Length: 2\r\nContent-Length: 3\r\n", "ab"),
        post("Content-Length: 2, 2\r\n", "ab"),
        post("Content-Length: +2\r\n", "ab"),
        post("Content-Length: 0x2\r\n", "ab"),
        post("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: gzip\r\n", ""),
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        format!("POST / HTTP/1.0\r\n{host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        post("X: a\nY: b\r\n", ""),
        post("X: a\rY: b\r\n", ""),
        post("X: a\0b\r\n", ""),
        post("X: a\r\n b\r\n", ""),
        post(": a\r\n", ""),
        post("X : a\r\n", ""),
        get("GET / HTTP/1.1\r\n X: a", &host),
        get("GET / HTTP/1.1", ""),
        get("GET / HTTP/1.1", &format!("{host}{host}")),
        get("GET / HTTP/1.1", "Host: a@b c\r\n"),
        get("GET / HTTP/1.1", "Host: \r\n"),
        get("GET http://other.shop.localhost/ HTTP/1.1", &host),
        get("GET / HTTP/1.1\nX: y", &host),
        get("GET /a b HTTP/1.1", &host),
        get("GET  / HTTP/1.1", &host),
        post("Connection: content-length\r\nContent-Length: 2\r\n", "ab"),
        post("Connection: close, host\r\n", ""),
        post("Connection: authorization\r\nAuthorization: x\r\n", ""),
        chunked("+2\r\nab\r\n0\r\n\r\n"),
        chunked("0x2\r\nab\r\n0\r\n\r\n"),
        chunked("0_2\r\nab\r\n0\r\n\r\n"),
        chunked("2 \r\nab\r\n0\r\n\r\n"),
        chunked("2\nab\r\n0\r\n\r\n"),
        chunked("2\r\nab\n0\r\n\r\n"),
        chunked("2\r\nabc\r\n0\r\n\r\n"),
        chunked("2;a\nb\r\nab\r\n0\r\n\r\n"),
        chunked("fffffffffffffffff\r\nab\r\n0\r\n\r\n"),
        chunked(&format!("2;{}\r\nab\r\n0\r\n\r\n", "e".repeat(1000))),
        chunked("2\r\nab\r\n0\r\nContent-Length: 5\r\n\r\n"),
        chunked("2\r\nab\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        chunked("2\r\nab\r\n0\r\nHost: b\r\n\r\n"),
        chunked("2\r\nab\r\n0\r\nAuthorization: b\r\n\r\n"),
        chunked("2\r\nab\r\n0\r\nX: a\n\r\n"),
    ]
    .into_iter()
    .map(|request| (400, request))
    .collect();
    rows.push((405, get("CONNECT a:443 HTTP/1.1", "Host: a:443\r\n")));
    rows.push((505, get("GET / HTTP/2.0", &host)));
    rows.push((417, post("Expect: gold\r\nContent-Length: 2\r\n", "ab")));
    rows
}

#[tokio::test]
async fn what_is_refused_is_answered_closed_and_never_forwarded() {
    let origin = Origin::fixed(ok("hidden")).await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let hidden = format!("GET /hidden HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    for (status, request) in refused() {
        let answer = talk(&edge, format!("{request}{hidden}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?} gave {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request:?} gave {answer}");
        assert!(answer.contains("Connection: close\r\n"), "{answer}");
    }
    assert_eq!(origin.seen(), "");
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn the_next_request_is_refused_but_the_one_before_it_is_served() {
    let origin = Origin::fixed(ok("fine")).await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let good = format!("GET /good HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let bad = post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n");
    let answer = talk(&edge, format!("{good}{bad}{good}")).await;
    let statuses: Vec<&str> =
        answer.match_indices("HTTP/1.1 ").map(|(i, _)| &answer[i + 9..i + 12]).collect();
    assert_eq!(statuses, ["200", "400"], "{answer}");
    assert_eq!(origin.seen().matches("GET /good").count(), 1);
}

#[tokio::test]
async fn a_body_is_framed_anew() {
    let origin = Origin::fixed(ok("")).await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = Client::connect(&edge).await;
    let body = "2;ext=1\r\nab\r\n0003\r\ncde\r\n0\r\nX-Sum: 9\r\n\r\n";
    client.send(post("Transfer-Encoding: CHUNKED\r\nTransfer_Encoding: x\r\n", body)).await;
    assert_eq!(client.answer("POST").await.status, 200);
    let seen = origin.seen();
    assert!(seen.ends_with("\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\nX-Sum: 9\r\n\r\n"), "{seen}");
    assert!(
        seen.contains("Transfer-Encoding: chunked\r\n") && !seen.contains("Transfer_"),
        "{seen}"
    );
}

#[tokio::test]
async fn a_bad_chunk_after_the_head_went_out_is_answered_and_never_completed() {
    let origin = Origin::fixed(ok("")).await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = Client::connect(&edge).await;
    client.send(post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n")).await;
    while !origin.seen().ends_with("3\r\nabc\r\n") {
        tokio::task::yield_now().await;
    }
    client.send("zz\r\n0\r\n\r\n").await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(origin.seen().ends_with("3\r\nabc\r\n"), "{}", origin.seen());
}

#[tokio::test]
async fn a_smuggled_response_becomes_502_and_its_connection_ends() {
    let hidden = ok("hidden");
    for response in [
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n{hidden}"
        ),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 3\r\n\r\n{hidden}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{hidden}"),
        format!("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n{hidden}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n{hidden}"),
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n{hidden}"
        ),
        "nonsense\r\n\r\n".to_owned(),
    ] {
        let origin = Origin::fixed(response.clone()).await;
        let edge = edge(Limits::default(), &[&origin]).await;
        let mut client = Client::connect(&edge).await;
        for _ in 0..2 {
            let answer = client.get("/").await;
            assert_eq!(answer.status, 502, "{response:?}");
            assert!(answer.text().contains("shop/web"), "{}", answer.text());
            assert!(!answer.text().contains("hidden"), "{}", answer.text());
        }
        assert_eq!(origin.connections(), 2, "{response:?}");
    }
}

#[tokio::test]
async fn surplus_after_a_response_is_thrown_away_with_its_connection() {
    let origin = Origin::fixed(format!("{}{}", ok("one"), ok("surplus"))).await;
    let edge = edge(Limits::default(), &[&origin]).await;
    let mut client = Client::connect(&edge).await;
    assert_eq!(client.get("/").await.text(), "one");
    assert_eq!(client.get("/").await.text(), "one");
    assert_eq!(origin.connections(), 2);
}
