//! Keys of whoever sits at the terminal, one by one.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::collections::VecDeque;
use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};
use tokio::sync::mpsc;

/// Keys that wait to be read.
const WAITING: usize = 256;
/// Bytes read at a time.
const CHUNK: usize = 1024;

/// How the terminal was before; dropping it puts that back.
pub struct Restore(Option<Termios>);

impl Restore {
    /// Each key at once and unseen; Ctrl-C stays what it is. `None` where there is no terminal.
    pub fn unbuffered() -> Restore {
        Restore::with(|mode| mode.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO))
    }

    /// Everything goes through as it is typed, Ctrl-C as well.
    pub fn raw() -> Restore {
        Restore::with(Termios::make_raw)
    }

    fn with(change: impl FnOnce(&mut Termios)) -> Restore {
        let stdin = std::io::stdin();
        let Some(before) = stdin.is_terminal().then(|| tcgetattr(&stdin).ok()).flatten() else {
            return Restore(None);
        };
        let mut mode = before.clone();
        change(&mut mode);
        let set = tcsetattr(&stdin, OptionalActions::Now, &mode);
        Restore(set.is_ok().then_some(before))
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // The terminal may be gone, which is the end of it.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Standard input from a thread of its own, which a pending read of tokio's would hold up at the end.
/// Dropping it ends the thread.
pub struct Input {
    pub bytes: mpsc::Receiver<Vec<u8>>,
    _stop: Option<OwnedFd>,
}

impl Input {
    pub fn open() -> Input {
        let (sender, bytes) = mpsc::channel(WAITING);
        let Ok((heard, stop)) = rustix::pipe::pipe() else {
            return Input { bytes, _stop: None };
        };
        std::thread::spawn(move || pump(&heard, &sender));
        Input { bytes, _stop: Some(stop) }
    }
}

/// Until standard input ends, nobody listens, or the other end of `stop` is closed.
fn pump(stop: &OwnedFd, sender: &mpsc::Sender<Vec<u8>>) {
    let stdin = std::io::stdin();
    let mut chunk = vec![0_u8; CHUNK];
    loop {
        let mut wanted = [
            PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN),
        ];
        match poll(&mut wanted, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        let [input, stopped] = &wanted;
        if !stopped.revents().is_empty() || input.revents().is_empty() {
            return;
        }
        // Past the buffer of the standard library, which poll knows nothing of.
        let Ok(n @ 1..) = rustix::io::read(&stdin, &mut chunk) else { return };
        let bytes = chunk.get(..n).unwrap_or_default().to_vec();
        if sender.blocking_send(bytes).is_err() {
            return;
        }
    }
}

/// Keys one by one.
pub struct Keys {
    input: Input,
    waiting: VecDeque<u8>,
}

impl Keys {
    pub fn open() -> Keys {
        Keys { input: Input::open(), waiting: VecDeque::new() }
    }

    /// The next one; never, when there will be none. Cancel safe.
    pub async fn next(&mut self) -> u8 {
        loop {
            if let Some(key) = self.waiting.pop_front() {
                return key;
            }
            match self.input.bytes.recv().await {
                Some(bytes) => self.waiting.extend(bytes),
                None => std::future::pending().await,
            }
        }
    }

    /// For whoever looks next.
    pub fn give_back(&mut self, key: u8) {
        self.waiting.push_front(key);
    }

    /// One that is there already.
    pub fn taken(&mut self) -> Option<u8> {
        self.waiting.pop_front()
    }
}
