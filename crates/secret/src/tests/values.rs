use super::*;
use crate::KeyFile;

#[tokio::test]
async fn versions_are_made_kept_destroyed_and_never_numbered_again() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Manual::default());
    let store = store(dir.path(), &clock, None);
    let vault = vault(&store, KeyFile::new(&dir.path().join("key.json")));
    assert_eq!(get(&vault, "a", None).await.unwrap_err().code(), "secret.empty");
    for n in 1..=5 {
        assert_eq!(put(&vault, "a", &format!("value {n}")).await.unwrap(), n);
    }
    assert_eq!(get(&vault, "a", None).await.unwrap().value.reveal(), "value 5");
    assert_eq!(get(&vault, "a", Some(3)).await.unwrap().value.reveal(), "value 3");
    assert_eq!(
        get(&vault, "a", Some(2)).await.unwrap_err().code(),
        "secret.empty",
        "three are kept"
    );
    let here = slot("a");
    assert!(store.write(move |tx| Vault::destroy_in(tx, &here, 5)).await.unwrap());
    assert_eq!(get(&vault, "a", None).await.unwrap_err().code(), "secret.empty");
    assert_eq!(get(&vault, "a", Some(4)).await.unwrap().value.reveal(), "value 4");
    assert_eq!(put(&vault, "a", "value 6").await.unwrap(), 6);
    let here = slot("a");
    let versions = store.read(move |v| Vault::versions_in(v, &here)).await.unwrap();
    assert_eq!(versions.iter().map(|v| v.number).collect::<Vec<_>>(), [6, 5, 4]);
    assert!(versions[1].destroyed.is_some());
    let here = slot("a");
    store.write(move |tx| Vault::forget_in(tx, &here)).await.unwrap();
    assert_eq!(get(&vault, "a", Some(6)).await.unwrap_err().code(), "secret.empty");
}

#[tokio::test]
async fn nothing_of_a_value_or_a_key_is_on_disk_in_clear() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Manual::default());
    let store = store(dir.path(), &clock, None);
    let file = dir.path().join("key.json");
    let vault = vault(&store, KeyFile::new(&file));
    put(&vault, "a", "canary-canary-canary").await.unwrap();
    vault.renew(Principal::part("test")).await.unwrap();
    vault.rewrap().await.unwrap();
    let master = std::fs::read_to_string(&file).unwrap();
    let master: serde_json::Value = serde_json::from_str(&master).unwrap();
    let master = master["keys"][0]["key"].as_str().unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path != file {
            let bytes = std::fs::read(&path).unwrap();
            for word in ["canary-canary", master] {
                let found = bytes.windows(word.len()).any(|w| w == word.as_bytes());
                assert!(!found, "{word} in {}", path.display());
            }
        }
    }
}

#[tokio::test]
async fn a_row_in_anothers_place_does_not_open() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Manual::default());
    let store = store(dir.path(), &clock, None);
    let vault = vault(&store, KeyFile::new(&dir.path().join("key.json")));
    put(&vault, "a", "of a").await.unwrap();
    put(&vault, "b", "of b").await.unwrap();
    store
        .write(|tx| {
            let row: serde_json::Value = tx.row(crate::vault::VALUES, &slot("a").row(1))?.unwrap();
            tx.set_row(crate::vault::VALUES, &slot("b").row(1), &row)?;
            tx.set_row(crate::vault::VALUES, &slot("a").row(2), &row)
        })
        .await
        .unwrap();
    assert_eq!(get(&vault, "b", None).await.unwrap_err().code(), "secret.damaged");
    assert_eq!(get(&vault, "a", Some(2)).await.unwrap_err().code(), "secret.damaged");
    assert_eq!(get(&vault, "a", Some(1)).await.unwrap().value.reveal(), "of a");
}
