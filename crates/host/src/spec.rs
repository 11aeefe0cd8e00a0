//! What to run and how it ended. Plain data: it is written to the state directory and read by the shim.

use kernel::{Text, Time};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;

/// A workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Unique for ever, and the idempotency key of the start: letters, digits, `-`, `_` and `.`, at most
    /// 128, never beginning with a dot.
    pub id: String,
    /// Program and arguments. A program without `/` is looked up in `PATH` of `env`.
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    /// Working directory, as the workload sees it.
    pub dir: PathBuf,
    /// `None`: a plain process that sees the machine as the server does.
    pub sandbox: Option<Sandbox>,
    pub limits: Limits,
    /// Where the shim appends what the workload prints, in the format of `kernel::log`. Its directory
    /// exists.
    pub log: PathBuf,
    /// Signal number of a polite stop; SIGTERM is 15.
    pub stop_signal: i32,
    /// Values that never reach the log, in no spelling that `mask` knows; `[MASKED]` stands for them. The
    /// state directory holds them, readable by its owner alone, until the workload is forgotten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mask: Vec<String>,
    /// What it prints is logged as naru's notes, with this in front of each line: for what runs beside
    /// whoever the log is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_as: Option<String>,
    /// Milliseconds for which the sandbox stays after its program has failed, so that somebody can look
    /// around in it ([`Workload::exec`](crate::Workload::exec)); its exit is told afterwards. See
    /// [`Workload::hold`](crate::Workload::hold).
    #[serde(default)]
    pub hold_ms: u64,
    /// What is never written down.
    #[serde(skip)]
    pub private: Private,
}

/// Secrets of a workload. They go from the server to the shim over their first connection and are in no file of the
/// state directory; a server that attaches later does not know them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Private {
    /// More of its environment, over `env`.
    pub env: Vec<(String, String)>,
    /// Variables and contents: each is found in a file that only the workload's user can read, in memory where it
    /// has a sandbox ([`SECRETS`](crate::SECRETS)), and that file's path in the variable.
    pub files: Vec<(String, String)>,
    /// As [`Spec::mask`].
    pub mask: Vec<String>,
}

impl Private {
    pub fn is_empty(&self) -> bool {
        self.env.is_empty() && self.files.is_empty() && self.mask.is_empty()
    }
}

impl std::fmt::Debug for Private {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.env.iter().chain(&self.files).map(|(name, _)| name.as_str());
        f.debug_list().entries(names).finish()
    }
}

/// What the workload sees: the machine's root, read-only, with places hidden and places added.
/// Own mount, pid, ipc and uts namespaces; as root or through a user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// In this order, after the hiding.
    pub mounts: Vec<Mount>,
    pub hidden: Hidden,
    pub hostname: String,
    /// Lines of its `/etc/hosts` beside those of the machine: an address and its names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<(IpAddr, Vec<String>)>,
}

/// Which places of the machine are covered by empty directories: always `/home`, `/root`, `/run`, `/tmp`,
/// `/var/tmp`, `/mnt`, `/media`, `/srv`; and these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden {
    /// Above all naru's own data directory.
    pub more: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute, as the workload sees it. Made if missing.
    pub at: PathBuf,
    pub kind: MountKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountKind {
    /// The same files, not writable.
    ReadOnly { from: PathBuf },
    /// The same files, writable.
    Writable { from: PathBuf },
    /// `lower` seen through a writable layer. `scratch` is an empty or earlier directory that keeps what
    /// was written (in `scratch/upper`); `lower` is never changed. Where overlayfs is not to be had,
    /// `lower` is copied to `scratch/upper` instead.
    Overlay {
        lower: PathBuf,
        /// More directories that are never changed, over `lower`; the first is the uppermost.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        over: Vec<PathBuf>,
        scratch: PathBuf,
    },
    /// Memory, with a size limit in bytes.
    Memory { size: u64 },
    /// Memory with these files in it, by name, readable by the workload's user alone. For [`Private::files`]:
    /// whoever writes it into a spec writes its contents to disk.
    Files { files: Vec<(String, String)> },
}

/// `None` and 0 mean no limit. What the machine cannot enforce is said in the log as a note.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall time in milliseconds; then it is stopped as by its owner: the stop signal, the grace, SIGKILL to
    /// the whole.
    pub time_ms: Option<u64>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Thousandths of a core.
    pub cpu_milli: Option<u32>,
    /// Its share when others want the processor, too: 1 to 10000, where 100 is what a workload has that
    /// does not say (cgroup v2's `cpu.weight`). Less than 100 becomes a nice value where no control group
    /// shares the processor out.
    #[serde(default)]
    pub cpu_weight: Option<u32>,
    pub pids: Option<u32>,
    /// Bytes written below the directories of writable and overlay mounts in `disk_dirs`, counted together.
    pub disk: Option<u64>,
    pub disk_dirs: Vec<PathBuf>,
    /// Bytes of log kept.
    pub log: Option<u64>,
    /// Which bytes those are.
    #[serde(default)]
    pub log_keep: Keep,
    /// Between the stop signal and SIGKILL, in milliseconds.
    pub grace_ms: u64,
}

/// What is kept of a log that reaches its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The beginning; what comes after is read and thrown away, with one note.
    #[default]
    First,
    /// The end: a file that reaches half of the limit becomes `<log>.1`, in place of an older one, and a
    /// fresh one begins. Both hold whole records.
    Latest,
}

impl Keep {
    /// Where [`Keep::Latest`] puts the older half of a log.
    pub fn older(log: &std::path::Path) -> PathBuf {
        let mut path = log.as_os_str().to_owned();
        path.push(".1");
        PathBuf::from(path)
    }
}

/// How a workload ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    pub reason: Reason,
    /// Exit code of the first process, when it exited.
    pub code: Option<i32>,
    /// Signal that ended the first process.
    pub signal: Option<i32>,
    pub started: Time,
    pub finished: Time,
    /// User and system time of all its processes, in milliseconds, where the machine can tell.
    pub cpu_ms: Option<u64>,
    /// Peak memory in bytes, where the machine can tell.
    pub memory_peak: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// By itself, with a code or a signal.
    Exited,
    /// It was asked to stop, or killed, by its owner.
    Stopped,
    TimeLimit,
    MemoryLimit,
    DiskLimit,
    /// It could not be started: what failed and why.
    NotStarted {
        why: String,
    },
    /// The shim itself died (killed from outside); the exit is not known.
    Lost,
}

impl Exit {
    pub fn success(&self) -> bool {
        self.reason == Reason::Exited && self.code == Some(0)
    }

    /// One line for people: `exited with code 1`, `killed by SIGSEGV`, `used more than its memory limit`.
    pub fn text(&self) -> Text {
        let number = self.code.or(self.signal).unwrap_or(-1);
        match (&self.reason, self.signal) {
            (Reason::Exited, Some(signal)) => {
                kernel::text!("killed by signal {signal}", "시그널 {signal}(으)로 죽음")
            }
            (Reason::Exited, None) => {
                kernel::text!("exited with code {number}", "종료 코드 {number}")
            }
            (Reason::Stopped, _) => Text::fixed("stopped", "중지됨"),
            (Reason::TimeLimit, _) => {
                Text::fixed("ran longer than its time limit", "시간 제한을 넘김")
            }
            (Reason::MemoryLimit, _) => {
                Text::fixed("used more than its memory limit", "메모리 제한을 넘김")
            }
            (Reason::DiskLimit, _) => {
                Text::fixed("wrote more than its disk limit", "디스크 제한을 넘김")
            }
            (Reason::NotStarted { why }, _) => {
                kernel::text!("could not be started: {why}", "시작하지 못함: {why}")
            }
            (Reason::Lost, _) => Text::fixed(
                "its shim was killed; the exit is not known",
                "셤이 죽어 종료 상태를 알 수 없음",
            ),
        }
    }
}
