//! SARIF, code quality, scanners' reports and bills of materials: findings with a fingerprint.

#![no_main]

use delivery_report::read::{Results, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for format in ["sarif", "codequality", "sast", "cyclonedx"] {
        let mut results = Results::default();
        read(format, "findings", bytes, &mut results);
        for finding in &results.findings {
            assert!(!finding.fingerprint.is_empty());
            assert!(finding.message.chars().count() <= 4_000);
        }
    }
});
