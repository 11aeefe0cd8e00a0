use super::*;
use crate::checkpoint::Standing;
use crate::key::SigningKey;

fn key() -> SigningKey {
    let dir = tempfile::tempdir().unwrap();
    SigningKey::open(&dir.path().join("key")).unwrap().0
}

fn hash(seq: u64) -> String {
    format!("{seq:064x}")
}

fn signed(key: &SigningKey, seqs: &[(u64, Option<Lost>)]) -> Vec<Checkpoint> {
    let mut all: Vec<Checkpoint> = Vec::new();
    for (seq, lost) in seqs {
        let standing = Standing { seq: *seq, hash: hash(*seq), time: Time(1) };
        all.push(Checkpoint::sign(key, all.last(), standing, *lost));
    }
    all
}

/// A journal of entries `base + 1 ..= last` held against checkpoints.
fn judged(all: &[Checkpoint], trusted: &[&SigningKey], base: u64, last: u64) -> Report {
    let mut judge = Judge::new(trusted.iter().map(|k| k.public().clone()).collect());
    all.iter().for_each(|c| judge.take(c.clone()));
    let chain = Chain { base, base_hash: hash(base), last, head: hash(last), bytes: 0 };
    judge.close(chain, |seq| Ok((base..=last).contains(&seq).then(|| hash(seq)))).unwrap()
}

#[test]
fn a_whole_log_holds_and_tells_what_is_not_signed_yet() {
    let key = key();
    let all = signed(&key, &[(10, None), (20, None)]);
    let report = judged(&all, &[&key], 0, 23);
    assert_eq!((report.holds(), report.signed_through, report.unsigned), (true, Some(20), 3));
    assert_eq!(report.keys, [key.public().clone()]);
}

#[test]
fn a_cut_end_a_foreign_key_and_a_missing_checkpoint_do_not_hold() {
    let key = key();
    let all = signed(&key, &[(10, None), (20, None), (30, None)]);
    let cut = judged(&all, &[&key], 0, 25);
    assert!(cut.problems[0].en.contains("its end was cut off"), "{cut:?}");
    assert!(!judged(&all, &[&self::key()], 0, 30).holds());
    let left_out = [all[0].clone(), all[2].clone()];
    assert!(!judged(&left_out, &[&key], 0, 30).holds());
    let mut changed = all.clone();
    changed[1].hash = hash(21);
    assert!(!judged(&changed, &[&key], 0, 30).holds());
}

#[test]
fn a_restored_store_holds_again_once_that_was_said_and_says_it_for_ever() {
    let key = key();
    let lost = Some(Lost { after: 10, through: 30 });
    let all = signed(&key, &[(10, None), (20, None), (30, None), (15, lost), (40, None)]);
    // 20 and 30 are of the life before; here they are other entries.
    let mut judge = Judge::new(Vec::new());
    all.iter().for_each(|c| judge.take(c.clone()));
    let chain = Chain { base: 0, base_hash: hash(0), last: 40, head: hash(40), bytes: 0 };
    let here = |seq: u64| Ok(Some(if seq == 20 || seq == 30 { hash(999) } else { hash(seq) }));
    let report = judge.close(chain, here).unwrap();
    assert!(report.holds(), "{report:?}");
    assert!(report.notes[0].en.contains("up to entry 30"), "{report:?}");
}

#[test]
fn a_beginning_must_be_a_signed_one() {
    let key = key();
    let all = signed(&key, &[(10, None), (20, None)]);
    assert!(judged(&all, &[&key], 10, 20).holds());
    assert!(!judged(&all, &[&key], 11, 20).holds());
}
