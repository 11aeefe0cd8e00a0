//! JUnit XML: cases with names, or problems with a line of the file.

#![no_main]

use delivery_report::read::{Results, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut results = Results::default();
    read("junit", "junit.xml", bytes, &mut results);
    let lines = bytes.iter().filter(|b| **b == b'\n').count() as u32 + 1;
    for case in &results.cases {
        assert!(!case.identity.name.is_empty());
        assert!(case.identity.name.chars().count() <= 500);
        assert_eq!(case.identity.key().len(), 16);
    }
    // One byte in a file in UTF-16 may be half of a line's end.
    assert!(results.problems.iter().all(|p| p.line <= lines || bytes.contains(&0)), "{:?}", results.problems);
    let mut again = Results::default();
    read("junit", "junit.xml", bytes, &mut again);
    assert_eq!(results, again, "the same bytes say the same");
});
