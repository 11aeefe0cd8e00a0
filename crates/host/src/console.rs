//! A program beside a workload's own, on a terminal.

use crate::link::dial;
use crate::state::StateDir;
use crate::wire::{Ask, Exec, MAX_LINE, Size, Told};
use kernel::{Error, ErrorKind, Result, Text, text};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::termios::{Winsize, tcsetwinsize};
use std::io::{self, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, BufReader, ReadBuf};

/// How long the shim may take to open a terminal.
const OPEN_WAIT: Duration = Duration::from_secs(10);

/// A program on a terminal. Dropping it and its terminals hangs up on the program.
#[derive(Debug)]
pub struct Console {
    terminal: Terminal,
    told: BufReader<tokio::net::UnixStream>,
}

/// The terminal's own end: what is written is typed, what is read was printed; the end of reading is the
/// end of the program. Clones are the same one; only one of them may read, and one may write.
#[derive(Clone, Debug)]
pub struct Terminal(Arc<AsyncFd<OwnedFd>>);

impl Console {
    pub(crate) async fn open(dir: StateDir, exec: Exec) -> Result<Console> {
        let opened = tokio::task::spawn_blocking(move || open(&dir, exec));
        let (told, terminal) = opened.await.map_err(Error::internal)??;
        told.set_nonblocking(true).map_err(Error::internal)?;
        rustix::io::ioctl_fionbio(&terminal, true).map_err(Error::internal)?;
        let terminal = crate::sys::watched(terminal).map_err(Error::internal)?;
        let told = tokio::net::UnixStream::from_std(told).map_err(Error::internal)?;
        Ok(Console {
            terminal: Terminal(Arc::new(terminal)),
            told: BufReader::with_capacity(1024, told),
        })
    }

    pub fn terminal(&self) -> Terminal {
        self.terminal.clone()
    }

    /// Waits for the program's end: its exit code, or 128 and the number of the signal that killed it;
    /// `None` when nobody is left who knows.
    pub async fn wait(&mut self) -> Option<i32> {
        let mut line = String::new();
        loop {
            line.clear();
            let more = (&mut self.told).take(MAX_LINE as u64).read_line(&mut line).await;
            if !more.is_ok_and(|n| n > 0) {
                return None;
            }
            if let Some(Told::Ended(code)) = Told::parse(&line) {
                return Some(code);
            }
        }
    }
}

impl Terminal {
    /// The window has another size now; the program hears of it.
    ///
    /// # Errors
    /// Internal when the terminal is gone.
    pub fn resize(&self, size: Size) -> Result<()> {
        tcsetwinsize(self.0.get_ref(), winsize(size)).map_err(Error::internal)
    }
}

pub(crate) fn winsize(size: Size) -> Winsize {
    Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// Blocks until the shim has opened a terminal, or refused to.
fn open(dir: &StateDir, exec: Exec) -> Result<(UnixStream, OwnedFd)> {
    let line = Ask::Exec(exec).line();
    if line.len() > MAX_LINE {
        return Err(refused("the command and its environment are too long"));
    }
    let mut stream = dial(dir).map_err(|_| ended())?;
    let timed = stream.set_read_timeout(Some(OPEN_WAIT));
    timed.and_then(|()| stream.write_all(line.as_bytes())).map_err(Error::internal)?;
    let (mut heard, mut terminal) = (Vec::new(), None);
    loop {
        let n = receive(&stream, &mut heard, &mut terminal).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => slow(),
            _ => Error::internal(e),
        })?;
        let whole = heard.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = heard.drain(..whole).collect();
        for told in String::from_utf8_lossy(&lines).lines().filter_map(Told::parse) {
            match (told, terminal.take()) {
                (Told::Open, Some(terminal)) => return Ok((stream, terminal)),
                (Told::Refused(why), _) => return Err(refused(&why)),
                (_, kept) => terminal = kept,
            }
        }
        if n == 0 || heard.len() > MAX_LINE {
            return Err(ended());
        }
    }
}

/// Reads what there is, with the descriptor that may come beside it. Each line is sent on its own, so no
/// bytes behind `open` are read with it: they would be lost to whoever reads on.
fn receive(
    stream: &UnixStream,
    heard: &mut Vec<u8>,
    terminal: &mut Option<OwnedFd>,
) -> io::Result<usize> {
    let mut byte = [0_u8; 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut beside, flags)?;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            *terminal = fds.last().or(terminal.take());
        }
    }
    heard.extend_from_slice(byte.get(..got.bytes).unwrap_or_default());
    Ok(got.bytes)
}

pub(crate) fn ended() -> Error {
    let say = Text::fixed("the workload has ended", "워크로드가 끝났습니다");
    Error::conflict("workload.ended", say)
}

fn refused(why: &str) -> Error {
    let say =
        text!("no program can be started there: {why}", "프로그램을 시작하지 못했습니다: {why}");
    Error::invalid("workload.exec", say)
}

fn slow() -> Error {
    let say = Text::fixed(
        "the workload did not open a terminal in time",
        "워크로드가 제때 터미널을 열지 않았습니다",
    );
    Error::new(ErrorKind::Unavailable, "workload.slow", say)
}

impl AsyncRead for Terminal {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            let unfilled = buf.initialize_unfilled();
            match ready.try_io(|fd| Ok(rustix::io::read(fd, unfilled)?)) {
                Ok(Ok(n)) => {
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
                // Nobody has the other side open any more.
                Ok(Err(e)) if e.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(e)) => return Poll::Ready(Err(e)),
                Err(_) => {}
            }
        }
    }
}

impl AsyncWrite for Terminal {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(cx))?;
            if let Ok(done) = ready.try_io(|fd| Ok(rustix::io::write(fd, bytes)?)) {
                return Poll::Ready(done);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
