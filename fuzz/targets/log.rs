//! Log files, which hold whatever programs print and may end torn.

#![no_main]

use kernel::Time;
use kernel::log::{Line, MAX_PIECE, Stream, decode, encode};
use libfuzzer_sys::fuzz_target;

/// All whole records, and the bytes they take.
fn all(bytes: &[u8]) -> (Vec<Line>, usize) {
    let (mut lines, mut used) = (vec![], 0);
    while let Some((line, took)) = decode(&bytes[used..]) {
        assert!(took > 0);
        used += took;
        lines.push(line);
    }
    (lines, used)
}

fuzz_target!(|bytes: &[u8]| {
    let (lines, used) = all(bytes);
    let end = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    assert_eq!((used, lines.len()), (end, bytes.iter().filter(|b| **b == b'\n').count()));

    let mut log = Vec::new();
    encode(&mut log, Time(7), Stream::Out, true, bytes);
    encode(&mut log, Time(8), Stream::Err, false, bytes);
    let (lines, used) = all(&log);
    assert_eq!((lines.len(), used), (2, log.len()), "two records, whatever is in them");
    assert_eq!((lines[0].time, lines[1].stream, lines[1].whole), (Time(7), Stream::Err, false));
    let kept = String::from_utf8_lossy(bytes.get(..MAX_PIECE).unwrap_or(bytes)).replace('\n', " ");
    assert_eq!(lines[0].text, kept);
});
