//! Renewing keys: a new one seals from now on, and the keys of all values are wrapped anew with it.
//!
//! Values themselves are not touched: only their own keys are. It may be interrupted anywhere and goes on with the
//! next start, because what is left to do is written on each row.

use crate::error;
use crate::ring::{Ring, Sealed};
use crate::seal::Slot;
use crate::vault::{CURRENT, KEK, KEKS, VALUES, Vault, put_all, read};
use kernel::{Id, NewEvent, Principal, Result, Text};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use store::{Tx, View};
use tokio_util::sync::CancellationToken;

/// Rows wrapped anew in one transaction.
const PAGE: usize = 200;
/// Between attempts, when the master key or the disk is not there.
const AGAIN: Duration = Duration::from_secs(30);

/// What a round of wrapping did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Values whose keys were wrapped anew.
    pub rewrapped: usize,
    /// Keys that are not needed any more, and gone.
    pub dropped: usize,
}

impl Vault {
    /// Makes a new master key, where that is ours to make, and a new key-encryption key that seals from now on.
    /// The rest is [`Vault::rewrap`]'s, which is woken.
    ///
    /// # Errors
    /// `secret.locked` when the present keys cannot be opened: nothing is changed then.
    pub async fn renew(&self, by: Principal) -> Result<Id> {
        let ring = self.ring().await?;
        let locked = |e| error::locked(&e);
        self.0.kms.renew().await.map_err(locked)?;
        let (fresh, key) = self.draw().await.map_err(locked)?;
        let (id, before) = (fresh.id.clone(), ring.0.current.clone());
        // Older keys are only read from now on, and are wrapped by the new master key, too.
        let (_, stored) = self.0.store.read(read).await?;
        let mut keks = vec![fresh.clone()];
        for mut kek in stored {
            let old = ring.0.keks.get(&kek.id).ok_or_else(error::overtaken)?;
            kek.wrapped =
                self.0.kms.wrap(old, &crate::vault::about(&kek.id)).await.map_err(locked)?;
            keks.push(kek);
        }
        let event = NewEvent::new(
            "secret.key-renewed",
            by,
            Text::fixed("the key of all secrets was renewed", "모든 비밀 값의 키를 갱신했습니다"),
        )
        .data(json!({ "key": id, "before": before }));
        let current = id.clone();
        self.0
            .store
            .write(move |tx| {
                if tx.row::<Id>(KEKS, CURRENT)?.as_ref() != Some(&before) {
                    return Err(error::overtaken());
                }
                put_all(tx, &keks)?;
                tx.set_row(KEKS, CURRENT, &current)?;
                tx.append(event).map(drop)
            })
            .await?;
        drop((ring, key));
        self.reload().await;
        self.0.work.notify_one();
        Ok(id)
    }

    /// Wraps the keys of all values with the current key, and drops the keys that are not needed any more.
    ///
    /// # Errors
    /// `secret.locked`; `secret.damaged` names the first row that does not open; the rows after it are done
    /// nevertheless, and no key is dropped then.
    pub async fn rewrap(&self) -> Result<Progress> {
        let mut done = Progress::default();
        let (current, keks) = self.0.store.read(read).await?;
        if current.is_none() || keks.len() < 2 {
            return Ok(done);
        }
        let ring = self.ring().await?;
        let mut after: Option<String> = None;
        let mut failed = None;
        loop {
            let (ring, from) = (ring.clone(), after.clone());
            let page =
                self.0.store.write(move |tx| rewrap_page(tx, &ring, from.as_deref())).await?;
            done.rewrapped += page.rewrapped;
            failed = failed.or(page.failed);
            match page.last {
                Some(last) => after = Some(last),
                None => break,
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        done.dropped = self.0.store.write(drop_unused).await?;
        if done.dropped > 0 {
            self.reload().await;
        }
        Ok(done)
    }

    /// Goes on with what is left of a renewal, now and whenever there is one, until `stop`.
    pub async fn keep_wrapped(self, stop: CancellationToken) {
        loop {
            let again = match self.rewrap().await {
                Ok(_) => None,
                Err(error) => {
                    tracing::warn!(%error, why = error.get_why(), "keys of secrets wait to be wrapped anew");
                    Some(self.0.store.clock().sleep_until(self.0.store.now().plus(AGAIN)))
                }
            };
            let pause = async {
                match again {
                    Some(pause) => pause.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.work.notified() => {}
                () = pause => {}
            }
        }
    }
}

struct Page {
    rewrapped: usize,
    failed: Option<kernel::Error>,
    /// The last row seen; `None` after the last page.
    last: Option<String>,
}

fn rewrap_page(tx: &mut Tx<'_>, ring: &Ring, after: Option<&str>) -> Result<Page> {
    let rows = tx.rows::<Sealed>(VALUES, "", after, PAGE)?;
    let last = rows.last().map(|(key, _)| key.clone()).filter(|_| rows.len() == PAGE);
    let mut page = Page { rewrapped: 0, failed: None, last };
    for (key, sealed) in rows {
        match ring.rewrapped(&key, &sealed) {
            Ok(Some(fresh)) => {
                tx.set_row(VALUES, &key, &fresh)?;
                page.rewrapped += 1;
            }
            Ok(None) => {}
            Err(error) => page.failed = page.failed.or(Some(error)),
        }
    }
    Ok(page)
}

/// Since the current key took over nothing is sealed with another one: what was looked through once needs none.
fn drop_unused(tx: &mut Tx<'_>) -> Result<usize> {
    let (current, keks) = read(tx)?;
    if left(tx)? > 0 {
        return Ok(0);
    }
    let old: Vec<Id> =
        keks.into_iter().map(|k| k.id).filter(|id| Some(id) != current.as_ref()).collect();
    for id in &old {
        tx.delete_row(KEKS, &format!("{KEK}{id}"))?;
    }
    Ok(old.len())
}

/// Values whose keys are not wrapped by the current one.
pub(crate) fn left(view: &View<'_>) -> Result<usize> {
    let Some(current) = view.row::<Id>(KEKS, CURRENT)? else { return Ok(0) };
    let mut count = 0;
    each(view, "", |_, sealed: Which| count += usize::from(sealed.kek != current))?;
    Ok(count)
}

#[derive(Deserialize)]
struct Which {
    kek: Id,
}

/// Every slot that has a row whose key begins so.
pub(crate) fn slots(view: &View<'_>, prefix: &str) -> Result<Vec<Slot>> {
    let mut found: Vec<Slot> = Vec::new();
    each(view, prefix, |key, _: Which| {
        // Rows of one slot lie together.
        if let Some((slot, _)) = Slot::of_row(key)
            && found.last() != Some(&slot)
        {
            found.push(slot);
        }
    })?;
    Ok(found)
}

fn each<T: serde::de::DeserializeOwned>(
    view: &View<'_>,
    prefix: &str,
    mut with: impl FnMut(&str, T),
) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let rows = view.rows::<T>(VALUES, prefix, after.as_deref(), 1_000)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = Some(last.clone());
        rows.into_iter().for_each(|(key, row)| with(&key, row));
    }
}
