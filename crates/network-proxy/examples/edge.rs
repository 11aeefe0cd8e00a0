//! The edge in front of one instance, for measuring it beside another proxy:
//! `edge LISTEN UPSTREAM [HOST]`, for instance `edge 127.0.0.1:8000 127.0.0.1:9000`.

use kernel::Name;
use kernel::port::{Edge, RouteSet, Upstream};
use network_proxy::{Options, Proxy};
use std::error::Error;
use tokio_util::sync::CancellationToken;

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(listen), Some(upstream)) = (words.next(), words.next()) else {
        return Err("usage: edge LISTEN UPSTREAM [HOST]".into());
    };
    let listener = tokio::net::TcpListener::bind(&listen).await?;
    let address = listener.local_addr()?;
    let proxy = Proxy::new(Options { port: address.port(), ..Options::default() });
    let upstream = Upstream { instance: "one".into(), address: upstream.parse()? };
    let (project, service) = (Name::parse("shop")?, Name::parse("web")?);
    let hosts = words.chain([address.ip().to_string()]).collect();
    println!("{}", proxy.url(&project, &service));
    proxy.publish(RouteSet { project, service, hosts, upstreams: vec![upstream] });
    let stop = CancellationToken::new();
    // The server runs as a task so that it is a worker's, as it is in naru.
    tokio::spawn(async move { proxy.serve(listener, stop).await }).await??;
    Ok(())
}
