//! Whether what is kept is what was signed. Pure: who reads the journal, and from where, is not known here.

use crate::checkpoint::{Checkpoint, Lost};
use crate::key::PublicKey;
use kernel::{Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Problems that are written out; the rest is counted.
const SHOWN: usize = 20;

/// Where a walked chain begins and ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The entry before the first; 0 when nothing was let go.
    pub base: u64,
    pub base_hash: String,
    pub last: u64,
    pub head: String,
    /// Bytes that were hashed.
    pub bytes: u64,
}

/// What is wrong, in order of discovery, and what an auditor should know besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub chain: Chain,
    pub checkpoints: u64,
    /// The newest entry that a checkpoint vouches for, and when it was signed.
    pub signed_through: Option<u64>,
    pub signed_at: Option<Time>,
    /// Entries after it: what a cut would not show yet.
    pub unsigned: u64,
    pub keys: Vec<PublicKey>,
    pub problems: Vec<Text>,
    pub notes: Vec<Text>,
    /// Problems beyond those that are written out.
    #[serde(default)]
    pub more: u64,
}

impl Report {
    pub fn holds(&self) -> bool {
        self.problems.is_empty()
    }

    pub fn problem(&mut self, problem: Text) {
        if self.problems.len() < SHOWN {
            self.problems.push(problem);
        } else {
            self.more += 1;
        }
    }
}

/// What is kept of a checkpoint while all are read.
struct Mark {
    number: u64,
    seq: u64,
    hash: String,
    time: Time,
    lost: Option<Lost>,
}

/// Takes checkpoints in order, then judges them against a chain.
#[derive(Default)]
pub struct Judge {
    trusted: Vec<PublicKey>,
    marks: Vec<Mark>,
    last: Option<Checkpoint>,
    seen: BTreeSet<PublicKey>,
    report: Report,
}

impl Judge {
    /// `trusted`: the keys that may sign. With none, any may, and the report names those that did.
    pub fn new(trusted: Vec<PublicKey>) -> Judge {
        Judge { trusted, ..Judge::default() }
    }

    /// The next checkpoint.
    pub fn take(&mut self, checkpoint: Checkpoint) {
        let number = checkpoint.number;
        if !checkpoint.sound() {
            self.report.problem(text!(
                "checkpoint {number}: its signature is wrong",
                "체크포인트 {number}: 서명이 맞지 않습니다"
            ));
        } else if !self.trusted.is_empty() && !self.trusted.contains(&checkpoint.key) {
            let key = &checkpoint.key;
            self.report.problem(text!(
                "checkpoint {number} was signed by {key}, which is not trusted",
                "체크포인트 {number}: 신뢰하지 않는 키 {key}의 서명입니다"
            ));
        }
        if !checkpoint.follows(self.last.as_ref()) {
            self.report.problem(text!(
                "checkpoint {number} does not follow the one before it: one was changed or left out",
                "체크포인트 {number}이(가) 앞의 것에 이어지지 않습니다. 바뀌었거나 빠진 것이 있습니다"
            ));
        }
        if self.last.as_ref().is_some_and(|last| last.key != checkpoint.key) {
            let time = checkpoint.time;
            self.report.notes.push(text!(
                "from checkpoint {number} ({time}) on another key signs",
                "체크포인트 {number}({time})부터 다른 키가 서명합니다"
            ));
        }
        self.seen.insert(checkpoint.key.clone());
        self.marks.push(Mark {
            number,
            seq: checkpoint.seq,
            hash: checkpoint.hash.clone(),
            time: checkpoint.time,
            lost: checkpoint.lost,
        });
        self.last = Some(checkpoint);
    }

    /// The entries whose hashes [`Judge::close`] will ask for.
    pub fn wanted(&self) -> BTreeSet<u64> {
        self.marks.iter().map(|m| m.seq).collect()
    }

    /// Judges. `hash_at` is the chain's hash at an entry, in hex, if it has that entry.
    ///
    /// # Errors
    /// Those of `hash_at`.
    pub fn close(
        mut self,
        chain: Chain,
        mut hash_at: impl FnMut(u64) -> Result<Option<String>>,
    ) -> Result<Report> {
        let marks = std::mem::take(&mut self.marks);
        self.report.checkpoints = marks.len() as u64;
        let mut ceiling = u64::MAX;
        let mut base_signed = chain.base == 0;
        // From the newest on: what came before a rewind speaks of entries that are no longer there.
        for mark in marks.iter().rev() {
            base_signed |= mark.seq == chain.base && mark.hash == chain.base_hash;
            if mark.seq <= ceiling && mark.seq >= chain.base {
                self.compare(mark, hash_at(mark.seq)?, chain.last);
            }
            if let Some(lost) = mark.lost {
                self.rewound(mark, lost);
                ceiling = ceiling.min(lost.after);
            }
        }
        if !base_signed {
            let base = chain.base;
            self.report.problem(text!(
                "the journal begins after entry {base}, and no checkpoint vouches for that",
                "저널이 {base}번 항목 다음에서 시작하는데, 이를 보증하는 체크포인트가 없습니다"
            ));
        }
        let mut report = self.report;
        report.unsigned = chain.last.saturating_sub(report.signed_through.unwrap_or(chain.base));
        report.keys = self.seen.into_iter().collect();
        report.chain = chain;
        Ok(report)
    }

    fn compare(&mut self, mark: &Mark, found: Option<String>, last: u64) {
        let Mark { number, seq, time, .. } = mark;
        match found {
            Some(hash) if hash == mark.hash => {
                if self.report.signed_through.is_none() {
                    self.report.signed_through = Some(*seq);
                    self.report.signed_at = Some(*time);
                }
            }
            Some(_) => self.report.problem(text!(
                "entry {seq} is not the one that checkpoint {number} signed at {time}",
                "{seq}번 항목이 체크포인트 {number}({time})가 서명한 것과 다릅니다"
            )),
            None => self.report.problem(text!(
                "the journal ends at entry {last}, but checkpoint {number} signed entry {seq} at {time}: its end was cut off",
                "저널이 {last}번 항목에서 끝나지만 체크포인트 {number}은(는) {time}에 {seq}번 항목을 서명했습니다. 끝이 잘렸습니다"
            )),
        }
    }

    fn rewound(&mut self, mark: &Mark, lost: Lost) {
        let (Mark { time, .. }, Lost { after, through }) = (mark, lost);
        self.report.notes.push(text!(
            "at {time} the journal was found not to have what had been signed after entry {after}, up to entry {through}: it was cut, or put back to an older copy",
            "{time}에 저널에서 {after}번 다음부터 {through}번까지 서명되었던 항목이 사라진 것을 발견했습니다. 잘렸거나 옛 사본으로 되돌려졌습니다"
        ));
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
