//! What a job printed last: in a failed push, the line that tells its author why.

use crate::coverage::{plain, tail};
use kernel::log::{self, Line, Stream};
use kernel::{Text, text};
use std::path::Path;

const TAIL: u64 = 16 * 1024;
const LINES: usize = 3;
const MOST: usize = 300;

/// The sentence with the last lines that the job printed, if it printed any. Blocks while it reads.
pub fn after(say: Text, log: &Path) -> Text {
    let words = tail(log, TAIL).map(|bytes| words(&bytes)).unwrap_or_default();
    if words.is_empty() {
        return say;
    }
    let (en, ko) = (say.en, say.ko);
    text!("{en}; last words: {words}", "{ko}; 마지막 출력: {words}")
}

/// Of standard error when there is any, for complaints go there.
fn words(records: &[u8]) -> String {
    let mut lines = Vec::new();
    let mut rest = records;
    while let Some((line, length)) = log::decode(rest) {
        rest = rest.get(length..).unwrap_or_default();
        lines.push(line);
    }
    let of = |wanted: Stream| {
        let said = |l: &&Line| l.stream == wanted && l.text.chars().any(char::is_alphanumeric);
        lines.iter().filter(said).map(|l| plain(&l.text).trim().to_owned()).collect::<Vec<_>>()
    };
    let errors = of(Stream::Err);
    let chosen = if errors.is_empty() { of(Stream::Out) } else { errors };
    let last = chosen.iter().skip(chosen.len().saturating_sub(LINES)).cloned().collect::<Vec<_>>();
    last.join(" / ").chars().filter(|c| !c.is_control()).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Time;

    fn records(lines: &[(Stream, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (stream, text) in lines {
            log::encode(&mut out, Time(0), *stream, true, text.as_bytes());
        }
        out
    }

    #[test]
    fn complaints_go_before_chatter_and_rulers_say_nothing() {
        let both = records(&[
            (Stream::Out, "$ python3 -m unittest"),
            (Stream::Err, "AssertionError: '07:00' != '06:00'"),
            (Stream::Err, "----------"),
            (Stream::Err, "FAILED (failures=1)"),
            (Stream::Note, "exited with code 1"),
        ]);
        assert_eq!(words(&both), "AssertionError: '07:00' != '06:00' / FAILED (failures=1)");
        assert_eq!(
            words(&records(&[(Stream::Out, "\u{1b}[31mno such file\u{1b}[0m")])),
            "no such file"
        );
        assert_eq!(words(&[]), "");
    }
}
