//! Every way of saying a length against every body that could hide a request, in front of an origin with a
//! parser of its own (hyper's, which is lenient): the two must agree on every boundary.

use crate::kit::*;
use http_body_util::{BodyExt, Empty};
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use network_proxy::Limits;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Log = Arc<Mutex<Vec<String>>>;

/// Says in each answer which request it thinks it answers, and keeps a list.
async fn origin(log: Log) -> Origin {
    Origin::new("hyper", move |peer, _| {
        let log = log.clone();
        async move {
            let answer = service_fn(move |request: Request<Incoming>| {
                let log = log.clone();
                async move {
                    let (parts, body) = request.into_parts();
                    let length = body.collect().await?.to_bytes().len();
                    let saw = format!("{} {} {length}", parts.method, parts.uri.path());
                    log.lock().unwrap().push(saw.clone());
                    let response = Response::builder().header("x-saw", saw);
                    Ok::<_, hyper::Error>(response.body(Empty::<&[u8]>::new()).unwrap())
                }
            });
            let io = TokioIo::new(peer.stream);
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, answer).await;
        }
    })
    .await
}

const LENGTHS: [&str; 10] = [
    "",
    "Content-Length: 0\r\n",
    "Content-Length: 5\r\n",
    "content-length:\t@\r\n",
    "Content-Length: @, @\r\n",
    "Content-Length: @\r\nContent-Length: @\r\n",
    "Content-Length : @\r\n",
    "Content-Length: +@\r\n",
    "Content_Length: 0\r\n",
    "X: y\rContent-Length: @\r\n",
];

const CODINGS: [&str; 13] = [
    "",
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding:\tCHUNKED \r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: \"chunked\"\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "Transfer_Encoding: chunked\r\n",
    "X: y\nTransfer-Encoding: chunked\r\n",
    "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n",
    "TE: chunked\r\n",
];

/// `#` stands for a hidden request.
const BODIES: [&str; 11] = [
    "#",
    "0\r\n\r\n#",
    "5\r\nhello\r\n0\r\n\r\n#",
    "@@\r\n#\r\n0\r\n\r\n",
    "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n#",
    "5;a\nb\r\nhello\r\n0\r\n\r\n#",
    "5\nhello\n0\n\n#",
    "005\r\nhello\r\n000\r\n\r\n#",
    "5 \r\nhello\r\n0\r\n\r\n#",
    "5\r\nhello0\r\n\r\n#",
    "0\r\nX: y\r\n\r\n#",
];

fn payload(length: &str, coding: &str, body: &str) -> String {
    let hidden = format!("GET /hidden HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let body = body.replace("@@", &format!("{:x}", hidden.len())).replace('#', &hidden);
    let length = length.replace('@', &body.len().to_string());
    let last = format!("GET /last HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    format!("POST /first HTTP/1.1\r\nHost: {HOST}\r\n{length}{coding}\r\n{body}{last}")
}

#[tokio::test]
async fn edge_and_origin_agree_on_every_boundary() {
    let log = Log::default();
    let origin = origin(log.clone()).await;
    // A payload that the edge takes for incomplete ends in this time, as a 408.
    let pause = Duration::from_secs(2);
    let limits = Limits { body_window: pause, head_time: pause, idle: pause, ..Limits::default() };
    let edge = edge(limits, &[&origin]).await;
    let (mut served, mut refused) = (0, 0);
    for length in LENGTHS {
        for coding in CODINGS {
            for body in BODIES {
                let payload = payload(length, coding, body);
                let answers = talk(&edge, &payload).await;
                let told: Vec<&str> =
                    answers.lines().filter_map(|l| l.strip_prefix("x-saw: ")).collect();
                let saw = std::mem::take(&mut *log.lock().unwrap());
                assert_eq!(told, saw, "{payload:?} gave {answers}");
                let whole = saw.last().is_some_and(|s| s == "GET /last 0");
                let again = answers.contains("HTTP/1.1 400 ");
                assert!(whole != again, "either all is served or it is refused: {payload:?}");
                if whole { served += 1 } else { refused += 1 }
            }
        }
    }
    assert!(served > 50 && refused > 1000, "{served} served, {refused} refused");
}
