//! Secrets that have to be read again: AES-256-GCM under a key that lies beside the store, not in it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Error, ErrorKind, Result, Text};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Seals and opens. `about` is what the secret belongs to: sealed for one account, it opens for no other.
pub(crate) struct Seal(LessSafeKey);

impl Seal {
    pub fn new(key: &[u8; 32]) -> Result<Seal> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(Error::internal)?;
        Ok(Seal(LessSafeKey::new(key)))
    }

    /// The nonce, the text and its tag, as base64url.
    ///
    /// # Errors
    /// Internal, when the system has no randomness.
    pub fn close(&self, plain: &[u8], about: &str) -> Result<String> {
        let mut nonce = [0_u8; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(Error::internal)?;
        let mut text = plain.to_vec();
        let at = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(at, Aad::from(about.as_bytes()), &mut text)
            .map_err(Error::internal)?;
        Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &text].concat()))
    }

    /// # Errors
    /// `credential.sealed`, when the key is another one or the text was changed.
    pub fn open(&self, sealed: &str, about: &str) -> Result<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| lost())?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN).ok_or_else(lost)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| lost())?;
        let mut text = text.to_vec();
        let plain = self.0.open_in_place(nonce, Aad::from(about.as_bytes()), &mut text);
        Ok(plain.map_err(|_| lost())?.to_vec())
    }
}

fn lost() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "credential.sealed",
        Text::fixed(
            "the key with which this secret was sealed is not here any more",
            "이 비밀을 봉인한 키가 더는 없습니다",
        ),
    )
    .hint(Text::fixed(
        "use a recovery code, and set the authenticator app up again; an administrator restores signing-keys.json from a backup",
        "복구 코드를 쓰고 인증 앱을 다시 등록하세요. 관리자는 백업에서 signing-keys.json을 되살릴 수 있습니다",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_for_its_account_and_key_alone() {
        let seal = Seal::new(&[7; 32]).unwrap();
        let sealed = seal.close(b"secret", "han").unwrap();
        assert_eq!(seal.open(&sealed, "han").unwrap(), b"secret");
        assert!(seal.open(&sealed, "eve").is_err());
        assert_eq!(
            Seal::new(&[8; 32]).unwrap().open(&sealed, "han").unwrap_err().code(),
            "credential.sealed"
        );
        for broken in ["", "AA", "!", &sealed[..sealed.len() - 2]] {
            assert!(seal.open(broken, "han").is_err());
        }
        assert_ne!(sealed, seal.close(b"secret", "han").unwrap(), "never the same twice");
    }
}
