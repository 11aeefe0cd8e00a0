//! A response of an instance, to GET and to HEAD, in whatever portions it comes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use naru_fuzz::{cuttings, message};
use network_proxy::wire::{Decoder, ResponseHead, Scan, framing};

fuzz_target!(|bytes: &[u8]| {
    for to_head in [false, true] {
        let parse = |bytes: &[u8]| {
            let head = ResponseHead::parse(bytes, 32)?;
            assert!((100..1000).contains(&head.status));
            let body = framing::response_body(&head, to_head)?;
            Ok((format!("{head:?}"), Decoder::new(body)))
        };
        let whole = message(Scan::response(), &[bytes], parse);
        for portions in cuttings(bytes) {
            assert_eq!(message(Scan::response(), &portions, parse), whole);
        }
    }
});
