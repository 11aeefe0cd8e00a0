//! Whom the generator believes over TLS.

use crate::file::HttpVersion;
use crate::plan::{Settings, Trust};
use kernel::{Error, Result};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

pub(super) fn tls(settings: &Settings) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?;
    let mut config = match &settings.trust {
        // A machine without a list can still be asked for what needs no TLS.
        Trust::Machine => {
            let known = authority::Trust::system().map(|trust| trust.roots());
            let roots = known.unwrap_or_else(|_| RootCertStore::empty());
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Trust::Only(authorities) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(authorities.iter().cloned());
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Trust::Anyone => builder
            .dangerous()
            .with_custom_certificate_verifier(authority::anybody())
            .with_no_client_auth(),
    };
    config.alpn_protocols = match settings.version {
        HttpVersion::One => vec![b"http/1.1".to_vec()],
        HttpVersion::Two => vec![b"h2".to_vec()],
        HttpVersion::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Ok(config)
}
