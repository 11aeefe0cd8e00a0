//! Which blobs may not be deleted, whatever the references say.
//!
//! The argument why a live blob is never deleted. A blob is live while someone holds a lease on it or a
//! committed reference reaches it. Rules, all under one lock:
//!
//! 1. A lease is taken before anyone asks whether the blob is there, and ends only after the transaction
//!    that refers to the blob is committed. (A reference may also be copied without a lease while another
//!    reference reaches the blob; then it was reachable before and after.)
//! 2. A collection first begins a round: the round knows every blob that is leased, and each that becomes
//!    leased until the round ends, even if that lease is over again.
//! 3. Only then does it read the references, in one snapshot.
//! 4. It takes a blob's name away only while the lock is held, and only if the snapshot does not reach the
//!    blob and the round does not know it.
//!
//! Suppose a blob is deleted at D and a committed reference reaches it then. Look at the first of the
//! unbroken chain of references that reaches it until D. Had it been committed before the snapshot, the
//! snapshot would reach the blob (4). So it was committed after the snapshot, hence after the round began
//! (3), and its lease was alive at its commit (1), so the round knew the blob before D (2), or it was
//! leased for the first time after D, when whoever took the lease found no blob and wrote it again (1).
//! Leases themselves are covered by 2 and 4. A crash ends all leases and rounds at once; it leaves at most
//! blobs without references, which the next collection finds, and names in `tmp`, which opening clears.

use crate::hash::Hash;
use std::collections::{HashMap, HashSet};

#[derive(Default)]
pub(crate) struct Ledger {
    leases: HashMap<Hash, u32>,
    round: Option<HashSet<Hash>>,
}

impl Ledger {
    pub(crate) fn hold(&mut self, hash: Hash) {
        *self.leases.entry(hash).or_default() += 1;
        if let Some(round) = &mut self.round {
            round.insert(hash);
        }
    }

    pub(crate) fn let_go(&mut self, hash: Hash) {
        if let Some(count) = self.leases.get_mut(&hash) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.leases.remove(&hash);
            }
        }
    }

    pub(crate) fn begin(&mut self) {
        self.round = Some(self.leases.keys().copied().collect());
    }

    pub(crate) fn end(&mut self) {
        self.round = None;
    }

    /// Whether a blob that no reference reaches may be deleted now; never outside a round.
    pub(crate) fn may_delete(&self, hash: Hash) -> bool {
        self.round.as_ref().is_some_and(|round| !round.contains(&hash))
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
