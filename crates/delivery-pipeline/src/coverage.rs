//! The share of the code that a job's tests ran, as its own tools print it.

use kernel::log::{self, Stream};
use regex::{Regex, RegexBuilder};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes at the end of a log that are looked at: such words come last.
const TAIL: u64 = 4 * 1024 * 1024;
/// Of a compiled expression, in bytes.
const MAX_REGEX: usize = 1 << 20;

/// The last number that `pattern` finds in a job's log, in percent. Blocks while it reads.
pub fn measured(log: &Path, pattern: &str) -> Option<f64> {
    let regex = RegexBuilder::new(pattern).size_limit(MAX_REGEX).build().ok()?;
    last(&tail(log, TAIL).ok()?, &regex)
}

/// Whole records from at most `most` bytes at the end of a log.
pub(crate) fn tail(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    // Where the reading begins, most likely inside of a record.
    let torn = size > most;
    file.seek(SeekFrom::Start(size.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    if torn {
        let end = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |end| end + 1);
        bytes.drain(..end);
    }
    Ok(bytes)
}

/// As in GitLab: of the last line that matches, the first number in its last group, or in the whole match
/// (https://docs.gitlab.com/ci/yaml/#coverage).
fn last(records: &[u8], regex: &Regex) -> Option<f64> {
    let (mut rest, mut found) = (records, None);
    while let Some((line, length)) = log::decode(rest) {
        rest = rest.get(length..).unwrap_or_default();
        if line.stream == Stream::Note {
            continue;
        }
        if let Some(groups) = regex.captures(&plain(&line.text)) {
            let words = groups.iter().flatten().last().map_or("", |m| m.as_str());
            found = number(words).or(found);
        }
    }
    found
}

/// The first number in some words, if it can be a percentage.
fn number(words: &str) -> Option<f64> {
    let from = words.get(words.find(|c: char| c.is_ascii_digit())?..)?;
    let end = from.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(from.len());
    let number: f64 = from.get(..end)?.trim_end_matches('.').parse().ok()?;
    (0.0..=100.0).contains(&number).then_some(number)
}

/// Without the sequences that colour a terminal (`ESC [ … letter`).
pub(crate) fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut pieces = line.split("\u{1b}[");
    out.extend(pieces.next());
    for piece in pieces {
        let end = piece.find(|c: char| ('@'..='~').contains(&c)).map_or(piece.len(), |i| i + 1);
        out.push_str(piece.get(end..).unwrap_or(""));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Time;

    fn found(pattern: &str, lines: &[&str]) -> Option<f64> {
        let mut bytes = Vec::new();
        for line in lines {
            log::encode(&mut bytes, Time(1), Stream::Out, true, line.as_bytes());
        }
        log::encode(&mut bytes, Time(1), Stream::Note, true, b"TOTAL 1%");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.1.log");
        std::fs::write(&path, bytes).unwrap();
        measured(&path, pattern)
    }

    #[test]
    fn the_last_match_counts_and_its_last_group() {
        let lines = ["TOTAL 10%", "TOTAL  120 30  \u{1b}[32m87.5%\u{1b}[0m", "done in 3 s"];
        assert_eq!(found(r"TOTAL.*?(\d+(?:\.\d+)?%)", &lines), Some(87.5));
        assert_eq!(found(r"\d+%", &["at 42% of lines"]), Some(42.0));
        assert_eq!(found("(?i)coverage: (.*)", &["Coverage: 99.", "other"]), Some(99.0));
        assert_eq!(found("nothing", &lines), None);
        assert_eq!(found("TOTAL (.*)", &["TOTAL 250%", "TOTAL none"]), None);
    }

    #[test]
    fn only_the_end_of_a_long_log_is_read() {
        let long = "x".repeat(1000);
        let mut lines = vec!["TOTAL 10%"];
        lines.extend(std::iter::repeat_n(long.as_str(), 4300));
        assert_eq!(found(r"TOTAL (\d+)", &lines), None);
        lines.push("TOTAL 20%");
        assert_eq!(found(r"TOTAL (\d+)", &lines), Some(20.0));
    }
}
