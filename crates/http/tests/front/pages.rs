//! What a browser and other people's pages can do.

use crate::{Setting, ask, request, world};
use naru_http::front::{Limit, Rates};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_serves_pages_of_the_same_origin_alone() {
    let world = world(Setting::default()).await;
    let cookie = format!("Cookie: naru_session={}\r\n", world.session);
    for (origin, fine) in [
        ("Origin: http://naru.example.com\r\n", true),
        ("Origin: http://evil.example.com\r\n", false),
        ("Origin: http://naru.example.com.evil.com\r\n", false),
        ("Origin: http://naru.example.com:81\r\n", false),
        ("Origin: null\r\n", false),
        ("", false),
    ] {
        let more = format!("{cookie}{origin}");
        let answer = ask(&world, &request("POST", "/own", "naru.example.com", &more)).await;
        assert_eq!(answer.status == 200, fine, "{origin} {}", answer.body);
    }
    let heard = world.heard.0.lock().unwrap().clone();
    assert_eq!(heard.len(), 5);
    assert!(heard.iter().all(|h| *h == ("POST /own".to_owned(), "auth.cross-site")), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_only_the_cookie_that_nobody_else_can_plant_counts() {
    let world = world(Setting { secure: true, ..Setting::default() }).await;
    for (name, want) in [("naru_session", 401), ("__Host-naru_session", 200)] {
        let more = format!("Cookie: {name}={}\r\n", world.session);
        let answer = ask(&world, &request("GET", "/own", "naru.example.com", &more)).await;
        assert_eq!(answer.status, want, "{name}");
        assert!(answer.header("strict-transport-security").contains("max-age="));
    }
    let cookie = format!("Cookie: __Host-naru_session={}\r\n", world.session);
    for (scheme, want) in [("https", 200), ("http", 403)] {
        let more = format!("{cookie}Origin: {scheme}://naru.example.com\r\n");
        let answer = ask(&world, &request("POST", "/own", "naru.example.com", &more)).await;
        assert_eq!(answer.status, want, "a page that came over {scheme}");
    }
    let local = ask(&world, &request("GET", "/open", "localhost", "")).await;
    assert_eq!(local.header("strict-transport-security"), "", "other ports would suffer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_ours_is_refused_and_an_answer_cannot_be_framed() {
    let world = world(Setting::default()).await;
    for host in ["evil.example.com", "naru.example.com.evil.com", "localhost.evil.com"] {
        let answer = ask(&world, &request("GET", "/open", host, "")).await;
        assert_eq!(answer.status, 403, "{host}");
        assert!(answer.body.contains("host.unknown"), "{}", answer.body);
    }
    for path in ["/open", "/own", "/nowhere"] {
        let answer = ask(&world, &request("GET", path, "127.0.0.1", "")).await;
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}");
        assert!(answer.header("permissions-policy").contains("camera=()"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_comes_back_in_header_and_error_and_none_can_be_smuggled_in() {
    let world = world(Setting::default()).await;
    let answer = ask(&world, &request("GET", "/no", "localhost", "X-Request-Id: abc-1\r\n")).await;
    assert_eq!(answer.header("x-request-id"), "abc-1");
    assert!(answer.body.contains("\"request\":\"abc-1\""), "{}", answer.body);
    for bad in ["a\"><script>", "a b", &"x".repeat(65)] {
        let more = format!("X-Request-Id: {bad}\r\n");
        let answer = ask(&world, &request("GET", "/no", "localhost", &more)).await;
        assert!(!answer.body.contains(bad), "{}", answer.body);
        assert!(!answer.header("x-request-id").is_empty());
        assert_ne!(answer.header("x-request-id"), bad);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header_can_be_written_through_an_address() {
    let world = world(Setting::default()).await;
    let plain = ask(&world, &request("GET", "/led?to=/open", "localhost", "")).await;
    assert_eq!((plain.status.as_u16(), plain.header("location")), (303, "/open"));
    for to in ["/x%0d%0aSet-Cookie:%20a=b", "/x%0aSet-Cookie:%20a=b", "/x%00"] {
        let answer = ask(&world, &request("GET", &format!("/led?to={to}"), "localhost", "")).await;
        assert_eq!(answer.status, 500, "{to}");
        assert!(
            !answer.headers.contains_key("set-cookie") && !answer.headers.contains_key("location")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_fast_is_told_when_to_come_back_and_nobody_else_is() {
    let slow = Limit { burst: 3, rate: 1 };
    let world = world(Setting {
        rates: Rates::new(slow, Limit::NONE),
        proxies: vec!["127.0.0.0/8"],
        ..Setting::default()
    })
    .await;
    let of = |client: &str| {
        let more = format!("X-Forwarded-For: 10.9.9.9, {client}\r\n");
        request("GET", "/open", "localhost", &more)
    };
    let mut last = ask(&world, &of("203.0.113.1")).await;
    for _ in 0..20 {
        if last.status == 429 {
            break;
        }
        last = ask(&world, &of("203.0.113.1")).await;
    }
    assert_eq!(last.status, 429);
    assert_eq!(last.header("retry-after"), "1");
    assert!(last.body.contains("rate.exceeded"), "{}", last.body);
    assert_eq!(ask(&world, &of("203.0.113.2")).await.status, 200, "another client of the proxy");
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_nobody_trusts_cannot_say_to_be_somebody_else() {
    let slow = Limit { burst: 3, rate: 1 };
    let rates = Rates::new(slow, Limit::NONE);
    let world = world(Setting { rates, ..Setting::default() }).await;
    // This machine is not counted; were the header believed, these would be one stranger too many.
    for _ in 0..10 {
        let more = "X-Forwarded-For: 203.0.113.1\r\n";
        assert_eq!(ask(&world, &request("GET", "/open", "localhost", more)).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_is_refused_before_it_is_read() {
    let world = world(Setting::default()).await;
    let big = "x".repeat(1_100_000);
    let length = big.len();
    let known = format!(
        "POST /json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{big}"
    );
    let chunked = format!(
        "POST /json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{big}\r\n0\r\n\r\n"
    );
    for request in [known, chunked] {
        let answer = ask(&world, &request).await;
        assert_eq!(answer.status, 413, "{}", answer.body);
        assert!(answer.body.contains("body.too-large"));
    }
    let long = request("GET", &format!("/open?{}", "a".repeat(20_000)), "localhost", "");
    assert_eq!(ask(&world, &long).await.status, 413);
    let many: String = (0..100).map(|n| format!("X-{n}: y\r\n")).collect();
    assert_eq!(ask(&world, &request("GET", "/open", "localhost", &many)).await.status, 431);
    let wide = format!("X-Wide: {}\r\n", "y".repeat(100_000));
    assert_eq!(ask(&world, &request("GET", "/open", "localhost", &wide)).await.status, 431);
}
