//! A passkey in a test: what a phone or a security key answers to a browser (Web Authentication, W3C, level 3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

/// One passkey, with the browser around it.
pub struct Authenticator {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    user: Vec<u8>,
    host: String,
    /// Where the browser thinks it is.
    pub origin: String,
    /// Uses so far; a copy of a key has an old one.
    pub counter: u32,
    /// Whether it asked for a PIN or a finger.
    pub verified: bool,
}

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

impl Authenticator {
    /// Makes a passkey for a question that `navigator.credentials.create` would get, and the browser's answer.
    ///
    /// # Panics
    /// When the question lacks something.
    #[allow(clippy::unwrap_used, reason = "for tests")]
    pub fn create(question: &Value, origin: &str) -> (Authenticator, Value) {
        let asked = &question["publicKey"];
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, made.as_ref(), &random)
            .unwrap();
        let id = digest(&SHA256, key.public_key().as_ref()).as_ref().to_vec();
        let new = Authenticator {
            id,
            user: bytes(&asked["user"]["id"]),
            host: asked["rp"]["id"].as_str().unwrap().to_owned(),
            origin: origin.to_owned(),
            counter: 1,
            verified: true,
            key,
        };
        let client = new.client("webauthn.create", asked);
        // A map of three: fmt, attStmt, authData (RFC 8949).
        let mut object = vec![0xa3];
        object.extend(b"\x63fmt\x64none\x67attStmt\xa0\x68authData\x59");
        let data = [new.data(ATTESTED), new.attested()].concat();
        object.extend((data.len() as u16).to_be_bytes());
        object.extend(data);
        let answer = json!({
            "id": words(&new.id), "rawId": words(&new.id), "type": "public-key",
            "response": { "clientDataJSON": words(&client), "attestationObject": words(&object) },
            "clientExtensionResults": {},
        });
        (new, answer)
    }

    /// Answers a question that `navigator.credentials.get` would get.
    ///
    /// # Panics
    /// When the system has no randomness.
    #[allow(clippy::unwrap_used, reason = "for tests")]
    pub fn show(&mut self, question: &Value) -> Value {
        self.counter += 1;
        let client = self.client("webauthn.get", &question["publicKey"]);
        let data = self.data(0);
        let signed = [data.as_slice(), digest(&SHA256, &client).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        json!({
            "id": words(&self.id), "rawId": words(&self.id), "type": "public-key",
            "response": {
                "clientDataJSON": words(&client), "authenticatorData": words(&data),
                "signature": words(signature.as_ref()), "userHandle": words(&self.user),
            },
            "clientExtensionResults": {},
        })
    }

    fn client(&self, kind: &str, asked: &Value) -> Vec<u8> {
        let client = json!({
            "type": kind, "challenge": asked["challenge"], "origin": self.origin, "crossOrigin": false,
        });
        client.to_string().into_bytes()
    }

    /// Authenticator data without extensions (§6.1).
    fn data(&self, more: u8) -> Vec<u8> {
        let verified = if self.verified { VERIFIED } else { 0 };
        let mut data = digest(&SHA256, self.host.as_bytes()).as_ref().to_vec();
        data.push(PRESENT | verified | more);
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// Attested credential data (§6.5.1) with the key as COSE (RFC 9053 §7.1.1).
    fn attested(&self) -> Vec<u8> {
        let mut out = vec![0; 16];
        out.extend((self.id.len() as u16).to_be_bytes());
        out.extend(&self.id);
        let point = self.key.public_key().as_ref();
        out.extend(b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20");
        out.extend(&point[1..33]);
        out.extend(b"\x22\x58\x20");
        out.extend(&point[33..65]);
        out
    }
}

fn words(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[allow(clippy::unwrap_used, reason = "for tests")]
fn bytes(words: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(words.as_str().unwrap()).unwrap()
}

/// What an authenticator app shows at a second since 1970, for the secret in base 32 that it was given (RFC 6238).
#[allow(clippy::unwrap_used, reason = "for tests")]
pub fn totp(secret: &str, second: i64) -> String {
    let mut bits = 0_u64;
    let (mut held, mut key) = (0, Vec::new());
    for letter in secret.chars().filter(|c| !c.is_whitespace()) {
        bits = bits << 5 | "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter).unwrap() as u64;
        held += 5;
        if held >= 8 {
            held -= 8;
            key.push((bits >> held) as u8);
        }
    }
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let tag = ring::hmac::sign(&key, &(second / 30).to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[19] & 15);
    let number = u32::from_be_bytes([tag[at], tag[at + 1], tag[at + 2], tag[at + 3]]);
    format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
}
