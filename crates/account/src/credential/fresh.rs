//! Dangerous things ask again who one is: a session counts as fresh for a while after its owner has proved himself.

use crate::{Credential, CredentialKind};
use kernel::{Error, Text, Time};
use std::time::Duration;

/// How long a proof stays fresh.
pub const FRESH: Duration = Duration::from_secs(15 * 60);

impl Credential {
    /// Whether its owner has proved who he is within [`FRESH`]. A token is a proof with every request.
    pub fn is_fresh(&self, now: Time) -> bool {
        self.kind != CredentialKind::Session || self.proved.is_some_and(|at| is_fresh(now, at))
    }
}

/// A clock that was set back does not make a proof last longer.
fn is_fresh(now: Time, at: Time) -> bool {
    now >= at && now.since(at) < FRESH
}

/// The answer where a fresh proof is needed.
pub fn stale() -> Error {
    Error::forbidden(
        "auth.stale",
        Text::fixed("prove once more that it is you", "본인인지 한 번 더 확인해 주세요"),
    )
    .hint(Text::fixed(
        "sign in again at /sign-in/again; it counts for fifteen minutes",
        "/sign-in/again에서 다시 확인하세요. 15분 동안 유효합니다",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_ends_and_a_clock_set_back_ends_it_too() {
        let at = Time(1_764_000_000_000);
        assert!(is_fresh(at, at) && is_fresh(Time(at.0 + 14 * 60_000), at));
        assert!(!is_fresh(Time(at.0 + 15 * 60_000), at));
        assert!(!is_fresh(Time(at.0 - 1), at));
    }
}
