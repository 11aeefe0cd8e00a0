//! How often somebody may type a wrong code.

use kernel::{Error, ErrorKind, Principal, Result, Text, Time};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Wrong codes of one person within [`WITHIN`]. Codes have 34 bits.
const MOST: u32 = 10;
const WITHIN: Duration = Duration::from_secs(600);
/// People counted at a time.
const PEOPLE: usize = 10_000;

/// Clones share it. Forgotten with the process: codes outlive it by ten minutes at most.
#[derive(Clone, Default)]
pub(crate) struct Guesses(Arc<Mutex<HashMap<Principal, (Time, u32)>>>);

impl Guesses {
    /// # Errors
    /// `sso.guesses` when there were too many.
    pub fn admit(&self, who: &Principal, now: Time) -> Result<()> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(who) {
            Some((since, count)) if *count >= MOST && is_recent(*since, now) => Err(Error::new(
                ErrorKind::Busy,
                "sso.guesses",
                Text::fixed("too many wrong codes", "틀린 코드가 너무 많습니다"),
            )
            .retry_after(WITHIN.as_secs())),
            _ => Ok(()),
        }
    }

    pub fn wrong(&self, who: &Principal, now: Time) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= PEOPLE {
            all.retain(|_, (since, _)| is_recent(*since, now));
        }
        let entry = all.entry(who.clone()).or_insert((now, 0));
        if !is_recent(entry.0, now) {
            *entry = (now, 0);
        }
        entry.1 += 1;
    }
}

fn is_recent(since: Time, now: Time) -> bool {
    now < since.plus(WITHIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_codes_are_counted_for_each_person_and_forgotten_in_time() {
        let name = |n: &str| Principal::User(kernel::Name::parse(n).unwrap());
        let (guesses, eve, ada, now) = (Guesses::default(), name("eve"), name("ada"), Time(1_000));
        for _ in 0..MOST {
            assert!(guesses.admit(&eve, now).is_ok());
            guesses.wrong(&eve, now);
        }
        assert_eq!(guesses.admit(&eve, now).unwrap_err().code(), "sso.guesses");
        assert!(guesses.admit(&ada, now).is_ok(), "nobody else waits for it");
        let later = now.plus(WITHIN);
        assert!(guesses.admit(&eve, later).is_ok());
        guesses.wrong(&eve, later);
        assert!(guesses.admit(&eve, later).is_ok(), "it begins anew");
    }
}
