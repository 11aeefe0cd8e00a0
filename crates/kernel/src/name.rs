//! Names that are safe in a URL, a host name, a file name and a shell.

use crate::{Error, Text, text};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A DNS label (RFC 1123 §2.1): lower-case letters, digits and inner hyphens, 1 to 63 of them. Because of
/// that it can never be `.`, `..`, an absolute path or an option.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    pub fn parse(words: &str) -> Result<Name, Error> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let sound = (1..=63).contains(&words.len())
            && words.bytes().all(inner)
            && !words.starts_with('-')
            && !words.ends_with('-');
        if sound {
            return Ok(Name(words.to_owned()));
        }
        let shown = crate::shown(words);
        Err(Error::invalid(
            "name.invalid",
            text!("“{shown}” is not a name", "“{shown}”은(는) 이름이 될 수 없습니다"),
        )
        .hint(Text::fixed(
            "use 1 to 63 lower-case letters, digits and inner hyphens",
            "소문자, 숫자, 가운데 붙임표로 1~63자를 쓰세요",
        )))
    }

    /// The nearest name to any words: for making one from a branch or a file.
    pub fn slug(words: &str) -> Option<Name> {
        let mut out = String::new();
        for c in words.chars() {
            match c.to_ascii_lowercase() {
                c if c.is_ascii_lowercase() || c.is_ascii_digit() => out.push(c),
                _ if !out.ends_with('-') => out.push('-'),
                _ => {}
            }
            if out.len() >= 63 {
                break;
            }
        }
        Name::parse(out.trim_matches('-')).ok()
    }

    /// A name for what several words together name, of at most `most` bytes: longer ones are cut, and end
    /// in eight digits made of the whole, so that two that begin alike stay apart.
    pub fn joined(words: &[&str], most: usize) -> Option<Name> {
        let whole = words.join("-");
        let plain = Name::parse(&whole).ok().filter(|n| n.0.len() <= most);
        plain.or_else(|| Name::told_apart(&whole, most))
    }

    /// The nearest name to any words, with eight digits made of those words at its end.
    pub fn told_apart(words: &str, most: usize) -> Option<Name> {
        let digits = format!("{:08x}", (fnv(words.as_bytes()) >> 32) as u32);
        let room = most.checked_sub(digits.len() + 1)?;
        let slug = Name::slug(words);
        let start = slug.as_ref().map_or("x", Name::as_str);
        let start = start.get(..room).unwrap_or(start).trim_end_matches('-');
        Name::parse(&format!("{start}-{digits}")).ok()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// FNV-1a, 64 bits: to tell names apart, not to withstand anybody.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

impl TryFrom<String> for Name {
    type Error = Error;
    fn try_from(words: String) -> Result<Name, Error> {
        Name::parse(&words)
    }
}

impl std::str::FromStr for Name {
    type Err = Error;
    fn from_str(words: &str) -> Result<Name, Error> {
        Name::parse(words)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Name {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_a_name() {
        for good in ["a", "web", "shop-2", "0", &"x".repeat(63)] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a/b", "..", "a.b", "a\0", "é", " a", &"x".repeat(64)] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn joined_names_stay_short_and_apart() {
        let joined = |a: &str, b: &str| Name::joined(&[a, b], 40).unwrap();
        assert_eq!(joined("web", "review-fix-1").as_str(), "web-review-fix-1");
        let (one, two) =
            (format!("review-{}-1", "x".repeat(50)), format!("review-{}-2", "x".repeat(50)));
        let (one, two) = (joined("web", &one), joined("web", &two));
        assert!(one.as_str().len() <= 40 && one.as_str().starts_with("web-review-x"), "{one}");
        assert_ne!(one, two);
        assert_ne!(Name::told_apart("검토/가", 63), Name::told_apart("검토/나", 63));
    }

    proptest! {
        #[test]
        fn any_words_make_a_name_that_fits(words: String, most in 10_usize..=63) {
            let name = Name::told_apart(&words, most).unwrap();
            prop_assert!(name.as_str().len() <= most);
        }

        #[test]
        fn a_slug_is_a_name(words: String) {
            if let Some(name) = Name::slug(&words) {
                prop_assert!(Name::parse(name.as_str()).is_ok());
            }
        }
    }
}
