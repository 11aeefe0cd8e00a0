use crate::edge::Shared;
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
pub(crate) async fn run(
    _shared: Arc<Shared>,
    _listener: TcpListener,
    _tls: Option<Arc<rustls::ServerConfig>>,
    stop: CancellationToken,
) -> io::Result<()> {
    stop.cancelled().await;
    Ok(())
}
