//! The server dies at every write of the store, and with its last line of checkpoints written to any byte; the next
//! one goes on as if nothing had been, and everything that was acknowledged is vouched for.

use super::*;
use store::{Chaos, Moment};

/// Two rounds of news with signatures, a verification, and a letting go. An error is the crash.
async fn work(dir: &Path, clock: &Manual, chaos: Arc<Chaos>) -> Result<()> {
    let options = store::Options {
        clock: Arc::new(clock.clone()),
        durability: Durability::Process,
        chaos: Some(chaos),
    };
    let store = Store::open(&dir.join("naru.db"), options)?;
    let audit = Audit::open(settings(dir, &store)).await?;
    for _ in 0..3 {
        let event = NewEvent::new("test.happened", Principal::part("test"), Text::plain("x"));
        store.write(move |tx| tx.append(event)).await?;
        audit.sign().await?;
        clock.advance(Duration::from_secs(60));
    }
    audit.verify(who()).await?;
    audit.let_go(Duration::from_secs(90)).await?;
    audit.sign().await.map(drop)
}

fn settings(dir: &Path, store: &Store) -> Options {
    Options {
        store: store.clone(),
        key: dir.join("key.json"),
        checkpoints: dir.join("checkpoints.jsonl"),
        keep: None,
    }
}

/// A process that dies while it writes a line leaves some of it: never of one that the store has, because the line is
/// on disk before the store hears of it.
async fn tear(dir: &Path, seed: u64) {
    let file = dir.join("checkpoints.jsonl");
    let Ok(bytes) = std::fs::read(&file) else { return };
    let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
    let kept = {
        let store = store(dir, &Manual::new(Time(0)));
        store.read(trail::last_row).await.unwrap().map_or(0, |c| c.number)
    };
    if let Some(last) = lines.last().filter(|_| lines.len() as u64 > kept) {
        let cut = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as usize % (last.len() + 1);
        std::fs::write(&file, &bytes[..bytes.len() - cut]).unwrap();
    }
}

async fn survives(at: u64, moment: Moment, seed: u64) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let clock = Manual::new(Time(0));
    let chaos = Arc::new(Chaos::new(at, moment));
    let worked = work(dir.path(), &clock, chaos.clone()).await;
    assert!(worked.is_ok() || chaos.crashed(), "{worked:?}");
    tear(dir.path(), seed).await;
    let store = store(dir.path(), &clock);
    let audit = audit(dir.path(), &store).await;
    let told = kinds(&store).await;
    let odd = |k: &String| !["audit.verified", "audit.trimmed"].contains(&k.as_str());
    assert!(
        !told.iter().any(odd),
        "commit {at} {moment:?}, seed {seed}: a crash is no attack: {told:?}"
    );
    happen(&store, 1).await;
    let report = audit.verify(who()).await.unwrap();
    assert!(
        report.holds() && report.unsigned == 0,
        "commit {at} {moment:?}, seed {seed}: {report:?}"
    );
    chaos.crashed()
}

#[tokio::test]
async fn a_crash_at_any_write_of_file_or_store_is_made_good() {
    for moment in [Moment::Before, Moment::After] {
        let mut at = 1;
        loop {
            let mut crashed = false;
            for seed in 0..4 {
                crashed = survives(at, moment, at * 31 + seed).await;
            }
            if !crashed {
                break;
            }
            at += 1;
        }
        assert!(at > 8, "it came to {at} commits");
    }
}
