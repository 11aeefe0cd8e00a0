//! A host of its own for each test. What it started dies with it.

use host::{Exit, Host, Limits, Options, Sandbox, Spec, Workload};
use kernel::log::{Line, Stream, decode};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Longer than any wait that goes well.
pub const LONG: Duration = Duration::from_secs(30);

pub struct Rig {
    pub dir: TempDir,
    pub host: Host,
}

impl Rig {
    pub async fn new() -> Rig {
        Rig::within("naru-host-").await
    }

    /// With a name that begins with `prefix`.
    pub async fn within(prefix: &str) -> Rig {
        let dir = tempfile::Builder::new().prefix(prefix).tempdir().unwrap();
        let host = open(dir.path()).await;
        Rig { dir, host }
    }

    /// Another server on the same state, as after a restart.
    pub async fn reopen(&self) -> Host {
        open(self.dir.path()).await
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A directory that exists.
    pub fn made(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// A pipe that a workload reads to be told when to go on.
    pub fn fifo(&self) -> PathBuf {
        let path = self.path("fifo");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, 0o600.into(), 0).unwrap();
        path
    }

    pub fn state(&self, id: &str) -> PathBuf {
        self.path("host").join(id)
    }

    /// A shell script in a sandbox.
    pub fn job(&self, id: &str, script: &str) -> Spec {
        Spec { sandbox: Some(Sandbox::default()), ..self.plain(id, script) }
    }

    /// A shell script that sees the machine.
    pub fn plain(&self, id: &str, script: &str) -> Spec {
        Spec {
            id: id.to_owned(),
            argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            dir: "/".into(),
            sandbox: None,
            limits: Limits { grace_ms: 20_000, ..Limits::default() },
            log: self.path(&format!("{id}.log")),
            stop_signal: 15,
            mask: Vec::new(),
            log_as: None,
            hold_ms: 0,
            private: Default::default(),
        }
    }

    pub async fn run(&self, spec: Spec) -> (Exit, Vec<String>) {
        let log = spec.log.clone();
        let workload = self.host.start(spec).await.unwrap();
        (ended(&workload).await, words(&log))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.path("host")).into_iter().flatten().flatten() {
            let ended = entry.path().join("exit.json").exists();
            if let Some(shim) = shim_of(&entry.path()).filter(|_| !ended) {
                // Its workload dies with it.
                let _ = rustix::process::kill_process(shim, rustix::process::Signal::KILL);
            }
        }
    }
}

async fn open(dir: &Path) -> Host {
    let options = Options { dir: dir.join("host"), shim: shim(), hidden: Vec::new() };
    Host::open(options).await.unwrap()
}

pub fn shim() -> Vec<std::ffi::OsString> {
    vec![env!("CARGO_BIN_EXE_naru-shim").into()]
}

/// The process that holds the lock of a state directory.
pub fn shim_of(state: &Path) -> Option<rustix::process::Pid> {
    let lock = std::fs::OpenOptions::new().write(true).open(state.join("lock")).ok()?;
    let want = rustix::process::Flock::from(rustix::process::FlockType::WriteLock);
    rustix::process::fcntl_getlk(&lock, &want).ok()??.pid
}

pub async fn ended(workload: &Workload) -> Exit {
    tokio::time::timeout(LONG, workload.wait()).await.expect("it ends")
}

/// Waits until the log holds a line, by the workload's own news of it.
pub async fn logged(workload: &Workload, line: &str) {
    let mut grew = workload.log_grew();
    let wait = async {
        while !words(&workload.spec().log).iter().any(|l| l == line) {
            grew.changed().await.unwrap();
        }
    };
    tokio::time::timeout(LONG, wait).await.expect("it is logged");
}

pub fn lines(log: &Path) -> Vec<Line> {
    let bytes = std::fs::read(log).unwrap_or_default();
    let (mut rest, mut lines) = (bytes.as_slice(), Vec::new());
    while let Some((line, used)) = decode(rest) {
        lines.push(line);
        rest = &rest[used..];
    }
    lines
}

/// What the program printed, a line each.
pub fn words(log: &Path) -> Vec<String> {
    lines(log).into_iter().filter(|l| l.stream != Stream::Note).map(|l| l.text).collect()
}

pub fn notes(log: &Path) -> Vec<String> {
    lines(log).into_iter().filter(|l| l.stream == Stream::Note).map(|l| l.text).collect()
}
