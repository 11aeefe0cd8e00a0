//! naru in a test: the real program on port 0 in a temporary directory, and the real clients of its users.
//!
//! A [`Naru`] dies with its test, and so does everything it started.

#![allow(clippy::indexing_slicing, reason = "a test may fail loudly")]

mod authenticator;
mod browser;
mod terminal;

pub use authenticator::{Authenticator, totp};
pub use browser::{Browser, Look};
pub use terminal::Terminal;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A running server.
pub struct Naru {
    exe: PathBuf,
    data: PathBuf,
    /// Removed with the server, when it is ours.
    _dir: Option<TempDir>,
    child: Child,
    pub url: String,
    pub edge: SocketAddr,
    /// From the process's start to its ready line.
    pub ready_after: Duration,
    more: Vec<String>,
}

impl Naru {
    /// Starts `exe` (give `env!("CARGO_BIN_EXE_naru")`) with a data directory of its own.
    pub fn start(exe: &str) -> Result<Naru> {
        Naru::start_with(exe, &[])
    }

    /// As [`Naru::start`], with more flags of `naru up`.
    pub fn start_with(exe: &str, more: &[&str]) -> Result<Naru> {
        let dir = tempfile::Builder::new().prefix("naru").tempdir()?;
        let data = dir.path().to_owned();
        Naru::launch(exe, data, Some(dir), more)
    }

    /// As [`Naru::start_with`], with the data in a directory of the test's.
    pub fn start_in(exe: &str, data: &Path, more: &[&str]) -> Result<Naru> {
        Naru::launch(exe, data.to_owned(), None, more)
    }

    fn launch(exe: &str, data: PathBuf, dir: Option<TempDir>, more: &[&str]) -> Result<Naru> {
        let exe = PathBuf::from(exe);
        let more: Vec<String> = more.iter().map(ToString::to_string).collect();
        let started = launch(&exe, &data, &more)?;
        let edge = edge_of(&data)?;
        let (child, url, ready_after) = (started.child, started.url, started.after);
        Ok(Naru { exe, data, _dir: dir, child, url, edge, ready_after, more })
    }

    pub fn data(&self) -> &Path {
        self.data.as_path()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Process ids of the shims of this server's workloads.
    pub fn shims(&self) -> Vec<u32> {
        shims(self.data.as_path())
            .into_iter()
            .filter_map(|p| u32::try_from(p.as_raw_nonzero().get()).ok())
            .collect()
    }

    /// SIGKILL, and the server again on the same data. Its addresses change.
    pub fn kill_and_restart(&mut self) -> Result<()> {
        self.kill()?;
        self.restart()
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(&mut self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal)?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("naru stopped with {status}");
        }
        Ok(())
    }

    pub fn restart(&mut self) -> Result<()> {
        let started = launch(&self.exe, self.data.as_path(), &self.more)?;
        self.child = started.child;
        self.url = started.url;
        self.ready_after = started.after;
        self.edge = edge_of(self.data.as_path())?;
        Ok(())
    }

    /// The administrator's token, as the machine's own commands find it.
    pub fn token(&self) -> Result<String> {
        Ok(server_file(self.data.as_path())?["token"].as_str().context("no token")?.to_owned())
    }

    pub fn address(&self) -> Result<SocketAddr> {
        let place = self.url.trim_start_matches("http://").trim_start_matches("https://");
        Ok(place.parse()?)
    }

    /// A command of the program, speaking to this server.
    pub fn cli(&self, args: &[&str]) -> Result<Output> {
        Ok(self.command(args).output()?)
    }

    /// As [`Naru::cli`], its standard output; an error when it fails.
    pub fn say(&self, args: &[&str]) -> Result<String> {
        let out = self.cli(args)?;
        if !out.status.success() {
            bail!("naru {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr));
        }
        Ok(String::from_utf8(out.stdout)?)
    }

    /// As [`Naru::say`], with `-o json`.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let words = self.say(&[args, &["-o", "json"]].concat())?;
        serde_json::from_str(&words).with_context(|| format!("naru {}: {words}", args.join(" ")))
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.exe);
        command.args(args).env("NARU_DATA", &self.data).env("NARU_LANG", "en");
        command
            .env_remove("NARU_URL")
            .env_remove("NARU_TOKEN")
            .env_remove("NARU_PROJECT")
            .stdin(Stdio::null());
        command
    }

    /// One request to the API with the administrator's token.
    pub fn api(&self, method: &str, path: &str, body: &str) -> Result<Answer> {
        let token = format!("Bearer {}", self.token()?);
        let host = self.url.trim_start_matches("http://").to_owned();
        let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
        request(self.address()?, &host, method, path, &headers, body.as_bytes())
    }

    /// One GET through the edge.
    pub fn visit(&self, host: &str, path: &str) -> Result<Answer> {
        request(self.edge, host, "GET", path, &[], b"")
    }

    /// A working copy with `files`, committed on `main`, whose remote `naru` is this server. Commits and
    /// pushes are made with [`Repository`].
    pub fn repository(
        &self,
        project: &str,
        name: &str,
        files: &[(&str, &str)],
    ) -> Result<Repository> {
        let dir = tempfile::Builder::new().prefix("work").tempdir()?;
        let repository = Repository { dir, exe: self.exe.clone(), data: self.data.clone() };
        repository.git(&["init", "--quiet", "--initial-branch=main", "."])?;
        repository.aim(self, project, name)?;
        repository.commit("First", files)?;
        Ok(repository)
    }
}

impl Drop for Naru {
    fn drop(&mut self) {
        // Whatever state the test left it in.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in shims(self.data.as_path()) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Shims outlive the server on purpose; these are the ones of this data directory, by their command line.
pub fn shims(data: &Path) -> Vec<Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let data = data.as_os_str().as_encoded_bytes();
    let ours = |pid: i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.windows(data.len()).any(|w| w == data) && line.windows(5).any(|w| w == b"shim\0")
    };
    processes
        .flatten()
        .filter_map(|p| p.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| ours(*pid))
        .filter_map(Pid::from_raw)
        .collect()
}

struct Started {
    child: Child,
    url: String,
    after: Duration,
}

fn launch(exe: &Path, data: &Path, more: &[String]) -> Result<Started> {
    let began = Instant::now();
    let mut command = Command::new(exe);
    command.args(["up", "--data"]).arg(data).args(more);
    for flag in ["--listen", "--edge"] {
        if more.iter().all(|m| m != flag) {
            command.args([flag, "127.0.0.1:0"]);
        }
    }
    command.env("NARU_LANG", "en").stdin(Stdio::null()).stdout(Stdio::piped());
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent's.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    let mut child = command.spawn().with_context(|| format!("start {}", exe.display()))?;
    let out = child.stdout.take().context("no standard output")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    let url = line.strip_prefix("ready ").and_then(|l| l.split_whitespace().next());
    let Some(url) = url else {
        let _ = child.kill();
        let _ = child.wait();
        bail!("naru did not get ready: {line:?}");
    };
    Ok(Started { url: url.to_owned(), child, after: began.elapsed() })
}

fn server_file(data: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(data.join("server.json"))?)?)
}

fn edge_of(data: &Path) -> Result<SocketAddr> {
    Ok(server_file(data)?["edge"].as_str().context("no edge")?.parse()?)
}

/// A developer's working copy.
pub struct Repository {
    dir: TempDir,
    exe: PathBuf,
    data: PathBuf,
}

impl Repository {
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Points the remote `naru` at the server, which may have moved.
    pub fn aim(&self, naru: &Naru, project: &str, name: &str) -> Result<()> {
        let url = format!("{}/{project}/{name}.git", naru.url);
        // The first time there is nothing to remove.
        let _ = self.git(&["remote", "remove", "naru"]);
        self.git(&["remote", "add", "naru", &url]).map(drop)
    }

    /// Writes `files` and commits everything.
    pub fn commit(&self, subject: &str, files: &[(&str, &str)]) -> Result<String> {
        for (file, words) in files {
            let path = self.dir.path().join(file);
            std::fs::create_dir_all(path.parent().context("no parent")?)?;
            std::fs::write(path, words)?;
        }
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", subject])?;
        Ok(self.git(&["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// `git push` with the credential helper; what the client shows, and whether it succeeded.
    pub fn push(&self, args: &[&str]) -> Result<(bool, String)> {
        let helper = format!("credential.helper=!'{}' git-credential", self.exe.display());
        let out = self.command(&[&["-c", &helper, "push"], args].concat()).output()?;
        Ok((out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned()))
    }

    /// `git push -o follow naru main`: returns when the change has arrived or failed.
    pub fn follow(&self) -> Result<String> {
        let (pushed, words) = self.push(&["-o", "follow", "naru", "main"])?;
        if !pushed {
            bail!("push failed: {words}");
        }
        Ok(words)
    }

    pub fn git(&self, args: &[&str]) -> Result<String> {
        let out = self.command(args).output()?;
        if !out.status.success() {
            bail!("git {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr));
        }
        Ok(String::from_utf8(out.stdout)?)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .current_dir(self.dir.path())
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            .args(args)
            .env("NARU_DATA", &self.data)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null());
        // The roots of a server with TLS; one without has none.
        let roots = self.data.join("ca.pem");
        if roots.exists() {
            command.env("GIT_SSL_CAINFO", roots);
        }
        command
    }
}

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| self.body.clone())
    }
}

/// One request in HTTP/1.0, whose answer ends with its connection.
pub fn request(
    address: SocketAddr,
    host: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut head =
        format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    raw_answer(stream)
}

/// Reads a connection to its end as one answer.
pub fn raw_answer(mut stream: TcpStream) -> Result<Answer> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let words = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) =
        words.split_once("\r\n\r\n").with_context(|| format!("no answer: {words:?}"))?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
