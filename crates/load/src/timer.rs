//! Waiting until an instant to within some tens of microseconds: the runtime's own timers count milliseconds.

use kernel::{Error, Result};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Shorter than what arming the timer and being woken by it take.
const SHORT: Duration = Duration::from_micros(20);

pub struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    pub fn new() -> Result<Timer> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(Error::internal)?;
        // SAFETY: an `OwnedFd` is open, is always the same descriptor, and is closed only when it is dropped.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        let fd = fd.map_err(Error::internal)?;
        Ok(Timer(fd))
    }

    pub async fn until(&self, at: Instant) -> Result<()> {
        loop {
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            if left < SHORT {
                tokio::task::yield_now().await;
                continue;
            }
            self.arm(left)?;
            let mut ready = self.0.readable().await.map_err(Error::internal)?;
            let mut rung = [0_u8; 8];
            // A read that would block only means that it was rung for an older time.
            let _ = rustix::io::read(ready.get_inner(), &mut rung);
            ready.clear_ready();
        }
    }

    fn arm(&self, after: Duration) -> Result<()> {
        let it_value = Timespec {
            tv_sec: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(after.subsec_nanos()),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once).map_err(Error::internal)?;
        Ok(())
    }
}
