//! What people compare to know a root again.

use kernel::{Error, Result, Text};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// SHA-256 of a certificate in DER. Written as browsers and OpenSSL do: pairs of upper-case hexadecimal digits with
/// colons between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(der: &[u8]) -> Fingerprint {
        Fingerprint(Sha256::digest(der).into())
    }

    /// The first eight bytes in lower case, for addresses and names: enough to tell a few roots apart.
    pub fn short(&self) -> String {
        self.0.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = Error;

    /// With or without colons, in either case, with or without `sha256:` before it.
    fn from_str(words: &str) -> Result<Fingerprint> {
        let plain = words.trim().to_ascii_lowercase();
        let plain = plain.trim_start_matches("sha256:").trim_start_matches("sha256");
        let digits: String = plain.chars().filter(|c| !":= ".contains(*c)).collect();
        let mut raw = [0; 32];
        let mut bytes = digits.as_bytes().chunks(2).map(|pair| {
            std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
        });
        let whole = digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        for place in &mut raw {
            *place = bytes.next().flatten().filter(|_| whole).ok_or_else(invalid)?;
        }
        Ok(Fingerprint(raw))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = Error;
    fn try_from(words: String) -> Result<Fingerprint> {
        words.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.to_string()
    }
}

fn invalid() -> Error {
    Error::invalid(
        "ca.fingerprint-invalid",
        Text::fixed(
            "a fingerprint is 64 hexadecimal digits, with or without colons",
            "지문은 16진수 64자리입니다. 콜론은 있어도 없어도 됩니다",
        ),
    )
    .hint(Text::fixed(
        "`naru ca fingerprint` on the server prints it",
        "서버에서 `naru ca fingerprint`가 출력합니다",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_other_tools_are_read() {
        let own = Fingerprint::of(b"a certificate");
        let shown = own.to_string();
        assert_eq!(shown.len(), 95);
        let plain = shown.replace(':', "").to_lowercase();
        for words in [
            shown.clone(),
            plain.clone(),
            format!("SHA256:{shown}"),
            format!("sha256={plain}"),
            format!("  {shown}\n"),
        ] {
            assert_eq!(words.parse::<Fingerprint>().unwrap(), own, "{words}");
        }
        for words in ["", "AB", &plain[1..], &format!("{plain}0"), &plain.replace('a', "g")] {
            let fine = words == plain;
            assert_eq!(words.parse::<Fingerprint>().is_ok(), fine, "{words}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_words_are_read_without_harm(words: String) {
            if let Ok(read) = words.parse::<Fingerprint>() {
                assert_eq!(read.to_string().parse::<Fingerprint>().unwrap(), read);
            }
        }
    }
}
