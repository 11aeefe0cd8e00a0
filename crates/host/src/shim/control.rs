//! The shim's side of its conversations with servers.

use crate::state::StateDir;
use crate::wire::{Ask, MAX_LINE, Say};
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

/// Servers at the same time; there is one, or two while one takes over from another.
const MAX_CONNS: usize = 8;
/// What may wait for a server that does not read.
const MAX_OUTPUT: usize = 128 * 1024;
/// How long the shim tries to tell how its workload ended. Whoever misses it finds it on disk.
const FAREWELL: Duration = Duration::from_secs(2);

pub struct Control {
    /// None when it could not be made: then only the first connection serves.
    listener: Option<UnixListener>,
    conns: Vec<Conn>,
}

struct Conn {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    broken: bool,
}

impl Control {
    /// `first` is the connection the server that started the shim has made already.
    pub fn new(first: Option<UnixStream>) -> Control {
        let conns = first.and_then(Conn::new).into_iter().collect();
        Control { listener: None, conns }
    }

    pub fn listen(&mut self, dir: &StateDir) -> io::Result<()> {
        let handle = dir.handle()?;
        let path = format!("/proc/self/fd/{}/control.sock", handle.as_raw_fd());
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        self.listener = Some(listener);
        Ok(())
    }

    /// Everything that can become ready here, for a poll with others.
    pub fn poll_fds(&self) -> impl Iterator<Item = PollFd<'_>> {
        let listener = self.listener.iter().map(|l| PollFd::new(l, PollFlags::IN));
        listener.chain(self.conns.iter().map(Conn::poll_fd))
    }

    /// Reads and accepts whatever is there: what is asked, and by which connection. New connections hear
    /// `greeting` first.
    pub fn serve(&mut self, greeting: &[Say]) -> Vec<(usize, Ask)> {
        self.accept(greeting);
        let mut asked = Vec::new();
        for (at, conn) in self.conns.iter_mut().enumerate() {
            conn.flush();
            asked.extend(conn.read().into_iter().map(|ask| (at, ask)));
        }
        asked
    }

    /// Forgets connections that have ended. Positions given by [`Control::serve`] are void afterwards.
    pub fn tidy(&mut self) {
        self.conns.retain(|conn| !conn.broken);
    }

    pub fn say(&mut self, say: &Say) {
        let line = say.line();
        for conn in self.conns.iter_mut().filter(|conn| !conn.broken) {
            conn.push(&line);
        }
    }

    pub fn answer(&mut self, at: usize, say: &Say) {
        if let Some(conn) = self.conns.get_mut(at) {
            conn.push(&say.line());
        }
    }

    /// Takes a connection out of the conversation, with what it has not been told yet.
    pub fn hand_over(&mut self, at: usize) -> Option<(UnixStream, Vec<u8>)> {
        let conn = self.conns.get_mut(at)?;
        let stream = conn.stream.try_clone().ok()?;
        conn.broken = true;
        Some((stream, std::mem::take(&mut conn.output)))
    }

    /// The last words, with a limit on how long they may take.
    pub fn farewell(mut self, say: &Say) {
        self.say(say);
        let until = Instant::now() + FAREWELL;
        loop {
            self.tidy();
            self.conns.retain(|conn| !conn.output.is_empty());
            let left = until.saturating_duration_since(Instant::now());
            if self.conns.is_empty() || left.is_zero() {
                return;
            }
            let mut fds: Vec<_> = self.conns.iter().map(Conn::poll_fd).collect();
            let _ = poll(&mut fds, super::timespec(left).as_ref());
            for conn in &mut self.conns {
                conn.flush();
                conn.read();
            }
        }
    }

    fn accept(&mut self, greeting: &[Say]) {
        let Some(listener) = &self.listener else { return };
        while let Ok((stream, _)) = listener.accept() {
            // The directory keeps others out already; this holds even if it was opened up by hand.
            let own = rustix::net::sockopt::socket_peercred(&stream)
                .is_ok_and(|peer| peer.uid.is_root() || peer.uid == rustix::process::geteuid());
            if !own || self.conns.len() >= MAX_CONNS {
                continue;
            }
            if let Some(mut conn) = Conn::new(stream) {
                greeting.iter().for_each(|say| conn.push(&say.line()));
                self.conns.push(conn);
            }
        }
    }
}

impl Conn {
    fn new(stream: UnixStream) -> Option<Conn> {
        stream.set_nonblocking(true).ok()?;
        Some(Conn { stream, input: Vec::new(), output: Vec::new(), broken: false })
    }

    fn poll_fd(&self) -> PollFd<'_> {
        let wants = match self.output.is_empty() {
            true => PollFlags::IN,
            false => PollFlags::IN | PollFlags::OUT,
        };
        PollFd::from_borrowed_fd(self.stream.as_fd(), wants)
    }

    fn push(&mut self, line: &str) {
        if self.output.len() + line.len() > MAX_OUTPUT {
            self.broken = true;
            return;
        }
        self.output.extend_from_slice(line.as_bytes());
        self.flush();
    }

    fn flush(&mut self) {
        while !self.output.is_empty() && !self.broken {
            match self.stream.write(&self.output) {
                Ok(n) if n > 0 => drop(self.output.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                _ => self.broken = true,
            }
        }
    }

    fn read(&mut self) -> Vec<Ask> {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(n) if n > 0 && self.input.len() < MAX_LINE => {
                    self.input.extend_from_slice(chunk.get(..n).unwrap_or_default());
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // The end, an error, or a line that never ends.
                _ => {
                    self.broken = true;
                    break;
                }
            }
        }
        let whole = self.input.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.input.drain(..whole).collect();
        String::from_utf8_lossy(&lines).lines().filter_map(Ask::parse).collect()
    }
}

/// The connection that came as standard input, if it is one; standard input is nothing from then on.
pub fn take_stdin() -> Option<UnixStream> {
    let stdin = rustix::stdio::stdin();
    let kept: Option<OwnedFd> = rustix::net::sockopt::socket_type(stdin)
        .ok()
        .and_then(|_| rustix::io::fcntl_dupfd_cloexec(stdin, 3).ok());
    let null = std::fs::OpenOptions::new().read(true).open("/dev/null").ok()?;
    rustix::stdio::dup2_stdin(&null).ok()?;
    kept.map(UnixStream::from)
}
