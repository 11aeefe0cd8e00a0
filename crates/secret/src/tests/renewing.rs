//! Renewal, and a crash at every commit of it.

use super::*;
use crate::KeyFile;
use crate::vault::{MOST_KEKS, read};
use store::Moment;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[tokio::test]
async fn after_a_renewal_all_is_wrapped_anew_and_the_old_key_is_gone() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Manual::default());
    let store = store(dir.path(), &clock, None);
    let file = KeyFile::new(&dir.path().join("key.json"));
    let vault = vault(&store, file.clone());
    for n in 0..450 {
        put(&vault, &format!("many-{n}"), "value").await.unwrap();
    }
    let before = vault.status(kernel::Lang::En).await.unwrap();
    let stale = vault.ring().await.unwrap();
    let id = vault.renew(Principal::part("test")).await.unwrap();
    let between = vault.status(kernel::Lang::En).await.unwrap();
    assert_eq!((between.current.as_ref(), between.left), (Some(&id), 450));
    assert_eq!(between.before, [before.current.unwrap()]);
    // Who still holds the old ring seals nothing with it.
    let late = put_with(&vault, &stale, "late", "value").await.unwrap_err();
    assert_eq!(late.code(), "secret.key-renewed");
    assert_eq!(get(&vault, "many-7", None).await.unwrap().value.reveal(), "value");
    let done = vault.rewrap().await.unwrap();
    assert_eq!((done.rewrapped, done.dropped), (450, 1));
    let after = vault.status(kernel::Lang::En).await.unwrap();
    assert!(after.before.is_empty() && after.left == 0);
    assert_eq!(vault.rewrap().await.unwrap(), crate::Progress::default());
    assert_eq!(get(&vault, "many-449", None).await.unwrap().value.reveal(), "value");
    let fresh = super::vault(&store, file);
    assert_eq!(get(&fresh, "many-0", None).await.unwrap().value.reveal(), "value");
}

/// Sets values, renews twice, sets one more; what is interrupted is done again by the next life.
async fn live(dir: &std::path::Path, chaos: Option<Arc<Chaos>>) -> Result<()> {
    let store = store(dir, &Manual::default(), chaos);
    let vault = vault(&store, KeyFile::new(&dir.join("key.json")));
    vault.rewrap().await?;
    for name in NAMES {
        let here = slot(name);
        if store.read(move |v| Vault::versions_in(v, &here)).await?.is_empty() {
            put(&vault, name, &format!("value of {name}")).await?;
        }
    }
    for _ in 0..2 {
        vault.renew(Principal::part("test")).await?;
        vault.rewrap().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_crash_at_any_commit_loses_no_value_and_leaves_one_key() {
    for moment in [Moment::Before, Moment::After] {
        for at in 1.. {
            let dir = tempfile::tempdir().unwrap();
            let chaos = Arc::new(Chaos::new(at, moment));
            let died = live(dir.path(), Some(chaos.clone())).await;
            if !chaos.crashed() {
                died.unwrap();
                assert!(at > 8, "the crashes were where something is written");
                break;
            }
            live(dir.path(), None).await.unwrap();
            let store = store(dir.path(), &Manual::default(), None);
            let vault = vault(&store, KeyFile::new(&dir.path().join("key.json")));
            for name in NAMES {
                let opened = get(&vault, name, None).await.unwrap();
                assert_eq!(opened.value.reveal(), format!("value of {name}"), "{moment:?} {at}");
            }
            let (_, keks) = store.read(read).await.unwrap();
            assert_eq!(keks.len(), 1, "{moment:?} {at}");
            assert!(keks.len() < MOST_KEKS);
        }
    }
}
