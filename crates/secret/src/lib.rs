//! Sealed values: what only naru may read, and only for whom it is meant.
//!
//! ```text
//! master key (file | passphrase | key service) ─► wraps key-encryption keys ─► wrap one data key a value ─► seals it
//! ```
//!
//! Everything but the master key lies in the store. A [`Ring`] holds the opened key-encryption keys; it seals and
//! opens in the caller's own transaction, so that a value, its resource and its event are one commit.
//!
//! Invariants:
//! - A value is sealed with AES-256-GCM (NIST SP 800-38D) under a key of its own and a random nonce, bound to its
//!   project, name, resource and version: a row that is moved, swapped or changed does not open.
//! - No key and no value is in the store in clear, or is printed: `Debug` of both shows nothing.
//! - A master key is made only where nothing is sealed yet. One that is lost or wrong opens nothing, changes
//!   nothing and says what to do ([`Vault::ring`]); it is looked for again at the next use.
//! - Renewing keys never leaves a value that cannot be opened, wherever it is interrupted.

mod error;
mod file;
mod generate;
mod kms;
pub mod lease;
mod passphrase;
mod renew;
mod ring;
mod seal;
mod transit;
mod vault;

#[cfg(test)]
mod tests;

pub use file::KeyFile;
pub use generate::{Alphabet, generate};
pub use kernel::SecretText;
pub use kms::{Kms, Wrapped};
pub use passphrase::Passphrase;
pub use renew::Progress;
pub use ring::Ring;
pub use seal::{Key, Slot};
pub use transit::Transit;
pub use vault::{KeyStatus, Opened, Vault, Version};
