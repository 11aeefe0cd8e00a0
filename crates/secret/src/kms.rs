//! The port to whoever keeps the master key.

use crate::Key;
use kernel::{BoxFuture, Result};
use serde::{Deserialize, Serialize};

/// A master key, here or elsewhere. It never sees a value: it wraps the few keys that wrap the others.
pub trait Kms: Send + Sync {
    /// `file`, `passphrase`, `transit`: which one wrapped a key is written beside it.
    fn kind(&self) -> &'static str;

    /// For people: where it is (`/var/lib/naru/secret-key.json`).
    fn place(&self) -> String;

    /// Wraps a key, bound to `about`, with the newest master key. Makes the first one when there is none yet.
    fn wrap<'a>(&'a self, key: &'a Key, about: &'a str) -> BoxFuture<'a, Result<Wrapped>>;

    /// # Errors
    /// `secret.master-key` when the master key is not there or another one; `secret.kms` when whoever keeps it
    /// does not answer.
    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, about: &'a str) -> BoxFuture<'a, Result<Key>>;

    /// Makes a new master key for what is wrapped from now on; those before go on to unwrap what they wrapped.
    /// What has no way to do that by itself does nothing.
    fn renew(&self) -> BoxFuture<'_, Result<()>>;
}

/// A key that only its master key opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrapped {
    /// [`Kms::kind`]
    pub kms: String,
    /// Which of its keys.
    pub key: String,
    pub sealed: String,
    /// What the master key is derived with, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derived: Option<Derived>,
}

/// How a key comes from a passphrase: Argon2id (RFC 9106).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Derived {
    /// Base64.
    pub salt: String,
    /// KiB.
    pub memory: u32,
    pub passes: u32,
    pub lanes: u32,
}
