//! Identifiers that sort by the time they were made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 26 characters of lower-case Crockford base 32: 48 bits of milliseconds, then 80 random bits (the layout
/// of a ULID). Text order is time order.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

impl Id {
    /// `random` is cut to its low 80 bits. Neither argument is checked for uniqueness: the source of
    /// randomness answers for that.
    pub fn new(millis: i64, random: u128) -> Id {
        let stamp = u128::from(millis.max(0) as u64 & 0xffff_ffff_ffff) << 80;
        let bits = stamp | (random & ((1 << 80) - 1));
        let letter = |i: u32| {
            let five = (bits >> (125 - 5 * i)) & 31;
            char::from(ALPHABET.get(five as usize).copied().unwrap_or(b'0'))
        };
        Id((0..26).map(letter).collect())
    }

    pub fn parse(words: &str) -> Option<Id> {
        let sound = words.len() == 26 && words.bytes().all(|b| ALPHABET.contains(&b));
        sound.then(|| Id(words.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last eight characters: enough to tell runs apart on a page.
    pub fn short(&self) -> &str {
        self.0.get(18..).unwrap_or(&self.0)
    }
}

impl TryFrom<String> for Id {
    type Error = &'static str;
    fn try_from(words: String) -> Result<Id, &'static str> {
        Id::parse(&words).ok_or("not an id of 26 characters")
    }
}

impl From<Id> for String {
    fn from(id: Id) -> String {
        id.0
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_order_is_time_order(a in 0i64..1 << 47, b in 0i64..1 << 47, r: u128, s: u128) {
            let (x, y) = (Id::new(a, r), Id::new(b, s));
            prop_assert_eq!(Id::parse(x.as_str()), Some(x.clone()));
            if a != b { prop_assert_eq!(a < b, x < y); }
        }
    }
}
