//! Another program in a workload's sandbox, on a terminal of its own.
//!
//! A child of the shim enters the namespaces and opens a terminal there, so that its name is known inside;
//! it sends the terminal to whoever asked, and waits for its own child, which becomes the program.

use super::launch::{self, Instead};
use crate::cgroup::Doors;
use crate::console::winsize;
use crate::spec::Spec;
use crate::sys;
use crate::wire::{Exec, Told};
use rustix::fs::Mode;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, waitpid};
use rustix::pty::OpenptFlags;
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};
use std::ffi::CString;
use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// What is to be attached to.
pub struct Place<'a> {
    pub spec: &'a Spec,
    /// The init of the sandbox, if there is one.
    pub init: Option<Pid>,
    pub doors: Doors,
    pub instead: Instead,
}

/// Starts it and does not wait. Whoever is connected by `stream` hears what comes of it, after `before`.
pub fn attach(place: Place<'_>, exec: &Exec, stream: UnixStream, before: &[u8]) {
    match sys::fork(0, None) {
        Ok(Some(_)) => {}
        Ok(None) => {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
                between(place, exec, stream, before);
            }));
            sys::exit_now(0)
        }
        Err(e) => tell(&stream, &Told::Refused(format!("cannot fork: {e}"))),
    }
}

fn tell(mut stream: &UnixStream, told: &Told) {
    let _ = stream.write_all(told.line().as_bytes());
}

/// The process between the shim and the program.
fn between(place: Place<'_>, exec: &Exec, mut stream: UnixStream, before: &[u8]) {
    if stream.set_nonblocking(false).and_then(|()| stream.write_all(before)).is_err() {
        return;
    }
    match start(place, exec, &stream) {
        Ok(program) => {
            let ended = loop {
                match waitpid(Some(program), WaitOptions::empty()) {
                    Err(rustix::io::Errno::INTR) => {}
                    Err(_) | Ok(None) => break None,
                    Ok(Some((_, status))) => break Some(ExitStatus::from_raw(status.as_raw())),
                }
            };
            let code = ended.map(|s| s.code().unwrap_or_else(|| 128 + s.signal().unwrap_or(0)));
            tell(&stream, &Told::Ended(code.unwrap_or(-1)));
        }
        Err(why) => tell(&stream, &Told::Refused(why)),
    }
}

fn start(mut place: Place<'_>, exec: &Exec, stream: &UnixStream) -> Result<Pid, String> {
    let env = environment(place.spec, exec);
    let programs = launch::programs(&exec.argv, &env)?;
    let argv = launch::c_strings(exec.argv.iter().map(String::as_str))?;
    let words: Vec<String> = env.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let env = launch::c_strings(words.iter().map(String::as_str))?;
    if let Some(init) = place.init {
        enter(init)?;
    }
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal =
        rustix::pty::openpt(flags).map_err(|e| format!("cannot open a terminal: {e}"))?;
    rustix::pty::unlockpt(&terminal).map_err(|e| format!("cannot unlock a terminal: {e}"))?;
    let _ = rustix::termios::tcsetwinsize(&terminal, winsize(exec.size));
    let own = rustix::pty::ioctl_tiocgptpeer(&terminal, flags)
        .map_err(|e| format!("cannot open a terminal: {e}"))?;
    match place.doors.fork(0).map_err(|e| format!("cannot fork: {e}"))? {
        None => {
            let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            drop(terminal);
            become_program(&place, own, &programs, &argv, &env);
            sys::exit_now(127)
        }
        Some(pid) => {
            drop(own);
            send(stream, terminal.as_fd()).map_err(|e| format!("cannot hand it over: {e}"))?;
            Pid::from_raw(pid).ok_or_else(|| "no pid".to_owned())
        }
    }
}

/// The namespaces that the init of a sandbox is in.
fn enter(init: Pid) -> Result<(), String> {
    let mut flags = sys::NEW_NAMESPACES;
    if !rustix::process::geteuid().is_root() {
        flags |= sys::NEW_USER;
    }
    let flags = ThreadNameSpaceType::from_bits_retain(flags.cast_unsigned());
    let init = pidfd_open(init, PidfdFlags::empty()).map_err(|_| "it has ended".to_owned())?;
    move_into_thread_name_spaces(init.as_fd(), flags)
        .map_err(|e| format!("cannot enter the sandbox: {e}"))
}

fn environment(spec: &Spec, exec: &Exec) -> Vec<(String, String)> {
    let mut env = spec.env.clone();
    env.retain(|(name, _)| !exec.env.iter().any(|(own, _)| own == name));
    env.extend(exec.env.iter().cloned());
    env
}

/// Returns only when it cannot; the terminal then shows why.
fn become_program(
    place: &Place<'_>,
    terminal: OwnedFd,
    programs: &[CString],
    argv: &[CString],
    env: &[CString],
) {
    if let Err(why) = prepare(place, &terminal) {
        let _ = rustix::io::write(&terminal, format!("{why}\r\n").as_bytes());
        return;
    }
    let mut worst = std::io::Error::from(std::io::ErrorKind::NotFound);
    for program in programs {
        let e = sys::exec(program, argv, env);
        if e.kind() != std::io::ErrorKind::NotFound {
            worst = e;
        }
    }
    let name = argv.first().map(|a| a.to_string_lossy()).unwrap_or_default();
    let _ = rustix::io::write(rustix::stdio::stderr(), format!("{name}: {worst}\n").as_bytes());
}

fn prepare(place: &Place<'_>, terminal: &OwnedFd) -> Result<(), String> {
    place.doors.join().map_err(|e| format!("cannot join the control group: {e}"))?;
    rustix::process::setsid()
        .and_then(|_| rustix::process::ioctl_tiocsctty(terminal))
        .and_then(|()| rustix::stdio::dup2_stdin(terminal))
        .and_then(|()| rustix::stdio::dup2_stdout(terminal))
        .and_then(|()| rustix::stdio::dup2_stderr(terminal))
        .map_err(|e| format!("cannot use the terminal: {e}"))?;
    // The directory may have been removed; then the root has to do.
    let _ = rustix::process::chdir(&place.spec.dir);
    rustix::process::umask(Mode::from_raw_mode(0o022));
    if place.init.is_some() {
        let uid = rustix::process::geteuid().as_raw();
        launch::confine(uid, place.instead)
            .map_err(|e| format!("cannot give up privileges: {e}"))?;
    }
    sys::default_signals();
    Ok(())
}

/// The line that says so and the terminal, in one message.
fn send(stream: &UnixStream, terminal: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let line = Told::Open.line();
    let fds = [terminal];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    beside.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(stream, &[IoSlice::new(line.as_bytes())], &mut beside, SendFlags::NOSIGNAL).map(drop)
}
