//! Leases with fencing epochs: who may act for a name, until when.

use crate::Tx;
use kernel::{Result, Time};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const SPACE: &str = "store.lease";

/// A claim on a name. `epoch` grows each time the owner changes, so that whoever held it before can be
/// told apart and refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub owner: String,
    pub epoch: u64,
    pub until: Time,
}

impl Tx<'_> {
    /// Takes or renews the lease on `name`; `None` when another owner's is still valid.
    pub fn lease(&mut self, name: &str, owner: &str, length: Duration) -> Result<Option<Lease>> {
        let now = self.now();
        let epoch = match self.row::<Lease>(SPACE, name)? {
            Some(held) if held.owner == owner => held.epoch,
            Some(held) if held.until > now => return Ok(None),
            Some(held) => held.epoch + 1,
            None => 1,
        };
        let lease = Lease { owner: owner.to_owned(), epoch, until: now.plus(length) };
        self.set_row(SPACE, name, &lease)?;
        Ok(Some(lease))
    }

    /// Whether `epoch` is still the newest for `name`.
    pub fn lease_holds(&self, name: &str, epoch: u64) -> Result<bool> {
        Ok(self.row::<Lease>(SPACE, name)?.is_some_and(|l| l.epoch == epoch))
    }
}
