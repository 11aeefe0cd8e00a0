//! Server-sent events at the command line, in whatever portions they come.

#![no_main]

use cli::Events;
use libfuzzer_sys::fuzz_target;
use naru_fuzz::cuttings;

fn all(portions: &[&[u8]]) -> Vec<(String, String)> {
    let (mut events, mut seen) = (Events::default(), vec![]);
    for portion in portions {
        events.push(portion);
        while let Ok(Some(event)) = events.pull() {
            seen.push(event);
        }
    }
    seen
}

fuzz_target!(|bytes: &[u8]| {
    let whole = all(&[bytes]);
    assert!(whole.iter().all(|(_, data)| !data.is_empty()));
    for portions in cuttings(bytes) {
        assert_eq!(all(&portions), whole);
    }
});
