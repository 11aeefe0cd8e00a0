//! The opened keys, and what they do in a transaction of the caller's.

use crate::error;
use crate::seal::{Key, Slot};
use crate::vault::{CURRENT, KEKS, Opened, VALUES, Version};
use kernel::{Error, Id, Principal, Result, SecretText, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Tx, View};

/// Versions of one secret that are ever looked at together: more than may be kept.
const MOST: usize = 1_000;

/// Key-encryption keys, opened. Clones share them.
#[derive(Clone, Debug)]
pub struct Ring(pub(crate) Arc<Keys>);

#[derive(Debug)]
pub(crate) struct Keys {
    /// What seals.
    pub current: Id,
    pub keks: BTreeMap<Id, Key>,
}

/// A value as it lies in the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sealed {
    /// Which key wraps its own.
    pub kek: Id,
    /// Its own key, wrapped. Empty when it was destroyed.
    pub key: String,
    pub value: String,
    pub made: Time,
    pub by: Principal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destroyed: Option<Time>,
}

impl Ring {
    /// Seals a value as the secret's next version, and forgets versions beyond `keep`. Returns its number.
    ///
    /// # Errors
    /// `secret.key-renewed` when a newer key has taken over since: get the ring again; the store's.
    pub fn seal_in(
        &self,
        tx: &mut Tx<'_>,
        slot: &Slot,
        value: &SecretText,
        keep: u32,
        by: Principal,
    ) -> Result<u32> {
        let kek = self.current_in(tx)?;
        let newest = newest(tx, slot)?.map_or(0, |(version, _)| version);
        let version = newest.checked_add(1).ok_or_else(|| Error::internal("too many versions"))?;
        let own = Key::random()?;
        let sealed = Sealed {
            kek: self.0.current.clone(),
            key: kek.seal(own.bytes(), &slot.about_key(version, &self.0.current))?,
            value: own.seal(value.reveal().as_bytes(), &slot.about_value(version))?,
            made: tx.now(),
            by,
            destroyed: None,
        };
        tx.set_row(VALUES, &slot.row(version), &sealed)?;
        for (old, _) in versions(tx, slot)?.into_iter().filter(|(v, _)| *v + keep.max(1) <= version)
        {
            tx.delete_row(VALUES, &slot.row(old))?;
        }
        Ok(version)
    }

    /// The key that seals, if it still is the store's.
    fn current_in(&self, view: &View<'_>) -> Result<&Key> {
        let current: Option<Id> = view.row(KEKS, CURRENT)?;
        if current.as_ref() != Some(&self.0.current) {
            return Err(error::overtaken());
        }
        self.kek(&self.0.current)
    }

    fn kek(&self, id: &Id) -> Result<&Key> {
        self.0.keks.get(id).ok_or_else(error::overtaken)
    }

    /// Opens a version: the newest that there is, if none is named.
    ///
    /// # Errors
    /// `secret.empty`; `secret.damaged`; `secret.key-renewed`: get the ring again.
    pub fn open_in(&self, view: &View<'_>, slot: &Slot, version: Option<u32>) -> Result<Opened> {
        let (version, sealed) = match version {
            Some(version) => (version, view.row::<Sealed>(VALUES, &slot.row(version))?),
            None => match newest(view, slot)? {
                Some((version, sealed)) => (version, Some(sealed)),
                None => return Err(error::empty(&slot.name, None)),
            },
        };
        let wanted = Some(version);
        let sealed = sealed.filter(|s| s.destroyed.is_none());
        let sealed = sealed.ok_or_else(|| error::empty(&slot.name, wanted))?;
        let own = self.own_key(slot, version, &sealed)?;
        let plain = own.open(&sealed.value, &slot.about_value(version))?;
        let words = std::str::from_utf8(&plain).map_err(|_| error::damaged("its text"))?;
        Ok(Opened { version, value: SecretText::new(words) })
    }

    fn own_key(&self, slot: &Slot, version: u32, sealed: &Sealed) -> Result<Key> {
        let about = slot.about_key(version, &sealed.kek);
        Key::from_bytes(&self.kek(&sealed.kek)?.open(&sealed.key, &about)?)
    }

    /// The row with its key wrapped by the current one; `None` when it already is, or has none any more.
    pub(crate) fn rewrapped(&self, key: &str, sealed: &Sealed) -> Result<Option<Sealed>> {
        if sealed.kek == self.0.current {
            return Ok(None);
        }
        let mut fresh = Sealed { kek: self.0.current.clone(), ..sealed.clone() };
        if sealed.destroyed.is_none() {
            let (slot, version) = Slot::of_row(key).ok_or_else(|| error::damaged("its place"))?;
            let own = self.own_key(&slot, version, sealed)?;
            let about = slot.about_key(version, &fresh.kek);
            fresh.key = self.kek(&fresh.kek)?.seal(own.bytes(), &about)?;
        }
        Ok(Some(fresh))
    }
}

fn newest(view: &View<'_>, slot: &Slot) -> Result<Option<(u32, Sealed)>> {
    let found = view.rows_back::<Sealed>(VALUES, &slot.prefix(), None, 1)?;
    Ok(found.into_iter().next().and_then(|(key, s)| Some((Slot::of_row(&key)?.1, s))))
}

fn versions(view: &View<'_>, slot: &Slot) -> Result<Vec<(u32, Sealed)>> {
    let found = view.rows_back::<Sealed>(VALUES, &slot.prefix(), None, MOST)?;
    Ok(found.into_iter().filter_map(|(key, s)| Some((Slot::of_row(&key)?.1, s))).collect())
}

/// What there is of a secret, the newest first. No key is needed for that.
///
/// # Errors
/// The store's.
pub(crate) fn list(view: &View<'_>, slot: &Slot) -> Result<Vec<Version>> {
    let shown = |(number, s): (u32, Sealed)| Version {
        number,
        made: s.made,
        by: s.by,
        destroyed: s.destroyed,
    };
    Ok(versions(view, slot)?.into_iter().map(shown).collect())
}

/// Destroys a version: its number is never used again, its value and key are gone. Whether there was one.
pub(crate) fn destroy(tx: &mut Tx<'_>, slot: &Slot, version: u32) -> Result<bool> {
    let row = slot.row(version);
    let found: Option<Sealed> = tx.row(VALUES, &row)?;
    let Some(sealed) = found.filter(|s| s.destroyed.is_none()) else { return Ok(false) };
    let (key, value, destroyed) = (String::new(), String::new(), Some(tx.now()));
    tx.set_row(VALUES, &row, &Sealed { key, value, destroyed, ..sealed })?;
    Ok(true)
}

/// Nothing is left of the secret.
pub(crate) fn forget(tx: &mut Tx<'_>, slot: &Slot) -> Result<()> {
    for (version, _) in versions(tx, slot)? {
        tx.delete_row(VALUES, &slot.row(version))?;
    }
    Ok(())
}
