//! Connections to an instance, and the ones kept for later.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Idle connections older than this are likely to be closed by the instance at any moment.
const KEEP: Duration = Duration::from_secs(30);
/// What a request that must not be sent twice may take: a connection that was in use just now cannot
/// plausibly be closing.
const FRESH: Duration = Duration::from_secs(1);

/// Which kept connections a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// It can be sent again if the connection turns out dead.
    Any,
    /// It cannot.
    Fresh,
    /// One just turned out dead.
    None,
}

/// Kept connections of one instance, the latest used first.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    idle: Vec<(TcpStream, Instant)>,
    closed: bool,
}

impl Pool {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that shows no sign of its end.
    pub(crate) fn take(&self, reuse: Reuse, now: Instant) -> Option<TcpStream> {
        let most = match reuse {
            Reuse::Any => KEEP,
            Reuse::Fresh => FRESH,
            Reuse::None => return None,
        };
        loop {
            let (stream, since) = self.kept().idle.pop()?;
            if now.saturating_duration_since(since) > most {
                // The rest are older still.
                if most == KEEP {
                    self.kept().idle.clear();
                } else {
                    self.put_back(stream, since);
                }
                return None;
            }
            if silent(&stream) {
                return Some(stream);
            }
        }
    }

    fn put_back(&self, stream: TcpStream, since: Instant) {
        let mut kept = self.kept();
        if !kept.closed {
            kept.idle.push((stream, since));
        }
    }

    /// Keeps a connection whose last exchange ended cleanly, if there is room.
    pub(crate) fn give(&self, stream: TcpStream, room: usize, now: Instant) {
        let mut kept = self.kept();
        // The longest idle is first. Nobody looks at these otherwise, and the instance may have closed them.
        while kept.idle.first().is_some_and(|(_, since)| now.duration_since(*since) > KEEP) {
            kept.idle.remove(0);
        }
        if !kept.closed && kept.idle.len() < room {
            kept.idle.push((stream, now));
        }
    }

    /// Closes what is kept and keeps nothing more.
    pub(crate) fn close(&self) {
        let mut kept = self.kept();
        kept.closed = true;
        kept.idle.clear();
    }

    pub(crate) fn open(&self) {
        self.kept().closed = false;
    }
}

/// Neither closed nor speaking out of turn. Costs no system call unless something happened.
fn silent(stream: &TcpStream) -> bool {
    let mut byte = [0u8; 1];
    matches!(stream.try_read(&mut byte), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
}
