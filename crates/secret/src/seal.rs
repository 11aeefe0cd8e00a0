//! The one cipher: AES-256-GCM with a random nonce in front. Pure but for the randomness.

use crate::error;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use kernel::{Error, Id, Name, Result};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Bytes of a key.
const KEY: usize = 32;

/// 256 bits. Its memory is overwritten when it is dropped, and it prints as nothing.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; KEY]>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// # Errors
    /// Internal, when the system has no randomness.
    pub fn random() -> Result<Key> {
        let mut bytes = Zeroizing::new([0; KEY]);
        getrandom::fill(bytes.as_mut()).map_err(Error::internal)?;
        Ok(Key(bytes))
    }

    /// # Errors
    /// `secret.damaged` when these are not 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Key> {
        let bytes = <[u8; KEY]>::try_from(bytes).map_err(|_| error::damaged("a key's length"))?;
        Ok(Key(Zeroizing::new(bytes)))
    }

    /// For whoever wraps it.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    fn cipher(&self) -> Result<LessSafeKey> {
        let key = UnboundKey::new(&AES_256_GCM, self.0.as_ref()).map_err(Error::internal)?;
        Ok(LessSafeKey::new(key))
    }

    /// Seals `plain`, bound to `about`: base64 of nonce, ciphertext and tag.
    ///
    /// # Errors
    /// Internal, when the system has no randomness.
    pub fn seal(&self, plain: &[u8], about: &[u8]) -> Result<String> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(Error::internal)?;
        // Room for the tag, so that nothing in clear stays behind in a buffer that grew.
        let mut out = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        out.extend_from_slice(plain);
        let sealing = Nonce::assume_unique_for_key(nonce);
        self.cipher()?
            .seal_in_place_append_tag(sealing, Aad::from(about), &mut out)
            .map_err(Error::internal)?;
        Ok(STANDARD_NO_PAD.encode([&nonce[..], &out].concat()))
    }

    /// What was sealed with the same key about the same thing.
    ///
    /// # Errors
    /// `secret.damaged` for anything else: another key, another place, a changed byte.
    pub fn open(&self, sealed: &str, about: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let bytes = STANDARD_NO_PAD.decode(sealed).map_err(|_| error::damaged("its encoding"))?;
        let (nonce, body) =
            bytes.split_at_checked(NONCE_LEN).ok_or_else(|| error::damaged("its length"))?;
        let nonce =
            Nonce::try_assume_unique_for_key(nonce).map_err(|_| error::damaged("its nonce"))?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self
            .cipher()?
            .open_in_place(nonce, Aad::from(about), &mut body)
            .map_err(|_| error::damaged("its seal"))?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

/// Where values of one secret lie: its name, and the uid of its resource, so that one that is made anew under an
/// old name has nothing of the old one's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    pub project: Name,
    pub name: Name,
    pub uid: Id,
}

impl Slot {
    /// The beginning of the keys of its rows.
    pub(crate) fn prefix(&self) -> String {
        format!("{}/{}/{}/", self.project, self.name, self.uid)
    }

    pub(crate) fn row(&self, version: u32) -> String {
        format!("{}{version:08}", self.prefix())
    }

    /// Of a row's key: none of the parts holds a slash.
    pub(crate) fn of_row(key: &str) -> Option<(Slot, u32)> {
        let mut parts = key.split('/');
        let slot = Slot {
            project: Name::parse(parts.next()?).ok()?,
            name: Name::parse(parts.next()?).ok()?,
            uid: Id::parse(parts.next()?)?,
        };
        let version = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some((slot, version))
    }

    /// What a value is bound to. Unambiguous, because none of the parts holds a zero byte.
    pub(crate) fn about_value(&self, version: u32) -> Vec<u8> {
        self.about("value", version)
    }

    /// What the key of a value is bound to.
    pub(crate) fn about_key(&self, version: u32, kek: &Id) -> Vec<u8> {
        [self.about("key", version).as_slice(), b"\0", kek.as_str().as_bytes()].concat()
    }

    fn about(&self, what: &str, version: u32) -> Vec<u8> {
        let Slot { project, name, uid } = self;
        format!("naru.secret.1\0{what}\0{project}\0{name}\0{uid}\0{version}").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn another_key_and_another_place_open_nothing() {
        let (one, two) = (Key::random().unwrap(), Key::random().unwrap());
        let sealed = one.seal(b"value", b"here").unwrap();
        assert_eq!(one.open(&sealed, b"here").unwrap().as_slice(), b"value");
        assert_eq!(one.open(&sealed, b"there").unwrap_err().code(), "secret.damaged");
        assert_eq!(two.open(&sealed, b"here").unwrap_err().code(), "secret.damaged");
        assert_ne!(sealed, one.seal(b"value", b"here").unwrap(), "a nonce for each");
        assert!(!format!("{one:?}").contains("["));
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_no_changed_byte_does(
            plain: Vec<u8>, about: Vec<u8>, at: prop::sample::Index, flip in 1..=255_u8,
        ) {
            let key = Key::random().unwrap();
            let sealed = key.seal(&plain, &about).unwrap();
            let opened = key.open(&sealed, &about).unwrap();
            prop_assert_eq!(opened.as_slice(), plain.as_slice());
            let mut bytes = STANDARD_NO_PAD.decode(&sealed).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(key.open(&STANDARD_NO_PAD.encode(&bytes), &about).is_err());
            prop_assert!(key.open(&STANDARD_NO_PAD.encode(&bytes[..at]), &about).is_err());
        }

        #[test]
        fn any_words_are_survived(words: String) {
            prop_assert!(Key::random().unwrap().open(&words, b"").is_err());
            let _ = Slot::of_row(&words);
        }
    }
}
