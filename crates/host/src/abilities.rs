//! What this machine can enforce.

use crate::cgroup::Layout;
use rustix::thread::CapabilitySet;
use serde::Serialize;

/// Shown to operators; a limit that cannot be enforced is also said in the log of each workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Abilities {
    pub namespaces: Namespaces,
    /// Whether overlay mounts are to be had; otherwise lower directories are copied.
    pub overlay: bool,
    pub cgroups: Cgroups,
    /// Limits that cgroups enforce here.
    pub memory: bool,
    pub cpu: bool,
    pub pids: bool,
}

/// How sandboxes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Namespaces {
    /// As root.
    Root,
    /// Through a user namespace.
    User,
    /// Not at all: a workload that asks for a sandbox does not start.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cgroups {
    V1,
    V2,
    None,
}

impl Abilities {
    pub(crate) fn look() -> Abilities {
        let layout = Layout::look();
        Abilities {
            namespaces: match namespaces() {
                // Too many things can forbid them to look at each (seccomp, AppArmor, sysctls).
                Namespaces::User if !crate::sys::user_namespace_works() => Namespaces::None,
                namespaces => namespaces,
            },
            overlay: words("/proc/filesystems").split_whitespace().any(|w| w == "overlay"),
            cgroups: layout.version(),
            memory: layout.writable("memory"),
            cpu: layout.writable("cpu"),
            pids: layout.writable("pids"),
        }
    }
}

/// How a sandbox is to be made by this process, as far as a look can tell.
pub(crate) fn namespaces() -> Namespaces {
    let admin = rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
    if admin && rustix::process::geteuid().is_root() {
        return Namespaces::Root;
    }
    // Debian's switch; the kernel's own and those of security modules show when it is tried.
    let refused = words("/proc/sys/kernel/unprivileged_userns_clone").trim() == "0";
    if refused { Namespaces::None } else { Namespaces::User }
}

fn words(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
