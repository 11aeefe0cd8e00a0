//! A server that does as its paths say.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

pub struct Server {
    pub url: String,
    pub connections: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A stall: nothing is answered between these times after the start.
pub struct Stall(pub Duration, pub Duration);

pub async fn start() -> Server {
    start_with(None).await
}

pub async fn start_with(stall: Option<Stall>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicU64::new(0));
    let (counter, stall) = (connections.clone(), Arc::new(stall));
    // From the first connection, because that is when the load begins.
    let began = Arc::new(std::sync::OnceLock::new());
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            let (stall, began) = (stall.clone(), began.clone());
            began.get_or_init(Instant::now);
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |request| {
                    let (stall, began) = (stall.clone(), began.clone());
                    async move {
                        Ok::<_, Infallible>(answer(request, &stall, *began.get().unwrap()).await)
                    }
                });
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Server { url, connections, task }
}

async fn answer(
    request: Request<Incoming>,
    stall: &Option<Stall>,
    began: Instant,
) -> Response<Full<Bytes>> {
    if let Some(Stall(from, to)) = stall
        && (*from..*to).contains(&began.elapsed())
    {
        tokio::time::sleep_until((began + *to).into()).await;
    }
    let path = request.uri().path().to_owned();
    let cookie =
        request.headers().get("cookie").and_then(|c| c.to_str().ok()).unwrap_or("").to_owned();
    let version = format!("{:?}", request.version());
    let ok = |words: String| Response::new(Full::new(Bytes::from(words)));
    let words: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match words.as_slice() {
        // Exactly so many microseconds: the runtime's timers are too coarse.
        ["spin", micros] => {
            let end = Instant::now() + Duration::from_micros(micros.parse().unwrap());
            while Instant::now() < end {
                tokio::task::yield_now().await;
            }
            ok("spun".into())
        }
        ["sleep", millis] => {
            tokio::time::sleep(Duration::from_millis(millis.parse().unwrap())).await;
            ok("slept".into())
        }
        ["status", status] => Response::builder()
            .status(status.parse::<u16>().unwrap())
            .body(Full::new(Bytes::new()))
            .unwrap(),
        ["login"] => {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let body = String::from_utf8_lossy(&body).into_owned();
            let mut response =
                ok(serde_json::json!({ "token": format!("t-{body}"), "list": [1, 2] }).to_string());
            response.headers_mut().insert("set-cookie", "sid=abc; Path=/".parse().unwrap());
            response
        }
        ["whoami", token] => ok(format!("{token} {cookie}")),
        ["moved"] => Response::builder()
            .status(302)
            .header("location", "/version")
            .body(Full::new(Bytes::new()))
            .unwrap(),
        ["version"] => ok(version),
        _ => ok("hello".into()),
    }
}
