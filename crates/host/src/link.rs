//! The connection between the server and one shim, kept until the workload has ended.

use crate::cgroup;
use crate::spec::{Exit, Reason};
use crate::state::StateDir;
use crate::wire::{Ask, MAX_LINE, Say, Usage};
use crate::workload::Seen;
use kernel::Time;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot};

/// Between attempts to reach a shim that is alive but not listening (it is just starting or just ending).
const RETRY: Duration = Duration::from_millis(50);

/// Between attempts to record that a workload was lost, on a full disk.
const RECORD_RETRY: Duration = Duration::from_secs(1);

/// Questions about usage waiting for an answer at the same time.
const MAX_WAITING: usize = 64;

pub(crate) enum Request {
    Stop,
    Kill,
    Usage(oneshot::Sender<Usage>),
    /// Milliseconds.
    Hold(u64),
}

pub(crate) struct Link {
    pub dir: StateDir,
    pub id: String,
    pub started: Time,
    pub seen: Arc<Seen>,
    pub asks: mpsc::Receiver<Request>,
    /// The shim, when this server started it and must reap it.
    pub child: Option<Child>,
}

/// Why a conversation with the shim is over.
enum Over {
    Exit(Exit),
    /// The connection broke; the shim is dead or about to be.
    Broken,
    /// Nobody holds a handle any more.
    Unwanted,
}

impl Link {
    /// Runs until the workload has ended or all handles on it are gone.
    pub async fn run(mut self, mut talk: Option<Talk>) {
        let mut wanted = None;
        let exit = loop {
            let over = match talk.take() {
                Some(talk) => self.converse(talk, &mut wanted).await,
                None => Over::Broken,
            };
            match over {
                Over::Exit(exit) => break exit,
                Over::Unwanted => return,
                Over::Broken => {}
            }
            match self.settle().await {
                Settled::Exit(exit) => break exit,
                Settled::Alive(again) => talk = again,
            }
        };
        self.seen.end(exit);
        if let Some(mut child) = self.child.take() {
            // Reaps it. A shim leaves right after it has said how its workload ended.
            let _ = child.wait().await;
        }
    }

    async fn converse(&mut self, mut talk: Talk, wanted: &mut Option<Ask>) -> Over {
        let mut waiting: VecDeque<oneshot::Sender<Usage>> = VecDeque::new();
        if let Some(ask) = wanted.as_ref()
            && talk.ask(ask).await.is_err()
        {
            return Over::Broken;
        }
        loop {
            tokio::select! {
                heard = talk.hear() => match heard {
                    Ok(Some(Say::Exit(exit))) => return Over::Exit(exit),
                    Ok(Some(Say::Log(bytes))) => { self.seen.log.send_replace(bytes); }
                    Ok(Some(Say::Usage(usage))) => {
                        if let Some(reply) = waiting.pop_front() { let _ = reply.send(usage); }
                    }
                    Ok(_) => {}
                    Err(_) => return Over::Broken,
                },
                request = self.asks.recv() => {
                    let ask = match request {
                        None => return Over::Unwanted,
                        Some(Request::Stop) => wanted.get_or_insert(Ask::Stop).clone(),
                        Some(Request::Kill) => wanted.insert(Ask::Kill).clone(),
                        Some(Request::Hold(ms)) => Ask::Hold(ms),
                        Some(Request::Usage(reply)) => {
                            if waiting.len() >= MAX_WAITING { continue; }
                            waiting.push_back(reply);
                            Ask::Usage
                        }
                    };
                    if talk.ask(&ask).await.is_err() {
                        return Over::Broken;
                    }
                }
            }
        }
    }

    /// After a broken connection: the recorded exit, a new connection, or the verdict that it is lost.
    async fn settle(&mut self) -> Settled {
        let (dir, started) = (self.dir.clone(), self.started);
        let settled = tokio::task::spawn_blocking(move || settle(&dir, started)).await;
        match settled {
            Ok(Ok(Settled::Alive(None))) => {
                tokio::time::sleep(RETRY).await;
                Settled::Alive(None)
            }
            Ok(Ok(settled)) => settled,
            // Someone took the state directory away: there is nothing to record it in.
            Ok(Err(e)) if e.kind() == io::ErrorKind::NotFound => Settled::Exit(lost(started)),
            Ok(Err(e)) => {
                tracing::warn!(id = self.id, "cannot record the end of a workload yet: {e}");
                tokio::time::sleep(RECORD_RETRY).await;
                Settled::Alive(None)
            }
            Err(_) => Settled::Exit(lost(started)),
        }
    }
}

pub(crate) enum Settled {
    Exit(Exit),
    /// The shim lives; a connection to it if it listens already.
    Alive(Option<Talk>),
}

/// Looks at the state directory once. Must run inside the runtime.
pub(crate) fn settle(dir: &StateDir, started: Time) -> io::Result<Settled> {
    let Some(lock) = dir.lock()? else {
        if let Some(exit) = dir.read_exit() {
            // The shim is about to leave; its own sync may still be under way.
            dir.sync_exit()?;
            return Ok(Settled::Exit(exit));
        }
        return Ok(Settled::Alive(connect(dir).ok()));
    };
    if let Some(exit) = dir.read_exit() {
        return Ok(Settled::Exit(exit));
    }
    cgroup::kill_leftovers(&lock.groups());
    let exit = lost(started);
    dir.write_exit(&exit)?;
    drop(lock);
    Ok(Settled::Exit(exit))
}

fn lost(started: Time) -> Exit {
    Exit {
        reason: Reason::Lost,
        code: None,
        signal: None,
        started,
        finished: crate::sys::now(),
        cpu_ms: None,
        memory_peak: None,
    }
}

fn connect(dir: &StateDir) -> io::Result<Talk> {
    Talk::new(dial(dir)?)
}

/// A new connection to the shim.
pub(crate) fn dial(dir: &StateDir) -> io::Result<std::os::unix::net::UnixStream> {
    let handle = dir.handle()?;
    let path = format!("/proc/self/fd/{}/control.sock", handle.as_raw_fd());
    std::os::unix::net::UnixStream::connect(path)
}

/// A connection to a shim.
pub(crate) struct Talk {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    /// The part of a line that has come so far.
    line: Vec<u8>,
}

impl Talk {
    /// Must run inside the runtime.
    pub fn new(stream: std::os::unix::net::UnixStream) -> io::Result<Talk> {
        stream.set_nonblocking(true)?;
        let (read, write) = UnixStream::from_std(stream)?.into_split();
        Ok(Talk { read: BufReader::with_capacity(1024, read), write, line: Vec::new() })
    }

    /// The next thing the shim says; `None` for a line that is not understood. Cancel safe.
    pub async fn hear(&mut self) -> io::Result<Option<Say>> {
        let room = (MAX_LINE + 1).saturating_sub(self.line.len()) as u64;
        (&mut self.read).take(room).read_until(b'\n', &mut self.line).await?;
        if !self.line.ends_with(b"\n") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let say = std::str::from_utf8(&self.line).ok().and_then(Say::parse);
        self.line.clear();
        Ok(say)
    }

    async fn ask(&mut self, ask: &Ask) -> io::Result<()> {
        self.write.write_all(ask.line().as_bytes()).await
    }
}
