//! New values, drawn at random.

use kernel::{Error, Result, SecretText};
use zeroize::Zeroizing;

/// Of which characters a value is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alphabet {
    /// Letters and digits: safe in URLs, shells and connection strings.
    #[default]
    Plain,
    Hex,
    /// With punctuation, for what asks for that.
    Full,
}

impl Alphabet {
    fn letters(self) -> &'static [u8] {
        match self {
            Alphabet::Plain => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            Alphabet::Hex => b"0123456789abcdef",
            Alphabet::Full => {
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~!*+=@%^"
            }
        }
    }
}

/// A value of `length` characters, each equally likely.
///
/// # Errors
/// Internal, when the system has no randomness.
pub fn generate(length: usize, of: Alphabet) -> Result<SecretText> {
    let letters = of.letters();
    // Bytes from here on would favour the first letters.
    let fair = 256 - 256 % letters.len();
    let mut out = Zeroizing::new(String::with_capacity(length));
    let mut pool = Zeroizing::new([0_u8; 64]);
    while out.len() < length {
        getrandom::fill(pool.as_mut()).map_err(Error::internal)?;
        let drawn = pool.iter().map(|b| usize::from(*b)).filter(|b| *b < fair);
        let drawn = drawn.filter_map(|b| letters.get(b % letters.len()).copied());
        let room = length - out.len();
        drawn.take(room).for_each(|letter| out.push(char::from(letter)));
    }
    Ok(SecretText::new(out.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_long_as_asked_of_what_was_asked_and_never_twice() {
        for (length, of) in [(1, Alphabet::Plain), (32, Alphabet::Full), (400, Alphabet::Hex)] {
            let (one, two) = (generate(length, of).unwrap(), generate(length, of).unwrap());
            assert_eq!(one.len(), length);
            assert!(one.reveal().bytes().all(|b| of.letters().contains(&b)));
            assert!(length < 20 || one != two);
        }
        let long = generate(50_000, Alphabet::Hex).unwrap();
        for letter in Alphabet::Hex.letters() {
            let count = long.reveal().bytes().filter(|b| b == letter).count();
            assert!((2_700..3_600).contains(&count), "{} comes {count} times", char::from(*letter));
        }
    }
}
