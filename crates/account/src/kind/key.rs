//! Public keys of people: SSH (RFC 4253 §6.6, the one-line form of sshd(8)) and OpenPGP (RFC 9580).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use kernel::{Error, Result, Text, text};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A public key of SSH.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshKey {
    /// `ssh-ed25519 AAAA… comment`, as in a `.pub` file.
    pub key: String,
    /// What it is called here; without it, the key's own comment.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
}

/// A public key of OpenPGP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PgpKey {
    /// With its armour: `-----BEGIN PGP PUBLIC KEY BLOCK-----` and all that follows.
    pub key: String,
}

/// The longest key as text, in bytes: an RSA key of 16,384 bits has 2,800, a PGP key with a photograph more.
const SSH: usize = 8 * 1024;
const PGP: usize = 64 * 1024;
/// RSA keys with a shorter modulus, in bits, can be had by others (NIST SP 800-57).
const RSA: usize = 2048;

/// The algorithms of OpenSSH 9 that are not given up.
const ALGORITHMS: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

impl SshKey {
    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    ///
    /// # Errors
    /// `key.invalid`, saying what is wrong with it.
    pub fn fingerprint(&self) -> Result<String> {
        let blob = blob(&self.key)?;
        Ok(format!("SHA256:{}", STANDARD_NO_PAD.encode(digest(&SHA256, &blob))))
    }

    /// `ssh-ed25519`
    pub fn algorithm(&self) -> &str {
        self.key.split_ascii_whitespace().next().unwrap_or_default()
    }
}

impl PgpKey {
    /// Of the primary key, upper-case hex: 40 digits for version 4 (RFC 9580 §5.5.4.2), 64 for version 6
    /// (§5.5.4.3).
    ///
    /// # Errors
    /// `key.invalid`, saying what is wrong with it.
    pub fn fingerprint(&self) -> Result<String> {
        let bytes = dearmour(&self.key)?;
        let packet = primary(&bytes).ok_or_else(|| {
            invalid(("it does not begin with a public key", "공개 키로 시작하지 않습니다"))
        })?;
        let digest = match packet.first() {
            Some(4) => {
                let size = u16::try_from(packet.len()).unwrap_or(u16::MAX).to_be_bytes();
                digest(&SHA1_FOR_LEGACY_USE_ONLY, &[&[0x99], size.as_slice(), packet].concat())
            }
            Some(6) => {
                let size = u32::try_from(packet.len()).unwrap_or(u32::MAX).to_be_bytes();
                digest(&SHA256, &[&[0x9b], size.as_slice(), packet].concat())
            }
            _ => {
                return Err(invalid((
                    "only versions 4 and 6 are known",
                    "버전 4와 6만 지원합니다",
                )));
            }
        };
        Ok(digest.as_ref().iter().map(|b| format!("{b:02X}")).collect())
    }
}

/// Every key can be read, and none is there twice.
pub(super) fn check(ssh: &[SshKey], pgp: &[PgpKey]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for key in ssh {
        super::field::line("ssh_keys", &key.title)?;
    }
    let prints = ssh.iter().map(SshKey::fingerprint).chain(pgp.iter().map(PgpKey::fingerprint));
    for print in prints {
        let print = print?;
        if !seen.insert(print.clone()) {
            return Err(Error::invalid(
                "key.twice",
                text!("the key {print} is listed twice", "{print} 키가 두 번 나옵니다"),
            ));
        }
    }
    Ok(())
}

/// The key's own bytes, from a line of one.
fn blob(line: &str) -> Result<Vec<u8>> {
    if line.contains("PRIVATE KEY") {
        return Err(invalid((
            "this is a private key: keep it to yourself, and give the `.pub` file",
            "개인 키입니다. 공개하지 말고 `.pub` 파일을 쓰세요",
        )));
    }
    if line.len() > SSH || line.trim().contains(['\n', '\r', '\0']) {
        return Err(invalid(("it is one line", "한 줄이어야 합니다")));
    }
    let mut words = line.split_ascii_whitespace();
    let (named, text) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !ALGORITHMS.contains(&named) {
        return Err(invalid((
            "it begins with an algorithm that is in use: ssh-ed25519, ssh-rsa, ecdsa-sha2-nistp256",
            "ssh-ed25519, ssh-rsa, ecdsa-sha2-nistp256처럼 쓰이는 알고리즘으로 시작해야 합니다",
        )));
    }
    let broken = || invalid(("its second word is damaged", "두 번째 낱말이 손상되었습니다"));
    let blob = STANDARD.decode(text).map_err(|_| broken())?;
    let fields = fields(&blob).ok_or_else(broken)?;
    if fields.first().copied() != Some(named.as_bytes()) || fields.len() < 2 {
        return Err(broken());
    }
    let modulus = fields.get(2).map_or(0, |n| bits(n));
    if named == "ssh-rsa" && modulus < RSA {
        return Err(invalid((
            "an RSA key has 2048 bits or more",
            "RSA 키는 2048비트 이상이어야 합니다",
        )));
    }
    Ok(blob)
}

/// The strings of a key (RFC 4251 §5), each after its length of four bytes.
fn fields(mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (size, after) = rest.split_first_chunk::<4>()?;
        let (field, after) =
            after.split_at_checked(usize::try_from(u32::from_be_bytes(*size)).ok()?)?;
        out.push(field);
        rest = after;
    }
    Some(out)
}

/// Of a positive number, big-endian.
fn bits(number: &[u8]) -> usize {
    let digits = number.iter().skip_while(|b| **b == 0);
    let first = digits.clone().next().map_or(0, |b| 8 - b.leading_zeros() as usize);
    digits.count().saturating_sub(1) * 8 + first
}

/// What is in the armour (RFC 9580 §6.2); its checksum is read over, as that says.
fn dearmour(text: &str) -> Result<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
    const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
    if text.contains("PRIVATE KEY BLOCK") {
        return Err(invalid((
            "this is a private key: keep it to yourself, and give what `gpg --export --armor` prints",
            "개인 키입니다. 공개하지 말고 `gpg --export --armor`의 출력을 쓰세요",
        )));
    }
    let inside = text
        .len()
        .le(&PGP)
        .then(|| text.split_once(BEGIN)?.1.split_once(END).map(|(inside, _)| inside))
        .flatten();
    let inside = inside.ok_or_else(|| {
        invalid((
            "it begins with `-----BEGIN PGP PUBLIC KEY BLOCK-----` and ends likewise",
            "`-----BEGIN PGP PUBLIC KEY BLOCK-----`로 시작하고 같은 꼴로 끝나야 합니다",
        ))
    })?;
    // Headers, if any, end at an empty line.
    let lines: Vec<&str> = inside.lines().map(str::trim).skip(1).collect();
    let start = lines.iter().position(|l| l.is_empty()).map_or(0, |at| at + 1);
    let body: String = lines.into_iter().skip(start).filter(|l| !l.starts_with('=')).collect();
    STANDARD.decode(body).map_err(|_| invalid(("its text is damaged", "내용이 손상되었습니다")))
}

/// The body of the first packet, if that is a public key (tag 6, RFC 9580 §4.2).
fn primary(bytes: &[u8]) -> Option<&[u8]> {
    let (head, rest) = bytes.split_first()?;
    let (tag, size, rest) = if head & 0xc0 == 0xc0 {
        let (size, rest) = new_size(rest)?;
        (head & 0x3f, size, rest)
    } else {
        let wide = 1_usize << (head & 3);
        let (number, rest) = (head & 3 < 3).then(|| rest.split_at_checked(wide)).flatten()?;
        let size = number.iter().fold(0_usize, |n, b| n << 8 | usize::from(*b));
        (head >> 2 & 0x0f, size, rest)
    };
    (head & 0x80 != 0 && tag == 6).then(|| rest.get(..size)).flatten()
}

/// A length of the new format (RFC 9580 §4.2.1); a key is never of unknown length.
fn new_size(rest: &[u8]) -> Option<(usize, &[u8])> {
    let (first, after) = rest.split_first()?;
    match usize::from(*first) {
        n @ 0..192 => Some((n, after)),
        n @ 192..224 => {
            let (second, after) = after.split_first()?;
            Some((((n - 192) << 8) + usize::from(*second) + 192, after))
        }
        255 => {
            let (size, after) = after.split_first_chunk::<4>()?;
            Some((usize::try_from(u32::from_be_bytes(*size)).ok()?, after))
        }
        _ => None,
    }
}

fn invalid((en, ko): (&'static str, &'static str)) -> Error {
    Error::invalid(
        "key.invalid",
        text!("a key cannot be read: {en}", "키를 읽을 수 없습니다: {ko}"),
    )
    .hint(Text::fixed(
        "`ssh-keygen -y -f FILE` and `gpg --export --armor` print public keys",
        "`ssh-keygen -y -f FILE`과 `gpg --export --armor`가 공개 키를 출력합니다",
    ))
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
