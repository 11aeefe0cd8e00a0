//! The contract of whoever keeps the master key, and what its loss does.

use super::*;
use crate::kms::Wrapped;
use crate::{Key, KeyFile, Passphrase};
use kernel::BoxFuture;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

/// A key service that may be away.
#[derive(Clone)]
struct Far {
    key: Key,
    away: Arc<AtomicBool>,
}

impl Far {
    fn new() -> Far {
        Far { key: Key::random().unwrap(), away: Arc::default() }
    }

    fn there(&self) -> Result<()> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(crate::error::kms("far", "no route")),
            false => Ok(()),
        }
    }
}

impl Kms for Far {
    fn kind(&self) -> &'static str {
        "far"
    }
    fn place(&self) -> String {
        "far".into()
    }
    fn wrap<'a>(&'a self, key: &'a Key, about: &'a str) -> BoxFuture<'a, Result<Wrapped>> {
        Box::pin(async move {
            self.there()?;
            let sealed = self.key.seal(key.bytes(), about.as_bytes())?;
            Ok(Wrapped { kms: "far".into(), key: "one".into(), sealed, derived: None })
        })
    }
    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, about: &'a str) -> BoxFuture<'a, Result<Key>> {
        Box::pin(async move {
            self.there()?;
            Key::from_bytes(&self.key.open(&wrapped.sealed, about.as_bytes())?)
        })
    }
    fn renew(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(self.there()))
    }
}

/// What every keeper of a master key has to do.
pub async fn contract(kms: &dyn Kms) {
    let (one, two) = (Key::random().unwrap(), Key::random().unwrap());
    let first = kms.wrap(&one, "one").await.unwrap();
    let second = kms.wrap(&two, "two").await.unwrap();
    assert_eq!(first.kms, kms.kind());
    assert_eq!(kms.unwrap(&first, "one").await.unwrap().bytes(), one.bytes());
    assert!(kms.unwrap(&first, "two").await.is_err(), "bound to what it is about");
    let swapped = Wrapped { sealed: second.sealed.clone(), ..first.clone() };
    assert!(kms.unwrap(&swapped, "one").await.is_err());
    kms.renew().await.unwrap();
    let third = kms.wrap(&one, "one").await.unwrap();
    for wrapped in [&first, &third] {
        let unwrapped = kms.unwrap(wrapped, "one").await.unwrap();
        assert_eq!(unwrapped.bytes(), one.bytes(), "old and new after a renewal");
    }
    let words = serde_json::to_string(&[&first, &second, &third]).unwrap();
    let again: Vec<Wrapped> = serde_json::from_str(&words).unwrap();
    assert_eq!(kms.unwrap(&again[1], "two").await.unwrap().bytes(), two.bytes());
}

#[tokio::test]
async fn every_keeper_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract(&KeyFile::new(&dir.path().join("key.json"))).await;
    contract(&Passphrase::cheap("correct horse")).await;
    contract(&Far::new()).await;
}

#[tokio::test]
async fn a_master_key_that_is_lost_opens_nothing_and_is_not_made_again() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Manual::default());
    let store = store(dir.path(), &clock, None);
    let file = dir.path().join("key.json");
    put(&vault(&store, KeyFile::new(&file)), "a", "value").await.unwrap();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let fresh = vault(&store, KeyFile::new(&file));
    for error in [
        get(&fresh, "a", None).await.unwrap_err(),
        put(&fresh, "b", "value").await.unwrap_err(),
        fresh.renew(Principal::part("test")).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), "secret.locked");
        let hint = error.get_hint().unwrap();
        assert!(hint.en.contains("put") && hint.en.contains("back"), "{hint}");
        assert!(error.say().en.contains("gone"), "{error}");
    }
    assert!(!file.exists(), "no key is made over sealed values");
    assert!(fresh.status(kernel::Lang::En).await.unwrap().locked.is_some());
    std::fs::write(&file, kept).unwrap();
    let back = vault(&store, KeyFile::new(&file));
    let open = get(&back, "a", None).await.unwrap_err();
    assert!(open.say().en.contains("read by others"), "{open}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let back = vault(&store, KeyFile::new(&file));
    assert_eq!(get(&back, "a", None).await.unwrap().value.reveal(), "value");
    assert_eq!(get(&back, "b", None).await.unwrap_err().code(), "secret.empty");
}

#[tokio::test]
async fn another_key_file_and_a_damaged_one_are_told_apart() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Manual::default());
    let store = store(dir.path(), &clock, None);
    let file = dir.path().join("key.json");
    put(&vault(&store, KeyFile::new(&file)), "a", "value").await.unwrap();
    let other = KeyFile::new(&dir.path().join("other.json"));
    other.renew().await.unwrap();
    let error = get(&vault(&store, other), "a", None).await.unwrap_err();
    assert!(error.say().en.contains("does not hold the master key"), "{error}");
    let broken = "{\"keys\": [{\"key\": \"c2VjcmV0\"";
    std::fs::write(&file, broken).unwrap();
    let error = get(&vault(&store, KeyFile::new(&file)), "a", None).await.unwrap_err();
    assert!(error.say().en.contains("cannot be read"), "{error}");
    assert!(!format!("{error:?}").contains("c2VjcmV0"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), broken, "never written over");
}

#[tokio::test]
async fn a_wrong_passphrase_is_said_and_a_changed_one_moves_the_keys() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Manual::default());
    let store = store(dir.path(), &clock, None);
    put(&vault(&store, Passphrase::cheap("old words")), "a", "value").await.unwrap();
    let error = get(&vault(&store, Passphrase::cheap("wrong")), "a", None).await.unwrap_err();
    assert!(error.say().en.contains("passphrase is not the one"), "{error}");
    let file = Arc::new(KeyFile::new(&dir.path().join("key.json")));
    let error = get(&vault(&store, (*file).clone()), "a", None).await.unwrap_err();
    assert!(error.say().en.contains("kind `passphrase`"), "{error}");
    let old = Arc::new(Passphrase::cheap("old words"));
    let both = Vault::new(store.clone(), Arc::new(Passphrase::cheap("new words")), Some(old));
    assert_eq!(get(&both, "a", None).await.unwrap().value.reveal(), "value");
    // From now on the new one is enough, and the old one is not.
    let (new, old) = (Passphrase::cheap("new words"), Passphrase::cheap("old words"));
    assert_eq!(get(&vault(&store, new.clone()), "a", None).await.unwrap().value.reveal(), "value");
    assert!(get(&vault(&store, old), "a", None).await.is_err());
    let moved = Vault::new(store.clone(), file.clone(), Some(Arc::new(new)));
    assert_eq!(get(&moved, "a", None).await.unwrap().value.reveal(), "value");
    assert_eq!(
        get(&vault(&store, (*file).clone()), "a", None).await.unwrap().value.reveal(),
        "value"
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_service_that_comes_back_is_enough() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Manual::default());
    let store = store(dir.path(), &clock, None);
    let far = Far::new();
    put(&vault(&store, far.clone()), "a", "value").await.unwrap();
    let later = vault(&store, far.clone());
    far.away.store(true, Ordering::SeqCst);
    assert_eq!(get(&later, "a", None).await.unwrap_err().code(), "secret.locked");
    far.away.store(false, Ordering::SeqCst);
    tokio::time::advance(std::time::Duration::from_secs(3)).await;
    assert_eq!(get(&later, "a", None).await.unwrap().value.reveal(), "value");
}
