//! Where checkpoints lie: rows of the store, and lines of a file beside it.
//!
//! The file is what a store that was cut, or put back to an older copy, is held against: it only grows. Whoever
//! may change the one should not be able to change the other, so the file may lie elsewhere.

use crate::checkpoint::{self, Checkpoint};
use kernel::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use store::{Tx, View};

pub(crate) const ROWS: &str = "audit.checkpoint";
/// What is read of the end of a file: some 40 hours of checkpoints.
const TAIL: u64 = 1 << 20;
/// Checkpoints in one read of the store.
pub(crate) const PAGE: usize = 1000;

pub(crate) fn row_key(number: u64) -> String {
    format!("{number:020}")
}

pub(crate) fn last_row(view: &View<'_>) -> Result<Option<Checkpoint>> {
    Ok(view.rows_back(ROWS, "", None, 1)?.into_iter().next().map(|(_, c)| c))
}

/// Rows after a number, oldest first.
pub(crate) fn rows(view: &View<'_>, after: u64, limit: usize) -> Result<Vec<Checkpoint>> {
    let rows = view.rows(ROWS, "", Some(&row_key(after)), limit)?;
    Ok(rows.into_iter().map(|(_, c)| c).collect())
}

pub(crate) fn keep(tx: &mut Tx<'_>, checkpoint: &Checkpoint) -> Result<()> {
    tx.set_row(ROWS, &row_key(checkpoint.number), checkpoint)
}

/// The file.
#[derive(Clone, Debug)]
pub(crate) struct Trail {
    path: PathBuf,
}

impl Trail {
    pub fn new(path: PathBuf) -> Trail {
        Trail { path }
    }

    /// Appends whole lines, and returns when they are on disk.
    pub fn append(&self, all: &[Checkpoint]) -> Result<()> {
        let mut bytes = Vec::new();
        for one in all {
            bytes.extend(checkpoint::line(one)?);
        }
        let write = || {
            let new = !self.path.exists();
            let mut file =
                OpenOptions::new().append(true).create(true).mode(0o644).open(&self.path)?;
            file.write_all(&bytes)?;
            file.sync_data()?;
            match self.path.parent().filter(|_| new) {
                Some(dir) => File::open(dir)?.sync_all(),
                None => Ok(()),
            }
        };
        write().map_err(|e| self.failed(e))
    }

    /// The newest lines: as many as it takes to have number `from` among them, if the file has it. A line
    /// whose writing was cut short is taken off the file.
    pub fn tail(&self, from: u64) -> Result<Vec<Checkpoint>> {
        let some = self.end(TAIL)?;
        match some.first() {
            Some(first) if first.number > from.max(1) => self.end(u64::MAX),
            _ => Ok(some),
        }
    }

    /// All lines.
    pub fn whole(&self) -> Result<Vec<Checkpoint>> {
        self.end(u64::MAX)
    }

    fn end(&self, most: u64) -> Result<Vec<Checkpoint>> {
        let mut file = match OpenOptions::new().read(true).write(true).open(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(self.failed(e)),
        };
        let length = file.metadata().map_err(|e| self.failed(e))?.len();
        let start = length.saturating_sub(most);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.read_to_end(&mut bytes))
            .map_err(|e| self.failed(e))?;
        // In the middle of a line, most likely: begin with the next.
        let skip = match start {
            0 => 0,
            _ => bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1),
        };
        let lines = checkpoint::read(bytes.get(skip..).unwrap_or_default())?;
        if lines.torn {
            let whole = start + skip as u64 + lines.whole;
            tracing::info!(file = %self.path.display(), "a checkpoint whose writing was cut short is taken off");
            file.set_len(whole).and_then(|()| file.sync_all()).map_err(|e| self.failed(e))?;
        }
        Ok(lines.all)
    }

    /// Puts the file aside, under the name that is given back.
    pub fn put_aside(&self, now: kernel::Time) -> Result<PathBuf> {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{}", now.0));
        let aside = PathBuf::from(name);
        std::fs::rename(&self.path, &aside).map_err(|e| self.failed(e))?;
        Ok(aside)
    }

    fn failed(&self, e: std::io::Error) -> Error {
        Error::internal(format!("{}: {e}", self.path.display()))
    }
}

/// How rows and lines stand to each other.
#[derive(Debug, PartialEq)]
pub(crate) enum Meeting {
    Same,
    /// The file has more: what the store lost, or what a crash kept from it.
    FileAhead(Vec<Checkpoint>),
    /// The file ends at this number: it was cut, or begun anew.
    FileBehind(u64),
    /// They tell different stories.
    Apart,
}

/// `row_at` finds a row by its number; `tail` are the newest lines, read by [`Trail::tail`].
pub(crate) fn meet(
    last: Option<&Checkpoint>,
    tail: Vec<Checkpoint>,
    row_at: impl Fn(u64) -> Result<Option<Checkpoint>>,
) -> Result<Meeting> {
    let number = last.map_or(0, |c| c.number);
    let Some(end) = tail.last().cloned() else {
        return Ok(if number == 0 { Meeting::Same } else { Meeting::FileBehind(0) });
    };
    if end.number < number {
        let same = row_at(end.number)?.as_ref() == Some(&end);
        return Ok(if same { Meeting::FileBehind(end.number) } else { Meeting::Apart });
    }
    let shared = tail.iter().find(|c| c.number == number);
    if number > 0 && shared != last {
        return Ok(Meeting::Apart);
    }
    let more: Vec<_> = tail.into_iter().filter(|c| c.number > number).collect();
    match more.first() {
        None => Ok(Meeting::Same),
        Some(first) if first.number == number + 1 => Ok(Meeting::FileAhead(more)),
        Some(_) => Ok(Meeting::Apart),
    }
}
