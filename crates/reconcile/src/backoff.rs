//! How long to wait after a failure.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Doubling waits with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// Never longer than this.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { first: Duration::from_millis(200), most: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// The wait after that many failures in a row (from 1): `first · 2^(failures-1)`, at most `most`, less
    /// up to a quarter. How much less comes from the key and the count alone: keys that failed together
    /// come back apart, and the same history gives the same waits.
    pub fn wait(&self, failures: u32, key: &impl Hash) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.most);
        // Without keys of its own the hasher gives the same numbers everywhere.
        let mut hasher = DefaultHasher::new();
        (key, failures).hash(&mut hasher);
        let parts = u32::try_from(hasher.finish() % 1024).unwrap_or(0);
        full - full / 4096 * parts
    }
}
