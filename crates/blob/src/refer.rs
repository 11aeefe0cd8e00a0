//! References: rows, written in the transaction of whoever needs the blob.
//!
//! `blob.ref` has `<hash>/<owner>` for the collector, `blob.by-owner` has `<owner>/<hash>` for the owner.
//! The value is when the reference was taken.

use crate::error;
use crate::hash::Hash;
use kernel::{Error, Result, Text};
use serde::de::IgnoredAny;
use std::collections::BTreeSet;
use store::{Tx, View};

const BY_HASH: &str = "blob.ref";
const BY_OWNER: &str = "blob.by-owner";
const PAGE: usize = 1000;

/// `owner` needs the blob, and if it is a tree all that it lists, until it releases it. Taking the same
/// reference again changes nothing. `owner` is the part's own word, such as `run/<id>`.
///
/// The blob must be held ([`crate::Held`]) until this transaction is committed, or be reached by another
/// reference when it is.
///
/// # Errors
/// `blob.unknown` for words that are no hash, `blob.owner` for an empty owner.
pub fn refer(tx: &mut Tx<'_>, owner: &str, hash: &str) -> Result<()> {
    let hash = checked(owner, hash)?;
    let now = tx.now();
    tx.set_row(BY_HASH, &format!("{hash}/{owner}"), &now)?;
    tx.set_row(BY_OWNER, &format!("{owner}/{hash}"), &now)
}

/// Gives up one reference. Whether there was one.
///
/// # Errors
/// As [`refer`].
pub fn release(tx: &mut Tx<'_>, owner: &str, hash: &str) -> Result<bool> {
    let hash = checked(owner, hash)?;
    tx.delete_row(BY_HASH, &format!("{hash}/{owner}"))?;
    tx.delete_row(BY_OWNER, &format!("{owner}/{hash}"))
}

/// Gives up all that `owner` has referred to; not what owners below it (`<owner>/…`) have.
///
/// # Errors
/// `blob.owner` for an empty owner.
pub fn release_all(tx: &mut Tx<'_>, owner: &str) -> Result<()> {
    for hash in owned(tx, owner)? {
        release(tx, owner, &hash)?;
    }
    Ok(())
}

/// The hashes that `owner` refers to, sorted.
///
/// # Errors
/// `blob.owner` for an empty owner.
pub fn owned(view: &View<'_>, owner: &str) -> Result<Vec<String>> {
    check_owner(owner)?;
    let prefix = format!("{owner}/");
    let mut hashes = Vec::new();
    each_key(view, BY_OWNER, &prefix, |key| {
        // What follows an owner's own name is a hash; what follows a longer owner's is more than that.
        let rest = key.strip_prefix(&prefix).unwrap_or_default();
        hashes.extend(Hash::parse(rest).map(|h| h.to_string()));
    })?;
    Ok(hashes)
}

/// Every hash with a reference, in this snapshot.
pub(crate) fn all(view: &View<'_>) -> Result<BTreeSet<Hash>> {
    let mut hashes = BTreeSet::new();
    each_key(view, BY_HASH, "", |key| {
        hashes.extend(key.split('/').next().and_then(Hash::parse));
    })?;
    Ok(hashes)
}

fn each_key(view: &View<'_>, space: &str, prefix: &str, mut each: impl FnMut(&str)) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let page = view.rows::<IgnoredAny>(space, prefix, after.as_deref(), PAGE)?;
        page.iter().for_each(|(key, _)| each(key));
        match page.into_iter().nth(PAGE - 1) {
            Some((last, _)) => after = Some(last),
            None => return Ok(()),
        }
    }
}

fn checked(owner: &str, hash: &str) -> Result<Hash> {
    check_owner(owner)?;
    Hash::parse(hash).ok_or_else(|| error::unknown(hash))
}

fn check_owner(owner: &str) -> Result<()> {
    if !owner.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(
        "blob.owner",
        Text::fixed("a reference needs an owner", "참조에는 소유자가 있어야 합니다"),
    ))
}
