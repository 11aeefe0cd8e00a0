//! The file of roots: all of them, with their keys, for nobody but its owner.

use crate::root::Stored;
use crate::{Root, Subtree};
use kernel::{Error, Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The roots that are kept, the newest last.
pub struct Keep {
    file: PathBuf,
    roots: Vec<Root>,
}

#[derive(Serialize, Deserialize)]
struct File {
    roots: Vec<Stored>,
}

impl Keep {
    /// Reads the roots. `None` when there is no file.
    ///
    /// # Errors
    /// `ca.key-damaged` when it holds no root whose key fits, `ca.key-open` when others can read it, `ca.key-unreadable`.
    pub fn read(file: &Path) -> Result<Option<Keep>> {
        let found = match std::fs::metadata(file) {
            Ok(found) => found,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(unreadable(file, &e)),
        };
        if found.mode() & 0o077 != 0 {
            return Err(open_to_others(file));
        }
        let bytes = std::fs::read(file).map_err(|e| unreadable(file, &e))?;
        let stored = serde_json::from_slice::<File>(&bytes).map_err(|_| damaged(file))?;
        let roots: Option<Vec<Root>> = stored.roots.into_iter().map(Root::read).collect();
        let roots = roots.filter(|roots| !roots.is_empty()).ok_or_else(|| damaged(file))?;
        Ok(Some(Keep { file: file.to_owned(), roots }))
    }

    /// Makes the first root and keeps it.
    ///
    /// # Errors
    /// Internal, when it cannot be made or written.
    pub fn make(file: &Path, now: Time, only: Vec<Subtree>) -> Result<Keep> {
        let keep = Keep { file: file.to_owned(), roots: vec![Root::make(now, only)?] };
        keep.write()?;
        Ok(keep)
    }

    /// The one that signs.
    ///
    /// # Errors
    /// Internal, which cannot be: there is always one.
    pub fn root(&self) -> Result<&Root> {
        self.roots.last().ok_or_else(|| Error::internal("no root"))
    }

    /// Those that clients are to trust, the newest first.
    pub fn trusted(&self, now: Time) -> impl Iterator<Item = &Root> {
        self.roots.iter().rev().filter(move |root| root.trusted(now))
    }

    /// All that are kept, the newest first.
    pub fn roots(&self) -> impl Iterator<Item = &Root> {
        self.roots.iter().rev()
    }

    /// A new root; the one before goes on to be trusted for `overlap`. Written before it is used.
    ///
    /// # Errors
    /// Internal; then nothing has changed.
    pub fn rotate(&mut self, now: Time, only: Vec<Subtree>, overlap: Duration) -> Result<()> {
        let last = self.roots.last_mut().ok_or_else(|| Error::internal("no root"))?;
        let before = last.retires;
        let next = last.follow(now, only, overlap)?;
        self.roots.push(next);
        if let Err(error) = self.write() {
            self.roots.pop();
            self.roots.iter_mut().last().into_iter().for_each(|root| root.retires = before);
            return Err(error);
        }
        Ok(())
    }

    /// Forgets the keys of roots that nobody trusts any more. Whether there were any.
    ///
    /// # Errors
    /// Internal, when the file cannot be written.
    pub fn forget(&mut self, now: Time) -> Result<bool> {
        let newest = self.root()?.fingerprint();
        let gone =
            |root: &Root| root.retires.is_some_and(|at| at <= now) && root.fingerprint() != newest;
        if !self.roots.iter().any(gone) {
            return Ok(false);
        }
        self.roots.retain(|root| !gone(root));
        self.write().map(|()| true)
    }

    fn write(&self) -> Result<()> {
        let file = File { roots: self.roots.iter().map(Root::stored).collect() };
        let bytes = serde_json::to_vec_pretty(&file).map_err(Error::internal)?;
        write_private(&self.file, &bytes)
    }
}

/// Writes a file that only its owner can read, whole or not at all.
///
/// # Errors
/// Internal, naming the file.
pub fn write_private(file: &Path, bytes: &[u8]) -> Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        std::fs::rename(&beside, file)
    };
    write().map_err(|e| Error::internal(format!("{}: {e}", file.display())))
}

fn restore() -> Text {
    Text::fixed(
        "restore the file from a backup; without one, start once with `naru up --new-ca`: then every client has to trust the new CA",
        "백업에서 파일을 되돌리세요. 백업이 없다면 한 번 `naru up --new-ca`로 시작하세요. 그러면 모든 클라이언트가 새 CA를 신뢰해야 합니다",
    )
}

fn damaged(file: &Path) -> Error {
    let shown = file.display();
    let say = text!(
        "{shown} holds no usable key of the internal CA",
        "{shown}에 쓸 수 있는 내부 CA 키가 없습니다"
    );
    Error::invalid("ca.key-damaged", say).hint(restore())
}

fn unreadable(file: &Path, why: &std::io::Error) -> Error {
    let shown = file.display();
    let say = text!(
        "the key of the internal CA in {shown} cannot be read: {why}",
        "{shown}에 있는 내부 CA의 키를 읽을 수 없습니다: {why}"
    );
    Error::invalid("ca.key-unreadable", say).hint(restore())
}

fn open_to_others(file: &Path) -> Error {
    let shown = file.display();
    let say = text!(
        "{shown} holds the key of the internal CA and can be read by others",
        "{shown}에 내부 CA의 키가 있는데 다른 사람이 읽을 수 있습니다"
    );
    Error::invalid("ca.key-open", say).hint(text!("chmod 600 {shown}", "chmod 600 {shown}"))
}
