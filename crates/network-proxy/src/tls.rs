//! TLS settings of a listener.

use kernel::Result;
use rustls::ServerConfig;
use std::sync::Arc;

/// What the edge offers by ALPN (RFC 7301), best first.
pub const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// TLS 1.2 and 1.3 with one certificate chain, offering HTTP/2 and HTTP/1.1.
///
/// # Errors
/// `tls.certificate` or `tls.key` when the PEM text cannot be used, `tls.mismatch` when the two do not belong
/// together.
pub fn tls_config(cert_pem: &[u8], key_pem: &[u8]) -> Result<Arc<ServerConfig>> {
    let shown = authority::single(authority::certified(cert_pem, key_pem)?);
    authority::server_config(shown, &PROTOCOLS)
}
