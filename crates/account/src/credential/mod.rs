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
mod invite;
mod passkey;
mod password;
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
pub use rules::{SecondFactor, SignInRules};
pub use sign_in::{Half, Need, Opened, Proof, Step, Visitor};

use crate::Accounts;
use attempts::Attempts;
use kernel::{Event, Result};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use store::{Filter, View};
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

/// What happened to a sign-in, in the journal.
pub(crate) const FAILED: &str = "sign-in.failed";
/// Failures older than this slow nobody any more.
const REMEMBERED: Duration = Duration::from_secs(30 * 60);
/// Failures recalled at a start; before so many, an attacker's are among them all the same.
const RECALLED: usize = 10_000;

impl Accounts {
    /// Counts the failures of the last half hour again, which an earlier server had counted: who guesses does not get
    /// new tries by a restart.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn recall_failures(&self) -> Result<()> {
        let since = kernel::Time(self.store().now().0 - REMEMBERED.as_millis() as i64);
        let filter = Filter { kind: Some(FAILED.to_owned()), ..Filter::default() };
        let read = move |v: &View<'_>| v.events_back(u64::MAX, RECALLED, &filter);
        let failed = self.store().read(read).await?;
        let mut attempts = self.desk().attempts.lock().unwrap_or_else(PoisonError::into_inner);
        for event in failed.iter().rev().filter(|event| event.time > since) {
            if let Some(source) = source_of(event) {
                let account = event.fact.subject.as_ref().map(|key| key.name.as_str());
                attempts.recall(event.time, account, source);
            }
        }
        Ok(())
    }
}

fn source_of(event: &Event) -> Option<Source> {
    let address = event.fact.origin.as_ref()?.address.as_ref()?;
    address.parse().ok().map(Source::of)
}
