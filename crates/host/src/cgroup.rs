//! Control groups, as this machine has them: the v1 hierarchies, the v2 tree, or none.
//!
//! A workload's group is `naru/<id>-<hash of its state directory>` below the group the server is in (v1, or
//! v2 without root) or below the root (v2 as root, where only the root may hold processes and children).

use crate::abilities::Cgroups;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the killing of a whole group may take.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// Where groups can be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// v1: the directory of our own group, per controller.
    v1: Vec<(String, PathBuf)>,
    /// v2: the directory below which groups are made, and the controllers to be had there.
    v2: Option<(PathBuf, Vec<String>)>,
}

impl Layout {
    pub fn look() -> Layout {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let layout = parse(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
        layout.with_controllers(|dir| {
            fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default()
        })
    }

    fn with_controllers(mut self, read: impl Fn(&Path) -> String) -> Layout {
        if let Some((dir, controllers)) = &mut self.v2 {
            *controllers = read(dir).split_whitespace().map(str::to_owned).collect();
        }
        self
    }

    pub fn version(&self) -> Cgroups {
        let useful = |c: &str| matches!(c, "memory" | "pids" | "cpu");
        if self.v1.iter().any(|(c, _)| useful(c)) {
            Cgroups::V1
        } else if self.v2.is_some() {
            Cgroups::V2
        } else {
            Cgroups::None
        }
    }

    /// The directory below which a group with this controller is made.
    fn base(&self, controller: &str) -> Option<(&Path, bool)> {
        if let Some((_, dir)) = self.v1.iter().find(|(c, _)| c == controller) {
            return Some((dir, false));
        }
        let (dir, controllers) = self.v2.as_ref()?;
        controllers.iter().any(|c| c == controller).then_some((dir, true))
    }

    pub fn writable(&self, controller: &str) -> bool {
        let Some((base, _)) = self.base(controller) else { return false };
        rustix::fs::access(base, rustix::fs::Access::WRITE_OK).is_ok()
    }
}

/// Reads `/proc/self/mountinfo` (proc_pid_mountinfo(5)) and `/proc/self/cgroup` (cgroups(7)). A v1
/// hierarchy with a useful controller wins over v2, whose tree then lacks that controller.
fn parse(mountinfo: &str, own: &str) -> Layout {
    let mut layout = Layout::default();
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let mut left = left.split(' ').skip(3);
        let (Some(root), Some(point)) = (left.next(), left.next()) else { continue };
        let mut right = right.split(' ');
        let (kind, options) = (right.next().unwrap_or(""), right.nth(1).unwrap_or(""));
        let place = |group: &str| {
            let below = Path::new(group).strip_prefix(root).unwrap_or(Path::new(""));
            Path::new(point).join(below.strip_prefix("/").unwrap_or(below))
        };
        match kind {
            "cgroup" => {
                for controller in options.split(',') {
                    if let Some(group) = group_of(own, controller) {
                        layout.v1.push((controller.to_owned(), place(group)));
                    }
                }
            }
            "cgroup2" if layout.v2.is_none() => {
                let root = rustix::process::geteuid().is_root();
                let group = if root { "/" } else { group_of(own, "").unwrap_or("/") };
                layout.v2 = Some((place(group), Vec::new()));
            }
            _ => {}
        }
    }
    layout
}

/// The path of our own group for a v1 controller, or for v2 when `controller` is empty.
fn group_of<'a>(own: &'a str, controller: &str) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        let path = fields.next()?;
        controllers.split(',').any(|c| c == controller).then_some(path)
    })
}

fn group_name(id: &str, state: &Path) -> String {
    // FNV-1a: two servers with other data directories may use the same ids.
    let hash = state
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    format!("{id}-{hash:016x}")
}

/// Kills what a dead shim left in its groups, and removes them.
pub fn kill_leftovers(id: &str, state: &Path) {
    let layout = Layout::look();
    let name = group_name(id, state);
    let bases = layout.v1.iter().map(|(_, dir)| dir).chain(layout.v2.iter().map(|(dir, _)| dir));
    for dir in bases.map(|base| base.join("naru").join(&name)) {
        if dir.is_dir() {
            kill_all(&dir);
            let _ = remove(&dir);
        }
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
