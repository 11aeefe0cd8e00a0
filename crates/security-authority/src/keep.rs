//! The certificate of this very server, kept beside the data so that a restart needs no other.

use authority::{Fingerprint, Host, Root, Serial, Usage, Wanted, certified, due, to_pem};
use kernel::{Error, Result, Time};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file.
#[derive(Clone, Serialize, Deserialize)]
pub struct Own {
    pub serial: Serial,
    pub names: Vec<Host>,
    pub root: Fingerprint,
    pub from: Time,
    pub until: Time,
    /// PEM, its own first.
    chain: String,
    /// PEM
    key: String,
}

impl Own {
    /// `None` when there is none that can be used: another is made then.
    pub fn read(file: &Path) -> Option<Own> {
        let own: Own = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        own.certified().is_ok().then_some(own)
    }

    /// # Errors
    /// Internal, when it cannot be signed.
    pub fn make(root: &Root, names: &[Host], revocations: &str, now: Time) -> Result<Own> {
        let serial = Serial::draw(now)?;
        let wanted = Wanted {
            names: names.to_vec(),
            usage: Usage::Server,
            life: authority::LONGEST,
            serial: serial.clone(),
            revocations: Some(revocations.to_owned()),
        };
        let (signed, key) = root.sign_own(&wanted, now)?;
        Ok(Own {
            serial,
            names: names.to_vec(),
            root: root.fingerprint(),
            from: signed.from,
            until: signed.until,
            chain: signed.chain.iter().map(|der| to_pem(der)).collect(),
            key,
        })
    }

    /// # Errors
    /// Internal, when the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self).map_err(Error::internal)?;
        authority::write_private(file, &bytes)
    }

    /// Whether it still does: the same root and names, and not due.
    pub fn serves(&self, root: &Root, names: &[Host], now: Time) -> bool {
        self.root == root.fingerprint() && self.names == names && !due(self.from, self.until, now)
    }

    /// # Errors
    /// Those of [`certified`].
    pub fn certified(&self) -> Result<CertifiedKey> {
        certified(self.chain.as_bytes(), self.key.as_bytes())
    }
}
