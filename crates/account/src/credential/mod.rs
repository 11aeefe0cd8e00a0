//! What people prove themselves with, and how a sign-in goes.
//!
//! A sign-in with a password is *half open* until the second factor is there, where one is needed; a passkey is both
//! at once, because it is bound to a device that has asked for a PIN or a finger. What is right opens a session with a
//! new secret; whatever is wrong, the answer is the same, and so is the work done for it.
//!
//! Everything somebody holds lies in one row under the account's stable id, so that an account of the same name that
//! is made later inherits nothing. Passwords and recovery codes are hashes, secrets of authenticator apps are sealed
//! with a key outside of the store.

mod attempts;
mod factors;
mod fresh;
mod guard;
mod invite;
mod passkey;
mod password;
mod prove;
mod recovery;
mod rules;
mod seal;
mod sign_in;
mod totp;
mod waiting;

#[cfg(test)]
mod tests;

pub use attempts::{LONGEST as LONGEST_WAIT, PATIENCE, Source};
pub use factors::{Enrolment, FactorsView, PasskeyView};
pub use fresh::{FRESH, stale};
pub use invite::{INVITATION, Invited};
pub use passkey::{Relying, available};
pub use password::check as check_password;
pub use prove::Proof;
pub use rules::{SecondFactor, SignInRules};
pub use sign_in::{Half, Need, Opened, Step, Visitor};

use attempts::Attempts;
use std::sync::Mutex;
use waiting::Waiting;

/// What sign-ins share, in memory.
#[derive(Default)]
pub(crate) struct Desk {
    hasher: password::Hasher,
    attempts: Mutex<Attempts>,
    half: Waiting<sign_in::Pending>,
    ceremonies: Waiting<passkey::Ceremony>,
    enrolments: Waiting<factors::Pending>,
}
