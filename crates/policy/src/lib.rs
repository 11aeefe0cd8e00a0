//! Who may do what.
//!
//! Every request of every protocol is decided by [`Policy`]: whether a principal may do a thing in a project.
//! Who somebody is, `account` says.
//!
//! Invariant: a decision that denies says which right was missing, and what one may not even see looks as if it
//! were not there.

mod decide;
mod kind;

pub use decide::{Permission, Role, allows};
pub use kind::{KINDS, Member, Project, ProjectStatus};

use account::Accounts;
use store::Store;

/// A handle; clones share it.
#[derive(Clone)]
pub struct Policy {
    store: Store,
}

impl Policy {
    pub fn new(accounts: &Accounts) -> Policy {
        Policy { store: accounts.store().clone() }
    }
}

#[cfg(test)]
mod tests;
