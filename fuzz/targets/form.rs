//! Bodies of requests with fields. The first line is the `Content-Type`, the rest is the body. What is read of
//! a multipart body is read of another one that says the same.

#![no_main]

use delivery_pipeline::fuzz::fields;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
    let Ok(content_type) = std::str::from_utf8(&bytes[..end]) else { return };
    let Some(found) = fields(content_type, bytes.get(end + 1..).unwrap_or_default()) else { return };
    assert!(found.len() <= 500, "more fields than anybody may send");
    if !content_type.trim_start().to_ascii_lowercase().starts_with("multipart/") {
        return;
    }
    let taken = |boundary: &String| found.iter().any(|(_, value)| value.contains(boundary));
    let boundary = (0..).map(|n| format!("between-{n}-")).find(|b| !taken(b)).unwrap_or_default();
    let mut body = String::new();
    for (name, value) in &found {
        body += &format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    body += &format!("--{boundary}--");
    let again = fields(&format!("multipart/form-data; boundary={boundary}"), body.as_bytes());
    assert_eq!(again, Some(found));
});
