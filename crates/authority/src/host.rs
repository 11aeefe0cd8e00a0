//! The names that a certificate may bear.

use kernel::{Error, Result, text};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A DNS name in lower case, perhaps with `*` as its first label, or an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// Whether it is a word for this machine: `localhost`, a name below it, a loopback address.
    pub fn is_local(&self) -> bool {
        match self {
            Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Address(address) => address.to_canonical().is_loopback(),
        }
    }
}

impl FromStr for Host {
    type Err = Error;

    /// # Errors
    /// `ca.name-invalid`.
    fn from_str(words: &str) -> Result<Host> {
        let words = words.trim().trim_end_matches('.').to_ascii_lowercase();
        if let Ok(address) = words.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(Host::Address(address.to_canonical()));
        }
        let (star, rest) = match words.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, words.as_str()),
        };
        let sound = (1..=253).contains(&words.len()) && rest.split('.').all(is_label);
        // `*.com` would be half of the world.
        let narrow = !star || rest.contains('.') || rest == "localhost";
        // Digits and dots that are no address would look like one.
        let named = rest.bytes().any(|b| b.is_ascii_alphabetic());
        if sound && narrow && named { Ok(Host::Name(words)) } else { Err(invalid(&words)) }
    }
}

/// RFC 1123 §2.1, with the underscore that some systems have.
fn is_label(label: &str) -> bool {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(fine)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(address) => write!(f, "{address}"),
        }
    }
}

impl TryFrom<String> for Host {
    type Error = Error;
    fn try_from(words: String) -> Result<Host> {
        words.parse()
    }
}

impl From<Host> for String {
    fn from(host: Host) -> String {
        host.to_string()
    }
}

fn invalid(words: &str) -> Error {
    let shown: String = words.chars().take(80).flat_map(char::escape_default).collect();
    Error::invalid(
        "ca.name-invalid",
        text!(
            "“{shown}” is neither a host's name nor an address",
            "“{shown}”은(는) 호스트 이름도 주소도 아닙니다"
        ),
    )
    .hint(text!(
        "write it as db.internal, *.apps.internal or 10.0.0.7; names in other scripts in their xn-- form",
        "db.internal, *.apps.internal, 10.0.0.7처럼 쓰세요. 한글 같은 이름은 xn-- 꼴로 쓰세요"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        for (words, want) in [
            ("DB.Internal.", Some("db.internal")),
            ("localhost", Some("localhost")),
            ("*.apps.internal", Some("*.apps.internal")),
            ("*.localhost", Some("*.localhost")),
            ("10.0.0.7", Some("10.0.0.7")),
            ("[::1]", Some("::1")),
            ("::ffff:10.0.0.7", Some("10.0.0.7")),
            ("*.com", None),
            ("a.*.b", None),
            ("", None),
            ("-a", None),
            ("a..b", None),
            ("10.0.0", None),
            ("데이터.kr", None),
            ("a b", None),
            ("a\0b", None),
        ] {
            let host = words.parse::<Host>().ok().map(|h| h.to_string());
            assert_eq!(host.as_deref(), want, "{words}");
        }
        let local = |words: &str| words.parse::<Host>().unwrap().is_local();
        assert!(local("web.localhost") && local("127.0.0.9") && local("::1"));
        assert!(!local("localhost.example.com") && !local("10.0.0.7"));
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_is_written_the_same(words: String) {
            if let Ok(host) = words.parse::<Host>() {
                assert_eq!(host.to_string().parse::<Host>().unwrap(), host);
            }
        }
    }
}
