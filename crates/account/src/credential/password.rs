//! Passwords: what is refused as one, and argon2id (RFC 9106) over what is taken.
//!
//! Hashing costs 19 MiB and tens of milliseconds on purpose, so it happens on blocking threads, few at a time, with a
//! short queue: a flood of sign-ins is answered with `sign-in.busy` and takes neither memory nor the other threads.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use kernel::{Error, ErrorKind, Result, Text, text};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// Letters, unless the rules of sign-in say otherwise.
pub const SHORTEST: usize = 12;
/// Bytes. More would only cost hashing time.
const LONGEST: usize = 1024;
/// Hashes at a time.
const AT_ONCE: usize = 2;
/// Hashes at a time and those that wait for them.
const PLACES: usize = 34;

/// KiB, passes, lanes: the first choice of OWASP's password storage sheet for argon2id.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What people choose when nobody stops them, without what they put behind it. Compared after [`stem`].
const WORST: &[&str] = &[
    "",
    "abc",
    "abcd",
    "access",
    "account",
    "admin",
    "administrator",
    "adobe",
    "apple",
    "asdf",
    "asdfasdf",
    "asdfgh",
    "asdfghjkl",
    "azerty",
    "baseball",
    "batman",
    "changeit",
    "changeme",
    "changemenow",
    "charlie",
    "chocolate",
    "company",
    "computer",
    "corporate",
    "correcthorsebatterystaple",
    "daniel",
    "default",
    "demo",
    "dragon",
    "dubsmash",
    "flower",
    "football",
    "freedom",
    "gkrrydbgud",
    "google",
    "guest",
    "hello",
    "helloworld",
    "iloveyou",
    "iloveyouforever",
    "jennifer",
    "jordan",
    "korea",
    "letmein",
    "letmeinnow",
    "linkedin",
    "login",
    "loveme",
    "lovely",
    "master",
    "matrix",
    "michael",
    "microsoft",
    "monkey",
    "mustang",
    "mynoob",
    "mypassword",
    "naru",
    "naruadmin",
    "narunaru",
    "newpassword",
    "nothing",
    "oracle",
    "pass",
    "passphrase",
    "passw0rd",
    "password",
    "passwordpassword",
    "passwort",
    "pokemon",
    "princess",
    "qazwsx",
    "qazwsxedc",
    "qwer",
    "qwerasdf",
    "qwerasdfzxcv",
    "qwert",
    "qwerty",
    "qwertyqwerty",
    "qwertyuiop",
    "qwertyuiopasdfghjkl",
    "root",
    "sample",
    "samsung",
    "secret",
    "secretpassword",
    "server",
    "seoul",
    "shadow",
    "spring",
    "starwars",
    "summer",
    "sunshine",
    "superman",
    "support",
    "system",
    "temp",
    "test",
    "testing",
    "testpassword",
    "testtest",
    "thisismypassword",
    "toor",
    "trustno",
    "trustnoone",
    "ubuntu",
    "user",
    "username",
    "welcome",
    "welcometothejungle",
    "whatever",
    "winter",
    "autumn",
    "zaqwsx",
    "zxcv",
    "zxcvbn",
    "zxcvbnm",
    "비밀번호",
    "패스워드",
    "암호",
    "사랑해",
    "관리자",
    "alphabet",
    "dkssud",
    "dkssudgktpdy",
    "qlalfqjsgh",
    "rhksflwk",
    "tkfkdgo",
];

/// Whether a password may be used by `name`, a user name.
///
/// # Errors
/// `password.short`, `password.long`, `password.known`.
pub fn check(password: &str, name: &str, shortest: usize) -> Result<()> {
    if password.chars().count() < shortest {
        return Err(Error::invalid(
            "password.short",
            text!(
                "a password has {shortest} letters at least",
                "비밀번호는 {shortest}자 이상이어야 합니다"
            ),
        )
        .hint(Text::fixed(
            "four words that have nothing to do with each other are easy to keep",
            "서로 상관없는 낱말 네 개를 이으면 기억하기 쉽습니다",
        )));
    }
    if password.len() > LONGEST {
        return Err(Error::invalid(
            "password.long",
            text!("a password has {LONGEST} bytes at most", "비밀번호는 {LONGEST}바이트까지입니다"),
        ));
    }
    let stem = stem(password);
    if WORST.contains(&stem.as_str()) || stem == name || repeats(password) || runs(password) {
        return Err(Error::invalid(
            "password.known",
            Text::fixed(
                "this password is among the first that anybody would try",
                "누구나 먼저 넣어 볼 비밀번호입니다",
            ),
        )
        .hint(Text::fixed(
            "digits and signs at the end do not help; choose other words",
            "끝에 숫자나 기호를 붙여도 소용없습니다. 다른 말을 고르세요",
        )));
    }
    Ok(())
}

/// The password without what people put around it to please a rule: `P@ssword2026!` is `password`.
fn stem(password: &str) -> String {
    let lower = password.to_lowercase();
    let bare = lower.trim_matches(|c: char| !c.is_alphabetic());
    bare.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_' | '.'))
        .map(|c| match c {
            '@' | '4' => 'a',
            '0' => 'o',
            '1' | '!' => 'i',
            '3' => 'e',
            '$' | '5' => 's',
            c => c,
        })
        .collect()
}

/// A piece of up to four letters, again and again.
fn repeats(password: &str) -> bool {
    let letters: Vec<char> = password.chars().collect();
    (1..=4).any(|n| {
        letters.len() > n && letters.iter().zip(letters.iter().skip(n)).all(|(a, b)| a == b)
    })
}

/// Letters in the order of the alphabet or of the digits: `1234567890`, `abcdefghijkl`, either way round.
fn runs(password: &str) -> bool {
    let codes: Vec<i64> = password.chars().map(|c| i64::from(u32::from(c))).collect();
    let steps = || codes.iter().zip(codes.iter().skip(1)).map(|(a, b)| b - a);
    let broken = |by: i64| steps().filter(|step| *step != by).count();
    // `123456789012` has one break.
    codes.len() > 1 && (broken(1) <= 1 || broken(-1) <= 1)
}

/// What a comparison said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Compared {
    pub right: bool,
    /// Right, but hashed with other parameters than today's: hash it anew.
    pub stale: bool,
}

/// Hashes and compares, a few at a time.
pub(super) struct Hasher {
    places: Arc<Semaphore>,
    hands: Arc<Semaphore>,
    /// What the password of an unknown user is compared with.
    dummy: OnceLock<String>,
    done: AtomicU64,
}

impl Default for Hasher {
    fn default() -> Hasher {
        Hasher {
            places: Arc::new(Semaphore::new(PLACES)),
            hands: Arc::new(Semaphore::new(AT_ONCE)),
            dummy: OnceLock::new(),
            done: AtomicU64::new(0),
        }
    }
}

impl Hasher {
    /// The password as a PHC string.
    ///
    /// # Errors
    /// `sign-in.busy`.
    pub async fn hash(&self, password: String) -> Result<String> {
        self.work(move || hash(&password)).await?
    }

    /// Compares with a PHC string. Without one it compares with one that fits nothing, which costs the same.
    ///
    /// # Errors
    /// `sign-in.busy`.
    pub async fn compare(&self, password: String, phc: Option<String>) -> Result<Compared> {
        // Longer than any password that was ever taken: it need not be read.
        let password = if password.len() > LONGEST { String::new() } else { password };
        let known = phc.is_some();
        let phc = match phc {
            Some(phc) => phc,
            None => self.dummy().await?,
        };
        let compared = self.work(move || compare(&password, &phc)).await?;
        Ok(Compared { right: compared.right && known, ..compared })
    }

    /// Comparisons and hashes so far: what the tests of unknown users look at.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    async fn dummy(&self) -> Result<String> {
        if let Some(dummy) = self.dummy.get() {
            return Ok(dummy.clone());
        }
        let nobodys = crate::secret::draw()?;
        let made = self.work(move || hash(&nobodys)).await??;
        Ok(self.dummy.get_or_init(|| made).clone())
    }

    /// Makes the hash for unknown users before anybody asks, so that the first to ask learns nothing.
    pub async fn warm(&self) -> Result<()> {
        self.dummy().await.map(drop)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| busy())?;
        let hand = self.hands.clone().acquire_owned().await.map_err(Error::internal)?;
        self.done.fetch_add(1, Ordering::Relaxed);
        // The places go with the work: whoever hangs up does not make room for more than is being done.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((hand, place));
            done
        });
        done.await.map_err(Error::internal)
    }
}

fn busy() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "sign-in.busy",
        Text::fixed(
            "too many people are signing in right now",
            "지금 로그인하려는 사람이 너무 많습니다",
        ),
    )
    .hint(Text::fixed("try again in a few seconds", "몇 초 뒤에 다시 시도하세요"))
}

fn hasher() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY, PASSES, LANES, None).map_err(Error::internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str) -> Result<String> {
    let hash = hasher()?.hash_password(password.as_bytes()).map_err(Error::internal)?;
    Ok(hash.to_string())
}

fn compare(password: &str, phc: &str) -> Compared {
    let wrong = Compared { right: false, stale: false };
    let (Ok(hash), Ok(hasher)) = (PasswordHash::new(phc), hasher()) else { return wrong };
    match hasher.verify_password(password.as_bytes(), &hash) {
        Ok(()) => Compared { right: true, stale: !current(&hash) },
        Err(_) => wrong,
    }
}

fn current(hash: &PasswordHash) -> bool {
    let same = |p: Params| (p.m_cost(), p.t_cost(), p.p_cost()) == (MEMORY, PASSES, LANES);
    hash.algorithm.as_str() == "argon2id" && Params::try_from(hash).is_ok_and(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_anybody_would_try_is_refused() {
        for (password, code) in [
            ("short", "password.short"),
            ("P@ssw0rd2026!", "password.known"),
            ("passwordpassword", "password.known"),
            ("correct horse battery staple", "password.known"),
            ("aaaaaaaaaaaaaaaa", "password.known"),
            ("abcabcabcabcabc", "password.known"),
            ("123456789012", "password.known"),
            ("9876543210987", "password.known"),
            ("qwertyuiop123", "password.known"),
            ("비밀번호123456789", "password.known"),
            ("hanbyeol-kim-77!", "password.known"),
            ("!!!!@@@@####$$$$", "password.known"),
        ] {
            let refused = check(password, "hanbyeolkim", SHORTEST).unwrap_err();
            assert_eq!(refused.code(), code, "{password}");
        }
        assert_eq!(check(&"가나다".repeat(400), "han", 12).unwrap_err().code(), "password.long");
        for good in [
            "otter lantern gravel mint",
            "나룻배 돌담 보리 우산",
            "xK9#mQ2$vL5t",
            "password of a ferryman",
        ] {
            assert!(check(good, "han", SHORTEST).is_ok(), "{good}");
        }
    }

    #[tokio::test]
    async fn a_right_one_is_right_and_old_parameters_are_noticed() {
        let hasher = Hasher::default();
        let phc = hasher.hash("otter lantern gravel".into()).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        let compared = |p: &str, phc: &str| hasher.compare(p.into(), Some(phc.to_owned()));
        let right = Compared { right: true, stale: false };
        assert_eq!(compared("otter lantern gravel", &phc).await.unwrap(), right);
        assert!(!compared("otter lantern grave", &phc).await.unwrap().right);
        assert!(!compared("x", "not a hash").await.unwrap().right);
        let weak =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let old = weak.hash_password(b"otter lantern gravel").unwrap().to_string();
        assert_eq!(
            compared("otter lantern gravel", &old).await.unwrap(),
            Compared { right: true, stale: true }
        );
    }

    #[tokio::test]
    async fn nobody_costs_as_much_as_somebody() {
        let hasher = Hasher::default();
        hasher.warm().await.unwrap();
        let phc = hasher.hash("otter lantern gravel".into()).await.unwrap();
        let before = hasher.done();
        hasher.compare("wrong".into(), Some(phc)).await.unwrap();
        let somebody = hasher.done() - before;
        assert!(!hasher.compare("wrong".into(), None).await.unwrap().right);
        assert_eq!(hasher.done() - before - somebody, somebody);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_flood_is_answered_and_not_queued_for_ever() {
        let hasher = Arc::new(Hasher::default());
        let (gate, opened) = std::sync::mpsc::channel::<()>();
        let opened = Arc::new(std::sync::Mutex::new(opened));
        let mut going = Vec::new();
        for _ in 0..PLACES {
            let (hasher, opened) = (hasher.clone(), opened.clone());
            going.push(tokio::spawn(async move {
                let held = move || opened.lock().is_ok_and(|o| o.recv().is_err());
                hasher.work(held).await.map(drop)
            }));
        }
        while hasher.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = hasher.work(|| ()).await.unwrap_err();
        assert_eq!((refused.code(), refused.kind().status()), ("sign-in.busy", 503));
        drop(gate);
        for one in going {
            one.await.unwrap().unwrap();
        }
        assert!(hasher.work(|| ()).await.is_ok(), "room again");
    }
}
