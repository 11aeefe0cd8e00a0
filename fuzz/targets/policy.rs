//! Cedar text of people, and names of what an action is done to: taken or refused with a place inside the text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::{Target, plain};

fuzz_target!(|bytes: &[u8]| {
    let Ok(words) = std::str::from_utf8(bytes) else { return };
    if let Ok(target) = Target::parse(words) {
        assert_eq!(Target::parse(&target.to_string()).unwrap(), target);
    }
    if let Err(error) = plain::read(words)
        && let Some(place) = error.place()
    {
        let lines = words.matches('\n').count() + 1;
        assert!((1..=lines).contains(&(place.line as usize)), "{error}");
    }
});
