//! Frames of a terminal's connection: what they are does not depend on the portions they come in, and sent on
//! they are the same bytes.

#![no_main]

use delivery_pipeline::fuzz::terminal;
use libfuzzer_sys::fuzz_target;
use naru_fuzz::cuttings;

fuzz_target!(|bytes: &[u8]| {
    let (sent, whole) = terminal(&[bytes]);
    assert!(bytes.starts_with(&sent), "frames that nobody sent");
    assert_eq!(whole, sent.len() == bytes.len());
    for portions in cuttings(bytes) {
        assert_eq!(terminal(&portions), (sent.clone(), whole));
    }
});
