//! The `git` program, run so that it changes nothing of whom it reads.

use kernel::{Error, ErrorKind, Result, Text, text};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// The longest that one command of git may take: a first look at a very large tree.
const PATIENCE: Duration = Duration::from_secs(300);
/// What of git's complaint is shown, in characters.
const COMPLAINT: usize = 600;
/// Variables by which a hook or a user points git elsewhere; a command here says itself where to look.
const ELSEWHERE: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
];

/// A command of git under way.
pub struct Git(Command);

impl Git {
    /// In the directory `dir`, whatever repository that belongs to.
    pub fn at(dir: &Path) -> Git {
        let mut command = Command::new("git");
        command.current_dir(dir).stdin(Stdio::null()).kill_on_drop(true);
        for name in ELSEWHERE {
            command.env_remove(name);
        }
        command
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            // Large files stay pointers: to fetch them is a job's own affair.
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env("LC_ALL", "C");
        // Nothing of the user's runs on the way: neither a hook nor a watching daemon.
        command.args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"]);
        Git(command)
    }

    /// In the bare repository `dir`.
    pub fn bare(dir: &Path) -> Git {
        Git::at(dir).env("GIT_DIR", dir)
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Git {
        self.0.env(name, value);
        self
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Git {
        self.0.args(args);
        self
    }

    /// What it printed; `None` when it ended with a failure.
    ///
    /// # Errors
    /// `git.missing`, `git.slow`.
    pub async fn ask(self) -> Result<Option<Vec<u8>>> {
        let out = self.output().await?;
        Ok(out.status.success().then_some(out.stdout))
    }

    /// What it printed.
    ///
    /// # Errors
    /// `git.failed` with its own words; `git.missing`, `git.slow`.
    pub async fn bytes(self) -> Result<Vec<u8>> {
        let out = self.output().await?;
        if out.status.success() { Ok(out.stdout) } else { Err(complaint(&out.stderr)) }
    }

    /// As [`Git::bytes`], as one text without white space around it.
    ///
    /// # Errors
    /// As [`Git::bytes`].
    pub async fn words(self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.bytes().await?).trim().to_owned())
    }

    async fn output(mut self) -> Result<std::process::Output> {
        let done = tokio::time::timeout(PATIENCE, self.0.output()).await;
        let slow = || {
            let say = Text::fixed("git does not come to an end", "git이 끝나지 않습니다");
            Error::new(ErrorKind::Unavailable, "git.slow", say)
        };
        done.map_err(|_| slow())?.map_err(|e| {
            let say = text!("git cannot be started: {e}", "git을 시작할 수 없습니다: {e}");
            Error::new(ErrorKind::Unavailable, "git.missing", say)
                .hint(Text::fixed("install git", "git을 설치하세요"))
        })
    }
}

fn complaint(stderr: &[u8]) -> Error {
    let words = String::from_utf8_lossy(stderr);
    let lines = words.lines().filter(|l| !l.starts_with("hint:") && !l.starts_with("warning:"));
    let joined = lines.collect::<Vec<_>>().join(" / ");
    let shown: String = joined.chars().filter(|c| !c.is_control()).take(COMPLAINT).collect();
    Error::invalid("git.failed", text!("git says: {shown}", "git의 말: {shown}"))
}

/// Parts of `bytes` between zero bytes.
pub fn records(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|b| *b == 0).filter(|r| !r.is_empty())
}

/// A path as git prints it.
pub fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    PathBuf::from(OsStr::from_bytes(bytes))
}
