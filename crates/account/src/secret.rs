//! Secrets that are drawn, given out once, and kept as hashes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Error, Result};
use sha2::{Digest, Sha256};

/// 32 random bytes as 43 characters that are safe in URLs, headers and shells.
///
/// # Errors
/// Internal, when the system has no randomness.
pub fn draw() -> Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(Error::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// SHA-256: enough for secrets of 256 random bits, and cheap enough for every request.
pub fn hash(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes()))
}
