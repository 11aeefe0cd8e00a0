//! Chunked coding, in whatever portions it comes, and back through our own encoder.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use naru_fuzz::{Content, content, cuttings};
use network_proxy::wire::{Body, Decoder, Encoder};

fuzz_target!(|bytes: &[u8]| {
    let read = |portions: &[&[u8]]| {
        let mut decoder = Decoder::new(Body::Chunked);
        let content = content(&mut decoder, portions.iter().copied());
        (content, decoder.end_of_input())
    };
    let (whole, _) = read(&[bytes]);
    for portions in cuttings(bytes) {
        assert_eq!(read(&portions).0, whole);
    }
    let Ok(whole) = whole else { return };
    let mut again = BytesMut::new();
    whole.bytes.chunks(7).for_each(|piece| Encoder::Chunked.data(piece, &mut again));
    if whole.rest.is_some() {
        Encoder::Chunked.end(&whole.trailer, &mut again);
        let want = Content { rest: Some(vec![]), ..whole };
        assert_eq!(read(&[&again]).0, Ok(want), "what we write is what we read");
    }
});
