//! A person at a terminal: a real one (pty(7)), in which a program believes itself to be used.

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Signal, ioctl_tiocsctty, set_parent_process_death_signal, setsid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// How long a person looks at a screen on which nothing happens.
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// A program in a terminal. It dies with the test.
pub struct Terminal {
    keyboard: OwnedFd,
    child: Child,
    /// All that was ever on the screen.
    seen: String,
    /// How much of that the person has read.
    read: usize,
}

impl Terminal {
    /// Starts a command in a terminal of its own, of so many rows and columns.
    pub fn start(mut command: Command, rows: u16, columns: u16) -> Result<Terminal> {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&keyboard)?;
        unlockpt(&keyboard)?;
        let name = ptsname(&keyboard, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let inside = rustix::fs::open(name, flags, Mode::empty())?;
        tcsetwinsize(&inside, size(rows, columns))?;
        command
            .env("TERM", "xterm")
            .stdin(inside.try_clone()?)
            .stdout(inside.try_clone()?)
            .stderr(inside.try_clone()?);
        // SAFETY: system calls alone, on what the child owns.
        unsafe {
            command.pre_exec(move || {
                set_parent_process_death_signal(Some(Signal::KILL))?;
                setsid()?;
                Ok(ioctl_tiocsctty(&inside)?)
            });
        }
        let child = command.spawn().context("start a program in a terminal")?;
        // The command holds its end of the terminal open.
        drop(command);
        Ok(Terminal { keyboard, child, seen: String::new(), read: 0 })
    }

    /// Types these keys: `\n` is Enter, `\x03` Ctrl-C.
    pub fn press(&self, keys: &str) -> Result<()> {
        let mut rest = keys.as_bytes();
        while !rest.is_empty() {
            let n = rustix::io::write(&self.keyboard, rest)?;
            rest = rest.get(n..).unwrap_or_default();
        }
        Ok(())
    }

    /// Makes the window another size.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        Ok(tcsetwinsize(&self.keyboard, size(rows, columns))?)
    }

    /// Reads on until these words are on the screen.
    pub fn until(&mut self, words: &str) -> Result<()> {
        loop {
            let news = self.seen.get(self.read..).unwrap_or_default();
            if let Some(at) = news.find(words) {
                self.read += at + words.len();
                return Ok(());
            }
            if !self.look()? {
                bail!("no {words:?} on the screen:\n{}", self.seen);
            }
        }
    }

    /// Looks on until the program has ended: its exit code, and all that was ever on the screen.
    pub fn end(mut self) -> Result<(Option<i32>, String)> {
        while self.look()? {}
        Ok((self.child.wait()?.code(), std::mem::take(&mut self.seen)))
    }

    /// Waits for news on the screen; false when there will be none.
    fn look(&mut self) -> Result<bool> {
        let mut wanted = [PollFd::from_borrowed_fd(self.keyboard.as_fd(), PollFlags::IN)];
        if poll(&mut wanted, Some(&PATIENCE))? == 0 {
            bail!("nothing happens on the screen:\n{}", self.seen);
        }
        let mut chunk = [0; 4096];
        match rustix::io::read(&self.keyboard, &mut chunk) {
            Ok(n) if n > 0 => {
                let bytes = chunk.get(..n).unwrap_or_default();
                self.seen.push_str(&String::from_utf8_lossy(bytes));
                Ok(true)
            }
            // What the last program has left is what the kernel calls an error.
            Ok(_) | Err(Errno::IO) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
