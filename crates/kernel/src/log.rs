//! The line format of every log file that a step or an instance writes. Pure: bytes to lines and back.
//!
//! A record is `<unix ms> <stream><ending> <bytes>\n`, where stream is `o` (standard output), `e` (standard
//! error) or `n` (naru speaking), and ending is `.` for a whole line or `+` for a piece of one that was too
//! long or came without a newline. The bytes are the program's own, less the newline; they may be binary.

use crate::Time;
use serde::{Deserialize, Serialize};

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

/// Appends one record to `out`. `bytes` must hold no newline and be at most [`MAX_PIECE`] long; what is
/// beyond is cut.
pub fn encode(out: &mut Vec<u8>, time: Time, stream: Stream, whole: bool, bytes: &[u8]) {
    let letter = match stream {
        Stream::Out => 'o',
        Stream::Err => 'e',
        Stream::Note => 'n',
    };
    let ending = if whole { '.' } else { '+' };
    out.extend_from_slice(format!("{} {letter}{ending} ", time.0).as_bytes());
    let bytes = bytes.get(..MAX_PIECE).unwrap_or(bytes);
    out.extend(bytes.iter().map(|b| if *b == b'\n' { b' ' } else { *b }));
    out.push(b'\n');
}

/// Reads the record at the start of `bytes`: the line and how many bytes it took. `None` when the record is
/// not complete yet. A damaged record (a torn write) comes back as a note of its raw bytes.
pub fn decode(bytes: &[u8]) -> Option<(Line, usize)> {
    let end = bytes.iter().position(|b| *b == b'\n')?;
    let record = bytes.get(..end)?;
    let line = parse(record).unwrap_or_else(|| Line {
        time: Time(0),
        stream: Stream::Note,
        whole: true,
        text: String::from_utf8_lossy(record).into_owned(),
    });
    Some((line, end + 1))
}

fn parse(record: &[u8]) -> Option<Line> {
    let mut fields = record.splitn(3, |b| *b == b' ');
    let time = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let (stream, whole) = match fields.next()? {
        [s, e @ (b'.' | b'+')] => {
            let stream = match s {
                b'o' => Stream::Out,
                b'e' => Stream::Err,
                b'n' => Stream::Note,
                _ => return None,
            };
            (stream, *e == b'.')
        }
        _ => return None,
    };
    let text = String::from_utf8_lossy(fields.next()?).into_owned();
    Some(Line { time: Time(time), stream, whole, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(ms in 0i64..1 << 50, whole: bool, text in "[^\n]{0,200}") {
            let mut bytes = Vec::new();
            encode(&mut bytes, Time(ms), Stream::Err, whole, text.as_bytes());
            let (line, used) = decode(&bytes).unwrap();
            prop_assert_eq!(used, bytes.len());
            prop_assert_eq!(line, Line { time: Time(ms), stream: Stream::Err, whole, text });
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes: Vec<u8>) {
            let mut rest = bytes.as_slice();
            while let Some((_, used)) = decode(rest) { rest = &rest[used..]; }
        }
    }
}
