//! What the generator itself costs here: the same rate against a server of this machine that does nothing.

use crate::engine::{Options, run};
use crate::metric::Times;
use crate::plan::{With, compile};
use crate::report::Spread;
use kernel::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Requests a second that were asked for, and that were done.
    pub asked: f64,
    pub rate: f64,
    pub p50: f64,
    pub p99: f64,
    pub lag_p50: f64,
    pub lag_p99: f64,
}

/// Runs for about a second at `rate` against a null server in this process.
///
/// # Errors
/// Internal, when no port or thread can be had.
pub async fn calibrate(rate: f64, workers: Option<usize>, length: Duration) -> Result<Calibration> {
    let (address, stop) = null_server().await?;
    let rate = rate.clamp(1.0, 100_000.0);
    let test = serde_json::json!({
        "scenarios": { "null": {
            "executor": "constant-arrival-rate", "rate": rate, "preAllocatedVUs": 200, "maxVUs": 1000,
            "duration": format!("{}ms", length.as_millis()), "gracefulStop": "1s",
            "steps": [{ "request": { "url": format!("http://{address}/") } }],
        } },
    });
    let source = crate::read("calibration", &test.to_string())?;
    let no_file = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let plan = compile(&source, &With { variables: BTreeMap::new(), file: &no_file })?;
    let options = Options { workers, stop: stop.child_token() };
    let outcome = run(&Arc::new(plan), &options, |_| {}).await;
    stop.cancel();
    let outcome = outcome?;
    let (request, scenario) = (outcome.stats.requests.first(), outcome.stats.scenarios.first());
    let duration = Spread::of(&request.map_or_else(Times::new, |r| r.duration()));
    let lag = Spread::of(&scenario.map_or_else(Times::new, |s| s.lag.clone()));
    Ok(Calibration {
        asked: rate,
        rate: duration.count as f64 / length.as_secs_f64(),
        p50: duration.p50,
        p99: duration.p99,
        lag_p50: lag.p50,
        lag_p99: lag.p99,
    })
}

/// A thread that answers every request with 204 until it is told to stop.
async fn null_server() -> Result<(SocketAddr, CancellationToken)> {
    let stop = CancellationToken::new();
    let ends = stop.clone();
    let (reply, address) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("null".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async move {
                let Ok(listener) = TcpListener::bind("127.0.0.1:0").await else { return };
                let Ok(address) = listener.local_addr() else { return };
                let _ = reply.send(address);
                tokio::select! {
                    () = ends.cancelled() => {}
                    () = serve(listener) => {}
                }
            });
        })
        .map_err(Error::internal)?;
    Ok((address.await.map_err(Error::internal)?, stop))
}

async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) {
    let mut buffer = [0_u8; 4096];
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|r| !r.is_empty()) {
        match stream.read(room).await {
            Ok(0) | Err(_) => return,
            Ok(n) => filled += n,
        }
        if buffer.get(..filled).is_some_and(|b| b.ends_with(b"\r\n\r\n")) {
            filled = 0;
            if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.is_err() {
                return;
            }
        }
    }
}
