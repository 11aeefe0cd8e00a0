//! The master key in somebody's head: derived from a passphrase that is kept nowhere.

use crate::error;
use crate::kms::{Derived, Kms, Wrapped};
use crate::seal::Key;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use kernel::{BoxFuture, Error, Result, SecretText, Text};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

const KIND: &str = "passphrase";
/// 64 MiB, three passes, four lanes: the second recommended option of RFC 9106 §4.
const COST: (u32, u32, u32) = (64 * 1024, 3, 4);
const SALT: usize = 16;
/// The most that a stored row may ask for, in KiB and passes: it is not trusted to be ours.
const MOST: (u32, u32, u32) = (1024 * 1024, 20, 16);

/// Derives the master key with Argon2id. Each derivation has a salt of its own; it is remembered while the
/// process lives, because it takes a while on purpose.
#[derive(Clone)]
pub struct Passphrase {
    words: SecretText,
    derived: Arc<Mutex<HashMap<Derived, Key>>>,
    cost: (u32, u32, u32),
}

impl Passphrase {
    pub fn new(words: SecretText) -> Passphrase {
        Passphrase { words, derived: Arc::default(), cost: COST }
    }

    /// As cheap as it gets, for tests.
    #[cfg(test)]
    pub(crate) fn cheap(words: &str) -> Passphrase {
        Passphrase { cost: (16, 1, 1), ..Passphrase::new(SecretText::new(words)) }
    }

    async fn key(&self, how: &Derived) -> Result<Key> {
        let lock = |m: &Mutex<HashMap<Derived, Key>>| {
            m.lock().unwrap_or_else(PoisonError::into_inner).get(how).cloned()
        };
        if let Some(key) = lock(&self.derived) {
            return Ok(key);
        }
        let (words, asked) = (self.words.clone(), how.clone());
        let work = tokio::task::spawn_blocking(move || derive(&words, &asked));
        let key = work.await.map_err(Error::internal)??;
        let mut derived = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        derived.insert(how.clone(), key.clone());
        Ok(key)
    }

    fn fresh(&self) -> Result<Derived> {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(Error::internal)?;
        let (memory, passes, lanes) = self.cost;
        Ok(Derived { salt: STANDARD_NO_PAD.encode(salt), memory, passes, lanes })
    }
}

fn derive(words: &SecretText, how: &Derived) -> Result<Key> {
    let salt = STANDARD_NO_PAD.decode(&how.salt).map_err(|_| error::damaged("a salt"))?;
    if how.memory > MOST.0 || how.passes > MOST.1 || how.lanes > MOST.2 {
        return Err(error::damaged("how a key is derived"));
    }
    let params = Params::new(how.memory, how.passes, how.lanes, Some(32));
    let params = params.map_err(|_| error::damaged("how a key is derived"))?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(words.reveal().as_bytes(), &salt, key.as_mut())
        .map_err(Error::internal)?;
    Key::from_bytes(key.as_ref())
}

fn wrong() -> Error {
    error::master_key(
        Text::fixed(
            "the passphrase is not the one that the values are sealed with",
            "값을 봉인한 암호문이 아닙니다",
        ),
        Text::fixed(
            "start naru with the right one; to change it, give the old one in NARU_SECRET_PASSPHRASE_BEFORE",
            "올바른 암호문으로 naru를 시작하세요. 바꾸려면 이전 것을 NARU_SECRET_PASSPHRASE_BEFORE로 함께 주세요",
        ),
    )
}

impl Kms for Passphrase {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn place(&self) -> String {
        KIND.to_owned()
    }

    fn wrap<'a>(&'a self, key: &'a Key, about: &'a str) -> BoxFuture<'a, Result<Wrapped>> {
        Box::pin(async move {
            let how = self.fresh()?;
            let sealed = self.key(&how).await?.seal(key.bytes(), about.as_bytes())?;
            let (kms, key) = (KIND.to_owned(), how.salt.clone());
            Ok(Wrapped { kms, key, sealed, derived: Some(how) })
        })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, about: &'a str) -> BoxFuture<'a, Result<Key>> {
        Box::pin(async move {
            let how = wrapped.derived.as_ref().ok_or_else(|| error::damaged("a salt"))?;
            let opened = self.key(how).await?.open(&wrapped.sealed, about.as_bytes());
            Key::from_bytes(&opened.map_err(|_| wrong())?)
        })
    }

    fn renew(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
