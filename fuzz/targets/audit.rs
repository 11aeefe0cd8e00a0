//! Exports of the audit log and files of checkpoints: whatever the bytes, there is an answer, and none that holds
//! without a head, an end and every line between.

#![no_main]

use libfuzzer_sys::fuzz_target;
use security_audit::{fuzz_checkpoints, verify_export};
use std::io::Cursor;

fuzz_target!(|bytes: &[u8]| {
    let _ = fuzz_checkpoints(bytes);
    if let Ok(report) = verify_export(Cursor::new(bytes), Vec::new())
        && report.holds()
    {
        assert!(bytes.starts_with(b"{\"export\"") && bytes.windows(6).any(|w| w == b"{\"end\""));
        assert!(report.chain.last >= report.chain.base);
    }
});
