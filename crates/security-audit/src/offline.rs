//! Checking an export: from its lines and a public key, without a server.

use crate::check::{Chain, Judge, Report};
use crate::checkpoint::{Checkpoint, hex};
use crate::{PublicKey, export};
use kernel::{Error, Result, Text, Time, text};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Read, Seek};

/// The longest line, in bytes.
const LINE: usize = 64 * 1024 * 1024;

/// Each kind of line begins with its first field.
const CHECKPOINT: &[u8] = b"{\"checkpoint\"";
const ENTRY: &[u8] = b"{\"seq\"";
const HEAD: &[u8] = b"{\"export\"";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryLine<'a> {
    seq: u64,
    /// Milliseconds since 1970: as they are hashed.
    time: i64,
    hash: &'a str,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointLine {
    checkpoint: Checkpoint,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadLine {
    export: u32,
    key: PublicKey,
    base: Base,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    end: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base {
    seq: u64,
    hash: String,
}

/// Whether the file is what its lines say, and its checkpoints are of `keys`.
///
/// # Errors
/// `audit.export-damaged` when it is no export, naming the line; internal when it cannot be read. What does not
/// hold is in the report.
pub fn verify(mut file: impl Read + Seek, keys: Vec<PublicKey>) -> Result<Report> {
    let mut checkpoints: Vec<Checkpoint> = Vec::new();
    each(&mut file, |number, line| {
        if line.starts_with(CHECKPOINT) {
            let CheckpointLine { checkpoint } = parse(number, line)?;
            // A later piece tells the earlier ones again.
            if checkpoints.last().is_none_or(|last| last.number < checkpoint.number) {
                checkpoints.push(checkpoint);
            }
        }
        Ok(())
    })?;
    let mut judge = Judge::new(keys.clone());
    for checkpoint in checkpoints {
        judge.take(checkpoint);
    }
    file.rewind().map_err(Error::internal)?;
    let mut walk = Walk { wanted: judge.wanted(), trusted: keys, ..Walk::default() };
    each(&mut file, |number, line| walk.line(number, line))?;
    let Some(mut chain) = walk.chain else { return Err(damaged(1)) };
    chain.head = hex(&walk.before);
    let hashes = walk.hashes;
    let mut report = judge.close(chain, |seq| Ok(hashes.get(&seq).cloned()))?;
    if !walk.ended {
        report.problem(Text::fixed(
            "the export breaks off: its end is missing",
            "내보낸 파일이 중간에 끊겼습니다. 끝이 없습니다",
        ));
    }
    for fault in walk.faults {
        report.problem(fault);
    }
    Ok(report)
}

/// The walk over a file's entries.
#[derive(Default)]
struct Walk {
    chain: Option<Chain>,
    before: [u8; 32],
    wanted: BTreeSet<u64>,
    trusted: Vec<PublicKey>,
    hashes: HashMap<u64, String>,
    faults: Vec<Text>,
    ended: bool,
}

impl Walk {
    fn line(&mut self, number: usize, line: &[u8]) -> Result<()> {
        if line.starts_with(ENTRY) {
            return self.entry(number, parse(number, line)?);
        }
        if line.starts_with(CHECKPOINT) {
            return Ok(());
        }
        if line.starts_with(HEAD) {
            return self.head(number, parse(number, line)?);
        }
        let EndLine { end } = parse(number, line)?;
        self.ended = true;
        if let Some(last) = self.chain.as_ref().map(|c| c.last).filter(|last| *last != end) {
            self.faults.push(text!(
                "line {number}: the export should end at entry {end} and ends at {last}",
                "{number}번째 줄: {end}번 항목에서 끝나야 하는데 {last}번에서 끝났습니다"
            ));
        }
        Ok(())
    }

    fn head(&mut self, number: usize, line: HeadLine) -> Result<()> {
        let HeadLine { export: version, key, base } = line;
        if !self.trusted.is_empty() && !self.trusted.contains(&key) {
            self.faults.push(text!(
                "line {number}: the export is of {key}, which is not trusted",
                "{number}번째 줄: 신뢰하지 않는 키 {key}의 파일입니다"
            ));
        }
        let before = unhex(&base.hash).filter(|_| version == 1).ok_or_else(|| damaged(number))?;
        self.ended = false;
        match &self.chain {
            Some(chain) if chain.last == base.seq && self.before == before => {}
            Some(_) => self.fault(number),
            None => {
                if self.wanted.contains(&base.seq) {
                    self.hashes.insert(base.seq, base.hash.clone());
                }
                self.chain = Some(export::begin(base.seq, base.hash));
                self.before = before;
            }
        }
        Ok(())
    }

    fn entry(&mut self, number: usize, line: EntryLine<'_>) -> Result<()> {
        let EntryLine { seq, time, hash, body } = line;
        let body = body.get();
        let Some(chain) = &mut self.chain else { return Err(damaged(number)) };
        let told = unhex(hash).ok_or_else(|| damaged(number))?;
        let made = store::link(&self.before, seq, Time(time), body);
        let fits = seq == chain.last.saturating_add(1) && made == told;
        chain.last = seq;
        chain.bytes += body.len() as u64 + 48;
        // Linked to what it says, so that one changed entry is one fault.
        self.before = told;
        if self.wanted.contains(&seq) {
            self.hashes.insert(seq, hash.to_owned());
        }
        if !fits {
            self.fault(number);
        }
        Ok(())
    }

    fn fault(&mut self, number: usize) {
        self.faults.push(text!(
            "line {number}: the chain breaks: an entry was changed, moved, put in or taken out",
            "{number}번째 줄: 체인이 끊겼습니다. 항목이 바뀌었거나 옮겨졌거나 끼워졌거나 빠졌습니다"
        ));
    }
}

fn each(file: impl Read, mut work: impl FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        number += 1;
        let mut limited = (&mut reader).take(LINE as u64);
        if limited.read_until(b'\n', &mut line).map_err(Error::internal)? == 0 {
            return Ok(());
        }
        match line.strip_suffix(b"\n") {
            Some(line) => work(number, line)?,
            // Cut within a line: the end is missing, and says so.
            None if line.len() < LINE => return Ok(()),
            None => return Err(damaged(number)),
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(number: usize, line: &'a [u8]) -> Result<T> {
    serde_json::from_slice(line).map_err(|_| damaged(number))
}

/// 64 digits in lower case, as they are written: another spelling is a changed byte.
fn unhex(words: &str) -> Option<[u8; 32]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let pairs: &[[u8; 2]; 32] = words.as_bytes().as_chunks().0.try_into().ok()?;
    let mut out = [0_u8; 32];
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    (words.len() == 64).then_some(out)
}

fn damaged(line: usize) -> Error {
    Error::invalid(
        "audit.export-damaged",
        text!(
            "line {line} is not one of an audit export",
            "{line}번째 줄이 감사 기록의 형식이 아닙니다"
        ),
    )
    .hint(Text::fixed(
        "give the file as `naru audit export` wrote it",
        "`naru audit export`가 쓴 파일을 그대로 주세요",
    ))
}

/// Where an export that is to be gone on with stands: its whole lines in bytes, and its last entry.
pub(crate) fn resume(file: impl Read) -> Result<(u64, u64)> {
    let (mut bytes, mut last) = (0, 0);
    each(file, |number, line| {
        bytes += line.len() as u64 + 1;
        if line.starts_with(ENTRY) {
            last = parse::<EntryLine<'_>>(number, line)?.seq;
        }
        Ok(())
    })?;
    Ok((bytes, last))
}

#[cfg(test)]
#[path = "offline_tests.rs"]
mod tests;
