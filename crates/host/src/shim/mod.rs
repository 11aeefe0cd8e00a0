//! The shim: the parent of one workload, from its start until its exit is recorded.
//!
//! One thread, no async runtime. Children are made by fork, which is safe only because of that.

mod attach;
mod control;
mod disk;
mod init;
mod launch;
mod logs;
mod mounts;
mod overlay;
pub(crate) mod private;
mod root;
mod tree;
mod watch;

use crate::cgroup::{Group, Layout};
use crate::spec::{Exit, Private, Reason, Spec};
use crate::state::{Lock, StateDir};
use crate::sys;
use crate::wire::Say;
use control::Control;
use kernel::{Text, Time};
use launch::Instead;
use logs::Log;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use watch::{Ended, Watch};

/// How long the shim tries to record the exit on a full disk, and how often.
const RECORD_TRIES: u32 = 1200;
const RECORD_RETRY: Duration = Duration::from_millis(500);

/// The whole of `naru shim DIR`: runs the workload described in `DIR/spec.json` and returns when its exit is
/// recorded. To be called first thing in `main`: it closes every descriptor from 3 on, leaves the session
/// and ignores the signals meant for the server. If standard input is a socket, it is the first server's
/// connection.
pub fn shim_main(dir: &Path) -> ExitCode {
    sys::close_from(3);
    sys::ignore_signals();
    // Fails only where the shim leads a session already.
    let _ = rustix::process::setsid();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let first = control::take_stdin();
    // Without what it was to know it is not run: the server finds that nothing was.
    let Ok(private) = private::receive(first.as_ref()) else { return ExitCode::FAILURE };
    let mut control = Control::new(first);
    let Ok(dir) = std::path::absolute(dir).map(StateDir::new) else { return ExitCode::FAILURE };
    let _ = rustix::process::chdir("/");
    let lock = match dir.lock() {
        Ok(Some(lock)) => lock,
        Ok(None) => {
            control.farewell(&Say::Busy);
            return ExitCode::FAILURE;
        }
        Err(_) => return ExitCode::FAILURE,
    };
    if dir.read_exit().is_some() {
        // It has run before, or was declared lost: not again.
        return ExitCode::FAILURE;
    }
    let begun = sys::now();
    let (ended, group) = match run(&dir, &lock, begun, private, &mut control) {
        Ok((ended, group)) => (ended, Some(group)),
        Err(why) => (Ended::not_started(why), None),
    };
    let exit = exit(begun, ended, group.as_ref());
    if !record(&dir, &exit) {
        return ExitCode::FAILURE;
    }
    control.farewell(&Say::Exit(exit));
    let _ = std::fs::remove_file(dir.path().join("control.sock"));
    if let Some(group) = group {
        group.remove();
    }
    ExitCode::SUCCESS
}

/// Launches the workload and watches it to its end.
fn run(
    dir: &StateDir,
    lock: &Lock,
    begun: Time,
    private: Private,
    control: &mut Control,
) -> Result<(Ended, Group), String> {
    let mut spec = dir.read_spec().map_err(|e| e.to_string())?;
    private::complete(&mut spec, private, dir.path())?;
    let mut log = Log::open(&spec.log, &spec.limits)
        .map_err(|e| format!("cannot open the log {}: {e}", spec.log.display()))?;
    let (group, missing) = Group::create(&Layout::look(), &spec.id, dir.path(), &spec.limits);
    lock.begin(begun, &group.paths()).map_err(|e| format!("cannot write its state: {e}"))?;
    for limit in &missing {
        log.note(begun, &unenforced(limit));
    }
    if spec.sandbox.is_none() {
        log.note(
            begun,
            &Text::fixed(
                "it runs without isolation and sees the machine as naru does",
                "격리 없이 실행되어 naru와 똑같이 이 머신을 볼 수 있습니다",
            ),
        );
    }
    let shared = spec.limits.cpu_weight.is_none_or(|weight| group.share_cpu(weight));
    control.listen(dir).map_err(|e| format!("cannot make the control socket: {e}"))?;
    let signals = sys::child_signals().map_err(|e| format!("cannot watch children: {e}"))?;
    if spec.sandbox.is_none() {
        // Whatever the workload leaves behind becomes a child of the shim.
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    }
    let instead = Instead {
        nproc: missing.contains(&"pids").then(|| nproc(&spec)).flatten(),
        nice: spec.limits.cpu_weight.filter(|_| !shared).map(launch::nice),
    };
    let ended = match launch::launch(&spec, dir.path(), group.doors(), instead) {
        Ok(launched) => Watch::new(&spec, begun, launched, signals, log, &group, control).run(),
        Err(why) => Ended::not_started(why),
    };
    Ok((ended, group))
}

/// Where no control group counts processes, the kernel counts those of a user in a user namespace.
fn nproc(spec: &Spec) -> Option<u64> {
    let own = spec.sandbox.is_some() && !rustix::process::geteuid().is_root();
    spec.limits.pids.filter(|_| own).map(u64::from)
}

fn unenforced(limit: &str) -> Text {
    let (en, ko) = match limit {
        "memory" => ("memory", "메모리"),
        "cpu" => ("CPU", "CPU"),
        _ => ("process", "프로세스 수"),
    };
    kernel::text!(
        "this machine cannot enforce the {en} limit: no control group for it",
        "이 머신에는 해당 컨트롤 그룹이 없어 {ko} 제한을 적용할 수 없습니다"
    )
}

fn exit(started: Time, ended: Ended, group: Option<&Group>) -> Exit {
    let out_of_memory = ended.reason == Reason::Exited
        && ended.code != Some(0)
        && group.is_some_and(|g| g.oom_kills() > 0);
    Exit {
        reason: if out_of_memory { Reason::MemoryLimit } else { ended.reason },
        code: ended.code,
        signal: ended.signal,
        started,
        finished: ended.at.unwrap_or_else(sys::now),
        cpu_ms: Some(group.and_then(Group::cpu_ms).unwrap_or_else(sys::children_cpu_ms)),
        memory_peak: group.and_then(Group::memory_peak),
    }
}

/// Records the exit, waiting for space on a full disk.
fn record(dir: &StateDir, exit: &Exit) -> bool {
    for _ in 0..RECORD_TRIES {
        match dir.write_exit(exit) {
            Ok(()) => return true,
            Err(_) if dir.path().is_dir() => std::thread::sleep(RECORD_RETRY),
            Err(_) => return false,
        }
    }
    false
}

fn timespec(duration: Duration) -> Option<rustix::event::Timespec> {
    // Rounded up, so that a wait is not over before its time.
    rustix::event::Timespec::try_from(duration + Duration::from_micros(1)).ok()
}
