//! The state directory of one workload: what server and shim know of each other across crashes.
//!
//! - `spec.json`: what to run; written by the server before the shim starts.
//! - `lock`: held by the shim as long as it lives; holds the time it began.
//! - `control.sock`: where a server that starts again reaches the shim.
//! - `exit.json`: how it ended. Whoever writes it holds the lock, so a workload is either lost or alive,
//!   never both.

use crate::spec::{Exit, Spec};
use kernel::{Error, ErrorKind, Result, Text, Time};
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Largest `spec.json` or `exit.json` that is read.
const MAX_FILE: u64 = 4 << 20;

#[derive(Clone, Debug)]
pub struct StateDir(PathBuf);

impl StateDir {
    pub fn new(path: PathBuf) -> StateDir {
        StateDir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the directory with `spec.json` in it, for its owner only. It appears whole: a shim of an
    /// earlier server that comes late finds nothing, or everything.
    pub fn create(&self, spec: &Spec) -> Result<()> {
        let bytes = serde_json::to_vec(spec).map_err(Error::internal)?;
        let new = StateDir(self.beside("new"));
        clear(&new.0).map_err(io)?;
        make_dir(&new.0)?;
        private(&new.0.join("spec.json")).and_then(|mut f| f.write_all(&bytes)).map_err(io)?;
        fs::rename(&new.0, &self.0).map_err(io)
    }

    /// Removes the directory, in one step as far as others can see.
    pub fn remove(&self) -> Result<()> {
        let gone = self.beside("gone");
        clear(&gone).map_err(io)?;
        match fs::rename(&self.0, &gone) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(io(e)),
            Ok(()) => clear(&gone).map_err(io),
        }
    }

    /// A name that is no id, for what is being made or removed.
    fn beside(&self, what: &str) -> PathBuf {
        let name = self.0.file_name().unwrap_or_default().display().to_string();
        self.0.with_file_name(format!(".{name}.{what}"))
    }

    pub fn read_spec(&self) -> Result<Spec> {
        let bytes = read(&self.0.join("spec.json"))?;
        serde_json::from_slice(&bytes).map_err(|e| {
            Error::invalid(
                "workload.spec",
                kernel::text!(
                    "the description of the workload is not readable: {e}",
                    "워크로드 설명을 읽을 수 없습니다: {e}"
                ),
            )
        })
    }

    /// The recorded exit; `None` when there is none, or a torn one that nobody was told of.
    pub fn read_exit(&self) -> Option<Exit> {
        serde_json::from_slice(&read(&self.0.join("exit.json")).ok()?).ok()
    }

    /// Records the exit durably. The caller holds the lock.
    pub fn write_exit(&self, exit: &Exit) -> std::io::Result<()> {
        let (new, file) = (self.0.join("exit.json.new"), self.0.join("exit.json"));
        let mut f = private(&new)?;
        f.write_all(&serde_json::to_vec(exit)?)?;
        fs::rename(new, file)?;
        // One sync for name and bytes: journaling file systems write both with it. A torn file after a
        // power cut reads as none, and nobody has heard of it.
        f.sync_all()
    }

    pub fn sync_exit(&self) -> std::io::Result<()> {
        File::open(self.0.join("exit.json"))?.sync_all()
    }

    /// The directory as a descriptor, for paths through `/proc/self/fd` (a socket's path may have 108
    /// bytes, a data directory more).
    pub fn handle(&self) -> std::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(&self.0, flags, Mode::empty())?)
    }

    /// Takes the lock if nobody has it. It is a POSIX record lock: no child inherits it, and it ends with
    /// the process that holds it.
    pub fn lock(&self) -> std::io::Result<Option<Lock>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.0.join("lock"))?;
        match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            // The directory was removed, under the lock, after it was opened here.
            Ok(()) if file.metadata()?.nlink() == 0 => Err(std::io::ErrorKind::NotFound.into()),
            Ok(()) => Ok(Some(Lock(file))),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// When the shim began, if one ever did.
    pub fn begun(&self) -> Option<Time> {
        let words = fs::read_to_string(self.0.join("lock")).ok()?;
        words.lines().next()?.parse().ok().map(Time)
    }
}

/// The proof that no shim is alive, or that this is the shim. What the shim notes here: when it began, and
/// the control groups it uses, one a line.
pub struct Lock(File);

impl Lock {
    /// When the shim that had the lock before began, if one ever did.
    pub fn begun(&self) -> Option<Time> {
        self.lines().first()?.parse().ok().map(Time)
    }

    /// The control groups of the shim that had the lock before.
    pub fn groups(&self) -> Vec<PathBuf> {
        self.lines().iter().skip(1).map(PathBuf::from).collect()
    }

    /// Notes that the workload is about to be launched.
    pub fn begin(&self, now: Time, groups: &[PathBuf]) -> std::io::Result<()> {
        let mut words = format!("{}\n", now.millis());
        for group in groups {
            words.push_str(&format!("{}\n", group.display()));
        }
        self.0.write_all_at(words.as_bytes(), 0)
    }

    fn lines(&self) -> Vec<String> {
        let mut bytes = vec![0; 4096];
        let got = self.0.read_at(&mut bytes, 0).unwrap_or(0);
        bytes.truncate(got);
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }
}

/// An id is a file name and part of a cgroup's name: see [`Spec::id`].
pub fn check_id(id: &str) -> Result<()> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let good = !id.is_empty() && id.len() <= 128 && !id.starts_with('.') && id.bytes().all(fits);
    match good {
        true => Ok(()),
        false => Err(Error::invalid(
            "workload.id",
            kernel::text!(
                "{id:?} is not an id of a workload",
                "{id:?}은(는) 워크로드 id가 아닙니다"
            ),
        )
        .hint(Text::fixed(
            "letters, digits, -, _ and ., at most 128, not beginning with a dot",
            "영문자, 숫자, -, _, .만 128자까지 쓸 수 있고 점으로 시작할 수 없습니다",
        ))),
    }
}

pub fn io(e: std::io::Error) -> Error {
    match e.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::new(
            ErrorKind::Full,
            "disk.full",
            Text::fixed("the disk is full", "디스크가 가득 찼습니다"),
        )
        .hint(Text::fixed("free some space, then try again", "공간을 확보한 뒤 다시 시도하세요"))
        .why(e),
        _ => Error::internal(e),
    }
}

/// Makes a directory that its owner alone may enter.
pub fn make_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(io)
}

/// Removes what a killed server was just making or removing; leaves all else alone.
pub fn clear_unfinished(path: &Path) {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let inner = name.strip_suffix(".new").or_else(|| name.strip_suffix(".gone"));
    if inner.is_some_and(|inner| inner.starts_with('.')) {
        let _ = clear(path);
    }
}

fn clear(path: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}
