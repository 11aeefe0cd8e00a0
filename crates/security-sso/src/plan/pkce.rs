//! Proof Key for Code Exchange (RFC 7636), with S256 alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Whether it can be a challenge: the base64url of a SHA-256.
pub fn is_challenge(words: &str) -> bool {
    words.len() == 43 && URL_SAFE_NO_PAD.decode(words).is_ok_and(|hash| hash.len() == 32)
}

/// Whether it can be a verifier (RFC 7636 §4.1).
pub fn is_verifier(words: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    (43..=128).contains(&words.len()) && words.bytes().all(unreserved)
}

/// What a token request has to prove, given what the authorization request promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proved {
    Yes,
    /// Promised and not shown, or shown wrongly.
    No,
    /// Shown and never promised: somebody has taken the promise away (RFC 9700 §4.8.2).
    Downgraded,
}

pub fn check(challenge: Option<&str>, verifier: Option<&str>) -> Proved {
    match (challenge, verifier) {
        (None, None) => Proved::Yes,
        (None, Some(_)) => Proved::Downgraded,
        (Some(_), None) => Proved::No,
        (Some(challenge), Some(verifier)) => {
            let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
            let same: bool = hash.as_bytes().ct_eq(challenge.as_bytes()).into();
            if is_verifier(verifier) && same { Proved::Yes } else { Proved::No }
        }
    }
}
