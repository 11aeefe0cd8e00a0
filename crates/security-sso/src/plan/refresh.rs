//! What becomes of a refresh token that is shown.
//!
//! Each use gives a new token of the next generation. Whoever shows one of a generation that is over has a copy: the
//! whole family ends (RFC 9700 §4.14.2). A client whose answer was lost may ask again within a few seconds; the token
//! that it gets is of the same generation as the lost one, so that of the two only one is ever turned again.

use kernel::Time;
use std::time::Duration;

/// For a client that races with itself, or whose answer was lost.
pub const GRACE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The next generation begins.
    Next,
    /// Another one of the present generation.
    Again,
    /// A copy: the family ends.
    Reused,
}

/// `shown` is the token's generation, `present` the family's, which began at `turned`.
pub fn turn(shown: u64, present: u64, turned: Time, now: Time) -> Turn {
    match present.checked_sub(shown) {
        Some(0) => Turn::Next,
        Some(1) if now >= turned && now.since(turned) <= GRACE => Turn::Again,
        _ => Turn::Reused,
    }
}
