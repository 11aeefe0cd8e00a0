//! The engine: values, master keys, renewal, leases, each with crashes.

mod leases;
mod masters;
mod renewing;
mod transit;
mod values;

use crate::{Kms, Opened, Ring, SecretText, Slot, Vault};
use kernel::{Id, Name, Principal, Result};
use std::path::Path;
use std::sync::Arc;
use store::clock::Manual;
use store::{Chaos, Durability, Options, Store};

pub fn store(dir: &Path, clock: &Manual, chaos: Option<Arc<Chaos>>) -> Store {
    let options =
        Options { clock: Arc::new(clock.clone()), durability: Durability::Process, chaos };
    Store::open(&dir.join("naru.db"), options).unwrap()
}

pub fn slot(name: &str) -> Slot {
    let uid = Id::new(1, name.bytes().fold(7, |sum, b| sum * 31 + u128::from(b)));
    Slot { project: Name::parse("shop").unwrap(), name: Name::parse(name).unwrap(), uid }
}

pub async fn put(vault: &Vault, name: &str, value: &str) -> Result<u32> {
    put_with(vault, &vault.ring().await?, name, value).await
}

pub async fn put_with(vault: &Vault, ring: &Ring, name: &str, value: &str) -> Result<u32> {
    let (ring, slot, value) = (ring.clone(), slot(name), SecretText::new(value));
    let by = Principal::part("test");
    vault.store().write(move |tx| ring.seal_in(tx, &slot, &value, 3, by)).await
}

pub async fn get(vault: &Vault, name: &str, version: Option<u32>) -> Result<Opened> {
    let (ring, slot) = (vault.ring().await?, slot(name));
    vault.store().read(move |v| ring.open_in(v, &slot, version)).await
}

pub fn vault(store: &Store, kms: impl Kms + 'static) -> Vault {
    Vault::new(store.clone(), Arc::new(kms), None)
}
