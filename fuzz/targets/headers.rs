//! What the API reads of headers, queries and forms.

#![no_main]

use http::header::{ACCEPT_LANGUAGE, COOKIE};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use naru_http::fuzz::{cookie, language, pairs, secret};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, value.clone());
        headers.append(ACCEPT_LANGUAGE, value);
        language(&headers);
        let found = cookie(&headers, "naru_session");
        assert!(found.is_none_or(|value| !value.contains(';')));
    }
    let Ok(words) = std::str::from_utf8(bytes) else { return };
    secret(words);
    assert_eq!(secret(&format!("Bearer {words}")).as_deref(), Some(words.trim()));
    let once = pairs(words);
    let encode = |w: &str| utf8_percent_encode(w, NON_ALPHANUMERIC).to_string();
    let again: Vec<String> =
        once.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    assert_eq!(pairs(&again.join("&")), once, "what was decoded can be encoded");
});
