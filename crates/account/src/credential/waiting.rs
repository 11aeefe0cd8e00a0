//! What waits for a browser to come back: half-open sign-ins and passkey ceremonies.
//!
//! They stay in the server's memory and are named by a secret that the browser holds, so that nothing of them can be
//! read or changed outside. Bounded in number and time; after a restart one begins anew.

use crate::secret;
use kernel::{Result, Time};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a browser has.
pub(super) const LASTS: Duration = Duration::from_secs(5 * 60);
const MOST: usize = 10_000;
/// Of one address or account.
const EACH: usize = 64;

/// Things that wait, each under the hash of its secret.
pub(super) struct Waiting<T>(Mutex<HashMap<String, Entry<T>>>);

struct Entry<T> {
    until: Time,
    /// On whose account it waits, so that nobody crowds others out.
    of: String,
    what: T,
}

impl<T> Default for Waiting<T> {
    fn default() -> Waiting<T> {
        Waiting(Mutex::default())
    }
}

impl<T: Clone> Waiting<T> {
    /// Keeps it, and gives its secret. When there are too many, the oldest of the same owner goes, or of all.
    pub fn add(&self, now: Time, of: &str, what: T) -> Result<String> {
        let code = secret::draw()?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.values().filter(|e| e.of == of).count();
        if own >= EACH || all.len() >= MOST {
            all.retain(|_, e| e.until > now);
            let crowded = |e: &&Entry<T>| own < EACH || e.of == of;
            let oldest = all.iter().filter(|(_, e)| crowded(e)).min_by_key(|(_, e)| e.until);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                all.remove(&oldest);
            }
        }
        all.insert(secret::hash(&code), Entry { until: now.plus(LASTS), of: of.to_owned(), what });
        Ok(code)
    }

    /// Takes it away: a ceremony is answered once.
    pub fn take(&self, now: Time, code: &str) -> Option<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.remove(&secret::hash(code))?;
        (found.until > now).then_some(found.what)
    }

    /// Looks at it.
    pub fn get(&self, now: Time, code: &str) -> Option<T> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&secret::hash(code)).filter(|e| e.until > now).map(|e| e.what.clone())
    }

    /// Changes it in place.
    pub fn change(&self, code: &str, change: impl FnOnce(&mut T)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = all.get_mut(&secret::hash(code)) {
            change(&mut found.what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_in_time_and_nobody_crowds_others_out() {
        let waiting = Waiting::default();
        let now = Time(1_764_000_000_000);
        let code = waiting.add(now, "han", 1).unwrap();
        assert_eq!(waiting.get(now, &code), Some(1));
        assert_eq!(waiting.take(now, &code), Some(1));
        assert_eq!(waiting.take(now, &code), None);
        let late = waiting.add(now, "han", 2).unwrap();
        assert_eq!(waiting.take(now.plus(LASTS), &late), None);
        let hans = waiting.add(now, "han", 3).unwrap();
        for n in 0..1000 {
            waiting.add(Time(now.0 + n), "eve", 4).unwrap();
        }
        assert_eq!(waiting.0.lock().unwrap().len(), EACH + 1);
        assert_eq!(waiting.get(now, &hans), Some(3));
    }
}
