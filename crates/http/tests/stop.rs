//! Stopping: what is under way ends well, and what has no end is ended.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

fn endless(_: naru_http::Call) -> kernel::BoxFuture<'static, kernel::Result<naru_http::Response>> {
    use futures_util::StreamExt;
    let first = naru_http::Frame { data: "hello".into(), ..Default::default() };
    let frames = futures_util::stream::iter([Ok(first)]).chain(futures_util::stream::pending());
    Box::pin(async { Ok(naru_http::sse(frames)) })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_an_end_does_not_hold_up_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let store = store::Store::open(&dir.path().join("naru.db"), store::Options::default()).unwrap();
    let accounts = account::Accounts::open(store.clone()).await.unwrap();
    let policy = policy::Policy::new(&accounts);
    let routes = vec![naru_http::Route::get(
        "/stream",
        naru_http::Access::Public,
        ("a stream", "스트림"),
        endless,
    )];
    let options = naru_http::SiteOptions {
        store,
        accounts,
        policy,
        kinds: vec![],
        routes,
        assets: vec![],
        error_page: None,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(naru_http::serve(
        Arc::new(naru_http::Site::new(options)),
        listener,
        stop.clone(),
    ));
    let began = Instant::now();
    let reader = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /stream HTTP/1.1\r\nHost: naru\r\n\r\n").unwrap();
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        while !line.contains("data: hello") {
            line.clear();
            lines.read_line(&mut line).unwrap();
        }
        stop.cancel();
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        rest
    });
    let rest = reader.await.unwrap();
    serving.await.unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "the answer ends as it should: {rest:?}");
    assert!(began.elapsed() < Duration::from_secs(4), "the drain's own limit was not needed");
}
