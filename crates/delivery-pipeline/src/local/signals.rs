//! Ctrl-C and its like.

use kernel::{Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that end a run. The first asks it to end, the second ends it.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    pub seen: u32,
}

impl Signals {
    /// From here on the process does not die of them.
    ///
    /// # Errors
    /// Internal, when the machine refuses.
    pub fn listen() -> Result<Signals> {
        let listen = |kind| signal(kind).map_err(Error::internal);
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            seen: 0,
        })
    }

    /// Waits for one. Cancel safe.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
        self.seen += 1;
    }
}
