//! Conditions of `rules:if`. The first line is the condition, the others are variables.

#![no_main]

use delivery_pipeline::gitlab::fuzz::holds;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|words: &str| {
    let (condition, others) = words.split_once('\n').unwrap_or((words, ""));
    let get = |name: &str| {
        let mut pairs = others.lines().filter_map(|line| line.split_once('='));
        pairs.find(|(n, _)| *n == name).map(|(_, value)| value.to_owned())
    };
    if let Ok(once) = holds(condition, &get) {
        match holds(&format!("({condition}) && ({condition})"), &get) {
            Ok(both) => assert_eq!(both, once, "the same twice is the same"),
            // One that is nested as deep as may be cannot be nested deeper.
            Err(error) => assert!(condition.contains('('), "{error}"),
        }
    }
});
