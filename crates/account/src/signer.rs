//! Signed statements: who somebody is that signs in to an application, and what a workload is that asks others for
//! something.
//!
//! Tokens are JWTs (RFC 7519) of one issuer, signed with RS256 or ES256 (RFC 7518 §3); the keys that check them are
//! one JWK set (RFC 7517) below the issuer's URL, found by OpenID Connect Discovery 1.0. A key signs for ninety
//! days. The next one is published a day before it signs, so that those who keep the set know it by then; the last
//! one is published for a day more, longer than any token lives.
//!
//! Never: a private key outside of its file and this process; a signature by a key that a restart would not find; a
//! token without `iss`, `iat`, `nbf`, `exp`, `jti`.

mod key;

pub use key::Algorithm;

use crate::job::{self, Attempt};
use crate::secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::port::Identity;
use kernel::{BoxFuture, Clock, Error, Result, Time};
use key::{Key, Stored};
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a key signs.
const SIGNS: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long it is published before and after that.
const LINGERS: Duration = Duration::from_secs(24 * 3600);
/// The longest life of a token.
pub const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// The longest token that is read, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// A handle; clones share it.
#[derive(Clone)]
pub struct Signer(Arc<Inner>);

struct Inner {
    issuer: String,
    file: PathBuf,
    clock: Arc<dyn Clock>,
    /// Of each algorithm the newest last.
    keys: Mutex<Vec<Key>>,
    /// Whoever makes keys holds this: one at a time.
    making: tokio::sync::Mutex<()>,
    /// Of the tokens of jobs, which only this server reads.
    jobs: hmac::Key,
    /// That key as it lies in the file.
    secret: String,
}

/// The file.
#[derive(Default, Serialize, Deserialize)]
struct File {
    keys: Vec<Stored>,
    /// 32 bytes, base64url.
    jobs: String,
}

fn broken(what: &str) -> Error {
    Error::internal(what.to_owned())
}

impl Signer {
    /// Reads the keys of `file`, or begins it. `issuer` is where people reach this server:
    /// `https://naru.example.com`, without a slash at its end.
    ///
    /// # Errors
    /// Internal, when the file cannot be read or written, or is not one of ours.
    pub fn open(file: &Path, issuer: &str, clock: Arc<dyn Clock>) -> Result<Signer> {
        let found = match std::fs::read(file) {
            Ok(bytes) => Some(read(&bytes)?),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(Error::internal(format!("{}: {e}", file.display()))),
        };
        let begins = found.is_none();
        let found = match found {
            Some(found) => found,
            None => File { keys: Vec::new(), jobs: secret::draw()? },
        };
        let raw = URL_SAFE_NO_PAD.decode(&found.jobs).ok().filter(|raw| raw.len() == 32);
        let raw = raw.ok_or_else(|| broken("the key of jobs' tokens is damaged"))?;
        let inner = Inner {
            issuer: issuer.trim_end_matches('/').to_owned(),
            file: file.to_owned(),
            clock,
            keys: Mutex::new(found.keys.iter().map(Key::stored).collect::<Result<_>>()?),
            making: tokio::sync::Mutex::default(),
            jobs: hmac::Key::new(hmac::HMAC_SHA256, &raw),
            secret: found.jobs,
        };
        if begins {
            write(&inner.file, &inner.keys(), &inner.secret)?;
        }
        Ok(Signer(Arc::new(inner)))
    }

    /// A key for another purpose, the same as long as the file of keys is.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.0.jobs, format!("derive {purpose}").as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(tag.as_ref());
        key
    }

    /// The keys with which others check what was signed: a JWK set, with a key for each algorithm at least.
    ///
    /// # Errors
    /// Internal, when a key cannot be made or written down.
    pub async fn key_set(&self) -> Result<Value> {
        self.turn_all().await?;
        Ok(json!({ "keys": self.0.keys().iter().map(Key::public).collect::<Vec<_>>() }))
    }

    /// Makes the next ones of keys that are there, when they are due: nobody then has to wait for them.
    ///
    /// # Errors
    /// As [`Signer::key_set`].
    pub async fn turn_due(&self) -> Result<()> {
        for algorithm in Algorithm::ALL {
            let used = self.0.keys().iter().any(|key| key.algorithm() == algorithm);
            if used {
                self.turn(algorithm).await?;
            }
        }
        Ok(())
    }

    /// Makes the keys that are due, the first ones too.
    ///
    /// # Errors
    /// As [`Signer::key_set`].
    async fn turn_all(&self) -> Result<()> {
        for algorithm in Algorithm::ALL {
            self.turn(algorithm).await?;
        }
        Ok(())
    }

    /// Signs with new keys from now on. With `forget` the old ones are no longer published: what they have signed
    /// is worth nothing any more.
    ///
    /// # Errors
    /// As [`Signer::key_set`].
    pub async fn rotate(&self, forget: bool) -> Result<()> {
        let _making = self.0.making.lock().await;
        let now = self.0.clock.now();
        let mut made = Vec::new();
        for algorithm in Algorithm::ALL {
            made.push(make(algorithm, now, now).await?);
        }
        self.0.keep(|keys| {
            match forget {
                true => keys.clear(),
                // Not the ones that were to be next: they would sign after the new ones.
                false => keys.retain(|key| key.signs <= now),
            }
            keys.extend(made);
        })
    }

    /// A signed token with these claims, an object, for `life` at most; `kind` is its `typ`. What the signer says of
    /// itself stands over what was given.
    ///
    /// # Errors
    /// Internal, when nothing can be signed.
    pub async fn sign_as(
        &self,
        algorithm: Algorithm,
        kind: &str,
        claims: Value,
        life: Duration,
    ) -> Result<String> {
        self.turn(algorithm).await?;
        let now = self.0.clock.now();
        let claims = complete(claims, &self.0.issuer, now, life.min(LONGEST))?;
        let keys = self.0.keys();
        let key = current(&keys, algorithm, now);
        key.ok_or_else(|| broken("there is no signing key"))?.sign(kind, &claims)
    }

    /// The `typ` and the claims of a token that one of the published keys has signed, over or not; `None` for
    /// everything else.
    pub fn read(&self, token: &str) -> Option<(String, Value)> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let (words, signature) = token.rsplit_once('.')?;
        let (header, claims) = words.split_once('.')?;
        let part = |words: &str| -> Option<Value> {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(words).ok()?).ok()
        };
        let header = part(header)?;
        let word = |name: &str| header.get(name).and_then(Value::as_str);
        let (kid, alg) = (word("kid")?, word("alg")?);
        let keys = self.0.keys();
        // The algorithm is the key's to say, not the token's.
        let key = keys.iter().find(|key| key.id == kid && key.algorithm().word() == alg)?;
        let signed = key.made(words, &URL_SAFE_NO_PAD.decode(signature).ok()?);
        Some((word("typ").unwrap_or("JWT").to_owned(), part(claims)?)).filter(|_| signed)
    }

    /// Makes a key of an algorithm when there is none yet, or the newest is about to be too old to sign.
    async fn turn(&self, algorithm: Algorithm) -> Result<()> {
        if self.0.due(algorithm).is_none() {
            return Ok(());
        }
        let _making = self.0.making.lock().await;
        // Somebody else may have made it meanwhile.
        let Some(signs) = self.0.due(algorithm) else { return Ok(()) };
        let made = make(algorithm, self.0.clock.now(), signs).await?;
        self.0.keep(|keys| keys.push(made))
    }
}

impl Signer {
    /// The attempt that a token of a job is for, if this server made it.
    pub(crate) fn attempt(&self, token: &str) -> Option<Attempt> {
        let (words, tag) = token.strip_prefix(job::PREFIX)?.rsplit_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.0.jobs, words.as_bytes(), &tag).ok()?;
        Attempt::parse(words)
    }
}

impl Inner {
    fn keys(&self) -> MutexGuard<'_, Vec<Key>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From when on a key that is to be made now signs; `None` when none is needed.
    fn due(&self, algorithm: Algorithm) -> Option<Time> {
        let (now, keys) = (self.clock.now(), self.keys());
        let Some(newest) = keys.iter().rev().find(|key| key.algorithm() == algorithm) else {
            return Some(now);
        };
        let over = newest.signs.plus(SIGNS);
        (newest.signs.plus(SIGNS - LINGERS) <= now).then(|| over.max(now))
    }

    /// Changes the keys, drops those that nobody needs, and writes the rest down before anything is signed with
    /// them.
    fn keep(&self, change: impl FnOnce(&mut Vec<Key>)) -> Result<()> {
        let now = self.clock.now();
        let mut keys = self.keys();
        change(&mut keys);
        // A key's time is over a day after its successor has begun.
        let begun: Vec<(Algorithm, Time)> = keys.iter().map(|k| (k.algorithm(), k.signs)).collect();
        keys.retain(|key| {
            let follows = |(algorithm, signs): &(Algorithm, Time)| {
                *algorithm == key.algorithm() && *signs > key.signs && signs.plus(LINGERS) <= now
            };
            !begun.iter().any(follows)
        });
        write(&self.file, &keys, &self.secret)
    }
}

/// The key that signs: the newest whose time has come. After the clock was set back it is the oldest.
fn current(keys: &[Key], algorithm: Algorithm, now: Time) -> Option<&Key> {
    let mut all = keys.iter().filter(|key| key.algorithm() == algorithm);
    let first = all.clone().next();
    all.rfind(|key| key.signs <= now).or(first)
}

async fn make(algorithm: Algorithm, made: Time, signs: Time) -> Result<Key> {
    let made = tokio::task::spawn_blocking(move || Key::make(algorithm, made, signs)).await;
    made.map_err(Error::internal)?
}

fn read(bytes: &[u8]) -> Result<File> {
    serde_json::from_slice(bytes)
        .map_err(|_| broken("the file of signing keys is not one of naru's"))
}

fn write(file: &Path, keys: &[Key], jobs: &str) -> Result<()> {
    let whole = File { keys: keys.iter().map(Key::store).collect(), jobs: jobs.to_owned() };
    let words = serde_json::to_vec(&whole).map_err(Error::internal)?;
    let beside = file.with_extension(format!("{}", std::process::id()));
    let save = || {
        let mut options = std::fs::OpenOptions::new();
        let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        out.write_all(&words)?;
        out.sync_all()?;
        std::fs::rename(&beside, file)
    };
    save().map_err(|e: std::io::Error| Error::internal(format!("{}: {e}", file.display())))
}

impl Identity for Signer {
    fn issuer(&self) -> String {
        self.0.issuer.clone()
    }

    fn sign<'a>(&'a self, claims: Value, life: Duration) -> BoxFuture<'a, Result<String>> {
        Box::pin(self.sign_as(Algorithm::Es256, "JWT", claims, life))
    }

    fn job_token(&self, attempt: &str) -> String {
        let tag = hmac::sign(&self.0.jobs, attempt.as_bytes());
        format!("{}{attempt}.{}", job::PREFIX, URL_SAFE_NO_PAD.encode(tag))
    }
}

/// The registered claims over those that were given.
fn complete(claims: Value, issuer: &str, now: Time, life: Duration) -> Result<Value> {
    let Value::Object(mut claims) = claims else { return Err(broken("claims are an object")) };
    let mut id = [0_u8; 16];
    getrandom::fill(&mut id).map_err(|e| Error::internal(e.to_string()))?;
    // NumericDate counts seconds.
    let second = |time: Time| time.0.div_euclid(1000);
    claims.insert("iss".into(), json!(issuer));
    claims.insert("iat".into(), json!(second(now)));
    // Clocks differ a little.
    claims.insert("nbf".into(), json!(second(now) - 5));
    claims.insert("exp".into(), json!(second(now.plus(life))));
    claims.insert("jti".into(), json!(URL_SAFE_NO_PAD.encode(id)));
    Ok(Value::Object(claims))
}

#[cfg(test)]
#[path = "signer/tests.rs"]
mod tests;
