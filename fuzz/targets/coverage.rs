//! Coverage in Cobertura, JaCoCo and LCOV: counts that make sense, whatever the bytes.

#![no_main]

use delivery_report::read::{Results, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for format in ["cobertura", "jacoco", "lcov"] {
        let mut results = Results::default();
        read(format, "coverage", bytes, &mut results);
        for (path, cover) in &results.coverage {
            assert!(!path.is_empty() && !path.contains('\\'));
            assert!(!cover.lines.contains_key(&0), "lines count from 1");
            assert!(cover.branches.0 <= cover.branches.1 && cover.functions.0 <= cover.functions.1);
        }
    }
});
