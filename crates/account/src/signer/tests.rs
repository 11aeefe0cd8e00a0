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
    let key = keys["keys"].as_array().unwrap().iter().find(|k| k["kid"] == header["kid"])?;
    assert_eq!(key["alg"], header["alg"]);
    if key["kty"] == "RSA" {
        let (n, e) = (part(key["n"].as_str().unwrap()), part(key["e"].as_str().unwrap()));
        let key = ring::signature::RsaPublicKeyComponents { n, e };
        let algorithm = &ring::signature::RSA_PKCS1_2048_8192_SHA256;
        key.verify(algorithm, words.as_bytes(), &part(signature)).ok()?;
        return serde_json::from_slice(&part(claims)).ok();
    }
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
    let asked = json!({ "sub": "project_path:shop/web", "aud": "vault", "iss": "somebody else" });
    let token = signer.sign(asked, Duration::from_secs(60)).await.unwrap();
    let claims = check(&token, &signer.key_set().await.unwrap()).unwrap();
    assert_eq!(claims["iss"], "http://127.0.0.1:8080", "nobody signs in another's name");
    assert_eq!((claims["aud"].as_str(), claims["iat"].as_i64()), (Some("vault"), Some(1000)));
    assert_eq!(claims["exp"], 1060);
    let (words, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{}x.{signature}", &words[..words.len() - 1]);
    assert_eq!(check(&forged, &signer.key_set().await.unwrap()), None);
    assert_eq!(signer.read(&token), Some(("JWT".into(), claims)));
    assert_eq!(signer.read(&forged), None);
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
    let claims = check(&old, &signer.key_set().await.unwrap()).unwrap();
    assert_eq!(claims["exp"], LONGEST.as_secs(), "no longer than keys linger");
    clock.0.store(i64::try_from(SIGNS.as_millis()).unwrap(), Ordering::Relaxed);
    let new = signer.sign(json!({}), LONGEST).await.unwrap();
    assert!(
        check(&old, &signer.key_set().await.unwrap()).is_some()
            && check(&new, &signer.key_set().await.unwrap()).is_some()
    );
    clock.0.fetch_add(i64::try_from(SIGNS.as_millis()).unwrap(), Ordering::Relaxed);
    let newest = open(&file, &clock).sign(json!({}), LONGEST).await.unwrap();
    let keys = open(&file, &clock).key_set().await.unwrap();
    assert!(check(&newest, &keys).is_some() && check(&new, &keys).is_some());
    assert_eq!(check(&old, &keys), None);
}

#[tokio::test]
async fn both_algorithms_are_one_set_and_new_keys_are_told_before_they_sign() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hand(AtomicI64::new(0)));
    let signer = open(&dir.path().join("keys"), &clock);
    let sign = async |algorithm| {
        signer.sign_as(algorithm, "JWT", json!({}), Duration::from_secs(9)).await.unwrap()
    };
    let kids = async || -> Vec<(String, String)> {
        let set = signer.key_set().await.unwrap();
        let word = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
        set["keys"].as_array().unwrap().iter().map(|k| (word(k, "alg"), word(k, "kid"))).collect()
    };
    let header = |token: &str| -> Value {
        let head = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        serde_json::from_slice(&head).unwrap()
    };
    let first = kids().await;
    assert_eq!(first.iter().map(|k| k.0.as_str()).collect::<Vec<_>>(), ["RS256", "ES256"]);
    for (algorithm, known) in Algorithm::ALL.into_iter().zip(&first) {
        let token = sign(algorithm).await;
        assert_eq!(header(&token)["kid"], known.1.as_str());
        assert!(check(&token, &signer.key_set().await.unwrap()).is_some());
    }
    clock.0.store(i64::try_from((SIGNS - LINGERS).as_millis()).unwrap(), Ordering::Relaxed);
    let told = kids().await;
    assert_eq!(told.len(), 4, "the next ones are published");
    assert_eq!(header(&sign(Algorithm::Es256).await)["kid"], first[1].1.as_str());
    clock.0.store(i64::try_from(SIGNS.as_millis()).unwrap(), Ordering::Relaxed);
    let next = header(&sign(Algorithm::Es256).await)["kid"].clone();
    assert!(told[2..].iter().any(|k| k.1 == next) && kids().await.len() == 4);
    signer.rotate(false).await.unwrap();
    let old = sign(Algorithm::Rs256).await;
    assert!(!told.iter().any(|k| k.1 == header(&old)["kid"]), "a new key signs at once");
    signer.rotate(true).await.unwrap();
    assert_eq!((kids().await.len(), signer.read(&old)), (2, None), "what it signed is nothing now");
}

#[tokio::test]
async fn what_is_not_signed_here_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hand(AtomicI64::new(0)));
    let signer = open(&dir.path().join("keys"), &clock);
    let set = signer.key_set().await.unwrap();
    let (rsa, ec) = (&set["keys"][0], &set["keys"][1]);
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = part(json!({ "sub": "admin" }));
    let none = format!("{}.{claims}.", part(json!({ "alg": "none", "kid": ec["kid"] })));
    assert_eq!(signer.read(&none), None);
    // The public key taken for a secret that both know.
    let words = format!("{}.{claims}", part(json!({ "alg": "HS256", "kid": rsa["kid"] })));
    let secret = hmac::Key::new(hmac::HMAC_SHA256, rsa["n"].as_str().unwrap().as_bytes());
    let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&secret, words.as_bytes()));
    assert_eq!(signer.read(&format!("{words}.{tag}")), None);
    let real = signer.sign(json!({ "sub": "eve" }), LONGEST).await.unwrap();
    let (head, rest) = real.split_once('.').unwrap();
    let signature = rest.split_once('.').unwrap().1;
    assert_eq!(signer.read(&format!("{head}.{claims}.{signature}")), None);
    for words in ["", ".", "..", "a.b.c", &"x".repeat(LONGEST_TOKEN + 1)] {
        assert_eq!(signer.read(words), None);
    }
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
