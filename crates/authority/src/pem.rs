//! Certificates and keys as files.

use crate::Shown;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::{Clock, Error, Result, Text, text};
use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A chain, the server's own certificate first, with its key.
///
/// # Errors
/// `tls.certificate` or `tls.key` when the PEM text cannot be used, `tls.mismatch` when the two do not belong
/// together.
pub fn certified(cert_pem: &[u8], key_pem: &[u8]) -> Result<CertifiedKey> {
    let chain = certificates(cert_pem)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|e| bad_key().why(e))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|e| match e {
        rustls::Error::InvalidCertificate(_) => bad_certificate().why(e),
        rustls::Error::InconsistentKeys(_) => mismatch().why(e),
        _ => bad_key().why(e),
    })
}

/// The certificates in PEM text, at least one.
///
/// # Errors
/// `tls.certificate`
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|e| bad_certificate().why(e))?;
    if found.is_empty() { Err(bad_certificate()) } else { Ok(found) }
}

/// A certificate as PEM (RFC 7468).
pub fn to_pem(der: &[u8]) -> String {
    let words = STANDARD.encode(der);
    let lines = words.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines: Vec<_> = lines.map(|line| line.into_owned()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// The certificate and key that somebody has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The flag that named it, and the file: the chain, the server's own certificate first.
    pub certificate: (&'static str, PathBuf),
    pub key: (&'static str, PathBuf),
}

impl Files {
    /// Both as they are now. Two texts, so that they can be told from those read before.
    ///
    /// # Errors
    /// `tls.unreadable`, naming flag and file.
    pub fn read(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        let one = |(flag, path): &(&'static str, PathBuf)| read(flag, path);
        Ok((one(&self.certificate)?, one(&self.key)?))
    }

    /// What they hold.
    ///
    /// # Errors
    /// As [`Files::read`] and [`certified`]; each names the file.
    pub fn load(&self) -> Result<CertifiedKey> {
        let (certificate, key) = self.read()?;
        self.parse(&certificate, &key)
    }

    /// As [`Files::load`], of what was read.
    ///
    /// # Errors
    /// As [`certified`], naming the file.
    pub fn parse(&self, certificate: &[u8], key: &[u8]) -> Result<CertifiedKey> {
        certified(certificate, key).map_err(|error| {
            let at_fault =
                if error.code() == "tls.certificate" { &self.certificate } else { &self.key };
            let why = error.get_why().map(|w| format!(": {w}")).unwrap_or_default();
            error.why(format!("{}{why}", at_fault.1.display()))
        })
    }
}

/// Between looks at files that somebody has brought.
const LOOK: Duration = Duration::from_secs(10);

/// Shows what the files hold whenever it has changed, without an end. A pair that does not fit is left alone: perhaps
/// only one of its files has been written yet.
pub async fn follow(files: Files, shown: Arc<Shown>, clock: Arc<dyn Clock>) {
    let mut seen = files.read().ok();
    loop {
        clock.sleep_until(clock.now().plus(LOOK)).await;
        let read = match files.read() {
            Ok(read) if Some(&read) == seen.as_ref() => continue,
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(%error, "the certificate's files cannot be read; the one from before goes on");
                continue;
            }
        };
        match files.parse(&read.0, &read.1) {
            Ok(key) => {
                shown.bring(key);
                tracing::info!("the certificate was read anew");
            }
            Err(error) => {
                tracing::warn!(%error, "the certificate's files do not fit; the one from before goes on");
            }
        }
        seen = Some(read);
    }
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|why| {
        let shown = path.display();
        Error::invalid(
            "tls.unreadable",
            text!(
                "--{flag}: cannot read {shown}: {why}",
                "--{flag}: {shown} 파일을 읽을 수 없습니다: {why}"
            ),
        )
        .hint(Text::fixed(
            "name a PEM file that the user naru runs as can read",
            "naru를 실행하는 사용자가 읽을 수 있는 PEM 파일을 알려 주세요",
        ))
    })
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
