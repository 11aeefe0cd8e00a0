//! Codes of an authenticator app: TOTP (RFC 6238) over HOTP (RFC 4226), with the parameters that every app knows:
//! SHA-1, six digits, thirty seconds.

use kernel::{Error, Result, Time};
use ring::hmac;

const DIGITS: u32 = 6;
/// Seconds.
const STEP: i64 = 30;
/// Steps that a clock may be off to either side (RFC 6238 §5.2).
const SLACK: i64 = 1;
/// As long as the hash's output, as RFC 4226 §4 recommends.
const SECRET: usize = 20;

/// A new secret.
///
/// # Errors
/// Internal, when the system has no randomness.
pub(super) fn draw() -> Result<Vec<u8>> {
    let mut secret = vec![0_u8; SECRET];
    getrandom::fill(&mut secret).map_err(Error::internal)?;
    Ok(secret)
}

/// The step whose code this is, if it is one of those around `now` and later than `used`, the step of the last code
/// that was taken: each code works once.
pub(super) fn step(secret: &[u8], code: &str, now: Time, used: Option<i64>) -> Option<i64> {
    let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if digits.len() != DIGITS as usize || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let middle = now.millis().div_euclid(1000 * STEP);
    let mut found = None;
    // All are compared, so that time does not tell which.
    for step in middle - SLACK..=middle + SLACK {
        if same(hotp(secret, step).as_bytes(), digits.as_bytes()) {
            found = Some(step);
        }
    }
    found.filter(|step| used.is_none_or(|used| *step > used))
}

/// RFC 4226 §5.3.
fn hotp(secret: &[u8], counter: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &counter.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag.last().copied().unwrap_or(0) & 0xf);
    let four = tag.get(offset..offset + 4).unwrap_or_default();
    let number = four.iter().fold(0_u32, |n, byte| n << 8 | u32::from(*byte)) & 0x7fff_ffff;
    format!("{:06}", number % 10_u32.pow(DIGITS))
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

/// What an app reads from the picture: the key URI format that Google Authenticator brought and all others read.
/// `issuer` and `account` are percent-encoded.
pub(super) fn uri(secret: &[u8], issuer: &str, account: &str) -> String {
    let (issuer, account, secret) = (escape(issuer), escape(account), base32(secret));
    format!(
        "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP}"
    )
}

fn escape(words: &str) -> String {
    words
        .bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}

/// RFC 4648 §6, without padding: what people type into an app by hand.
pub(super) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for five in bytes.chunks(5) {
        let bits = five.iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        let bits = bits << (8 * (5 - five.len()));
        for i in 0..(five.len() * 8).div_ceil(5) {
            let index = (bits >> (35 - 5 * i)) & 31;
            out.push(char::from(ALPHABET.get(index as usize).copied().unwrap_or(b'A')));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> Time {
        Time(seconds * 1000)
    }

    /// RFC 6238 appendix B, the last six of the eight digits.
    #[test]
    fn the_rfcs_own_values() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(hotp(SEED, seconds / 30), code);
            assert_eq!(step(SEED, code, at(seconds), None), Some(seconds / 30), "{seconds}");
        }
    }

    /// RFC 4226 appendix D.
    #[test]
    fn the_rfcs_counters() {
        let want = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (counter, code) in want.into_iter().enumerate() {
            assert_eq!(hotp(SEED, counter as i64), code);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_takes_no_code_twice_and_none_before_it() {
        let middle = 1_111_111_111 / 30;
        let code = |step: i64| hotp(SEED, middle + step);
        let used = step(SEED, &code(0), at(1_111_111_111), None);
        assert_eq!(used, Some(middle));
        for (off, back) in [(0, 0), (0, 30), (-1, 30), (-2, 60)] {
            assert_eq!(
                step(SEED, &code(off), at(1_111_111_111 - back), used),
                None,
                "{off} {back}"
            );
        }
        assert_eq!(step(SEED, &code(1), at(1_111_111_111), used), Some(middle + 1), "the next one");
    }

    #[test]
    fn a_step_to_either_side_and_no_further() {
        let (now, code) = (at(1_111_111_111), |step: i64| hotp(SEED, 1_111_111_111 / 30 + step));
        for (off, taken) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            assert_eq!(step(SEED, &code(off), now, None).is_some(), taken, "{off}");
        }
    }

    #[test]
    fn a_code_works_once_and_so_does_every_earlier_one() {
        let now = at(1_111_111_111);
        let middle = 1_111_111_111 / 30;
        let used = step(SEED, &hotp(SEED, middle), now, None);
        assert_eq!(step(SEED, &hotp(SEED, middle), now, used), None, "replayed");
        assert_eq!(step(SEED, &hotp(SEED, middle - 1), now, used), None, "earlier");
        assert_eq!(step(SEED, &hotp(SEED, middle + 1), now, used), Some(middle + 1));
        let day = at(1_111_111_111 - 86_400);
        let back = step(SEED, &hotp(SEED, middle - 2880), day, used);
        assert_eq!(back, None, "a clock that was set back opens no old code");
    }

    #[test]
    fn what_is_not_six_digits_is_no_code() {
        for code in ["", "12345", "1234567", "12345a", "１２３４５６", "-12345"] {
            assert_eq!(step(SEED, code, at(59), None), None, "{code}");
        }
        assert_eq!(step(SEED, " 287 082", at(59), None), Some(1), "as apps show it");
    }

    /// RFC 4648 §10.
    #[test]
    fn base32_as_the_rfc_has_it() {
        for (words, want) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(words.as_bytes()), want);
        }
    }

    #[test]
    fn the_uri_names_issuer_and_account() {
        assert_eq!(
            uri(b"foobar", "naru shop.example", "han"),
            "otpauth://totp/naru%20shop.example:han?secret=MZXW6YTBOI&issuer=naru%20shop.example&algorithm=SHA1&digits=6&period=30"
        );
    }
}
