//! What shim and server say to each other: lines of text on a local socket. Pure.
//!
//! The shim speaks first: `started <unix ms>` when the program runs, `log <bytes>` when the log has grown,
//! `usage <memory> <cpu ms> <pids>` when asked, `exit <json>` once, `busy` when another shim has the id.
//! The server asks `stop`, `kill`, `usage` or `hold <ms>`.
//!
//! A connection that asks `exec <json>` is about nothing else from then on: it hears `open`, with the
//! terminal's descriptor beside the line, or `refused <why>`, and at the end `ended <code>`.

use crate::spec::Exit;
use kernel::Time;
use serde::{Deserialize, Serialize};

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

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    Stop,
    Kill,
    Usage,
    /// Milliseconds; 0 lets go.
    Hold(u64),
    Exec(Exec),
}

/// A program to run beside the workload's own, on a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    pub argv: Vec<String>,
    /// Over the workload's own.
    pub env: Vec<(String, String)>,
    pub size: Size,
}

/// Of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    pub rows: u16,
    pub columns: u16,
}

/// What a connection about one [`Exec`] hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Open,
    Refused(String),
    /// The exit code; 128 and the signal's number for one that was killed.
    Ended(i32),
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
    pub fn line(&self) -> String {
        match self {
            Ask::Stop => "stop\n".to_owned(),
            Ask::Kill => "kill\n".to_owned(),
            Ask::Usage => "usage\n".to_owned(),
            Ask::Hold(ms) => format!("hold {ms}\n"),
            Ask::Exec(exec) => {
                format!("exec {}\n", serde_json::to_string(exec).unwrap_or_default())
            }
        }
    }

    pub fn parse(line: &str) -> Option<Ask> {
        let (word, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        match (word, rest) {
            ("stop", "") => Some(Ask::Stop),
            ("kill", "") => Some(Ask::Kill),
            ("usage", "") => Some(Ask::Usage),
            ("hold", ms) => Some(Ask::Hold(ms.parse().ok()?)),
            ("exec", json) => Some(Ask::Exec(serde_json::from_str(json).ok()?)),
            _ => None,
        }
    }
}

impl Told {
    pub fn line(&self) -> String {
        match self {
            Told::Open => "open\n".to_owned(),
            Told::Refused(why) => format!("refused {}\n", why.replace('\n', " ")),
            Told::Ended(code) => format!("ended {code}\n"),
        }
    }

    /// `None` for what is said to every connection, too.
    pub fn parse(line: &str) -> Option<Told> {
        let (word, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        match word {
            "open" => Some(Told::Open),
            "refused" => Some(Told::Refused(rest.to_owned())),
            "ended" => Some(Told::Ended(rest.parse().ok()?)),
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
        let size = Size { rows: 24, columns: 80 };
        let env = vec![("TERM".to_owned(), "a\nb".to_owned())];
        let exec = Exec { argv: vec!["sh".into(), "-c\n".into()], env, size };
        for ask in [Ask::Stop, Ask::Kill, Ask::Usage, Ask::Hold(7), Ask::Exec(exec)] {
            assert_eq!(ask.line().matches('\n').count(), 1);
            assert_eq!(Ask::parse(&ask.line()), Some(ask));
        }
        for told in [Told::Open, Told::Refused("no sh".into()), Told::Ended(-1)] {
            assert_eq!(Told::parse(&told.line()), Some(told));
        }
        assert_eq!(Ask::parse("reboot\n"), None);
    }
}
