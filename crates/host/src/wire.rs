//! What shim and server say to each other: lines of text on a local socket. Pure.
//!
//! The shim speaks first: `started <unix ms>` when the program runs, `log <bytes>` when the log has grown,
//! `usage <memory> <cpu ms> <pids>` when asked, `exit <json>` once, `busy` when another shim has the id.
//! The server asks `stop`, `kill` or `usage`.

use crate::spec::Exit;
use kernel::Time;

/// Longest line either side accepts, in bytes.
pub const MAX_LINE: usize = 64 * 1024;

/// What a workload takes at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Bytes.
    pub memory: u64,
    /// User and system time so far, in milliseconds.
    pub cpu_ms: u64,
    pub pids: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    Started(Time),
    /// Length of the log file in bytes.
    Log(u64),
    Usage(Usage),
    Exit(Exit),
    Busy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Stop,
    Kill,
    Usage,
}

impl Say {
    pub fn line(&self) -> String {
        match self {
            Say::Started(at) => format!("started {}\n", at.millis()),
            Say::Log(bytes) => format!("log {bytes}\n"),
            Say::Usage(u) => format!("usage {} {} {}\n", u.memory, u.cpu_ms, u.pids),
            Say::Exit(exit) => {
                format!("exit {}\n", serde_json::to_string(exit).unwrap_or_default())
            }
            Say::Busy => "busy\n".to_owned(),
        }
    }

    /// `None` for what no shim of this version says; the caller skips it.
    pub fn parse(line: &str) -> Option<Say> {
        let (word, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        match word {
            "started" => Some(Say::Started(Time(rest.parse().ok()?))),
            "log" => Some(Say::Log(rest.parse().ok()?)),
            "usage" => {
                let mut fields = rest.split(' ');
                let memory = fields.next()?.parse().ok()?;
                let cpu_ms = fields.next()?.parse().ok()?;
                let pids = fields.next()?.parse().ok()?;
                Some(Say::Usage(Usage { memory, cpu_ms, pids }))
            }
            "exit" => Some(Say::Exit(serde_json::from_str(rest).ok()?)),
            "busy" => Some(Say::Busy),
            _ => None,
        }
    }
}

impl Ask {
    pub fn line(self) -> &'static str {
        match self {
            Ask::Stop => "stop\n",
            Ask::Kill => "kill\n",
            Ask::Usage => "usage\n",
        }
    }

    pub fn parse(line: &str) -> Option<Ask> {
        match line.trim_end() {
            "stop" => Some(Ask::Stop),
            "kill" => Some(Ask::Kill),
            "usage" => Some(Ask::Usage),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Reason;
    use proptest::prelude::*;

    fn round_trips(say: Say) {
        let line = say.line();
        assert_eq!(line.matches('\n').count(), 1, "one line: {line:?}");
        assert_eq!(Say::parse(&line), Some(say));
    }

    proptest! {
        #[test]
        fn what_the_shim_says_is_understood(
            ms in 0i64..4_000_000_000_000, memory: u64, cpu_ms: u64, pids: u32, why: String,
            code: Option<i32>, signal: Option<i32>,
        ) {
            round_trips(Say::Started(Time(ms)));
            round_trips(Say::Log(memory));
            round_trips(Say::Usage(Usage { memory, cpu_ms, pids }));
            round_trips(Say::Exit(Exit {
                reason: Reason::NotStarted { why }, code, signal, started: Time(ms),
                finished: Time(ms), cpu_ms: Some(cpu_ms), memory_peak: None,
            }));
        }

        #[test]
        fn any_line_is_read_without_panic(line: String) {
            let _ = Say::parse(&line);
            let _ = Ask::parse(&line);
        }
    }

    #[test]
    fn what_the_server_asks_is_understood() {
        for ask in [Ask::Stop, Ask::Kill, Ask::Usage] {
            assert_eq!(Ask::parse(ask.line()), Some(ask));
        }
        assert_eq!(Ask::parse("reboot\n"), None);
    }
}
