//! TLS settings of a listener.

use kernel::{Error, Result, Text};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// TLS 1.2 and 1.3 with one certificate chain, offering HTTP/2 and HTTP/1.1 by ALPN (RFC 7301).
///
/// # Errors
/// `tls.certificate` or `tls.key` when the PEM text cannot be used, `tls.mismatch` when the two do not belong
/// together.
pub fn tls_config(cert_pem: &[u8], key_pem: &[u8]) -> Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_slice_iter(cert_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| bad_certificate().why(e))?;
    if chain.is_empty() {
        return Err(bad_certificate());
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|e| bad_key().why(e))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| match e {
            rustls::Error::InvalidCertificate(_) => bad_certificate().why(e),
            rustls::Error::InconsistentKeys(_) => mismatch().why(e),
            _ => bad_key().why(e),
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn bad_certificate() -> Error {
    let say = Text::fixed("the TLS certificate cannot be read", "TLS 인증서를 읽을 수 없습니다");
    Error::invalid("tls.certificate", say).hint(Text::fixed(
        "give the chain as PEM, the server's own certificate first",
        "서버 인증서가 맨 앞에 오는 PEM 체인을 넣으세요",
    ))
}

fn mismatch() -> Error {
    let say = Text::fixed(
        "the TLS key is not that of the certificate",
        "TLS 키가 인증서의 키와 다릅니다",
    );
    Error::invalid("tls.mismatch", say).hint(Text::fixed(
        "give the private key of the first certificate in the chain",
        "체인의 첫 번째 인증서에 맞는 개인 키를 넣으세요",
    ))
}

fn bad_key() -> Error {
    let say = Text::fixed("the TLS key cannot be used", "TLS 키를 쓸 수 없습니다");
    Error::invalid("tls.key", say).hint(Text::fixed(
        "give the private key of the first certificate as PEM",
        "첫 번째 인증서의 개인 키를 PEM으로 넣으세요",
    ))
}
