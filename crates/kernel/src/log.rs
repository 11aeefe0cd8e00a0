//! The line format of every log file that a step or an instance writes. Pure: bytes to lines and back.
//!
//! A record is `<unix ms> <stream><ending> <bytes>\n`, where stream is `o` (standard output), `e` (standard
//! error) or `n` (naru speaking), and ending is `.` for a whole line or `+` for a piece of one that was too
//! long or came without a newline. The bytes are the program's own, less the newline; they may be binary.

use crate::Time;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::Write;

/// Longest piece of a line kept in one record, in bytes.
pub const MAX_PIECE: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Out,
    Err,
    Note,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub time: Time,
    pub stream: Stream,
    /// False when the next record of the same stream continues this line.
    pub whole: bool,
    /// Bytes that are not UTF-8 are shown as U+FFFD.
    pub text: String,
}

/// A [`Line`] that borrows its text from the record it was read of. Both look the same to serde.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record<'a> {
    pub time: Time,
    pub stream: Stream,
    pub whole: bool,
    pub text: Cow<'a, str>,
}

impl From<Record<'_>> for Line {
    fn from(record: Record<'_>) -> Line {
        let Record { time, stream, whole, text } = record;
        Line { time, stream, whole, text: text.into_owned() }
    }
}

/// Appends one record to `out`. `bytes` must hold no newline and be at most [`MAX_PIECE`] long; what is
/// beyond is cut.
pub fn encode(out: &mut Vec<u8>, time: Time, stream: Stream, whole: bool, bytes: &[u8]) {
    Start::new(time, stream, whole).record(out, bytes);
}

/// What records of the same time, stream and ending begin with: made once for many of them.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// A time of 64 bits has at most 20 characters.
    words: [u8; 24],
    len: usize,
}

impl Start {
    pub fn new(time: Time, stream: Stream, whole: bool) -> Start {
        let letter = match stream {
            Stream::Out => 'o',
            Stream::Err => 'e',
            Stream::Note => 'n',
        };
        let ending = if whole { '.' } else { '+' };
        let mut words = [0; 24];
        let mut rest = words.as_mut_slice();
        // There is room for the longest.
        let _ = write!(rest, "{} {letter}{ending} ", time.0);
        let len = 24 - rest.len();
        Start { words, len }
    }

    /// As [`encode`].
    pub fn record(&self, out: &mut Vec<u8>, bytes: &[u8]) {
        out.extend_from_slice(self.words.get(..self.len).unwrap_or_default());
        let from = out.len();
        out.extend_from_slice(bytes.get(..MAX_PIECE).unwrap_or(bytes));
        if let Some(text) = out.get_mut(from..)
            && memchr::memchr(b'\n', text).is_some()
        {
            text.iter_mut().filter(|b| **b == b'\n').for_each(|b| *b = b' ');
        }
        out.push(b'\n');
    }
}

/// Reads the record at the start of `bytes`: the line and how many bytes it took. `None` when the record is
/// not complete yet. A damaged record (a torn write) comes back as a note of its raw bytes.
pub fn decode(bytes: &[u8]) -> Option<(Line, usize)> {
    peek(bytes).map(|(record, used)| (record.into(), used))
}

/// As [`decode`], without copying the text.
pub fn peek(bytes: &[u8]) -> Option<(Record<'_>, usize)> {
    let end = memchr::memchr(b'\n', bytes)?;
    let raw = bytes.get(..end)?;
    Some((parse(raw).unwrap_or_else(|| damaged(raw)), end + 1))
}

/// Bytes that are no record, as a note.
pub fn damaged(bytes: &[u8]) -> Record<'_> {
    let text = String::from_utf8_lossy(bytes);
    Record { time: Time(0), stream: Stream::Note, whole: true, text }
}

fn parse(record: &[u8]) -> Option<Record<'_>> {
    let space = record.iter().position(|b| *b == b' ')?;
    let (time, rest) = record.split_at(space);
    let time = std::str::from_utf8(time).ok()?.parse().ok()?;
    let [b' ', stream, ending @ (b'.' | b'+'), b' ', text @ ..] = rest else { return None };
    let stream = match stream {
        b'o' => Stream::Out,
        b'e' => Stream::Err,
        b'n' => Stream::Note,
        _ => return None,
    };
    let text = String::from_utf8_lossy(text);
    Some(Record { time: Time(time), stream, whole: *ending == b'.', text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(ms: i64, whole: bool, text in "[^\n]{0,200}") {
            let mut bytes = Vec::new();
            encode(&mut bytes, Time(ms), Stream::Err, whole, text.as_bytes());
            let (line, used) = decode(&bytes).unwrap();
            prop_assert_eq!(used, bytes.len());
            let (record, _) = peek(&bytes).unwrap();
            prop_assert_eq!(serde_json::to_string(&record).unwrap(), serde_json::to_string(&line).unwrap());
            prop_assert_eq!(line, Line { time: Time(ms), stream: Stream::Err, whole, text });
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes: Vec<u8>) {
            let mut rest = bytes.as_slice();
            while let Some((_, used)) = decode(rest) { rest = &rest[used..]; }
        }
    }
}
