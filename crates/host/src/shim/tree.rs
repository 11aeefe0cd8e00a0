//! The descendants of the shim, for workloads without a pid namespace. The shim is a subreaper, so whatever
//! daemonises is still below it.

use rustix::process::{Pid, Signal, getpid, kill_process};
use std::collections::{HashMap, HashSet};
use std::fs;

/// Rounds of looking for processes that were forked while others were being stopped.
const MAX_ROUNDS: usize = 64;

/// SIGKILL to every descendant. They are stopped first, so that none forks while others are killed.
pub fn kill() {
    let mut stopped = HashSet::new();
    for _ in 0..MAX_ROUNDS {
        let new: Vec<_> = below(getpid()).into_iter().filter(|pid| stopped.insert(*pid)).collect();
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

fn below(top: Pid) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(parent) = parent(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut left = vec![top.as_raw_nonzero().get()];
    while let Some(pid) = left.pop() {
        let more = children.remove(&pid).unwrap_or_default();
        found.extend(&more);
        left.extend(more);
    }
    found
}

/// The parent in `/proc/<pid>/stat` (proc_pid_stat(5)); the name before it may hold anything. Zombies count
/// as gone.
fn parent(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z" && state != "X").then_some(parent)
}

#[cfg(test)]
mod tests {
    use super::parent;

    #[test]
    fn parents_are_found_whatever_the_name() {
        assert_eq!(parent("7 (sh) S 3 7 7"), Some(3));
        assert_eq!(parent("7 (a) S 9 (b) R 3 7"), Some(3));
        assert_eq!(parent("7 (sh) Z 3 7 7"), None);
        assert_eq!(parent("7 (sh"), None);
        assert_eq!(parent(""), None);
    }
}
