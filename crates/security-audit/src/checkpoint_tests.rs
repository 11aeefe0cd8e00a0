use super::*;
use proptest::prelude::*;

fn key() -> SigningKey {
    let dir = tempfile::tempdir().unwrap();
    SigningKey::open(&dir.path().join("key")).unwrap().0
}

fn chain(key: &SigningKey, count: u64) -> Vec<Checkpoint> {
    let mut all: Vec<Checkpoint> = Vec::new();
    for n in 1..=count {
        let standing = Standing { seq: n * 10, hash: format!("{n:064x}"), time: Time(n as i64) };
        all.push(Checkpoint::sign(key, all.last(), standing, None));
    }
    all
}

fn bytes(all: &[Checkpoint]) -> Vec<u8> {
    all.iter().flat_map(|c| line(c).unwrap()).collect()
}

#[test]
fn what_was_written_is_read_and_a_torn_end_is_passed_over() {
    let all = chain(&key(), 5);
    let bytes = bytes(&all);
    // A crash may leave any number of bytes of the last line.
    let last = line(&all[4]).unwrap().len();
    for cut in 0..=last {
        let read = read(&bytes[..bytes.len() - cut]).unwrap();
        let whole = if cut == 0 { 5 } else { 4 };
        assert_eq!((read.all.len(), read.torn), (whole, cut > 0 && cut < last), "{cut}");
        assert_eq!(read.all, all[..whole]);
    }
}

#[test]
fn one_that_is_left_out_changed_or_moved_is_noticed() {
    let all = chain(&key(), 4);
    for broken in [
        vec![all[0].clone(), all[2].clone(), all[3].clone()],
        vec![all[1].clone(), all[0].clone()],
        vec![all[0].clone(), Checkpoint { seq: 21, ..all[1].clone() }],
        vec![all[0].clone(), Checkpoint { time: Time(9), ..all[1].clone() }],
        vec![all[0].clone(), all[0].clone()],
    ] {
        assert_eq!(read(&bytes(&broken)).unwrap_err().code(), "audit.checkpoints-damaged");
    }
    // The same moment in another spelling says the same, but these are not the bytes that were written.
    let respelled = String::from_utf8(bytes(&all)).unwrap().replacen(".001Z", ",001Z", 1);
    assert_eq!(read(respelled.as_bytes()).unwrap_err().code(), "audit.checkpoints-damaged");
    // Another key cannot go on in this one's name.
    let other = key();
    let standing = Standing { seq: 50, hash: "0".repeat(64), time: Time(9) };
    let mut forged = Checkpoint::sign(&other, Some(&all[3]), standing, None);
    forged.key = all[0].key.clone();
    assert!(!forged.sound());
}

proptest! {
    #[test]
    fn no_byte_can_be_changed_unnoticed(at in 0_usize..1600, to in any::<u8>()) {
        let all = chain(&key(), 3);
        let mut changed = bytes(&all);
        let at = at % changed.len();
        prop_assume!(changed[at] != to);
        changed[at] = to;
        match read(&changed) {
            Err(error) => prop_assert_eq!(error.code(), "audit.checkpoints-damaged"),
            // A line that lost its end counts as torn off, never as another one.
            Ok(lines) => prop_assert!(lines.all.len() < 3 && lines.all[..] == all[..lines.all.len()]),
        }
    }
}
