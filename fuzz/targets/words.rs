//! The small words of the API: names, times, lengths of time, label selectors, ids, languages.

#![no_main]

use kernel::resource::{Labels, Selector};
use kernel::time::{parse_duration, show_duration};
use kernel::{Id, Lang, Name, Time};
use libfuzzer_sys::fuzz_target;

fn is_label(words: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&words.len()) && words.bytes().all(inner) && !words.starts_with('-')
}

fuzz_target!(|words: &str| {
    if let Ok(name) = Name::parse(words) {
        assert!(is_label(words) && name.as_str() == words);
    }
    assert!(Name::slug(words).is_none_or(|name| is_label(name.as_str())));
    if let Some(time) = Time::parse(words) {
        assert_eq!(Time::parse(&time.to_string()), Some(time), "{words}");
    }
    if let Some(length) = parse_duration(words) {
        assert!(!show_duration(length).is_empty());
    }
    if let Some(id) = Id::parse(words) {
        assert_eq!(Id::parse(id.as_str()), Some(id));
    }
    if let Ok(selector) = Selector::parse(words) {
        let label = (words.to_owned(), words.to_owned());
        selector.matches(&Labels::from([label]));
    }
    Lang::negotiate(words);
});
