//! The system calls that rustix does not have. All `unsafe` of the crate is here.

use kernel::Time;
use rustix::process::Pid;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;

pub const NEW_NAMESPACES: i32 =
    libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
pub const NEW_USER: i32 = libc::CLONE_NEWUSER;
/// clone(2); the constant of libc is too narrow for it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

pub fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Time(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
}

/// `fork(2)` into new namespaces, and into a v2 control group when `group` is its directory. `None` in the
/// child, its pid in the parent. Only for the shim, which has one thread: in the child of a program with
/// more, a lock could be held by nobody.
pub fn fork(namespaces: i32, group: Option<BorrowedFd<'_>>) -> io::Result<Option<i32>> {
    let pid = match group {
        Some(group) => clone3(namespaces, group),
        None => {
            let flags = libc::c_long::from(namespaces | libc::SIGCHLD);
            // SAFETY: without CLONE_VM and with a null stack this is fork: the child gets a copy of the
            // address space and goes on from here. The other arguments are unused with these flags.
            unsafe { libc::syscall(libc::SYS_clone, flags, 0usize, 0usize, 0usize, 0usize) }
        }
    };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(pid as i32)),
    }
}

fn clone3(namespaces: i32, group: BorrowedFd<'_>) -> libc::c_long {
    // SAFETY: zeroes are a valid clone_args: no flags, no pointers.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = namespaces as u64 | CLONE_INTO_CGROUP;
    args.exit_signal = libc::SIGCHLD as u64;
    args.cgroup = group.as_raw_fd() as u64;
    // SAFETY: as for clone: no CLONE_VM and no stack make it a fork; `args` lives during the call and its
    // size is given.
    unsafe { libc::syscall(libc::SYS_clone3, &args, size_of::<libc::clone_args>()) }
}

/// Whether this user gets a user namespace with mounts of its own: tries it in a child.
pub fn user_namespace_works() -> bool {
    let mut child = std::process::Command::new("/bin/true");
    // SAFETY: unshare is one system call, safe between fork and exec.
    unsafe {
        child.pre_exec(|| match libc::unshare(NEW_USER | libc::CLONE_NEWNS) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
    child.env_clear().status().is_ok_and(|status| status.success())
}

/// Ends the process without running anything of the parent's that was copied with it.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: takes any number and does not return.
    unsafe { libc::_exit(code) }
}

/// A descriptor that the runtime tells to be ready.
pub fn watched(fd: OwnedFd) -> io::Result<tokio::io::unix::AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor stays the same and open as long as it is owned.
    Ok(unsafe { tokio::io::unix::AsyncFd::register(fd) }?)
}

/// Replaces the program; returns only when that failed.
pub fn exec(program: &CString, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers = |words: &[CString]| -> Vec<*const libc::c_char> {
        words.iter().map(|w| w.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays end with null and point to strings that end with NUL and live until the call
    // returns.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Ignores the signals a terminal or an operator means for the server.
pub fn ignore_signals() {
    for signal in [libc::SIGINT, libc::SIGHUP, libc::SIGTERM, libc::SIGQUIT, libc::SIGPIPE] {
        // SAFETY: SIG_IGN is a valid handler and needs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// All signals as a new program expects them: default actions, none blocked.
pub fn default_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL is a valid handler; for numbers that cannot be set the call fails harmlessly.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    mask(libc::SIG_UNBLOCK);
}

/// Keeps all signals pending until [`next_signal`] takes them.
pub fn block_signals() {
    mask(libc::SIG_BLOCK);
}

fn mask(how: libc::c_int) {
    let set = all_signals();
    // SAFETY: `set` is initialised and the old mask is not wanted.
    unsafe { libc::sigprocmask(how, &set, std::ptr::null_mut()) };
}

fn all_signals() -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the whole set and cannot fail on a valid pointer.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        set.assume_init()
    }
}

/// Sends a signal, of the real-time ones too, which rustix has no names for. Nobody there is fine.
pub fn signal(to: Pid, number: i32) {
    // SAFETY: plain numbers; a wrong one makes the call fail.
    unsafe { libc::kill(to.as_raw_nonzero().get(), number) };
}

/// The same to a whole process group.
pub fn signal_group(group: Pid, number: i32) {
    // SAFETY: as above.
    unsafe { libc::kill(-group.as_raw_nonzero().get(), number) };
}

/// A signal that was taken, and whether it came from outside the pid namespace (or the kernel).
pub struct Signal {
    pub number: i32,
    pub outside: bool,
}

/// Waits for a blocked signal.
pub fn next_signal() -> Signal {
    let set = all_signals();
    loop {
        let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: both pointers are valid; `info` is written when the call succeeds, and zeroes are a
        // valid siginfo_t otherwise.
        let (number, pid) = unsafe {
            let number = libc::sigwaitinfo(&set, info.as_mut_ptr());
            (number, info.assume_init().si_pid())
        };
        if number > 0 {
            return Signal { number, outside: pid == 0 };
        }
    }
}

/// A descriptor that is readable when a child has ended or stopped.
pub fn child_signals() -> io::Result<OwnedFd> {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set before the others use it; signalfd gives a new descriptor,
    // which nobody else owns, or -1.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
        match libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// Closes every descriptor from `first` on.
pub fn close_from(first: RawFd) {
    // SAFETY: plain numbers. The caller owns the process and uses none of these descriptors afterwards.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    if done != 0 {
        // A kernel before 5.9.
        for fd in first..4096 {
            // SAFETY: closing a descriptor that is not open fails harmlessly.
            unsafe { libc::close(fd) };
        }
    }
}

/// User and system time of all children that have been waited for, in milliseconds.
pub fn children_cpu_ms() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid, and zeroes are a valid rusage.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    let ms = |t: libc::timeval| t.tv_sec as u64 * 1000 + t.tv_usec as u64 / 1000;
    ms(usage.ru_utime) + ms(usage.ru_stime)
}

/// What [`mount_attr`] changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// Makes the mount and all below it read-only.
    OffBelow,
    /// Makes the mount alone read-only.
    Off,
    /// Makes the mount alone writable.
    On,
}

/// `mount_setattr(2)` on the mount that `fd` is the root of. Linux 5.12.
pub fn mount_attr(fd: BorrowedFd<'_>, writing: Writing) -> io::Result<()> {
    let (set, clear) = match writing {
        Writing::On => (0, libc::MOUNT_ATTR_RDONLY),
        Writing::Off | Writing::OffBelow => (libc::MOUNT_ATTR_RDONLY, 0),
    };
    let attr = libc::mount_attr { attr_set: set, attr_clr: clear, propagation: 0, userns_fd: 0 };
    let below = if writing == Writing::OffBelow { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty string that ends with NUL, `attr` lives during the call and its size is
    // given.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | below,
            &attr,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
