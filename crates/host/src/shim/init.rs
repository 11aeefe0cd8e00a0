//! The first process of a pid namespace. The kernel ignores most signals sent to it and hands it all
//! orphans, so the workload is not put there: this forwards, reaps, says how the workload has ended, and
//! leaves when the shim lets it go, upon which the kernel kills whatever is left in the namespace.

use crate::sys;
use rustix::process::{Pid, WaitOptions, WaitStatus};
use std::os::fd::{IntoRawFd, OwnedFd};

/// Runs until the workload has ended; then writes its raw wait status to `report`, and leaves at the next
/// signal from outside.
pub fn run(program: i32, report: OwnedFd) {
    let Some(program) = Pid::from_raw(program) else { return };
    keep_only(report);
    let mut ended = None;
    let mut stopping = false;
    let mut reported = false;
    loop {
        let signal = sys::next_signal();
        if signal.number == libc::SIGCHLD {
            reap(program, &mut ended);
        } else if signal.outside && reported {
            return;
        } else if signal.outside {
            stopping = true;
            forward(program, signal.number);
        }
        if let Some(status) = ended
            && !reported
            && !(stopping && group_lives(program))
        {
            let _ = rustix::io::write(rustix::stdio::stdin(), &status.as_raw().to_ne_bytes());
            reported = true;
        }
    }
}

/// Makes `report` the only open descriptor, the first. Above all the ends of the output pipes must go: their
/// closing tells the shim that nothing more will be printed.
fn keep_only(report: OwnedFd) {
    let _ = rustix::stdio::dup2_stdin(&report);
    // It is closed with all others.
    let _ = report.into_raw_fd();
    sys::close_from(1);
}

fn reap(program: Pid, ended: &mut Option<WaitStatus>) {
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == program {
            *ended = Some(status);
        }
    }
}

/// To the whole process group, so that a program behind a shell hears of it too.
fn forward(program: Pid, number: i32) {
    sys::signal_group(program, number);
}

/// While stopping, the shell in front may be gone and the program behind it still be finishing its work.
fn group_lives(program: Pid) -> bool {
    rustix::process::test_kill_process_group(program).is_ok()
}
