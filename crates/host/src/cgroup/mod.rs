//! Control groups, as this machine has them: the v1 hierarchies, the v2 tree, or none.
//!
//! A workload's group is `naru/<id>-<hash of its state directory>` below the group the server is in (v1, or
//! v2 without root) or below the root (v2 as root, where only the root may hold processes and children).

mod layout;

pub use layout::Layout;

use crate::spec::Limits;
use crate::sys;
use crate::wire::Usage;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the killing of a whole group may take.
const KILL_WAIT: Duration = Duration::from_secs(5);

fn group_name(id: &str, state: &Path) -> String {
    // FNV-1a: two servers with other data directories may use the same ids.
    let hash =
        state.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3)
        });
    format!("{id}-{hash:016x}")
}

/// The groups of one workload: one directory per v1 controller, or one for all in v2.
#[derive(Debug, Default)]
pub struct Group {
    dirs: Vec<Dir>,
}

#[derive(Debug)]
struct Dir {
    path: PathBuf,
    controller: &'static str,
    v2: bool,
}

/// Which controllers a workload needs, and with which limit.
fn wanted(limits: &Limits) -> Vec<(&'static str, Option<u64>)> {
    let some = |n: Option<u64>| n.filter(|n| *n > 0);
    let mut wanted = vec![("memory", some(limits.memory)), ("cpuacct", None)];
    if let Some(pids) = some(limits.pids.map(u64::from)) {
        wanted.push(("pids", Some(pids)));
    }
    // Also without a limit: weights only count between groups.
    wanted.push(("cpu", some(limits.cpu_milli.map(u64::from))));
    wanted
}

impl Group {
    /// Makes the groups of a workload. The second value names the limits that could not be set.
    pub fn create(
        layout: &Layout,
        id: &str,
        state: &Path,
        limits: &Limits,
    ) -> (Group, Vec<&'static str>) {
        let name = group_name(id, state);
        let mut group = Group::default();
        let mut missing = Vec::new();
        for (controller, limit) in wanted(limits) {
            let set = match layout.base(controller) {
                Some((base, v2)) => group.add(base, v2, controller, &name, limit),
                None => Err(io::ErrorKind::Unsupported.into()),
            };
            if set.is_err() && limit.is_some() {
                missing.push(controller);
            }
        }
        (group, missing)
    }

    fn add(
        &mut self,
        base: &Path,
        v2: bool,
        controller: &'static str,
        name: &str,
        limit: Option<u64>,
    ) -> io::Result<()> {
        let parent = base.join("naru");
        let path = parent.join(name);
        if v2 {
            make(&parent)?;
            for dir in [base, &parent] {
                fs::write(dir.join("cgroup.subtree_control"), format!("+{controller}"))?;
            }
        }
        if !(v2 && self.dirs.iter().any(|d| d.v2)) {
            if fs::create_dir(&path).is_err() {
                make(&parent)?;
                make(&path)?;
            }
            self.dirs.push(Dir { path: path.clone(), controller, v2 });
        }
        match limit {
            Some(limit) => set_limit(&path, v2, controller, limit),
            None => Ok(()),
        }
    }

    /// Sets the weight of the processor, of which 100 is the usual one. False when there is no group for it.
    pub fn share_cpu(&self, weight: u32) -> bool {
        let weight = weight.clamp(1, 10_000);
        let dir = self.dirs.iter().find(|d| d.v2 || d.controller == "cpu");
        dir.is_some_and(|dir| {
            let (file, value) = match dir.v2 {
                true => ("cpu.weight", weight),
                // 1024 is the usual one here, and 2 the least.
                false => ("cpu.shares", (weight * 1024 / 100).max(2)),
            };
            fs::write(dir.path.join(file), value.to_string()).is_ok()
        })
    }

    pub fn paths(&self) -> Vec<PathBuf> {
        self.dirs.iter().map(|d| d.path.clone()).collect()
    }

    pub fn doors(&self) -> Doors {
        let open = |dir: &Dir| {
            let name = if dir.v2 { "cgroup.procs" } else { "tasks" };
            let file = fs::OpenOptions::new().write(true).open(dir.path.join(name)).ok()?;
            Some((file, dir.v2))
        };
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        let v2 = self.dirs.iter().find(|d| d.v2);
        let tree =
            v2.and_then(|d| rustix::fs::open(&d.path, flags, rustix::fs::Mode::empty()).ok());
        Doors { files: self.dirs.iter().filter_map(open).collect(), tree }
    }

    /// A number from the v1 file of a controller, or from the v2 file: the first word, or the one after
    /// `key` on a line of its own.
    fn number(&self, controller: &str, v1: &str, v2: &str, key: Option<&str>) -> Option<u64> {
        let dir = self.dirs.iter().find(|d| d.v2 || d.controller == controller)?;
        let words = fs::read_to_string(dir.path.join(if dir.v2 { v2 } else { v1 })).ok()?;
        match key {
            None => words.trim().parse().ok(),
            Some(key) => words
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok()),
        }
    }

    /// How many of its processes were killed because memory ran out.
    pub fn oom_kills(&self) -> u64 {
        self.number("memory", "memory.oom_control", "memory.events", Some("oom_kill")).unwrap_or(0)
    }

    pub fn memory_peak(&self) -> Option<u64> {
        self.number("memory", "memory.max_usage_in_bytes", "memory.peak", None)
    }

    pub fn cpu_ms(&self) -> Option<u64> {
        let v2 = self.dirs.iter().any(|d| d.v2);
        match v2 {
            true => Some(self.number("cpu", "", "cpu.stat", Some("usage_usec"))? / 1000),
            false => Some(self.number("cpuacct", "cpuacct.usage", "", None)? / 1_000_000),
        }
    }

    /// `None` when there is no group to ask.
    pub fn usage(&self) -> Option<Usage> {
        let first = self.dirs.first()?;
        let memory = self.number("memory", "memory.usage_in_bytes", "memory.current", None);
        Some(Usage {
            memory: memory.unwrap_or(0),
            cpu_ms: self.cpu_ms().unwrap_or(0),
            pids: u32::try_from(pids(&first.path).len()).unwrap_or(u32::MAX),
        })
    }

    /// SIGKILL to all its processes; returns when there are none, or after a limit.
    pub fn kill(&self) {
        if let Some(dir) = self.dirs.first() {
            kill_all(&dir.path);
        }
    }

    pub fn remove(&self) {
        for dir in &self.dirs {
            let _ = remove(&dir.path);
        }
    }
}

/// The ways into a group. Both avoid what a write to `cgroup.procs` costs: a lock on all forks of the
/// machine, for which the kernel waits for an RCU grace period (measured: 3 to 15 ms). A thread that moves
/// itself through a v1 `tasks` file does not need it, nor does a child born in its v2 group.
pub struct Doors {
    /// Written `0` by a process with one thread; and whether it is v2's `cgroup.procs`, the dear way.
    files: Vec<(fs::File, bool)>,
    tree: Option<OwnedFd>,
}

impl Doors {
    /// Forks, the child being born in the v2 group if there is one and the kernel can (Linux 5.7).
    pub fn fork(&mut self, namespaces: i32) -> io::Result<Option<i32>> {
        let born = self.tree.as_ref().map(|tree| sys::fork(namespaces, Some(tree.as_fd())));
        match born {
            Some(Ok(child)) => {
                self.files.retain(|(_, v2)| !v2);
                Ok(child)
            }
            _ => sys::fork(namespaces, None),
        }
    }

    /// Joins what the process was not born into.
    pub fn join(&self) -> io::Result<()> {
        self.files.iter().map(|(file, _)| file).try_for_each(|mut file| file.write_all(b"0"))
    }
}

fn make(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

fn set_limit(dir: &Path, v2: bool, controller: &str, limit: u64) -> io::Result<()> {
    let set = |file: &str, value: String| fs::write(dir.join(file), value);
    // A limit on memory that swap could stretch would be none; not every kernel counts swap.
    match (controller, v2) {
        ("memory", true) => {
            set("memory.max", limit.to_string())?;
            let _ = set("memory.swap.max", "0".to_owned());
            Ok(())
        }
        ("memory", false) => {
            set("memory.limit_in_bytes", limit.to_string())?;
            let _ = set("memory.memsw.limit_in_bytes", limit.to_string());
            Ok(())
        }
        ("pids", _) => set("pids.max", limit.to_string()),
        // In microseconds of each 100 ms; the kernel takes no quota below 1 ms.
        ("cpu", true) => set("cpu.max", format!("{} 100000", (limit * 100).max(1000))),
        ("cpu", false) => set("cpu.cfs_quota_us", (limit * 100).max(1000).to_string()),
        _ => Ok(()),
    }
}

/// Kills what a dead shim left in its groups, and removes them.
pub fn kill_leftovers(groups: &[PathBuf]) {
    for dir in groups.iter().filter(|dir| dir.is_dir()) {
        kill_all(dir);
        let _ = remove(dir);
    }
}

/// SIGKILL to every process of a group until it is empty, within [`KILL_WAIT`].
fn kill_all(dir: &Path) {
    let until = Instant::now() + KILL_WAIT;
    loop {
        let pids = pids(dir);
        if pids.is_empty() || Instant::now() > until {
            return;
        }
        if fs::write(dir.join("cgroup.kill"), "1").is_err() {
            for pid in pids.into_iter().filter_map(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn pids(dir: &Path) -> Vec<i32> {
    let words = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    words.lines().filter_map(|line| line.parse().ok()).collect()
}

fn remove(dir: &Path) -> io::Result<()> {
    let until = Instant::now() + KILL_WAIT;
    loop {
        match fs::remove_dir(dir) {
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(1));
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_two_servers_differ() {
        let name = |dir: &str| group_name("web-1", Path::new(dir));
        assert_ne!(name("/a"), name("/b"));
        assert_eq!(name("/a"), name("/a"));
    }
}
