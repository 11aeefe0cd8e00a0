//! The client's end: which servers are believed.

use crate::{Fingerprint, certificates};
use kernel::{Error, Result, Text, text};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::path::Path;
use std::sync::Arc;

/// Where systems keep the certificates they trust. `SSL_CERT_FILE` goes before them.
const SYSTEM: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// Roots that are believed.
#[derive(Clone, Debug)]
pub struct Trust(Vec<CertificateDer<'static>>);

impl Trust {
    /// Those of this system, read anew each time: they change while programs run.
    ///
    /// # Errors
    /// `host.untrusted` when the system has none.
    pub fn system() -> Result<Trust> {
        let named = std::env::var("SSL_CERT_FILE").ok();
        let files = named.as_deref().into_iter().chain(SYSTEM.iter().copied());
        let read = |file| CertificateDer::pem_file_iter(file).into_iter().flatten().flatten();
        let found = files.map(|file| read(file).collect::<Vec<_>>()).find(|f| !f.is_empty());
        found.map(Trust).ok_or_else(|| {
            let say = Text::fixed(
                "this machine has no list of certificates to trust",
                "이 컴퓨터에 신뢰할 인증서 목록이 없습니다",
            );
            Error::invalid("host.untrusted", say)
                .hint(Text::fixed("install ca-certificates", "ca-certificates를 설치하세요"))
        })
    }

    /// Those in PEM text.
    ///
    /// # Errors
    /// `tls.certificate`
    pub fn pem(words: &[u8]) -> Result<Trust> {
        certificates(words).map(Trust)
    }

    /// Those in a file.
    ///
    /// # Errors
    /// `tls.unreadable`, `tls.certificate`, naming the file.
    pub fn file(path: &Path) -> Result<Trust> {
        let shown = path.display();
        let words = std::fs::read(path).map_err(|why| {
            let say = text!("cannot read {shown}: {why}", "{shown} 파일을 읽을 수 없습니다: {why}");
            Error::invalid("tls.unreadable", say)
        })?;
        Trust::pem(&words).map_err(|e| e.why(shown))
    }

    /// Only the root with this fingerprint, when it is among them.
    pub fn only(self, wanted: &Fingerprint) -> Option<Trust> {
        let found = self.0.into_iter().find(|der| Fingerprint::of(der) == *wanted);
        found.map(|der| Trust(vec![der]))
    }

    /// Of each root.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.0.iter().map(|der| Fingerprint::of(der)).collect()
    }

    /// The roots in DER.
    pub fn ders(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// TLS 1.2 and 1.3 for clients that believe these roots, with `protocols` by ALPN.
    ///
    /// # Errors
    /// `tls.certificate` when none of them can be a root.
    pub fn client_config(&self, protocols: &[&[u8]]) -> Result<Arc<ClientConfig>> {
        let roots = self.roots();
        if roots.is_empty() {
            return Err(certificates(b"").err().unwrap_or_else(|| Error::internal("no roots")));
        }
        let mut config = builder()?.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
        Ok(Arc::new(config))
    }

    /// Those that can be roots, for a configuration of one's own.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.0.iter().cloned());
        roots
    }
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)
}

/// A client that believes anybody: only to ask a server for the root it names, which is then compared with what
/// somebody knows of it. Nothing secret may be sent over it.
///
/// # Errors
/// Internal, when the provider has no TLS 1.2 or 1.3.
pub fn shown_to_strangers() -> Result<Arc<ClientConfig>> {
    let believed = builder()?.dangerous().with_custom_certificate_verifier(anybody());
    let mut config = believed.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Whether an error of a connection says that the server's certificate is not believed, and not that it is out of its
/// time or for another name.
pub fn distrusted(error: &std::io::Error) -> bool {
    use rustls::CertificateError::{BadSignature, UnknownIssuer};
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature)))
}

/// Believes whoever answers to be the server; signatures still have to be right.
pub fn anybody() -> Arc<dyn ServerCertVerifier> {
    Arc::new(Anybody(Arc::new(ring::default_provider())))
}

#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
