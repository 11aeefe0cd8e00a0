//! Which control group hierarchies a machine has, and where in them groups can be made.

use crate::abilities::Cgroups;
use std::fs;
use std::path::{Path, PathBuf};

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
    pub fn base(&self, controller: &str) -> Option<(&Path, bool)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_of_machines() {
        let v1 = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                  35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                  41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let layout = parse(v1, "4:memory:/jobs/a\n1:cpu:/\n0::/\n");
        assert_eq!(layout.version(), Cgroups::V1);
        let memory = Path::new("/sys/fs/cgroup/memory/jobs/a");
        assert_eq!(layout.base("memory"), Some((memory, false)));
        assert_eq!(layout.base("cpu"), Some((Path::new("/sys/fs/cgroup/cpu"), false)));
        assert_eq!(layout.base("pids"), None);

        let container = "9 8 0:1 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let layout = parse(container, "4:memory:/docker/x\n");
        assert_eq!(layout.base("memory"), Some((Path::new("/sys/fs/cgroup/memory"), false)));

        let v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        let layout =
            parse(v2, "0::/user.slice\n").with_controllers(|_| "cpu memory pids".to_owned());
        assert_eq!(layout.version(), Cgroups::V2);
        assert!(layout.base("memory").is_some_and(|(_, v2)| v2));

        assert_eq!(parse("", "").version(), Cgroups::None);
        assert_eq!(parse("nonsense - \n - cgroup", ":::").version(), Cgroups::None);
    }
}
