//! Patterns of `changes` and `exists`. The first line is the pattern, the others are paths.

#![no_main]

use delivery_pipeline::gitlab::fuzz::matches;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|words: &str| {
    let (glob, others) = words.split_once('\n').unwrap_or((words, ""));
    let paths: Vec<&str> = others.lines().take(8).collect();
    let found = matches(glob, &paths);
    assert_eq!(found.len(), paths.len());
    if glob.chars().all(|c| c.is_ascii_alphanumeric() || c == '/') {
        let same: Vec<bool> = paths.iter().map(|path| *path == glob).collect();
        assert_eq!(found, same, "a pattern without signs matches itself alone");
    }
});
