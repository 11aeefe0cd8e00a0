//! The descendants of the shim, for workloads without a pid namespace. The shim is a subreaper, so whatever
//! daemonises is still below it.

use crate::wire::Usage;
use rustix::process::{Pid, Signal, getpid, kill_process};
use std::collections::{HashMap, HashSet};
use std::fs;

/// Rounds of looking for processes that were forked while others were being stopped.
const MAX_ROUNDS: usize = 64;

/// SIGKILL to every descendant. They are stopped first, so that none forks while others are killed.
pub fn kill() {
    let mut stopped = HashSet::new();
    for _ in 0..MAX_ROUNDS {
        let all = below(getpid()).into_iter().map(|(pid, _)| pid);
        let new: Vec<_> = all.filter(|pid| stopped.insert(*pid)).collect();
        if new.is_empty() {
            break;
        }
        signal(&new, Signal::STOP);
    }
    signal(&stopped.into_iter().collect::<Vec<_>>(), Signal::KILL);
}

fn signal(pids: &[i32], signal: Signal) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        let _ = kill_process(pid, signal);
    }
}

/// What all descendants take together, where no control group counts. Time of those that have ended and
/// were waited for is counted with their parents.
pub fn usage() -> Usage {
    let page = rustix::param::page_size() as u64;
    let tick = rustix::param::clock_ticks_per_second().max(1);
    let mut usage = Usage::default();
    for stat in below(getpid()).into_iter().filter_map(|(_, stat)| Stat::parse(&stat)) {
        usage.memory += stat.pages * page;
        usage.cpu_ms += stat.ticks * 1000 / tick;
        usage.pids += 1;
    }
    usage
}

/// Pid and `/proc/<pid>/stat` of every descendant that is not a zombie.
fn below(top: Pid) -> Vec<(i32, String)> {
    let mut children: HashMap<i32, Vec<(i32, String)>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
        let words = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(stat) = Stat::parse(&words) {
            children.entry(stat.parent).or_default().push((pid, words));
        }
    }
    let mut found = Vec::new();
    let mut left = vec![top.as_raw_nonzero().get()];
    while let Some(pid) = left.pop() {
        let more = children.remove(&pid).unwrap_or_default();
        left.extend(more.iter().map(|(pid, _)| pid));
        found.extend(more);
    }
    found
}

/// Fields 4, 14 to 17 and 24 of proc_pid_stat(5).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: i32,
    ticks: u64,
    pages: u64,
}

impl Stat {
    /// `None` for zombies: they are as good as gone. The name in the second field may hold anything.
    fn parse(stat: &str) -> Option<Stat> {
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        if matches!(*fields.first()?, "Z" | "X") {
            return None;
        }
        let field = |n: usize| fields.get(n - 3)?.parse::<u64>().ok();
        Some(Stat {
            parent: fields.get(1)?.parse().ok()?,
            ticks: (14..=17).filter_map(field).sum(),
            pages: field(24).unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Stat;

    #[test]
    fn processes_are_read_whatever_their_name() {
        let parent = |stat| Stat::parse(stat).map(|s| s.parent);
        assert_eq!(parent("7 (sh) S 3 7 7"), Some(3));
        assert_eq!(parent("7 (a) S 9 (b) R 3 7"), Some(3));
        assert_eq!(parent("7 (sh) Z 3 7 7"), None);
        assert_eq!(parent("7 (sh"), None);
        assert_eq!(parent(""), None);
        let whole = "7 (sh) S 3 7 7 0 -1 4 1 2 3 4 10 20 30 40 20 0 1 0 99 5000 300 1 1";
        assert_eq!(Stat::parse(whole), Some(Stat { parent: 3, ticks: 100, pages: 300 }));
    }
}
