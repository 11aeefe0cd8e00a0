//! One key that signs, of either algorithm.

use super::broken;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use kernel::{Result, Time};
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaPair, PublicKeyComponents};
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey,
};
use rsa::pkcs8::EncodePrivateKey;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Bits of the modulus of an RSA key: what every client takes (RFC 7518 §3.3).
const BITS: usize = 2048;

/// How a token is signed (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256: what every client of OpenID Connect has to know.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256: short, and quick to make a key for.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
}

impl Algorithm {
    pub const ALL: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];

    /// As in a token's header.
    pub fn word(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Es256 => "ES256",
        }
    }
}

/// A key as it lies in the file.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Stored {
    pub made: Time,
    /// From when on it signs; it is published before. Keys of an older naru signed at once.
    #[serde(default)]
    signs: Option<Time>,
    #[serde(default)]
    algorithm: Algorithm,
    /// PKCS #8, base64url.
    pkcs8: String,
}

enum Pair {
    Es256(EcdsaKeyPair),
    Rs256(RsaPair),
}

pub(super) struct Key {
    pub made: Time,
    pub signs: Time,
    pkcs8: Vec<u8>,
    pair: Pair,
    pub id: String,
}

impl Key {
    /// Draws a key. One for RSA takes a second or so: not on a thread that others wait for.
    pub fn make(algorithm: Algorithm, made: Time, signs: Time) -> Result<Key> {
        let failed = || broken("a key cannot be made");
        match algorithm {
            Algorithm::Es256 => {
                let (alg, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
                let pkcs8 = EcdsaKeyPair::generate_pkcs8(alg, &random).map_err(|_| failed())?;
                Key::read(algorithm, made, signs, pkcs8.as_ref())
            }
            Algorithm::Rs256 => {
                let key = rsa::RsaPrivateKey::new(&mut UnwrapErr(SysRng), BITS);
                let pkcs8 = key.map_err(|_| failed())?.to_pkcs8_der().map_err(|_| failed())?;
                Key::read(algorithm, made, signs, pkcs8.as_bytes())
            }
        }
    }

    fn read(algorithm: Algorithm, made: Time, signs: Time, pkcs8: &[u8]) -> Result<Key> {
        let damaged = || broken("a key in the file of signing keys is damaged");
        let pair = match algorithm {
            Algorithm::Es256 => {
                let (alg, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
                EcdsaKeyPair::from_pkcs8(alg, pkcs8, &random).map(Pair::Es256).ok()
            }
            Algorithm::Rs256 => RsaPair::from_pkcs8(pkcs8).map(Pair::Rs256).ok(),
        };
        let pair = pair.ok_or_else(damaged)?;
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(pair.public()));
        Ok(Key { made, signs, pkcs8: pkcs8.to_vec(), pair, id })
    }

    pub fn stored(stored: &Stored) -> Result<Key> {
        let pkcs8 = URL_SAFE_NO_PAD.decode(&stored.pkcs8);
        let pkcs8 = pkcs8.map_err(|_| broken("a key in the file of signing keys is damaged"))?;
        let signs = stored.signs.unwrap_or(stored.made);
        Key::read(stored.algorithm, stored.made, signs, &pkcs8)
    }

    pub fn store(&self) -> Stored {
        Stored {
            made: self.made,
            signs: Some(self.signs),
            algorithm: self.algorithm(),
            pkcs8: URL_SAFE_NO_PAD.encode(&self.pkcs8),
        }
    }

    pub fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Es256(_) => Algorithm::Es256,
            Pair::Rs256(_) => Algorithm::Rs256,
        }
    }

    /// The public half as a JWK (RFC 7517 §4, RFC 7518 §6).
    pub fn public(&self) -> Value {
        let words = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.pair {
            Pair::Es256(pair) => {
                // The point is uncompressed: a 4, then x and y of 32 bytes each.
                let point = pair.public_key().as_ref();
                let part = |range| words(point.get(range).unwrap_or_default());
                json!({
                    "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id,
                    "x": part(1..33), "y": part(33..65),
                })
            }
            Pair::Rs256(pair) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({
                    "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id,
                    "n": words(&public.n), "e": words(&public.e),
                })
            }
        }
    }

    /// A JWS in its compact form (RFC 7515 §7.1); `kind` is its `typ`.
    pub fn sign(&self, kind: &str, claims: &Value) -> Result<String> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": self.algorithm().word(), "typ": kind, "kid": self.id });
        let words = format!("{}.{}", part(&header), part(claims));
        let signature = self.pair.sign(words.as_bytes())?;
        Ok(format!("{words}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Whether this key has made the signature.
    pub fn made(&self, words: &str, signature: &[u8]) -> bool {
        let algorithm: &dyn signature::VerificationAlgorithm = match self.pair {
            Pair::Es256(_) => &ECDSA_P256_SHA256_FIXED,
            Pair::Rs256(_) => &RSA_PKCS1_2048_8192_SHA256,
        };
        let key = UnparsedPublicKey::new(algorithm, self.pair.public());
        key.verify(words.as_bytes(), signature).is_ok()
    }
}

impl Pair {
    fn public(&self) -> &[u8] {
        match self {
            Pair::Es256(pair) => pair.public_key().as_ref(),
            Pair::Rs256(pair) => pair.public().as_ref(),
        }
    }

    fn sign(&self, words: &[u8]) -> Result<Vec<u8>> {
        let failed = |_| broken("nothing can be signed");
        let random = SystemRandom::new();
        match self {
            Pair::Es256(pair) => {
                pair.sign(&random, words).map(|s| s.as_ref().to_vec()).map_err(failed)
            }
            Pair::Rs256(pair) => {
                let mut out = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, words, &mut out).map_err(failed)?;
                Ok(out)
            }
        }
    }
}
