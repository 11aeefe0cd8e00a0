//! Answers to a push: `report-status` (gitprotocol-pack(5), "Report Status") and words for people.

use crate::command::Request;
use crate::pkt::{self, Bands, Packet};
use std::collections::BTreeMap;

/// Bytes of a report that is read.
const LONGEST: usize = 4 * 1024 * 1024;

/// What git made of a push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Why the pack was not taken, if it was not.
    pub unpack: Option<String>,
    /// Refs that did not move, and why.
    pub refused: BTreeMap<String, String>,
}

/// Reads the payload of band 1 (or the plain answer where there are no bands).
pub(crate) fn parse(mut bytes: &[u8]) -> Report {
    let mut report = Report::default();
    while let Ok(Some((packet, length))) = pkt::front(bytes) {
        bytes = bytes.get(length..).unwrap_or_default();
        let Packet::Data(line) = packet else { break };
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end();
        if let Some(outcome) = line.strip_prefix("unpack ") {
            report.unpack = (outcome != "ok").then(|| outcome.to_owned());
        } else if let Some((name, why)) = line.strip_prefix("ng ").and_then(|l| l.split_once(' ')) {
            report.refused.insert(name.to_owned(), why.to_owned());
        }
    }
    report
}

/// The report of a push that was refused without git: every ref is, `at` because of `reason`.
pub(crate) fn refusal(request: &Request, at: Option<&str>, reason: &str) -> Vec<u8> {
    let mut inner = Vec::new();
    pkt::push(&mut inner, b"unpack ok\n");
    for command in &request.commands {
        let name = &command.refname;
        let own = at.is_none_or(|at| at == name);
        let why = if own { reason } else { "another ref of this push was refused" };
        pkt::push(&mut inner, format!("ng {name} {why}\n").as_bytes());
    }
    inner.extend_from_slice(pkt::FLUSH);
    inner
}

/// The report of a push whose `receive-pack` ended without one.
pub(crate) fn outcome(request: &Request, moved: impl Fn(&str) -> bool) -> Vec<u8> {
    let mut inner = Vec::new();
    pkt::push(&mut inner, b"unpack ok\n");
    for command in &request.commands {
        let name = &command.refname;
        let line = match moved(name) {
            true => format!("ok {name}\n"),
            false => format!("ng {name} git was interrupted\n"),
        };
        pkt::push(&mut inner, line.as_bytes());
    }
    inner.extend_from_slice(pkt::FLUSH);
    inner
}

/// Puts a report on the way, in the client's manner. Without bands it is also the end.
pub(crate) fn deliver(request: &Request, inner: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match request.bands {
        Bands::None if request.report => out.extend_from_slice(inner),
        Bands::None => {}
        bands if request.report => pkt::band(&mut out, bands, 1, inner),
        _ => {}
    }
    out
}

/// Takes apart what `receive-pack` says: band 1 is kept, the rest goes on as it is.
pub(crate) struct Splitter {
    bands: Bands,
    pending: Vec<u8>,
    /// The report so far.
    pub report: Vec<u8>,
}

impl Splitter {
    pub fn new(bands: Bands) -> Splitter {
        Splitter { bands, pending: Vec::new(), report: Vec::new() }
    }

    /// What of `bytes` can be passed on at once. git's final flush is not: more is said after it.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.bands == Bands::None {
            self.keep(bytes);
            return Vec::new();
        }
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let (mut rest, mut out) = (pending.as_slice(), Vec::new());
        while let Ok(Some((packet, length))) = pkt::front(rest) {
            if let Packet::Data(payload) = packet {
                match payload.split_first() {
                    Some((1, data)) => self.keep(data),
                    _ => out.extend_from_slice(rest.get(..length).unwrap_or_default()),
                }
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        // An unreadable packet would be kept for ever.
        if rest.len() <= pkt::LONGEST + 4 {
            self.pending = rest.to_owned();
        }
        out
    }

    fn keep(&mut self, data: &[u8]) {
        if self.report.len() + data.len() <= LONGEST {
            self.report.extend_from_slice(data);
        }
    }
}

/// Columns after which a line for people is broken.
const WIDTH: usize = 160;
/// Characters of a word that stay together.
const WORD: usize = 400;

/// Lines that git shows with `remote:` before each. Control characters never reach the terminal.
pub(crate) fn say(bands: Bands, words: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for line in words.lines().take(200) {
        for line in wrap(&clean(line)) {
            pkt::band(&mut out, bands, 2, format!("{line}\n").as_bytes());
        }
    }
    out
}

fn clean(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars().take(8000) {
        match c {
            '\t' => out.push_str("    "),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out.trim_end().to_owned()
}

/// Breaks at spaces; a word, such as an address, is only broken when it is absurdly long.
fn wrap(line: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let word: Vec<char> = word.chars().collect();
        for piece in word.chunks(WORD) {
            let used = lines.last().map_or(0, |l| l.chars().count());
            if used > 0 && used + piece.len() > WIDTH {
                lines.push("  ".to_owned());
            }
            if let Some(last) = lines.last_mut() {
                last.extend(piece);
            }
        }
    }
    lines.iter().map(|l| l.trim_end().to_owned()).filter(|l| !l.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reports_of_git() {
        let mut bytes = Vec::new();
        for line in [
            "unpack index-pack abnormal exit\n",
            "ok refs/heads/a\n",
            "ng refs/heads/b failed to update ref\n",
        ] {
            pkt::push(&mut bytes, line.as_bytes());
        }
        bytes.extend_from_slice(pkt::FLUSH);
        let report = parse(&bytes);
        assert_eq!(report.unpack.as_deref(), Some("index-pack abnormal exit"));
        assert_eq!(
            report.refused.get("refs/heads/b").map(String::as_str),
            Some("failed to update ref")
        );
        assert_eq!(report.refused.len(), 1);
        assert_eq!(parse(b"garbage"), Report::default());
    }

    #[test]
    fn no_control_character_reaches_the_terminal_and_long_lines_break() {
        let out = say(Bands::Large, "a\x1b[2Jb\tc\r\nsecond");
        assert!(!out.contains(&0x1b), "{out:?}");
        let words = format!("{} {}", "x".repeat(900), "word ".repeat(60));
        let out = say(Bands::Small, &words);
        let mut rest = out.as_slice();
        let mut lines = 0;
        while let Some((Packet::Data(line), length)) = pkt::front(rest).unwrap() {
            assert!(line.len() <= WORD + 4, "{}", line.len());
            rest = &rest[length..];
            lines += 1;
        }
        assert!(lines >= 4, "{lines}");
        assert!(say(Bands::None, "x").is_empty());
    }

    proptest! {
        #[test]
        fn bands_come_apart_wherever_they_are_cut(words: Vec<u8>, report in prop::collection::vec(any::<u8>(), 0..500), cut in 1usize..40) {
            let mut stream = Vec::new();
            pkt::band(&mut stream, Bands::Small, 1, &report);
            pkt::band(&mut stream, Bands::Small, 2, &words);
            stream.extend_from_slice(pkt::FLUSH);
            let mut splitter = Splitter::new(Bands::Large);
            let passed: Vec<u8> = stream.chunks(cut).flat_map(|c| splitter.take(c)).collect();
            let mut wanted = Vec::new();
            pkt::band(&mut wanted, Bands::Small, 2, &words);
            prop_assert_eq!(passed, wanted);
            prop_assert_eq!(splitter.report, report);
        }
    }
}
