//! The key that signs checkpoints: Ed25519 (RFC 8032), in a file of its own, for nothing else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Error, Result, Text, text};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

const PREFIX: &str = "ed25519:";

/// What checks a signature: `ed25519:` and 43 characters of base64url.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Whether `signature`, in base64url, is this key's over `words`.
    pub fn signed(&self, words: &[u8], signature: &str) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        UnparsedPublicKey::new(&ED25519, &self.0).verify(words, &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for PublicKey {
    type Err = Error;
    fn from_str(words: &str) -> Result<PublicKey> {
        let raw = words.trim().strip_prefix(PREFIX).and_then(|w| URL_SAFE_NO_PAD.decode(w).ok());
        let raw: Option<[u8; 32]> = raw.and_then(|r| r.try_into().ok());
        raw.map(PublicKey).ok_or_else(|| {
            Error::invalid(
                "audit.key-invalid",
                Text::fixed(
                    "this is not a public key of an audit log",
                    "감사 기록의 공개 키가 아닙니다",
                ),
            )
            .hint(Text::fixed(
                "it looks like ed25519:…; `naru audit key` prints it",
                "ed25519:…처럼 생겼습니다. `naru audit key`가 출력합니다",
            ))
        })
    }
}

impl TryFrom<String> for PublicKey {
    type Error = Error;
    fn try_from(words: String) -> Result<PublicKey> {
        words.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        key.to_string()
    }
}

/// What signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct File {
    /// For people: what to write down elsewhere.
    public: PublicKey,
    /// PKCS #8, base64url.
    pkcs8: String,
}

impl SigningKey {
    /// Reads the key in `file`, or makes one. `true` when it was made.
    ///
    /// # Errors
    /// `audit.key-damaged` when the file holds no key; internal when it cannot be read or written.
    pub fn open(file: &Path) -> Result<(SigningKey, bool)> {
        match std::fs::read(file) {
            Ok(bytes) => Ok((SigningKey::read(&bytes).ok_or_else(|| damaged(file))?, false)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let (key, bytes) = SigningKey::make()?;
                cli::write_private(file, &bytes)?;
                Ok((key, true))
            }
            Err(e) => Err(Error::internal(format!("{}: {e}", file.display()))),
        }
    }

    fn read(bytes: &[u8]) -> Option<SigningKey> {
        let file: File = serde_json::from_slice(bytes).ok()?;
        SigningKey::from_pkcs8(&URL_SAFE_NO_PAD.decode(file.pkcs8).ok()?)
    }

    fn from_pkcs8(pkcs8: &[u8]) -> Option<SigningKey> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).ok()?;
        let public = PublicKey(pair.public_key().as_ref().try_into().ok()?);
        Some(SigningKey { pair, public })
    }

    /// A new key and its file.
    fn make() -> Result<(SigningKey, Vec<u8>)> {
        let unmade = || Error::internal("a key cannot be made");
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| unmade())?;
        let key = SigningKey::from_pkcs8(made.as_ref()).ok_or_else(unmade)?;
        let pkcs8 = URL_SAFE_NO_PAD.encode(made.as_ref());
        let file = File { public: key.public.clone(), pkcs8 };
        Ok((key, serde_json::to_vec_pretty(&file).map_err(Error::internal)?))
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Base64url.
    pub fn sign(&self, words: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.sign(words))
    }
}

fn damaged(file: &Path) -> Error {
    let shown = file.display();
    Error::invalid(
        "audit.key-damaged",
        text!("{shown} holds no key for the audit log", "{shown}에 감사 기록의 키가 없습니다"),
    )
    .hint(Text::fixed(
        "restore it from a backup; without one, move it away and a new key is made, which the log will tell",
        "백업에서 되돌리세요. 백업이 없다면 파일을 치우면 새 키를 만들고, 그 사실이 기록에 남습니다",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("audit-key.json");
        let (one, made) = SigningKey::open(&file).unwrap();
        let (two, again) = SigningKey::open(&file).unwrap();
        assert_eq!((made, again, one.public()), (true, false, two.public()));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let words = one.public().to_string();
        assert_eq!(words.parse::<PublicKey>().unwrap(), *one.public());
        assert!(one.public().signed(b"x", &two.sign(b"x")));
        assert!(!one.public().signed(b"y", &two.sign(b"x")));
        std::fs::write(&file, "{}").unwrap();
        assert_eq!(SigningKey::open(&file).err().unwrap().code(), "audit.key-damaged");
        for bad in ["", "ed25519:", "ed25519:AAAA", "rsa:abc"] {
            assert_eq!(bad.parse::<PublicKey>().unwrap_err().code(), "audit.key-invalid", "{bad}");
        }
    }
}
