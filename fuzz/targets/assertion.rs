//! Signed statements of applications (`private_key_jwt`): none of these bytes was signed, so that none is believed.

#![no_main]

use kernel::Time;
use libfuzzer_sys::fuzz_target;
use security_sso::plan::assertion::{check, issuer};
use serde_json::json;

fuzz_target!(|bytes: &[u8]| {
    let Ok(words) = std::str::from_utf8(bytes) else { return };
    // A point whose private half nobody has drawn here (RFC 8037, appendix A.2).
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let keys = [json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "one" })];
    let ours = ["https://naru".to_owned()];
    let client = issuer(words).unwrap_or_default();
    assert!(check(words, &keys, &client, &ours, Time(1_000_000)).is_err());
});
