//! Conditions of `rules:if` and patterns of `changes`. The first line is the condition or pattern; the others
//! are variables, or paths.

#![no_main]

use delivery_pipeline::gitlab::fuzz::{holds, matches};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|words: &str| {
    let (first, others) = words.split_once('\n').unwrap_or((words, ""));
    let get = |name: &str| {
        let pairs = others.lines().filter_map(|line| line.split_once('='));
        pairs.filter(|(n, _)| *n == name).map(|(_, value)| value.to_owned()).next()
    };
    let once = holds(first, &get).ok();
    if let Some(once) = once {
        // What holds does not when it is the left half of a false whole, and the other way round.
        let both = holds(&format!("({first}) && ({first})"), &get).ok();
        let either = holds(&format!("({first}) || ({first})"), &get).ok();
        assert!(both.is_none_or(|b| b == once) && either.is_none_or(|e| e == once));
    }
    for path in others.lines() {
        let plain = first.chars().all(|c| c.is_ascii_alphanumeric() || c == '/');
        let same = matches(first, path);
        assert!(!plain || same == (first == path), "{first:?} {path:?}");
    }
});
