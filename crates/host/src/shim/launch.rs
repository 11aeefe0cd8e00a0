//! From a spec to a running program: fork, namespaces, new root, limits, exec.

use super::{init, mounts};
use crate::abilities::{Namespaces, namespaces};
use crate::cgroup::Doors;
use crate::spec::Spec;
use crate::sys;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::ffi::CString;
use std::fs;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What root keeps inside a sandbox: to own, give away and sign as files need it, nothing of the machine.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::NET_BIND_SERVICE);

/// A child on its way to become the program.
pub struct Launched {
    /// The program itself, or the init of its pid namespace.
    pub pid: Pid,
    pub sandboxed: bool,
    pub out: PipeReader,
    pub err: PipeReader,
    /// Lines `n<note>` and at most one `e<why>`; ends when the program runs.
    pub ran: PipeReader,
    /// From the init: the raw wait status of the program, 4 bytes.
    pub status: PipeReader,
    pub instead: Instead,
}

/// What the child does about limits that no control group enforces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Instead {
    /// Processes of its user, where that is one of its own.
    pub nproc: Option<u64>,
    pub nice: Option<u8>,
}

/// The nice value, 0 to 19, that takes as much of the processor as `weight` of 100 does: each step is a
/// quarter less than the one before (sched(7)).
pub fn nice(weight: u32) -> u8 {
    let steps = (100.0 / f64::from(weight.max(1))).ln() / 1.25_f64.ln();
    steps.round().clamp(0.0, 19.0) as u8
}

/// Everything the child needs, made before the fork.
struct Child<'a> {
    spec: &'a Spec,
    programs: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    doors: Doors,
    null: OwnedFd,
    out: PipeWriter,
    err: PipeWriter,
    ran: PipeWriter,
    instead: Instead,
    uid: u32,
    gid: u32,
}

/// Starts the workload. `over` is a directory that the workload does not need (the mount point of its
/// root), `doors` are the control groups to join.
pub fn launch(
    spec: &Spec,
    over: &Path,
    doors: Doors,
    instead: Instead,
) -> Result<Launched, String> {
    let (out, child_out) = pipe()?;
    let (err, child_err) = pipe()?;
    let (ran, child_ran) = pipe()?;
    let (status, child_status) = pipe()?;
    let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null");
    let mut child = Child {
        spec,
        programs: programs(&spec.argv, &spec.env)?,
        argv: c_strings(spec.argv.iter().map(String::as_str))?,
        env: environment(spec)?,
        doors,
        null: null.map_err(|e| format!("cannot open /dev/null: {e}"))?.into(),
        out: child_out,
        err: child_err,
        ran: child_ran,
        instead,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
    };
    let (flags, by_root) = flags(spec)?;
    // The init of a sandbox stays outside of the groups: it must outlive a shortage of memory.
    let forked = match flags {
        0 => child.doors.fork(0),
        flags => sys::fork(flags, None),
    };
    match forked.map_err(|e| format!("cannot make the sandbox: {e}"))? {
        None => in_child(child, child_status, over, by_root),
        Some(pid) => Ok(Launched {
            pid: Pid::from_raw(pid).ok_or("no pid")?,
            sandboxed: spec.sandbox.is_some(),
            out,
            err,
            ran,
            status,
            instead,
        }),
    }
}

/// Which namespaces to make, and whether as the machine's root.
fn flags(spec: &Spec) -> Result<(i32, bool), String> {
    match (&spec.sandbox, namespaces()) {
        (None, _) => Ok((0, false)),
        (Some(_), Namespaces::Root) => Ok((sys::NEW_NAMESPACES, true)),
        (Some(_), Namespaces::User) => Ok((sys::NEW_NAMESPACES | sys::NEW_USER, false)),
        (Some(_), Namespaces::None) => {
            Err("this machine gives this user no namespaces to make a sandbox of".to_owned())
        }
    }
}

/// Never returns into the shim's code, whatever happens.
fn in_child(child: Child<'_>, status: PipeWriter, over: &Path, by_root: bool) -> ! {
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        // Should the shim be killed, nothing is left that nobody watches.
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        let over = over.to_owned();
        match child.spec.sandbox.is_some() {
            false => child.become_program(false),
            true => child.become_init(status, &over, by_root),
        }
    }));
    sys::exit_now(127)
}

impl Child<'_> {
    fn become_init(mut self, status: PipeWriter, over: &Path, by_root: bool) {
        if let Err(why) = self.enter(over, by_root) {
            self.fail(&why);
            return;
        }
        sys::block_signals();
        match self.doors.fork(0) {
            Ok(None) => self.become_program(true),
            Ok(Some(program)) => {
                drop(self);
                init::run(program, status.into());
            }
            Err(e) => self.fail(&format!("cannot fork: {e}")),
        }
    }

    fn enter(&self, over: &Path, by_root: bool) -> Result<(), String> {
        let Some(sandbox) = &self.spec.sandbox else { return Ok(()) };
        if !by_root {
            self.map_user().map_err(|e| format!("cannot map the user: {e}"))?;
        }
        // When memory runs out, a sandbox goes before the rest of the machine.
        let _ = fs::write("/proc/self/oom_score_adj", "300");
        mounts::enter(sandbox, over, by_root, &|note| {
            let _ = (&self.ran).write_all(format!("n{note}\n").as_bytes());
        })?;
        if !sandbox.hostname.is_empty() {
            rustix::system::sethostname(sandbox.hostname.as_bytes())
                .map_err(|e| format!("cannot set the host name: {e}"))?;
        }
        Ok(())
    }

    /// The same user inside as outside; nobody else exists.
    fn map_user(&self) -> io::Result<()> {
        let (uid, gid) = (self.uid, self.gid);
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
        fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))
    }

    fn become_program(self, sandboxed: bool) {
        if let Err(why) = self.prepare(sandboxed) {
            return self.fail(&why);
        }
        let mut worst = io::Error::from(io::ErrorKind::NotFound);
        for program in &self.programs {
            let e = sys::exec(program, &self.argv, &self.env);
            // As execvp(3): what could not be run is worse news than what is not there.
            if !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
                worst = e;
            }
        }
        self.fail(&self.not_run(&worst));
    }

    fn prepare(&self, sandboxed: bool) -> Result<(), String> {
        self.doors.join().map_err(|e| format!("cannot join the control group: {e}"))?;
        rustix::process::setsid().map_err(|e| format!("cannot make a session: {e}"))?;
        rustix::stdio::dup2_stdin(&self.null)
            .and_then(|()| rustix::stdio::dup2_stdout(&self.out))
            .and_then(|()| rustix::stdio::dup2_stderr(&self.err))
            .map_err(|e| format!("cannot connect the output: {e}"))?;
        rustix::process::chdir(&self.spec.dir)
            .map_err(|e| format!("cannot enter {}: {e}", self.spec.dir.display()))?;
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        if let Some(nice) = self.instead.nice {
            // The kernel may also share between sessions before it looks at processes (sched(7)).
            let _ = rustix::process::nice(i32::from(nice));
            let _ = fs::write("/proc/self/autogroup", nice.to_string());
        }
        if sandboxed {
            confine(self.uid, self.instead)
                .map_err(|e| format!("cannot give up privileges: {e}"))?;
        }
        sys::default_signals();
        Ok(())
    }

    /// Why the program could not be run, as its user can mend it.
    fn not_run(&self, e: &io::Error) -> String {
        let name = self.spec.argv.first().map_or("", String::as_str);
        if e.kind() != io::ErrorKind::NotFound {
            return format!("cannot run {name}: {e}");
        }
        let there = self
            .programs
            .iter()
            .find(|p| Path::new(std::ffi::OsStr::from_bytes(p.as_bytes())).exists());
        match there {
            Some(program) => format!(
                "cannot run {}: the interpreter in its first line (or its loader) is missing",
                program.to_string_lossy()
            ),
            None if name.contains('/') => format!("{name} does not exist"),
            None => format!("{name} is in no directory of PATH"),
        }
    }

    fn fail(&self, why: &str) {
        let why = why.replace('\n', " ");
        let _ = (&self.ran).write_all(format!("e{why}\n").as_bytes());
    }
}

/// Gives up what a sandboxed program may not have; for good.
pub fn confine(uid: u32, instead: Instead) -> rustix::io::Result<()> {
    // No core file fills the workspace.
    lower_limit(Resource::Core, 0)?;
    if let Some(nproc) = instead.nproc {
        lower_limit(Resource::Nproc, nproc)?;
    }
    let kept = if uid == 0 { KEPT } else { CapabilitySet::empty() };
    for capability in CapabilitySet::all().difference(kept).iter() {
        // One that this kernel does not know cannot be had either.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    let now = rustix::thread::capabilities(None)?;
    let sets = CapabilitySets {
        effective: now.effective & kept,
        permitted: now.permitted & kept,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets)?;
    rustix::thread::set_no_new_privs(true)
}

fn lower_limit(resource: Resource, to: u64) -> rustix::io::Result<()> {
    let now = rustix::process::getrlimit(resource);
    let to = now.maximum.map_or(to, |max| max.min(to));
    rustix::process::setrlimit(resource, Rlimit { current: Some(to), maximum: Some(to) })
}

/// Where the program may be, in the order of `PATH`.
pub fn programs(argv: &[String], env: &[(String, String)]) -> Result<Vec<CString>, String> {
    let name = argv.first().ok_or("there is no program to run")?;
    if name.contains('/') {
        return Ok(vec![c_string(name.as_bytes())?]);
    }
    let path = env.iter().rev().find(|(k, _)| k == "PATH").map(|(_, v)| v.as_str());
    let path = path.unwrap_or("/usr/local/bin:/usr/bin:/bin");
    let dirs = path.split(':').filter(|dir| !dir.is_empty());
    dirs.map(|dir| c_string(Path::new(dir).join(name).as_os_str().as_bytes())).collect()
}

pub fn c_strings<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec<CString>, String> {
    words.map(|word| c_string(word.as_bytes())).collect()
}

fn environment(spec: &Spec) -> Result<Vec<CString>, String> {
    spec.env.iter().map(|(k, v)| c_string(format!("{k}={v}").as_bytes())).collect()
}

fn c_string(bytes: &[u8]) -> Result<CString, String> {
    CString::new(bytes).map_err(|_| "arguments and environment must not contain NUL".to_owned())
}

fn pipe() -> Result<(PipeReader, PipeWriter), String> {
    io::pipe().map_err(|e| format!("cannot make a pipe: {e}"))
}

#[cfg(test)]
mod tests {
    use super::nice;

    #[test]
    fn weights_as_nice_values() {
        let wanted = [(10_000, 0), (100, 0), (80, 1), (25, 6), (10, 10), (1, 19), (0, 19)];
        assert_eq!(wanted.map(|(weight, _)| (weight, nice(weight))), wanted);
    }
}
