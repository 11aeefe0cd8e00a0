//! The git program, run in an environment of our own.

use kernel::{Error, ErrorKind, Result, Text, text};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;

/// Output of one-shot commands, in bytes.
const OUTPUT: u64 = 64 * 1024 * 1024;
/// For one-shot commands.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where git is.
#[derive(Clone)]
pub(crate) struct Program {
    path: Arc<Path>,
}

impl Program {
    /// Looks `git` up on `PATH` once, so that each start saves the search.
    pub fn find(git: &Path) -> Result<Program> {
        let search = std::env::var_os("PATH").unwrap_or_default();
        let candidates: Vec<PathBuf> = if git.components().count() > 1 {
            vec![git.to_owned()]
        } else {
            std::env::split_paths(&search).map(|d| d.join(git)).collect()
        };
        match candidates.into_iter().find(|p| executable(p)) {
            Some(path) => Program { path: path.into() }.check(),
            None => {
                let shown = git.display();
                Err(Error::new(
                    ErrorKind::Unavailable,
                    "git.missing",
                    text!("there is no program {shown}", "{shown} 프로그램이 없습니다"),
                )
                .hint(Text::fixed("install git", "git을 설치하세요")))
            }
        }
    }

    /// `cat-file --batch-command` came with 2.36, `merge-tree --write-tree` with 2.38.
    fn check(self) -> Result<Program> {
        let out = self.command().arg("version").output().map_err(|e| crate::io("git", e))?;
        let words = String::from_utf8_lossy(&out.stdout);
        if version(&words).is_some_and(|v| v >= (2, 38)) {
            return Ok(self);
        }
        let (shown, found) = (self.path.display(), words.trim());
        Err(Error::new(
            ErrorKind::Unavailable,
            "git.old",
            text!("{shown} is too old: “{found}”", "{shown} 버전이 너무 낮습니다: “{found}”"),
        )
        .hint(Text::fixed("install git 2.38 or newer", "git 2.38 이상을 설치하세요")))
    }

    /// A git command with nothing of this process's environment but `PATH`.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&*self.path);
        command.env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.envs([
            ("HOME", "/nonexistent"),
            ("LC_ALL", "C"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_LITERAL_PATHSPECS", "1"),
        ]);
        command.current_dir("/").stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// A command on the repository in `dir`.
    pub fn on(&self, dir: &Path) -> Command {
        let mut command = self.command();
        let mut git_dir = std::ffi::OsString::from("--git-dir=");
        git_dir.push(dir);
        command.arg(git_dir);
        command
    }

    /// Runs a command to its end and returns its standard output.
    ///
    /// # Errors
    /// Internal, when it fails, says too much or takes too long.
    pub async fn output<S: AsRef<OsStr>>(&self, dir: &Path, args: &[S]) -> Result<Vec<u8>> {
        self.output_of(dir, args, Vec::new()).await
    }

    /// As [`Program::output`], with something to read.
    pub async fn output_of<S: AsRef<OsStr>>(
        &self,
        dir: &Path,
        args: &[S],
        input: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let (status, said, complained) = self.run(dir, args, input).await?;
        if status.success() { Ok(said) } else { Err(failed(status, &complained)) }
    }

    /// As [`Program::output`], of a command that says no by status 1: then the answer is `None`.
    pub async fn ask<S: AsRef<OsStr>>(&self, dir: &Path, args: &[S]) -> Result<Option<Vec<u8>>> {
        let (status, said, complained) = self.run(dir, args, Vec::new()).await?;
        match status.code() {
            Some(0) => Ok(Some(said)),
            Some(1) => Ok(None),
            _ => Err(failed(status, &complained)),
        }
    }

    /// How it ended, what it said and what it complained about.
    pub async fn run<S: AsRef<OsStr>>(
        &self,
        dir: &Path,
        args: &[S],
        input: Vec<u8>,
    ) -> Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
        let mut command = self.on(dir);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut command = tokio::process::Command::from(command);
        let mut child = command.kill_on_drop(true).spawn().map_err(|e| crate::io("git", e))?;
        let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let run = async {
            let (_, said, complained) =
                tokio::join!(feed(stdin, &input), gather(out, OUTPUT + 1), gather(err, 8192));
            let said = said.map_err(|e| crate::io("git", e))?;
            let status = child.wait().await.map_err(|e| crate::io("git", e))?;
            Ok((status, said, complained.unwrap_or_default()))
        };
        let (status, said, complained) = tokio::time::timeout(PATIENCE, run)
            .await
            .map_err(|_| Error::internal("git took too long"))??;
        if said.len() as u64 > OUTPUT {
            return Err(Error::internal("git said too much"));
        }
        Ok((status, said, complained))
    }
}

fn failed(status: ExitStatus, complained: &[u8]) -> Error {
    let words = String::from_utf8_lossy(complained);
    Error::internal(format!("git: {status}: {}", words.trim()))
}

/// Writes it all and closes. A command that stops reading has its reasons, and says so by its status.
pub(crate) async fn feed(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input).await;
    }
}

async fn gather(from: Option<impl AsyncRead + Unpin>, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(most).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// `git version 2.47.3`
fn version(words: &str) -> Option<(u32, u32)> {
    let mut numbers = words.trim().strip_prefix("git version ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(version("git version 2.47.3\n"), Some((2, 47)));
        assert_eq!(version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(version("busybox"), None);
    }

    #[test]
    fn a_missing_or_strange_git_is_said_so() {
        assert_eq!(Program::find(Path::new("no-such-git")).err().unwrap().code(), "git.missing");
        assert_eq!(Program::find(Path::new("/bin/true")).err().unwrap().code(), "git.old");
        assert!(Program::find(Path::new("git")).is_ok());
    }
}
