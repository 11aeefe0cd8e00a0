//! What a git client sends before its pack: pkt-lines, commands, options. Once as it is, and once with each
//! line of the input framed, to get past the lengths.

#![no_main]

use delivery_git::fuzz::{command_list, framed, packet};
use libfuzzer_sys::fuzz_target;
use naru_fuzz::cuttings;

/// More bytes never change what fewer have said.
fn settled_once(bytes: &[u8]) {
    let whole = command_list(bytes);
    let [_, _, once] = cuttings(bytes);
    match command_list(once[0]) {
        Ok(None) => {}
        early => assert_eq!(early, whole),
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(length)) = packet(bytes) {
        assert!((4..=bytes.len()).contains(&length), "{length}");
    }
    settled_once(bytes);
    let mut lines = Vec::new();
    for line in bytes.split(|b| *b == b'\n') {
        match line {
            [] => lines.extend_from_slice(b"0000"),
            line => lines.extend(framed(line)),
        }
    }
    settled_once(&lines);
});
