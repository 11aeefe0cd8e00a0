//! The vault: which keys there are, opened when they are needed.

use crate::kms::{Kms, Wrapped};
use crate::ring::{self, Keys, Ring};
use crate::seal::{Key, Slot};
use crate::{error, renew};
use kernel::{Error, Id, Name, Principal, Result, SecretText, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::{Store, Tx, View};
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

/// Sealed values by [`Slot`] and version.
pub(crate) const VALUES: &str = "secret.value";
/// [`Kek`]s by id, and which of them is the current one.
pub(crate) const KEKS: &str = "secret.kek";
pub(crate) const CURRENT: &str = "current";
/// The prefix of a key's row.
pub(crate) const KEK: &str = "key/";
/// Key-encryption keys at a time: two, and what interrupted renewals left.
pub(crate) const MOST_KEKS: usize = 100;
/// A master key that was not there is looked for again after this.
const AGAIN: Duration = Duration::from_secs(2);

/// A key-encryption key as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kek {
    pub id: Id,
    pub made: Time,
    pub wrapped: Wrapped,
}

/// What is bound to a wrapped key.
pub(crate) fn about(id: &Id) -> String {
    format!("naru.secret.1 kek {id}")
}

/// One version of a secret; its value is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub number: u32,
    pub made: Time,
    pub by: Principal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destroyed: Option<Time>,
}

/// An opened value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    pub version: u32,
    pub value: SecretText,
}

/// What is to be known of the keys; none of them is in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyStatus {
    /// `file`, `passphrase`, `transit`
    pub kind: String,
    pub place: String,
    /// The key that seals, when anything was ever sealed.
    pub current: Option<Id>,
    pub made: Option<Time>,
    /// Keys that are being replaced.
    pub before: Vec<Id>,
    /// Values whose keys still have to be wrapped anew.
    pub left: usize,
    /// Why nothing can be opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<kernel::error::Wire>,
}

/// A handle; clones share it.
#[derive(Clone)]
pub struct Vault(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub store: Store,
    pub kms: Arc<dyn Kms>,
    before: Option<Arc<dyn Kms>>,
    open: Mutex<Open>,
    /// Rung when keys have to be wrapped anew.
    pub work: Notify,
}

#[derive(Default)]
struct Open {
    ring: Option<Ring>,
    /// Why it did not open, and when that was.
    failed: Option<(Error, Instant)>,
}

impl Vault {
    /// A vault whose keys are wrapped by `kms`. What `before` wrapped is wrapped anew by `kms` when it is first
    /// opened: that is how one moves from one master key to another. Nothing is opened or made yet.
    pub fn new(store: Store, kms: Arc<dyn Kms>, before: Option<Arc<dyn Kms>>) -> Vault {
        let (open, work) = (Mutex::default(), Notify::new());
        Vault(Arc::new(Inner { store, kms, before, open, work }))
    }

    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The opened keys. The first key of all is made here.
    ///
    /// # Errors
    /// `secret.locked`, with what to do; the store's.
    pub async fn ring(&self) -> Result<Ring> {
        let mut open = self.0.open.lock().await;
        if let Some(ring) = &open.ring {
            return Ok(ring.clone());
        }
        if let Some((error, at)) = &open.failed
            && at.elapsed() < AGAIN
        {
            return Err(error.clone());
        }
        let loaded = self.load().await;
        match &loaded {
            Ok(ring) => *open = Open { ring: Some(ring.clone()), failed: None },
            Err(error) => open.failed = Some((error.clone(), Instant::now())),
        }
        loaded
    }

    /// Forgets the opened keys, so that they are read again.
    pub(crate) async fn reload(&self) {
        *self.0.open.lock().await = Open::default();
    }

    async fn load(&self) -> Result<Ring> {
        let (current, keks) = self.0.store.read(read).await?;
        let current = match current {
            Some(current) => current,
            None if keks.is_empty() => return self.first().await,
            None => return Err(error::locked(&error::damaged("which key is current"))),
        };
        let mut opened = BTreeMap::new();
        let mut moved = Vec::new();
        for kek in keks {
            let (key, by_before) = self.unwrap(&kek).await.map_err(|e| error::locked(&e))?;
            if by_before {
                let wrapped = self.0.kms.wrap(&key, &about(&kek.id)).await;
                moved.push(Kek { wrapped: wrapped.map_err(|e| error::locked(&e))?, ..kek.clone() });
            }
            opened.insert(kek.id, key);
        }
        if !opened.contains_key(&current) {
            return Err(error::locked(&error::damaged("the current key")));
        }
        if !moved.is_empty() {
            self.0.store.write(move |tx| put_all(tx, &moved)).await?;
        }
        Ok(Ring(Arc::new(Keys { current, keks: opened })))
    }

    /// The key, and whether it was the master key before that opened it.
    async fn unwrap(&self, kek: &Kek) -> Result<(Key, bool)> {
        let (wrapped, about) = (&kek.wrapped, about(&kek.id));
        let first = match wrapped.kms == self.0.kms.kind() {
            true => self.0.kms.unwrap(wrapped, &about).await,
            false => Err(error::other_kind(&wrapped.kms, self.0.kms.kind())),
        };
        match (first, &self.0.before) {
            (Ok(key), _) => Ok((key, false)),
            (Err(_), Some(before)) if wrapped.kms == before.kind() => {
                Ok((before.unwrap(wrapped, &about).await?, true))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Nothing was ever sealed: the first key. Two that come at once agree on one.
    async fn first(&self) -> Result<Ring> {
        let (kek, key) = self.draw().await.map_err(|e| error::locked(&e))?;
        let (id, row) = (kek.id.clone(), kek.clone());
        let first = move |tx: &mut Tx<'_>| {
            if tx.row::<Id>(KEKS, CURRENT)?.is_some() {
                return Err(error::overtaken());
            }
            put_all(tx, &[row])?;
            tx.set_row(KEKS, CURRENT, &id)
        };
        self.0.store.write(first).await?;
        Ok(Ring(Arc::new(Keys { current: kek.id.clone(), keks: [(kek.id, key)].into() })))
    }

    pub(crate) async fn draw(&self) -> Result<(Kek, Key)> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(Error::internal)?;
        let made = self.0.store.now();
        let (id, key) = (Id::new(made.0, u128::from_le_bytes(random)), Key::random()?);
        let wrapped = self.0.kms.wrap(&key, &about(&id)).await?;
        Ok((Kek { id, made, wrapped }, key))
    }

    /// What there is of a secret, the newest first.
    ///
    /// # Errors
    /// The store's.
    pub fn versions_in(view: &View<'_>, slot: &Slot) -> Result<Vec<Version>> {
        ring::list(view, slot)
    }

    /// Destroys a version for good; later ones keep their numbers. Whether there was one.
    ///
    /// # Errors
    /// The store's.
    pub fn destroy_in(tx: &mut Tx<'_>, slot: &Slot, version: u32) -> Result<bool> {
        ring::destroy(tx, slot, version)
    }

    /// Destroys all of a secret.
    ///
    /// # Errors
    /// The store's.
    pub fn forget_in(tx: &mut Tx<'_>, slot: &Slot) -> Result<()> {
        ring::forget(tx, slot)
    }

    /// Every slot that has values.
    ///
    /// # Errors
    /// The store's.
    pub async fn slots(&self) -> Result<Vec<Slot>> {
        self.0.store.read(|v| renew::slots(v, "")).await
    }

    /// Those of one name: of the resource that has it, and of earlier ones.
    ///
    /// # Errors
    /// The store's.
    pub async fn slots_of(&self, project: &Name, name: &Name) -> Result<Vec<Slot>> {
        let prefix = format!("{project}/{name}/");
        self.0.store.read(move |v| renew::slots(v, &prefix)).await
    }

    /// How it stands with the keys.
    ///
    /// # Errors
    /// The store's.
    pub async fn status(&self, lang: kernel::Lang) -> Result<KeyStatus> {
        let (current, keks) = self.0.store.read(read).await?;
        let locked = match current {
            Some(_) => self.ring().await.err().map(|e| e.wire(lang)),
            None => None,
        };
        let left = match keks.len() {
            0 | 1 => 0,
            _ => self.0.store.read(renew::left).await?,
        };
        let made = keks.iter().find(|k| Some(&k.id) == current.as_ref()).map(|k| k.made);
        let before = keks.into_iter().map(|k| k.id).filter(|id| Some(id) != current.as_ref());
        Ok(KeyStatus {
            kind: self.0.kms.kind().to_owned(),
            place: self.0.kms.place(),
            made,
            before: before.collect(),
            current,
            left,
            locked,
        })
    }
}

/// Which key is current, and all there are.
pub(crate) fn read(view: &View<'_>) -> Result<(Option<Id>, Vec<Kek>)> {
    let keks = view.rows::<Kek>(KEKS, KEK, None, MOST_KEKS)?;
    Ok((view.row(KEKS, CURRENT)?, keks.into_iter().map(|(_, kek)| kek).collect()))
}

pub(crate) fn put_all(tx: &mut Tx<'_>, keks: &[Kek]) -> Result<()> {
    keks.iter().try_for_each(|kek| tx.set_row(KEKS, &format!("{KEK}{}", kek.id), kek))
}
