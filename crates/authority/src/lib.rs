//! The internal certificate authority, and TLS on both of its ends.
//!
//! Decisions are pure: what a certificate says ([`Wanted`]), when it is renewed ([`due`]), which one a client is
//! shown ([`Shown`]), whether a server is believed ([`Trust`]). Keys lie in one file ([`Keep`]); who asked for what is
//! written down by whoever calls.
//!
//! Roots are P-256 and live for ten years; what they sign lives for 90 days at most. When a root is followed by
//! another, the old one signs the new one's key, so that whoever trusts either believes both until the old one goes.
//!
//! Never: a private key outside of its file and this process; a certificate whose names were not checked; a TLS
//! version before 1.2.

mod fingerprint;
mod host;
mod keep;
mod leaf;
mod pem;
mod renew;
mod root;
mod server;
mod subtree;
mod trust;

pub use fingerprint::Fingerprint;
pub use host::Host;
pub use keep::{Keep, write_private};
pub use leaf::{Csr, LONGEST, Serial, Signed, Usage, Wanted, key_and_csr};
pub use pem::{Files, certificates, certified, follow, to_pem};
pub use renew::{due, next};
pub use root::{Revoked, Root};
pub use server::{Shown, server_config, single};
pub use subtree::Subtree;
pub use trust::{Trust, anybody, distrusted, shown_to_strangers};

#[cfg(test)]
mod tests;
