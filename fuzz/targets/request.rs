//! A request at the edge: the same message in whatever portions it comes, and never one that a lenient
//! parser would not also see as one request.

#![no_main]

use libfuzzer_sys::fuzz_target;
use naru_fuzz::{cuttings, message};
use network_proxy::wire::{Decoder, Reject, RequestHead, Scan, authority, framing, host_key};

fn parse(bytes: &[u8]) -> Result<(String, Decoder), Reject> {
    let head = RequestHead::parse(bytes, 32)?;
    let host = host_key(authority(&head)?);
    assert!(!host.contains(['/', '\\', '@', ' ']), "{host}");
    let body = framing::request_body(&head)?;
    another_opinion(bytes, &head);
    Ok((format!("{head:?} {host}"), Decoder::new(body)))
}

fn another_opinion(bytes: &[u8], head: &RequestHead<'_>) {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut other = httparse::Request::new(&mut fields);
    let length = other.parse(bytes).expect("what is taken strictly is taken leniently").unwrap();
    assert_eq!(length, bytes.len(), "both see the head end at one place");
    assert_eq!(other.method.map(str::as_bytes), Some(head.method));
    let theirs: Vec<_> = other.headers.iter().map(|f| (f.name.as_bytes(), f.value)).collect();
    let ours: Vec<_> = head.fields.iter().map(|f| (f.name, f.value)).collect();
    assert_eq!(ours, theirs);
}

fuzz_target!(|bytes: &[u8]| {
    let whole = message(Scan::request(), &[bytes], parse);
    for portions in cuttings(bytes) {
        assert_eq!(message(Scan::request(), &portions, parse), whole);
    }
});
