//! Values that jobs hand on to jobs and that hold a secret.
//!
//! Whoever may see a run reads the variables that its jobs have left, so there they are hidden. The whole
//! values lie sealed (AES-256-GCM, NIST SP 800-38D) in a row of their own that no page, answer or event shows;
//! the key is a file of the server's, beside the store and not in it.

use crate::work::Output;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kernel::{Error, Id, Result};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use run::Run;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use store::Tx;

/// Sealed values, by the step that left them: `<run>-<step index>`.
pub const SEALED: &str = "delivery-pipeline.sealed";
/// Who needs which: `<key>/<run>`. A retry has what the run before it left.
const USERS: &str = "delivery-pipeline.sealed-by";
/// Rows of one run.
const PAGE: usize = 5_000;
const KEY_BYTES: usize = 32;

/// One value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    pub value: String,
    /// The secrets in it, which are to be hidden wherever they are alone.
    pub secrets: Vec<String>,
}

/// By their variables' names.
pub type Values = BTreeMap<String, Whole>;

/// What opens and closes them.
pub struct Seal(LessSafeKey);

impl Seal {
    /// The key in `file`, made if there is none.
    ///
    /// # Errors
    /// Internal, for a file that cannot be read or written, or holds no key.
    pub fn open(file: &Path) -> Result<Seal> {
        let bytes = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => make(file)?,
            Err(e) => return Err(Error::internal(e)),
        };
        let key = UnboundKey::new(&AES_256_GCM, &bytes);
        let key = key.map_err(|_| Error::internal(format!("{} holds no key", file.display())))?;
        Ok(Seal(LessSafeKey::new(key)))
    }

    /// Closed under the name of the row, so that no row can stand in for another.
    pub fn close(&self, name: &str, values: &impl Serialize) -> Result<String> {
        let mut nonce = [0_u8; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(Error::internal)?;
        let mut bytes = serde_json::to_vec(values).map_err(Error::internal)?;
        let sealed = self.0.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(name.as_bytes()),
            &mut bytes,
        );
        sealed.map_err(Error::internal)?;
        Ok(BASE64.encode([nonce.as_slice(), &bytes].concat()))
    }

    /// `None` for what was closed with another key, or under another name.
    pub fn unseal<T: DeserializeOwned>(&self, name: &str, words: &str) -> Option<T> {
        let bytes = BASE64.decode(words).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let plain = self.0.open_in_place(nonce, Aad::from(name.as_bytes()), &mut sealed).ok()?;
        serde_json::from_slice(plain).ok()
    }

    /// Keeps what a step hands on, in place of what an earlier attempt did.
    ///
    /// # Errors
    /// Internal.
    pub fn put(&self, tx: &mut Tx<'_>, run: &Id, step: &str, values: &Values) -> Result<()> {
        tx.set_row(SEALED, step, &self.close(step, values)?)?;
        tx.set_row(USERS, &format!("{step}/{run}"), &())
    }
}

fn make(file: &Path) -> Result<Vec<u8>> {
    let mut key = [0_u8; KEY_BYTES];
    SystemRandom::new().fill(&mut key).map_err(Error::internal)?;
    let half = file.with_extension("new");
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        let mut to = options.write(true).create(true).truncate(true).mode(0o600).open(&half)?;
        to.write_all(&key)?;
        to.sync_all()?;
        std::fs::rename(&half, file)
    };
    write().map_err(Error::internal)?;
    Ok(key.to_vec())
}

/// The rows that steps of a run refer to.
fn referred(run: &Run) -> BTreeSet<String> {
    let sealed = |step: &run::StepView| Output::deserialize(&step.output).ok()?.sealed;
    run.steps.iter().filter_map(sealed).collect()
}

/// Notes that a retry needs what it took over.
///
/// # Errors
/// The store's.
pub fn use_again(tx: &mut Tx<'_>, run: &Run) -> Result<()> {
    referred(run).iter().try_for_each(|step| tx.set_row(USERS, &format!("{step}/{}", run.id), &()))
}

/// A run is forgotten, and with it what nobody else needs.
///
/// # Errors
/// The store's.
pub fn forget(tx: &mut Tx<'_>, id: &Id, run: Option<&Run>) -> Result<()> {
    let mut steps = run.map(referred).unwrap_or_default();
    let own = tx.rows::<String>(SEALED, &format!("{id}-"), None, PAGE)?;
    steps.extend(own.into_iter().map(|(step, _)| step));
    for step in steps {
        tx.delete_row(USERS, &format!("{step}/{id}"))?;
        if tx.rows::<()>(USERS, &format!("{step}/"), None, 1)?.is_empty() {
            tx.delete_row(SEALED, &step)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn values() -> Values {
        let whole = Whole { value: "https://u:pw@h".into(), secrets: vec!["pw".into()] };
        [("URL".to_owned(), whole)].into()
    }

    #[test]
    fn only_the_same_key_opens_and_only_under_the_same_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        let words = Seal::open(&file).unwrap().close("a-0", &values()).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let again = Seal::open(&file).unwrap();
        assert!(again.unseal::<Values>("a-0", &words) == Some(values()));
        assert!(again.unseal::<Values>("a-1", &words).is_none());
        let other = Seal::open(&dir.path().join("other")).unwrap();
        assert!(other.unseal::<Values>("a-0", &words).is_none());
        assert!(
            again.unseal::<Values>("a-0", "").is_none()
                && again.unseal::<Values>("a-0", "AAAA").is_none()
        );
        assert!(again.close("a-0", &values()).unwrap() != words, "a nonce of its own each time");
        std::fs::write(&file, "short").unwrap();
        assert!(Seal::open(&file).is_err());
    }
}
