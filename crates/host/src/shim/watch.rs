//! The life of a running workload: its output, its limits, what servers ask, and its end.

use super::attach;
use super::control::Control;
use super::disk::Disk;
use super::launch::{Instead, Launched};
use super::logs::{Lines, Log};
use super::{timespec, tree};
use crate::cgroup::Group;
use crate::mask::Mask;
use crate::spec::{Reason, Spec};
use crate::sys;
use crate::wire::{Ask, Exec, Say};
use kernel::log::Stream;
use kernel::{Text, Time};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, test_kill_process_group, wait};
use std::io::{self, PipeReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// A line without its end is shown after this long.
const PARTIAL: Duration = Duration::from_millis(100);
/// Servers hear of the log's growth at most this often.
const LOG_NEWS: Duration = Duration::from_millis(10);
/// Output that comes after the end, from a process that could not be killed, is waited for this long.
const DRAIN: Duration = Duration::from_secs(2);
/// Chunks read from one stream before others get their turn.
const CHUNKS: usize = 16;
const CHUNK: usize = 64 * 1024;
/// What is asked for as the size of the output pipes, in bytes.
const PIPE: usize = 256 * 1024;

/// How the workload ended, before anyone asks what it took.
pub struct Ended {
    pub reason: Reason,
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// When its program did, if the sandbox was kept after that.
    pub at: Option<Time>,
}

impl Ended {
    pub fn not_started(why: String) -> Ended {
        Ended { reason: Reason::NotStarted { why }, code: None, signal: None, at: None }
    }
}

struct Output {
    pipe: Option<PipeReader>,
    lines: Lines,
}

/// A sandbox that is kept after its program has failed.
struct Held {
    since: Time,
    /// When it is let go of; `None` when it has been.
    until: Option<Instant>,
}

/// A stop under way.
struct Stop {
    reason: Reason,
    /// When SIGKILL follows; `None` when it has been sent.
    kill_at: Option<Instant>,
}

pub struct Watch<'a> {
    spec: &'a Spec,
    begun: Time,
    pid: Pid,
    sandboxed: bool,
    outputs: [Output; 2],
    /// Open until the program runs.
    ran: Option<PipeReader>,
    said: Vec<u8>,
    status: Option<PipeReader>,
    /// What the init said of the program.
    program: Option<ExitStatus>,
    /// For how long the sandbox is kept when the program fails.
    hold: Duration,
    held: Option<Held>,
    instead: Instead,
    signals: OwnedFd,
    log: Log,
    group: &'a Group,
    control: &'a mut Control,
    disk: Option<Disk>,
    time_limit: Option<Instant>,
    stop: Option<Stop>,
    /// How the first process ended.
    first: Option<ExitStatus>,
    /// When nothing of the workload was left.
    ended: Option<Instant>,
    partial_since: Option<Instant>,
    log_told: Instant,
    log_due: bool,
    chunk: Vec<u8>,
}

impl<'a> Watch<'a> {
    pub fn new(
        spec: &'a Spec,
        begun: Time,
        launched: Launched,
        signals: OwnedFd,
        log: Log,
        group: &'a Group,
        control: &'a mut Control,
    ) -> Watch<'a> {
        let now = Instant::now();
        let mask = Mask::new(&spec.mask);
        let output = |pipe: PipeReader, stream| {
            let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE);
            let _ = rustix::io::ioctl_fionbio(&pipe, true);
            let lines = match &spec.log_as {
                Some(front) => Lines::notes(front, &mask),
                None => Lines::new(stream, &mask),
            };
            Output { pipe: Some(pipe), lines }
        };
        let _ = rustix::io::ioctl_fionbio(&launched.ran, true);
        let _ = rustix::io::ioctl_fionbio(&launched.status, true);
        let time = spec.limits.time_ms.filter(|ms| *ms > 0).map(Duration::from_millis);
        Watch {
            spec,
            begun,
            pid: launched.pid,
            sandboxed: launched.sandboxed,
            outputs: [output(launched.out, Stream::Out), output(launched.err, Stream::Err)],
            ran: Some(launched.ran),
            said: Vec::new(),
            status: Some(launched.status).filter(|_| launched.sandboxed),
            program: None,
            hold: Duration::from_millis(spec.hold_ms),
            held: None,
            instead: launched.instead,
            signals,
            log,
            group,
            control,
            disk: Disk::new(spec.limits.disk, &spec.limits.disk_dirs, now),
            time_limit: time.and_then(|time| now.checked_add(time)),
            stop: None,
            first: None,
            ended: None,
            partial_since: None,
            log_told: now.checked_sub(LOG_NEWS).unwrap_or(now),
            log_due: false,
            chunk: vec![0; CHUNK],
        }
    }

    /// Until the workload has ended and its output has been read to the end.
    pub fn run(mut self) -> Ended {
        while !self.over() {
            self.wait();
            self.hear_child();
            self.read_output();
            self.hear_init();
            self.reap();
            self.serve();
            self.keep_limits();
        }
        self.finish()
    }

    fn over(&self) -> bool {
        let silent = self.outputs.iter().all(|o| o.pipe.is_none());
        self.ended.is_some_and(|at| silent || at.elapsed() > DRAIN)
    }

    /// Sleeps until something happens or is due. What waits for the log is written before a real sleep.
    fn wait(&mut self) {
        let now = Instant::now();
        let mut due = self.due(now);
        if self.log.pending() {
            if self.poll(Some(Duration::ZERO)) > 0 {
                return;
            }
            let grew = self.log.write();
            self.log_grew(grew);
            due = self.due(now);
        }
        self.poll(due);
    }

    fn due(&self, now: Instant) -> Option<Duration> {
        let running = self.ended.is_none();
        let times = [
            self.time_limit.filter(|_| running && self.stop.is_none() && self.held.is_none()),
            self.held.as_ref().and_then(|held| held.until).filter(|_| running),
            self.stop.as_ref().and_then(|s| s.kill_at).filter(|_| running),
            self.disk.as_ref().map(|d| d.next(now)).filter(|_| running && self.stop.is_none()),
            self.partial_since.map(|since| since + PARTIAL),
            self.log_due.then(|| self.log_told + LOG_NEWS),
            self.ended.map(|at| at + DRAIN),
        ];
        times.into_iter().flatten().min().map(|at| at.saturating_duration_since(now))
    }

    fn poll(&self, limit: Option<Duration>) -> usize {
        let pipes = self
            .outputs
            .iter()
            .filter_map(|o| o.pipe.as_ref())
            .chain(&self.ran)
            .chain(&self.status);
        let mut fds: Vec<_> = pipes.map(|p| PollFd::new(p, PollFlags::IN)).collect();
        fds.push(PollFd::new(&self.signals, PollFlags::IN));
        fds.extend(self.control.poll_fds());
        poll(&mut fds, limit.and_then(timespec).as_ref()).unwrap_or(0)
    }

    /// Whether the program runs by now, or why not.
    fn hear_child(&mut self) {
        let Some(ran) = &mut self.ran else { return };
        let mut chunk = [0; 4096];
        loop {
            match ran.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => self.said.extend_from_slice(chunk.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.ran = None;
        let said = String::from_utf8_lossy(&self.said).into_owned();
        for note in said.lines().filter_map(|line| line.strip_prefix('n')) {
            self.log.note(sys::now(), &Text::plain(note));
        }
        if self.failure().is_none() {
            self.control.say(&Say::Started(self.begun));
            if self.stop.is_some() {
                // It was asked before there was anyone to tell.
                self.send_stop();
            }
        }
    }

    /// Whether the program has ended, and if its sandbox is to stay after that.
    fn hear_init(&mut self) {
        let Some(pipe) = &mut self.status else { return };
        let mut raw = [0; 4];
        match pipe.read(&mut raw) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return,
            // Written at once, and too short to come in pieces.
            Ok(4) => self.program = Some(ExitStatus::from_raw(i32::from_ne_bytes(raw))),
            _ => {}
        }
        self.status = None;
        let failed = self.program.is_some_and(|status| !status.success());
        if !failed || self.stop.is_some() || self.hold.is_zero() {
            return self.let_go();
        }
        let now = sys::now();
        let until = Some(Instant::now().checked_add(self.hold).unwrap_or_else(Instant::now));
        self.held = Some(Held { since: now, until });
        let seconds = self.hold.as_secs();
        self.log.note(
            now,
            &kernel::text!(
                "it failed, and its sandbox is kept for {seconds} seconds",
                "실패했습니다. 샌드박스를 {seconds}초 동안 유지합니다"
            ),
        );
    }

    /// The init leaves, and all that is in the sandbox with it.
    fn let_go(&mut self) {
        if let Some(held) = &mut self.held {
            held.until = None;
        }
        if self.first.is_none() {
            sys::signal(self.pid, libc::SIGTERM);
        }
    }

    /// Keeps the sandbox for so long after a failure, or from now on if it is being kept.
    fn hold(&mut self, ms: u64) {
        self.hold = Duration::from_millis(ms);
        match (&mut self.held, Instant::now().checked_add(self.hold)) {
            (Some(_), _) if ms == 0 => self.let_go(),
            (Some(held), until) => held.until = held.until.and(until),
            _ => {}
        }
    }

    fn attach(&mut self, from: usize, exec: &Exec) {
        let Some((stream, before)) = self.control.hand_over(from) else { return };
        let place = attach::Place {
            spec: self.spec,
            init: Some(self.pid).filter(|_| self.sandboxed),
            doors: self.group.doors(),
            instead: self.instead,
        };
        attach::attach(place, exec, stream, &before);
    }

    fn failure(&self) -> Option<String> {
        let said = String::from_utf8_lossy(&self.said);
        said.lines().find_map(|line| line.strip_prefix('e')).map(str::to_owned)
    }

    fn read_output(&mut self) {
        let now = sys::now();
        let mut grew = false;
        for output in &mut self.outputs {
            for _ in 0..CHUNKS {
                let Some(pipe) = &mut output.pipe else { break };
                match pipe.read(&mut self.chunk) {
                    Ok(n) if n > 0 => {
                        let bytes = self.chunk.get(..n).unwrap_or_default();
                        grew |= self.log.take(&mut output.lines, bytes, now);
                    }
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    _ => output.pipe = None,
                }
            }
        }
        self.log_grew(grew);
        self.show_partial(now);
    }

    fn show_partial(&mut self, now: Time) {
        if !self.outputs.iter().any(|o| o.lines.waiting()) {
            self.partial_since = None;
            return;
        }
        let since = *self.partial_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= PARTIAL {
            self.partial_since = None;
            let outputs = &mut self.outputs;
            let grew = self.log.with(now, |out| {
                outputs.iter_mut().for_each(|o| o.lines.flush(now, out));
            });
            self.log_grew(grew);
        }
    }

    fn log_grew(&mut self, grew: bool) {
        self.log_due |= grew;
        if self.log_due && self.log_told.elapsed() >= LOG_NEWS {
            self.log_due = false;
            self.log_told = Instant::now();
            self.control.say(&Say::Log(self.log.len()));
        }
    }

    /// Takes the exits of all children; without a pid namespace there are orphans among them.
    fn reap(&mut self) {
        let mut taken = [0; 1024];
        while rustix::io::read(&self.signals, &mut taken[..]).is_ok_and(|n| n > 0) {}
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == self.pid {
                self.first = Some(ExitStatus::from_raw(status.as_raw()));
            }
        }
        if self.first.is_some() && self.ended.is_none() && !self.finishing() {
            self.kill_rest();
            self.ended = Some(Instant::now());
        }
    }

    /// While stopping, the shell in front may be gone and the program behind it still be finishing its
    /// work. (In a pid namespace the init knows that.)
    fn finishing(&self) -> bool {
        let grace = self.stop.as_ref().is_some_and(|stop| stop.kill_at.is_some());
        grace && !self.sandboxed && test_kill_process_group(self.pid).is_ok()
    }

    fn serve(&mut self) {
        let mut greeting = vec![Say::Log(self.log.len())];
        if self.ran.is_none() {
            greeting.insert(0, Say::Started(self.begun));
        }
        for (from, ask) in self.control.serve(&greeting) {
            match ask {
                Ask::Stop => self.stop(Reason::Stopped),
                Ask::Kill => self.kill(Reason::Stopped),
                Ask::Hold(ms) => self.hold(ms),
                Ask::Exec(exec) => self.attach(from, &exec),
                Ask::Usage => {
                    let usage = self.group.usage().unwrap_or_else(tree::usage);
                    self.control.answer(from, &Say::Usage(usage));
                }
            }
        }
        self.control.tidy();
    }

    fn keep_limits(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let now = Instant::now();
        if self.held.as_ref().and_then(|held| held.until).is_some_and(|until| now >= until) {
            self.let_go();
        }
        if self.held.is_none() && self.time_limit.is_some_and(|at| now >= at) {
            self.stop(Reason::TimeLimit);
        }
        if self.stop.is_none() && self.disk.as_mut().is_some_and(|disk| disk.over(now)) {
            self.kill(Reason::DiskLimit);
        }
        if self.stop.as_ref().and_then(|s| s.kill_at).is_some_and(|at| now >= at) {
            self.kill(Reason::Stopped);
        }
    }

    /// The stop signal now, SIGKILL after the grace.
    fn stop(&mut self, reason: Reason) {
        if self.held.is_some() {
            // The program has ended already, by itself.
            return self.let_go();
        }
        if self.stop.is_some() || self.ended.is_some() {
            return;
        }
        let grace = Duration::from_millis(self.spec.limits.grace_ms);
        if grace.is_zero() {
            return self.kill(reason);
        }
        self.stop = Some(Stop { reason, kill_at: Instant::now().checked_add(grace) });
        if self.ran.is_none() {
            self.send_stop();
        }
    }

    fn send_stop(&self) {
        match self.sandboxed {
            // Its init passes it on.
            true => sys::signal(self.pid, self.spec.stop_signal),
            false => sys::signal_group(self.pid, self.spec.stop_signal),
        }
    }

    /// SIGKILL to the whole. The reason of an earlier stop stands.
    fn kill(&mut self, reason: Reason) {
        if self.ended.is_some() {
            return;
        }
        if self.held.is_some() {
            let _ = kill_process(self.pid, Signal::KILL);
            return;
        }
        self.stop.get_or_insert(Stop { reason, kill_at: None }).kill_at = None;
        match self.first {
            None => drop(kill_process(self.pid, Signal::KILL)),
            Some(_) => self.reap(),
        }
    }

    /// What the first process left behind ends with it. In a pid namespace the kernel has seen to that.
    fn kill_rest(&self) {
        if self.sandboxed {
            return;
        }
        let until = Instant::now() + DRAIN;
        while children_left() && Instant::now() < until {
            self.group.kill();
            tree::kill();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn finish(mut self) -> Ended {
        self.hear_child();
        let now = sys::now();
        let outputs = &mut self.outputs;
        let grew = self.log.with(now, |out| {
            outputs.iter_mut().for_each(|o| o.lines.finish(now, out));
        });
        if self.log.write() || grew || self.log_due {
            self.control.say(&Say::Log(self.log.len()));
        }
        if let Some(why) = self.failure() {
            return Ended::not_started(why);
        }
        self.hear_init();
        // When its init was killed, the status is that of the init.
        let status = self.program.or(self.first);
        Ended {
            reason: self.stop.map_or(Reason::Exited, |stop| stop.reason),
            code: status.and_then(|s| s.code()),
            signal: status.and_then(|s| s.signal()),
            at: self.held.map(|held| held.since),
        }
    }
}

/// Whether any child is left, after taking the exits of those that have ended.
fn children_left() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}
