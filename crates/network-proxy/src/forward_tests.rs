use super::*;
use crate::wire::{Scan, authority};
use proptest::prelude::*;

fn forwarded(request: &str) -> Result<String, Reject> {
    let range = Scan::request().find(request.as_bytes(), 65536)?.expect("a whole head");
    let head = RequestHead::parse(&request.as_bytes()[range], 64)?;
    let authority = authority(&head)?;
    let (asked, connection) = Asked::of(&head)?;
    let origin = Origin { address: "10.0.0.9".into(), secure: false };
    let (mut out, mut random) = (BytesMut::new(), Random::new());
    super::request(&head, authority, (&asked, &connection), &origin, &mut random, &mut out);
    Ok(String::from_utf8(out.to_vec()).unwrap())
}

fn get(fields: &str) -> String {
    forwarded(&format!("GET /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).unwrap()
}

#[test]
fn fields_of_one_hop_stay_on_it() {
    let out = get(
        "Connection: X-Hop, keep-alive\r\nx-hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n\
        Proxy-Authorization: y\r\nTE: gzip\r\nUpgrade: websocket\r\nHTTP2-Settings: z\r\nX-Stays: 2\r\n",
    );
    for gone in ["onnection", "hop", "Keep-Alive", "Proxy", "TE:", "Upgrade", "HTTP2"] {
        assert!(!out.contains(gone), "{gone} in {out}");
    }
    assert!(out.contains("X-Stays: 2\r\n"), "{out}");
    assert!(get("TE: gzip, trailers\r\n").contains("TE: trailers\r\nConnection: te\r\n"));
}

#[test]
fn provenance_is_what_the_edge_saw() {
    let out =
        get("X-Forwarded-For: 6.6.6.6\r\nx_forwarded_for: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\
        Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nVia: 1.1 cdn\r\nCookie: a=b\r\n");
    assert!(!out.contains("6.6.6.6"), "{out}");
    for there in [
        "X-Forwarded-For: 10.0.0.9\r\n",
        "X-Forwarded-Proto: http\r\n",
        "X-Forwarded-Host: a\r\n",
        "Via: 1.1 cdn\r\n",
        "Via: 1.1 naru\r\n",
        "Cookie: a=b\r\n",
    ] {
        assert!(out.contains(there), "{there} not in {out}");
    }
}

#[test]
fn ids_pass_when_sound_and_are_made_when_not() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let out = get(&format!("X-Request-Id: r-1\r\ntraceparent: {parent}\r\n"));
    assert!(out.contains("X-Request-Id: r-1\r\n") && out.contains(parent), "{out}");
    let bad = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
    let out = get(&format!("X-Request-Id: a b\r\ntraceparent: {bad}\r\n"));
    assert!(!out.contains("a b") && !out.contains(bad), "{out}");
    let made = out.split("Traceparent: ").nth(1).and_then(|s| s.lines().next()).unwrap();
    assert!(sound_traceparent(made.as_bytes()), "{made}");
}

#[test]
fn upgrades_are_asked_for_in_one_way_only() {
    let asks = |fields: &str| get(fields).contains("Connection: upgrade\r\nUpgrade: ");
    assert!(asks("Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    assert!(!asks("Upgrade: websocket\r\n"));
    assert!(!asks("Connection: upgrade\r\nUpgrade: h2c\r\n"));
    assert!(!asks("Connection: upgrade\r\nUpgrade: websocket, h2c\r\n"));
    assert!(!asks("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n"));
}

#[test]
fn expectations_other_than_continue_are_refused() {
    let post = |fields: &str| forwarded(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    let out = post("Expect: 100-Continue\r\nContent-Length: 3\r\n").unwrap();
    assert!(out.contains("Expect: 100-continue\r\n"), "{out}");
    assert!(!post("Expect: 100-continue\r\n").unwrap().contains("Expect"));
    assert_eq!(post("Expect: gold\r\n"), Err(Reject::Expectation));
}

fn answered(response: &str, request: &str) -> Result<String, Reject> {
    let range = Scan::request().find(request.as_bytes(), 65536)?.expect("a whole head");
    let (asked, _) = Asked::of(&RequestHead::parse(&request.as_bytes()[range], 64)?)?;
    let range = Scan::response().find(response.as_bytes(), 65536)?.expect("a whole head");
    let head = ResponseHead::parse(&response.as_bytes()[range], 64)?;
    let (reply, connection) = Reply::of(&head, &asked, false)?;
    let mut out = BytesMut::new();
    super::response(&head, (&reply, &connection), &asked, &mut out);
    Ok(String::from_utf8(out.to_vec()).unwrap())
}

#[test]
fn a_response_is_framed_for_its_reader() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let head = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    let old = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    for (response, request, want) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2",
            get,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2",
            head,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        ),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 2",
            get,
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
        ),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 2", get, "HTTP/1.1 204 No Content\r\n\r\n"),
        ("HTTP/1.0 200 OK", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked",
            old,
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 3",
            old,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n",
        ),
    ] {
        assert_eq!(answered(&format!("{response}\r\n\r\n"), request).as_deref(), Ok(want));
    }
}

proptest! {
    /// Whatever is forwarded reads back as the same request under the same rules.
    #[test]
    fn what_is_forwarded_is_sound_and_says_the_same(
        method in "[A-Z]{1,8}",
        target in "/[!-\"$-~]{0,20}",
        fields in proptest::collection::vec(("[A-Za-z_-]{1,20}", "[ -~é]{0,20}"), 0..8),
    ) {
        let fields: String = fields.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
        let request = format!("{method} {target} HTTP/1.1\r\nHost: a.b\r\n{fields}\r\n");
        if let Ok(out) = forwarded(&request) {
            let range = Scan::request().find(out.as_bytes(), 65536).unwrap().unwrap();
            prop_assert_eq!(range.end, out.len());
            let head = RequestHead::parse(&out.as_bytes()[range], 64).unwrap();
            prop_assert_eq!(head.method, method.as_bytes());
            prop_assert_eq!(head.target, target.as_bytes());
            prop_assert_eq!(authority(&head), Ok(&b"a.b"[..]));
            prop_assert!(Asked::of(&head).is_ok());
        }
    }
}
