//! Checkpoints: signed statements about where the journal's chain stood.
//!
//! A chain of hashes shows that nothing in the middle was changed, but not that its end is missing. A checkpoint
//! says, signed by a key of its own, "at this moment entry *n* had this hash". Checkpoints are linked to each
//! other as well, so that none of them can be taken out.

use crate::key::{PublicKey, SigningKey};
use kernel::{Error, Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// 64 zeros: what stands before the first.
const NONE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// From 1, without gaps.
    pub number: u64,
    /// The journal's last entry at the time.
    pub seq: u64,
    /// Its hash, lower-case hex.
    pub hash: String,
    pub time: Time,
    /// Set where the journal was found not to have what had been signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
    /// [`Checkpoint::digest`] of the checkpoint before.
    pub before: String,
    pub key: PublicKey,
    /// Over [`Checkpoint::words`]; base64url.
    pub signature: String,
}

/// Signed entries that the journal no longer has: it was cut, or put back to an older copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    /// The newest signed entry that was still there.
    pub after: u64,
    /// The newest signed entry that was not.
    pub through: u64,
}

/// Where the chain stands, for a new statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub seq: u64,
    /// Lower-case hex.
    pub hash: String,
    pub time: Time,
}

impl Checkpoint {
    pub fn sign(
        key: &SigningKey,
        last: Option<&Checkpoint>,
        standing: Standing,
        lost: Option<Lost>,
    ) -> Checkpoint {
        let Standing { seq, hash, time } = standing;
        let mut made = Checkpoint {
            number: last.map_or(1, |l| l.number + 1),
            seq,
            hash,
            time,
            lost,
            before: last.map_or_else(|| NONE.to_owned(), Checkpoint::digest),
            key: key.public().clone(),
            signature: String::new(),
        };
        made.signature = key.sign(made.words().as_bytes());
        made
    }

    /// What is signed: one field a line, so that a person can read and repeat it.
    pub fn words(&self) -> String {
        let Checkpoint { number, seq, hash, time, before, key, .. } = self;
        let lost = self.lost.map_or_else(|| "-".into(), |l| format!("{}-{}", l.after, l.through));
        format!(
            "naru audit checkpoint 1\nnumber {number}\nseq {seq}\nhash {hash}\ntime {}\nlost {lost}\nbefore {before}\nkey {key}\n",
            time.0
        )
    }

    /// SHA-256 over the signed words and the signature, lower-case hex.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(self.words().as_bytes());
        hasher.update(self.signature.as_bytes());
        hex(&hasher.finalize())
    }

    /// Whether its own key signed it. Whether that key is to be trusted is another question.
    pub fn sound(&self) -> bool {
        self.key.signed(self.words().as_bytes(), &self.signature)
    }

    /// Whether it may come right after `last`.
    pub fn follows(&self, last: Option<&Checkpoint>) -> bool {
        let (number, before) = match last {
            Some(last) => (last.number + 1, last.digest()),
            None => (1, NONE.to_owned()),
        };
        self.number == number && self.before == before
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// Reads the lines of a file of checkpoints: how many are whole and sound.
///
/// # Errors
/// As they are read at the start.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) -> Result<usize> {
    let lines = read(bytes)?;
    assert!(lines.whole as usize <= bytes.len());
    Ok(lines.all.len())
}

/// Reads checkpoints, one a line. A last line without its end is one whose writing was cut short: it is passed
/// over, and `whole` says how many bytes stand.
///
/// # Errors
/// `audit.checkpoints-damaged`, naming the line.
pub fn read(bytes: &[u8]) -> Result<Lines> {
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let (lines, rest) = bytes.split_at_checked(whole).unwrap_or((bytes, &[]));
    let mut all: Vec<Checkpoint> = Vec::new();
    // A piece of a file may begin anywhere.
    for (n, line) in lines.split(|b| *b == b'\n').enumerate().filter(|(_, l)| !l.is_empty()) {
        let read: Option<Checkpoint> = serde_json::from_slice(line).ok();
        // One statement has one spelling: a moment may be written in many ways, and only ours was written here.
        let fits = read.filter(|c| {
            serde_json::to_vec(c).is_ok_and(|own| own == line)
                && c.sound()
                && (all.is_empty() || c.follows(all.last()))
        });
        all.push(fits.ok_or_else(|| damaged(n + 1))?);
    }
    Ok(Lines { all, whole: whole as u64, torn: !rest.is_empty() })
}

/// What a file of checkpoints holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Lines {
    pub all: Vec<Checkpoint>,
    /// Bytes of whole lines.
    pub whole: u64,
    pub torn: bool,
}

pub fn line(checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(checkpoint).map_err(Error::internal)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn damaged(line: usize) -> Error {
    Error::invalid(
        "audit.checkpoints-damaged",
        text!(
            "checkpoint in line {line} was changed, moved or left out",
            "{line}번째 줄의 체크포인트가 바뀌었거나 옮겨졌거나 빠졌습니다"
        ),
    )
    .hint(Text::fixed(
        "compare the file with a copy kept elsewhere",
        "다른 곳에 둔 사본과 비교하세요",
    ))
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
