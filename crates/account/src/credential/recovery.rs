//! Recovery codes: ten on paper, each of which takes the place of a second factor once.

use crate::secret;
use kernel::{Error, Result};

pub(super) const CODES: usize = 10;
/// Without the letters that look like others (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Eighty random bits: too many to be guessed from a hash.
const LETTERS: usize = 16;

/// Ten codes for paper, and their hashes for the store.
///
/// # Errors
/// Internal, when the system has no randomness.
pub(super) fn draw() -> Result<(Vec<String>, Vec<String>)> {
    let mut codes = Vec::with_capacity(CODES);
    for _ in 0..CODES {
        let mut bytes = [0_u8; LETTERS];
        getrandom::fill(&mut bytes).map_err(Error::internal)?;
        let letter =
            |b: &u8| char::from(ALPHABET.get(usize::from(b & 31)).copied().unwrap_or(b'0'));
        let letters: Vec<char> = bytes.iter().map(letter).collect();
        let groups: Vec<String> = letters.chunks(4).map(|g| g.iter().collect()).collect();
        codes.push(groups.join("-"));
    }
    let hashes = codes.iter().map(|c| hash(c)).collect();
    Ok((codes, hashes))
}

/// The hash of a code as somebody typed it: without hyphens and spaces, with look-alikes for what they look like.
pub(super) fn hash(typed: &str) -> String {
    let plain: String = typed
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| match c.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            c => c,
        })
        .collect();
    secret::hash(&plain)
}

/// Takes a code out of those that are left.
pub(super) fn take(left: &mut Vec<String>, typed: &str) -> bool {
    let wanted = hash(typed);
    let before = left.len();
    left.retain(|h| *h != wanted);
    left.len() < before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_works_once_however_it_is_typed() {
        let (codes, mut left) = draw().unwrap();
        assert_eq!((codes.len(), left.len()), (10, 10));
        let typed = codes[3].to_uppercase().replace('-', " ").replace('0', "O").replace('1', "l");
        assert!(take(&mut left, &typed), "{typed}");
        assert!(!take(&mut left, &codes[3]), "used");
        assert_eq!(left.len(), 9);
        assert!(!take(&mut left, "") && !take(&mut left, "0000-0000-0000-0000"));
    }
}
