//! Where WebSocket frames begin does not depend on the portions they come in.

#![no_main]

use libfuzzer_sys::fuzz_target;
use naru_fuzz::cuttings;
use network_proxy::wire::Frames;

fuzz_target!(|bytes: &[u8]| {
    let [singly, some, once] = cuttings(bytes);
    let mut walk = Frames::default();
    let begins: Vec<bool> = singly
        .iter()
        .map(|byte| {
            walk.pass(byte);
            walk.between()
        })
        .collect();
    for portions in [some, once] {
        let (mut walk, mut passed) = (Frames::default(), 0);
        for portion in portions {
            walk.pass(portion);
            passed += portion.len();
            let want = passed.checked_sub(1).is_none_or(|last| begins[last]);
            assert_eq!(walk.between(), want, "after {passed}");
        }
    }
});
