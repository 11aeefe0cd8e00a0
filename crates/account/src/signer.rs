//! Signed statements about workloads: who asks others for something can show them what it is.
//!
//! Tokens are JWTs (RFC 7519) signed with ES256 (RFC 7518 §3.4); the keys that check them are a JWK set
//! (RFC 7517) below the issuer's URL, found by OpenID Connect Discovery 1.0. A signing key is used for
//! ninety days; one that is no longer used is published for a day more, longer than any token lives.
//!
//! Never: a private key outside of its file and this process; a token without `iss`, `iat`, `nbf`, `exp`, `jti`.

use crate::job::{self, Attempt};
use crate::secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::port::Identity;
use kernel::{BoxFuture, Clock, Error, Result, Time};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a key signs.
const SIGNS: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long it is published after that.
const LINGERS: Duration = Duration::from_secs(24 * 3600);
/// The longest life of a token.
pub const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// A handle; clones share it.
#[derive(Clone)]
pub struct Signer(Arc<Inner>);

struct Inner {
    issuer: String,
    file: PathBuf,
    clock: Arc<dyn Clock>,
    /// The newest last: that one signs.
    keys: Mutex<Vec<Key>>,
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

#[derive(Serialize, Deserialize)]
struct Stored {
    made: Time,
    /// PKCS #8, base64url.
    pkcs8: String,
}

struct Key {
    made: Time,
    pkcs8: Vec<u8>,
    pair: EcdsaKeyPair,
    id: String,
}

impl Key {
    fn make(now: Time) -> Result<Key> {
        let made =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        Key::read(now, made.map_err(|_| broken("a key cannot be made"))?.as_ref())
    }

    fn read(made: Time, pkcs8: &[u8]) -> Result<Key> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random);
        let pair = pair.map_err(|_| broken("a key in the file of signing keys is damaged"))?;
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(pair.public_key().as_ref()));
        Ok(Key { made, pkcs8: pkcs8.to_vec(), pair, id })
    }

    fn stored(stored: &Stored) -> Result<Key> {
        let pkcs8 = URL_SAFE_NO_PAD.decode(&stored.pkcs8);
        let pkcs8 = pkcs8.map_err(|_| broken("a key in the file of signing keys is damaged"))?;
        Key::read(stored.made, &pkcs8)
    }

    /// RFC 7518 §6.2.1; the point is uncompressed: a 4, then x and y of 32 bytes each.
    fn public(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let part = |range| URL_SAFE_NO_PAD.encode(point.get(range).unwrap_or_default());
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id,
            "x": part(1..33), "y": part(33..65),
        })
    }

    fn sign(&self, claims: &Value) -> Result<String> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": self.id });
        let words = format!("{}.{}", part(&header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), words.as_bytes());
        let signature = signature.map_err(|_| broken("nothing can be signed"))?;
        Ok(format!("{words}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn broken(what: &str) -> Error {
    Error::internal(what.to_owned())
}

impl Signer {
    /// Reads the keys of `file`, or makes the first one. `issuer` is where people reach this server:
    /// `https://naru.example.com`, without a slash at its end.
    ///
    /// # Errors
    /// Internal, when the file cannot be read or written, or is not one of ours.
    pub fn open(file: &Path, issuer: &str, clock: Arc<dyn Clock>) -> Result<Signer> {
        let found = match std::fs::read(file) {
            Ok(bytes) => read(&bytes)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                File { keys: Vec::new(), jobs: secret::draw()? }
            }
            Err(e) => return Err(Error::internal(format!("{}: {e}", file.display()))),
        };
        let raw = URL_SAFE_NO_PAD.decode(&found.jobs).ok().filter(|raw| raw.len() == 32);
        let raw = raw.ok_or_else(|| broken("the key of jobs' tokens is damaged"))?;
        let inner = Inner {
            issuer: issuer.trim_end_matches('/').to_owned(),
            file: file.to_owned(),
            clock,
            keys: Mutex::new(found.keys.iter().map(Key::stored).collect::<Result<_>>()?),
            jobs: hmac::Key::new(hmac::HMAC_SHA256, &raw),
            secret: found.jobs,
        };
        inner.turn()?;
        Ok(Signer(Arc::new(inner)))
    }

    /// A key for another purpose, the same as long as the file of keys is.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.0.jobs, format!("derive {purpose}").as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(tag.as_ref());
        key
    }

    /// The keys with which others check what was signed: a JWK set.
    pub fn keys(&self) -> Value {
        let keys = self.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
        json!({ "keys": keys.iter().map(Key::public).collect::<Vec<_>>() })
    }

    /// OpenID Provider Metadata (OpenID Connect Discovery 1.0 §3), as far as there is an OpenID provider:
    /// its tokens come from runs alone.
    pub fn metadata(&self) -> Value {
        let issuer = &self.0.issuer;
        json!({
            "issuer": issuer,
            "jwks_uri": format!("{issuer}/oauth/discovery/keys"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "claims_supported": ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "project_path", "namespace_path",
                "ref", "ref_type", "sha", "pipeline_id", "pipeline_source", "job_id", "environment", "user_login"],
        })
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
    /// Makes a new key when the newest is too old to sign, and forgets those that nobody needs.
    fn turn(&self) -> Result<()> {
        let now = self.clock.now();
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |key: &Key, after: Duration| key.made.plus(after) <= now;
        if keys.last().is_some_and(|key| !over(key, SIGNS)) {
            return Ok(());
        }
        keys.retain(|key| !over(key, SIGNS + LINGERS));
        keys.push(Key::make(now)?);
        // Nothing is signed with a key that a restart would not find.
        write(&self.file, &keys, &self.secret)
    }
}

fn read(bytes: &[u8]) -> Result<File> {
    serde_json::from_slice(bytes)
        .map_err(|_| broken("the file of signing keys is not one of naru's"))
}

fn write(file: &Path, keys: &[Key], jobs: &str) -> Result<()> {
    let one = |key: &Key| Stored { made: key.made, pkcs8: URL_SAFE_NO_PAD.encode(&key.pkcs8) };
    let whole = File { keys: keys.iter().map(one).collect(), jobs: jobs.to_owned() };
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
        Box::pin(async move {
            self.0.turn()?;
            let claims = complete(claims, &self.0.issuer, self.0.clock.now(), life.min(LONGEST))?;
            let keys = self.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
            keys.last().ok_or_else(|| broken("there is no signing key"))?.sign(&claims)
        })
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
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use std::sync::atomic::{AtomicI64, Ordering};

    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Time {
            Time(self.0.load(Ordering::Relaxed))
        }
        fn sleep_until(&self, _: Time) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    fn open(file: &Path, clock: &Arc<Hand>) -> Signer {
        Signer::open(file, "http://127.0.0.1:8080/", clock.clone()).unwrap()
    }

    /// As a stranger checks it: with what the key set says, and nothing else.
    fn check(token: &str, keys: &Value) -> Option<Value> {
        let part = |words: &str| URL_SAFE_NO_PAD.decode(words).unwrap();
        let (words, signature) = token.rsplit_once('.').unwrap();
        let (header, claims) = words.split_once('.').unwrap();
        let header: Value = serde_json::from_slice(&part(header)).unwrap();
        assert_eq!(header["alg"], "ES256");
        let key = keys["keys"].as_array().unwrap().iter().find(|k| k["kid"] == header["kid"])?;
        let mut point = vec![4];
        point.extend(part(key["x"].as_str().unwrap()));
        point.extend(part(key["y"].as_str().unwrap()));
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(words.as_bytes(), &part(signature)).ok()?;
        serde_json::from_slice(&part(claims)).ok()
    }

    #[tokio::test]
    async fn a_stranger_can_check_what_was_signed_and_finds_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hand(AtomicI64::new(1_000_000)));
        let signer = open(&dir.path().join("keys"), &clock);
        let asked =
            json!({ "sub": "project_path:shop/web", "aud": "vault", "iss": "somebody else" });
        let token = signer.sign(asked, Duration::from_secs(60)).await.unwrap();
        let claims = check(&token, &signer.keys()).unwrap();
        assert_eq!(claims["iss"], "http://127.0.0.1:8080", "nobody signs in another's name");
        assert_eq!((claims["aud"].as_str(), claims["iat"].as_i64()), (Some("vault"), Some(1000)));
        assert_eq!(claims["exp"], 1060);
        let (words, signature) = token.rsplit_once('.').unwrap();
        let forged = format!("{}x.{signature}", &words[..words.len() - 1]);
        assert_eq!(check(&forged, &signer.keys()), None);
        assert_eq!(signer.metadata()["jwks_uri"], "http://127.0.0.1:8080/oauth/discovery/keys");
    }

    #[tokio::test]
    async fn keys_outlive_restarts_turn_and_linger() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys");
        let clock = Arc::new(Hand(AtomicI64::new(0)));
        let old = open(&file, &clock).sign(json!({}), LONGEST * 2).await.unwrap();
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).unwrap());
        assert_eq!(mode & 0o777, 0o600);
        let signer = open(&file, &clock);
        let claims = check(&old, &signer.keys()).unwrap();
        assert_eq!(claims["exp"], LONGEST.as_secs(), "no longer than keys linger");
        clock.0.store(i64::try_from(SIGNS.as_millis()).unwrap(), Ordering::Relaxed);
        let new = signer.sign(json!({}), LONGEST).await.unwrap();
        assert!(check(&old, &signer.keys()).is_some() && check(&new, &signer.keys()).is_some());
        clock.0.fetch_add(i64::try_from(SIGNS.as_millis()).unwrap(), Ordering::Relaxed);
        let newest = open(&file, &clock).sign(json!({}), LONGEST).await.unwrap();
        let keys = open(&file, &clock).keys();
        assert!(check(&newest, &keys).is_some() && check(&new, &keys).is_some());
        assert_eq!(check(&old, &keys), None);
    }

    #[test]
    fn a_jobs_token_is_read_by_the_server_that_made_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hand(AtomicI64::new(0)));
        let signer = open(&dir.path().join("keys"), &clock);
        let run = kernel::Id::new(7, 9);
        let token = signer.job_token(&format!("{run}-3-2"));
        let found = Attempt { run: run.clone(), index: 3, attempt: 2 };
        assert_eq!(open(&dir.path().join("keys"), &clock).attempt(&token), Some(found));
        assert_eq!(open(&dir.path().join("other"), &clock).attempt(&token), None);
        assert_eq!(signer.attempt(&token.replace("-3-2.", "-3-3.")), None);
        assert_eq!(signer.attempt(token.split('.').next().unwrap()), None);
        assert_eq!(signer.attempt(&signer.job_token("x-1-1")), None);
    }

    #[test]
    fn a_damaged_file_is_said_and_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys");
        std::fs::write(&file, "{\"keys\":").unwrap();
        let clock = Arc::new(Hand(AtomicI64::new(0)));
        assert!(Signer::open(&file, "http://x", clock).is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"{\"keys\":");
    }
}
