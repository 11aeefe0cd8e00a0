//! What the workload prints, on its way into the log file.

use crate::mask::{Mask, Masked};
use crate::spec::{Keep, Limits};
use kernel::log::{MAX_PIECE, Start, Stream, encode};
use kernel::{Text, Time};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Encoded bytes are written together up to this many; less when nothing more is coming.
const BATCH: usize = 128 * 1024;
/// Bytes of what stands in front of lines.
const MAX_FRONT: usize = 128;

/// One stream cut into lines. Pure.
pub struct Lines {
    stream: Stream,
    /// Stands in front of every record.
    front: Vec<u8>,
    /// What hides secrets, and a place for what it lets through.
    masked: Option<(Masked, Vec<u8>)>,
    partial: Vec<u8>,
    /// A piece of the current line has been given away already.
    begun: bool,
}

impl Lines {
    pub fn new(stream: Stream, mask: &Mask) -> Lines {
        let masked = mask.stream().map(|masked| (masked, Vec::new()));
        Lines { stream, front: Vec::new(), masked, partial: Vec::new(), begun: false }
    }

    /// As notes, each with `front` before it.
    pub fn notes(front: &str, mask: &Mask) -> Lines {
        let mut front = front.as_bytes().to_vec();
        front.truncate(MAX_FRONT);
        Lines { front, ..Lines::new(Stream::Note, mask) }
    }

    fn record(&self, start: &Start, line: &[u8], out: &mut Vec<u8>) {
        match self.front.is_empty() {
            true => start.record(out, line),
            false => start.record(out, &[&self.front, line].concat()),
        }
    }

    /// Longest part of a line in one record.
    fn room(&self) -> usize {
        MAX_PIECE - self.front.len()
    }

    pub fn feed(&mut self, bytes: &[u8], now: Time, out: &mut Vec<u8>) {
        let Some((mut masked, mut clean)) = self.masked.take() else {
            return self.cut(bytes, now, out);
        };
        clean.clear();
        masked.feed(bytes, &mut clean);
        self.cut(&clean, now, out);
        self.masked = Some((masked, clean));
    }

    fn cut(&mut self, mut bytes: &[u8], now: Time, out: &mut Vec<u8>) {
        let start = Start::new(now, self.stream, true);
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            if self.partial.is_empty() && line.len() <= self.room() {
                self.record(&start, line, out);
            } else {
                self.extend(line, now, out);
                self.record(&start, &self.partial, out);
                self.partial.clear();
            }
            self.begun = false;
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.extend(bytes, now, out);
    }

    fn extend(&mut self, mut bytes: &[u8], now: Time, out: &mut Vec<u8>) {
        while self.partial.len() + bytes.len() > self.room() {
            let (piece, rest) = bytes.split_at(self.room() - self.partial.len());
            self.partial.extend_from_slice(piece);
            self.flush(now, out);
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
    }

    /// Gives away the beginning of a line whose end is not coming soon.
    pub fn flush(&mut self, now: Time, out: &mut Vec<u8>) {
        if !self.partial.is_empty() {
            self.record(&Start::new(now, self.stream, false), &self.partial, out);
            self.partial.clear();
            self.begun = true;
        }
    }

    /// The end of the stream ends the last line.
    pub fn finish(&mut self, now: Time, out: &mut Vec<u8>) {
        if let Some((mut masked, mut clean)) = self.masked.take() {
            clean.clear();
            masked.finish(&mut clean);
            self.cut(&clean, now, out);
        }
        if self.begun || !self.partial.is_empty() {
            self.record(&Start::new(now, self.stream, true), &self.partial, out);
            self.partial.clear();
            self.begun = false;
        }
    }

    pub fn waiting(&self) -> bool {
        !self.partial.is_empty()
    }
}

/// The log file and what is on its way to it.
pub struct Log {
    path: PathBuf,
    file: File,
    out: Vec<u8>,
    /// Bytes of the log that have ever been written.
    len: u64,
    /// Those in the file; [`Keep::Latest`] begins it again.
    size: u64,
    kept: u64,
    limit: u64,
    keep: Keep,
    /// The limit was reached and said.
    closed: bool,
    /// Bytes that the disk did not take.
    lost: u64,
    /// The file ends in the middle of a record.
    torn: bool,
}

impl Log {
    pub fn open(path: &Path, limits: &Limits) -> io::Result<Log> {
        let file = append_to(path)?;
        let len = file.metadata()?.len();
        Ok(Log {
            path: path.to_owned(),
            file,
            out: Vec::new(),
            len,
            size: len,
            kept: 0,
            limit: limits.log.filter(|l| *l > 0).unwrap_or(u64::MAX),
            keep: limits.log_keep,
            closed: false,
            lost: 0,
            torn: false,
        })
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn pending(&self) -> bool {
        !self.out.is_empty()
    }

    /// Takes a chunk of a stream. True when it was written through to the file.
    pub fn take(&mut self, lines: &mut Lines, bytes: &[u8], now: Time) -> bool {
        if self.closed {
            return false;
        }
        lines.feed(bytes, now, &mut self.out);
        self.taken(now)
    }

    /// Lets `act` append records, within the limit. True when it was written through to the file.
    pub fn with(&mut self, now: Time, act: impl FnOnce(&mut Vec<u8>)) -> bool {
        if self.closed {
            // Nothing may go on waiting for the log.
            act(&mut Vec::new());
            return false;
        }
        act(&mut self.out);
        self.taken(now)
    }

    fn taken(&mut self, now: Time) -> bool {
        let room = self.limit.saturating_sub(self.kept);
        if self.keep == Keep::First && self.out.len() as u64 > room {
            self.close(usize::try_from(room).unwrap_or(usize::MAX), now);
            return self.write();
        }
        self.out.len() >= BATCH && self.write()
    }

    /// Keeps whole records up to `room` bytes, says that the rest is thrown away, and takes no more.
    fn close(&mut self, room: usize, now: Time) {
        let head = self.out.get(..room).unwrap_or(&self.out);
        let end = head.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        self.out.truncate(end);
        let limit = self.limit;
        self.note(
            now,
            &kernel::text!(
                "the log reached its limit of {limit} bytes; what follows is not kept",
                "로그가 한도인 {limit}바이트에 이르러 이후 내용은 저장하지 않습니다"
            ),
        );
        self.closed = true;
    }

    /// A sentence of naru's own, in both languages: a log has one for all its readers. Notes do not count
    /// against the limit: they are few.
    pub fn note(&mut self, now: Time, text: &Text) {
        let words = match text.en == text.ko {
            true => text.en.to_string(),
            false => format!("{} · {}", text.en, text.ko),
        };
        encode(&mut self.out, now, Stream::Note, true, words.as_bytes());
    }

    /// Writes what is waiting. True when the file has grown. When the disk is full the bytes are counted
    /// and dropped: the workload goes on.
    pub fn write(&mut self) -> bool {
        if self.out.is_empty() {
            return false;
        }
        if self.lost > 0 {
            self.say_lost();
        }
        let before = self.len;
        let mut out = std::mem::take(&mut self.out);
        let mut rest = out.as_slice();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(self.fitting(rest));
            if part.is_empty() {
                self.begin_again();
                continue;
            }
            let left = self.append(part);
            if left > 0 {
                self.lost += (left + after.len()) as u64;
                break;
            }
            rest = after;
        }
        out.clear();
        self.out = out;
        self.len > before
    }

    /// How many bytes of whole records go into the file before it is begun again. All, when the beginning is
    /// kept; none, when it is the file's turn.
    fn fitting(&self, records: &[u8]) -> usize {
        let room = (self.limit / 2).saturating_sub(self.size);
        if self.keep == Keep::First || records.len() as u64 <= room {
            return records.len();
        }
        let head = usize::try_from(room).ok().and_then(|room| records.get(..room));
        match head.unwrap_or(records).iter().rposition(|b| *b == b'\n') {
            Some(at) => at + 1,
            // A record longer than a whole file goes into one of its own.
            None if self.size == 0 => {
                records.iter().position(|b| *b == b'\n').map_or(records.len(), |at| at + 1)
            }
            None => 0,
        }
    }

    /// Makes the file the older half, in place of the one before it. Should that fail, the file goes on for
    /// another half and then it is tried again.
    fn begin_again(&mut self) {
        if self.torn {
            self.append(b"\n");
        }
        self.size = 0;
        let older = Keep::older(&self.path);
        if fs::rename(&self.path, &older).is_err() {
            return;
        }
        match append_to(&self.path) {
            Ok(fresh) => self.file = fresh,
            Err(_) => drop(fs::rename(&older, &self.path)),
        }
    }

    /// How many of the bytes the disk did not take.
    fn append(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(n) if n > 0 => {
                    self.torn = rest.get(n - 1) != Some(&b'\n');
                    self.len += n as u64;
                    self.size += n as u64;
                    self.kept += n as u64;
                    rest = rest.get(n..).unwrap_or_default();
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        rest.len()
    }

    fn say_lost(&mut self) {
        let lost = std::mem::take(&mut self.lost);
        let rest = std::mem::take(&mut self.out);
        if self.torn {
            self.out.push(b'\n');
        }
        self.note(
            crate::sys::now(),
            &kernel::text!(
                "{lost} bytes of output were lost: the disk was full",
                "디스크가 가득 차 출력 {lost}바이트를 잃었습니다"
            ),
        );
        self.out.extend_from_slice(&rest);
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::log::decode;
    use proptest::prelude::*;

    fn joined(mut bytes: &[u8]) -> Vec<String> {
        let mut lines = vec![String::new()];
        while let Some((line, used)) = decode(bytes) {
            bytes = &bytes[used..];
            lines.last_mut().unwrap().push_str(&line.text);
            if line.whole {
                lines.push(String::new());
            }
        }
        assert!(bytes.is_empty());
        assert_eq!(lines.pop().as_deref(), Some(""), "every line ends");
        lines
    }

    proptest! {
        #[test]
        fn lines_survive_any_cutting(
            text in "([a-z]{0,9}\n){0,9}[a-z]{0,9}", cuts in prop::collection::vec(1usize..9, 0..40), flush: bool,
        ) {
            let (mut lines, mut out) = (Lines::new(Stream::Out, &Mask::default()), Vec::new());
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                lines.feed(chunk, Time(1), &mut out);
                if flush { lines.flush(Time(1), &mut out); }
                rest = after;
            }
            lines.feed(rest, Time(1), &mut out);
            lines.finish(Time(1), &mut out);
            let want: Vec<_> = text.lines().map(str::to_owned).collect();
            prop_assert_eq!(joined(&out), want);
        }

        #[test]
        fn binary_bytes_make_readable_records(chunks: Vec<Vec<u8>>) {
            let (mut lines, mut out) = (Lines::new(Stream::Err, &Mask::default()), Vec::new());
            for chunk in &chunks { lines.feed(chunk, Time(1), &mut out); }
            lines.finish(Time(1), &mut out);
            joined(&out);
        }
    }

    proptest! {
        #[test]
        fn the_latest_lines_are_kept_whole_in_two_halves(
            lengths in prop::collection::vec(0usize..90, 1..200), limit in 1u64..2000, batch in 1usize..20,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("log");
            let limits = Limits { log: Some(limit), log_keep: Keep::Latest, ..Limits::default() };
            let mut log = Log::open(&path, &limits).unwrap();
            let mut lines = Lines::new(Stream::Out, &Mask::default());
            let words: Vec<String> = lengths.iter().enumerate().map(|(i, n)| format!("{i} {}", "x".repeat(*n))).collect();
            let mut all = 0;
            for some in words.chunks(batch) {
                log.take(&mut lines, (some.join("\n") + "\n").as_bytes(), Time(1));
                log.write();
                let file = fs::read(&path).unwrap();
                let older = fs::read(Keep::older(&path)).unwrap_or_default();
                all += some.len();
                let kept: Vec<String> = [joined(&older), joined(&file)].concat();
                prop_assert_eq!(&kept, &words[all - kept.len()..all]);
                // A file holds a half, or one record that is longer than that.
                for half in [&older, &file] {
                    let one = half.iter().filter(|b| **b == b'\n').count() == 1;
                    prop_assert!(one || half.len() as u64 <= limit / 2, "{} of {limit}", half.len());
                }
                prop_assert!(kept.len() == all || !older.is_empty());
            }
        }
    }

    #[test]
    fn a_long_line_comes_in_pieces() {
        let (mut lines, mut out) = (Lines::new(Stream::Out, &Mask::default()), Vec::new());
        let long = "x".repeat(3 * MAX_PIECE + 5);
        lines.feed(format!("{long}\nshort\n").as_bytes(), Time(1), &mut out);
        assert_eq!(joined(&out), [long, "short".to_owned()]);
    }
}
