//! A device without a keyboard (RFC 8628): what it hears when it asks, and the code that a person types.

use kernel::Time;
use std::time::Duration;

/// Letters of codes: no vowels, so that no words come of them, and none that looks like a digit (RFC 8628 §6.1).
pub const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Letters of one code: 34 bits, of which one is guessed far less often than codes run out.
pub const LENGTH: usize = 8;
/// How long a code works.
pub const LASTS: Duration = Duration::from_secs(600);
/// Between two questions of a device.
pub const INTERVAL: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    Pending,
    /// It asks too often: from now on five seconds less often.
    SlowDown,
    Expired,
    Denied,
    Granted,
}

/// What a person has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Nothing,
    No,
    Yes,
}

/// A device asks at `now`; it asked last at `last`, and was told to wait for `interval`.
pub fn poll(said: Said, last: Option<Time>, interval: Duration, until: Time, now: Time) -> Poll {
    if now >= until {
        return Poll::Expired;
    }
    let early = last.is_some_and(|last| now < last.plus(interval));
    match said {
        // An answer that is there is not held back.
        Said::No => Poll::Denied,
        Said::Yes => Poll::Granted,
        Said::Nothing if early => Poll::SlowDown,
        Said::Nothing => Poll::Pending,
    }
}

/// A code of random bytes; `None` when too few of them fit.
pub fn code(random: &[u8]) -> Option<String> {
    let even = random.iter().filter(|byte| **byte < 240);
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 20)).copied().map(char::from);
    let code: String = even.filter_map(letter).take(LENGTH).collect();
    (code.len() == LENGTH).then_some(code)
}

/// As it is shown: `BCDF-GHJK`.
pub fn shown(code: &str) -> String {
    match code.split_at_checked(LENGTH / 2) {
        Some((first, second)) => format!("{first}-{second}"),
        None => code.to_owned(),
    }
}

/// What a person typed: in any case, with or without the hyphen.
pub fn typed(words: &str) -> Option<String> {
    let letters = words.chars().filter(|c| !c.is_whitespace() && *c != '-').take(LENGTH + 1);
    let code: String = letters.map(|c| c.to_ascii_uppercase()).collect();
    (code.len() == LENGTH && code.bytes().all(|b| LETTERS.contains(&b))).then_some(code)
}
