//! Who may do what.
//!
//! Every request of every protocol is decided by [`Policy`]: whether a principal may do a thing in a project.
//! Who somebody is, `account` says.
//!
//! Invariant: a decision that denies says which right was missing, and what one may not even see looks as if it
//! were not there.

mod action;
mod check;
mod decide;
mod kind;
mod role;
mod target;

pub use action::{Action, Permission, Place};
pub use decide::allows;
pub use kind::{
    Expect, Given, Grant, GrantStatus, KINDS, Member, Phase, PlatformMember, PlatformMembers,
    PlatformPolicy, PolicySpec, PolicyTest, Project, ProjectStatus, TestContext, TwoPerson,
    TwoPersonRule,
};
pub use role::{PlatformRole, Role, Subject};
pub use target::{Sort, Target};

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
