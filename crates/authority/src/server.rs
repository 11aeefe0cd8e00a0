//! The server's end: which certificate a client is shown.

use kernel::{Error, Result};
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::ServerName;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// The certificates of one listener, which change while it listens: the next handshake sees the new one, connections
/// that are open go on with theirs.
#[derive(Debug, Default)]
pub struct Shown {
    /// Names that clients may ask for, in lower case; `None` is any.
    names: Option<BTreeSet<String>>,
    /// What somebody has brought; it goes first.
    brought: RwLock<Option<Arc<CertifiedKey>>>,
    /// What the internal CA has signed.
    internal: RwLock<Option<Arc<CertifiedKey>>>,
}

impl Shown {
    /// For `localhost` and `names`. A client that asks for another one is turned away (RFC 6066 §3,
    /// `unrecognized_name`); one that asks for none, as those that came by an address do, is not.
    pub fn to(names: BTreeSet<String>) -> Shown {
        Shown { names: Some(names), ..Shown::default() }
    }

    /// From the next handshake on.
    pub fn bring(&self, key: CertifiedKey) {
        *self.brought.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(key));
    }

    /// From the next handshake on.
    pub fn renew(&self, key: CertifiedKey) {
        *self.internal.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(key));
    }

    /// The one for a client that asks for `name`; `None` when it is turned away.
    pub fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let of = |slot: &RwLock<Option<Arc<CertifiedKey>>>| {
            slot.read().unwrap_or_else(PoisonError::into_inner).clone()
        };
        let (brought, internal) = (of(&self.brought), of(&self.internal));
        let Some(name) = name else { return brought.or(internal) };
        let name = name.to_ascii_lowercase();
        let local = name == "localhost" || name.ends_with(".localhost");
        let known = local || self.names.as_ref().is_none_or(|names| names.contains(&name));
        let fits = |key: &Arc<CertifiedKey>| covers(key, &name);
        let best = brought.clone().filter(fits).or_else(|| internal.clone().filter(fits));
        known.then(|| best.or(brought).or(internal)).flatten()
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

fn covers(key: &CertifiedKey, name: &str) -> bool {
    let Ok(name) = ServerName::try_from(name) else { return false };
    let Some(own) = key.cert.first() else { return false };
    ParsedCertificate::try_from(own).is_ok_and(|own| verify_server_name(&own, &name).is_ok())
}

/// TLS 1.2 and 1.3, offering `protocols` by ALPN (RFC 7301), best first.
///
/// # Errors
/// Internal, when the provider has none of these.
pub fn server_config(
    shown: Arc<dyn ResolvesServerCert>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    Ok(Arc::new(config))
}

/// One certificate for every client.
pub fn single(key: CertifiedKey) -> Arc<Shown> {
    let shown = Shown::default();
    shown.bring(key);
    Arc::new(shown)
}
