//! The names of blobs.

use crate::error;
use kernel::Result;
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// SHA-256 of a blob's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Hash([u8; 32]);

impl Hash {
    pub(crate) fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }

    /// Exactly 64 lower-case hex digits, so that a name has one spelling and can never be a path.
    pub(crate) fn parse(words: &str) -> Option<Hash> {
        let digit = |b: u8| match b {
            b'0'..=b'9' => Some(b - b'0'),
            b'a'..=b'f' => Some(b - b'a' + 10),
            _ => None,
        };
        let mut out = [0_u8; 32];
        let (pairs, rest) = words.as_bytes().as_chunks::<2>();
        if pairs.len() != out.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in out.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Hash(out))
    }

    /// Words that are no hash name no blob: the same answer as for one that is not stored.
    pub(crate) fn known(words: &str) -> Result<Hash> {
        Hash::parse(words).ok_or_else(|| error::unknown(words))
    }

    /// Which of the 256 directories it lies in.
    pub(crate) fn shard(self) -> u8 {
        let [first, ..] = self.0;
        first
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// Hashes what is written.
#[derive(Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    pub(crate) fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

/// The hash and number of all bytes of a reader.
pub(crate) fn of_reader(reader: &mut impl Read) -> io::Result<(Hash, u64)> {
    let (mut hasher, mut size) = (Hasher::default(), 0);
    each_chunk(reader, |chunk| {
        hasher.update(chunk);
        size += chunk.len() as u64;
        Ok(())
    })?;
    Ok((hasher.finish(), size))
}

pub(crate) fn each_chunk(
    reader: &mut impl Read,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; crate::CHUNK];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => each(buffer.get(..n).unwrap_or_default())?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
