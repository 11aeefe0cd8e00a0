//! How fast a journal is verified, in the store and as an export: `verify [ENTRIES]`.

use futures_util::StreamExt;
use kernel::{Key, Name, NewEvent, Origin, Principal, Result, text};
use security_audit::{Audit, Options, verify_export};
use serde_json::json;
use std::io::{BufWriter, Write};
use std::time::Instant;
use store::{Durability, Store};

/// Entries in one transaction.
const PAGE: u64 = 5_000;
const ROUNDS: usize = 3;

/// What a server writes down when somebody sets a secret through the API.
fn fact(n: u64) -> Result<NewEvent> {
    let (project, name) = (Name::parse("shop")?, Name::parse("database-password")?);
    let key = Key { kind: "Secret".into(), project: Some(project), name };
    let say = text!(
        "the secret database-password was set (version {n})",
        "database-password 비밀 값 설정 (버전 {n})"
    );
    let mut fact =
        NewEvent::new("secret.set", Principal::User(Name::parse("ann")?), say).subject(key);
    fact.origin = Some(Origin {
        address: Some("192.0.2.17".into()),
        request: Some(format!("{n:032x}")),
        ..Origin::default()
    });
    Ok(fact.data(json!({ "secret": "database-password", "version": n })))
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let entries: u64 = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(1_000_000);
    let dir = tempfile::tempdir_in(".")?;
    let options = store::Options { durability: Durability::Process, ..store::Options::default() };
    let store = Store::open(&dir.path().join("naru.db"), options)?;
    let audit = Audit::open(Options {
        store: store.clone(),
        key: dir.path().join("key.json"),
        checkpoints: dir.path().join("checkpoints.jsonl"),
        keep: None,
    })
    .await?;
    for from in (0..entries).step_by(PAGE as usize) {
        store
            .write(move |tx| {
                (from..entries.min(from + PAGE)).try_for_each(|n| tx.append(fact(n)?).map(drop))
            })
            .await?;
        audit.sign().await?;
    }
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let found = store.verify().await?;
        say("the chain in the store", found.bytes, found.entries, began);
    }
    let began = Instant::now();
    let report = audit.verify(Principal::part("bench")).await?;
    assert!(report.holds(), "{report:?}");
    say("the same with its checkpoints", report.chain.bytes, report.chain.last, began);
    let path = dir.path().join("export.jsonl");
    let began = Instant::now();
    let mut file = BufWriter::new(std::fs::File::create(&path)?);
    let mut lines = std::pin::pin!(audit.export(0));
    while let Some(bytes) = lines.next().await {
        file.write_all(&bytes?)?;
    }
    file.into_inner()?.sync_all()?;
    let size = std::fs::metadata(&path)?.len();
    say("writing an export", size, entries, began);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let report = verify_export(std::fs::File::open(&path)?, vec![audit.public_key().clone()])?;
        assert!(report.holds(), "{report:?}");
        say("an export, offline", size, report.chain.last, began);
    }
    Ok(())
}

fn say(what: &str, bytes: u64, entries: u64, began: Instant) {
    let took = began.elapsed().as_secs_f64();
    println!(
        "{what}: {:.0} MB/s, {:.0} entries/s ({entries} of {} bytes, {took:.2} s)",
        bytes as f64 / took / 1e6,
        entries as f64 / took,
        bytes / entries.max(1),
    );
}
