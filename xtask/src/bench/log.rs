//! How fast a job's output becomes its log while many read along, each to the last byte.
//!
//! A job prints lines of 100 bytes that tell their number. It waits to be started by hand until every reader
//! follows its log over HTTP. Each reader compares every byte of every line with what was printed.

use super::naru;
use crate::run;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use testkit::Naru;

const ROUNDS: usize = 3;
const READERS: usize = 50;
const LINES: u64 = 3_000_000;
const LINE: u64 = 100;
const PIPELINE: &str = "print: {when: manual, allow_failure: false, script: ['./lines 3000000']}\n";
const WORDS: &str =
    " the quick brown fox jumps over the lazy dog, and the ferry crosses the river at last, ok";

pub fn bench() -> Result<()> {
    for readers in [0, 1, READERS] {
        for round in 1..=ROUNDS {
            println!("{readers} readers, {round}: {}", once(readers)?);
        }
    }
    Ok(())
}

fn once(readers: usize) -> Result<String> {
    let naru = Naru::start_with(&naru()?, &["--job-log", "8000000000"])?;
    naru.say(&["project", "create", "shop"])?;
    let work = naru.repository("shop", "jobs", &[(".gitlab-ci.yml", PIPELINE)])?;
    let lines = work.path().join("lines").to_string_lossy().into_owned();
    run::step("compile the printer", "rustc", &["-O", "bench/lines.rs", "-o", &lines])?;
    work.commit("The printer", &[])?;
    work.push(&["naru", "main"])?;
    let run = until(&naru, |_| true)?;
    let path = format!("/api/v1/projects/shop/runs/{run}/steps/print/log?follow=true");
    let (address, token) = (naru.address()?, naru.token()?);
    let followers: Vec<_> = (0..readers)
        .map(|_| {
            let stream = follow(address, &path, &token)?;
            Ok(std::thread::spawn(move || read(stream)))
        })
        .collect::<Result<_>>()?;
    let began = Instant::now();
    naru.say(&["run", "play", &run, "print", "-p", "shop"])?;
    for follower in followers {
        follower.join().map_err(|_| anyhow::anyhow!("a reader died"))??;
    }
    let all = began.elapsed().as_secs_f64();
    until(&naru, |run| run["state"] == "passed")?;
    let written = written(&naru, &run)?;
    let megabytes = (LINES * LINE) as f64 / 1e6;
    let sum = megabytes * readers as f64 / all;
    Ok(format!(
        "written {:.0} MB/s, read to the end after {all:.1} s: {sum:.0} MB/s together",
        megabytes / written
    ))
}

/// The run's id, when it is as it should be.
fn until(naru: &Naru, wanted: impl Fn(&Value) -> bool) -> Result<String> {
    for _ in 0..2000 {
        let run = naru.json(&["run", "list", "-p", "shop", "--limit", "1"])?;
        if let Some(id) = run[0]["id"].as_str().filter(|_| wanted(&run[0])) {
            return Ok(id.to_owned());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("the run is not as it should be")
}

/// Seconds from the first to the last line, by the log's own times; every line is looked at.
fn written(naru: &Naru, run: &str) -> Result<f64> {
    let log = std::fs::read(naru.data().join(format!("runs/{run}/0.1.log")))?;
    let (mut next, mut times, mut begun) = (0, (0, 0), String::new());
    for record in log.split(|b| *b == b'\n') {
        let record = std::str::from_utf8(record)?;
        let mut fields = record.splitn(3, ' ');
        let (Some(time), Some(kind), Some(text)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        // A line whose end came late is in pieces.
        begun.push_str(text);
        if kind == "o+" {
            continue;
        }
        if std::mem::take(&mut begun) == format!("{next:010}{WORDS}") {
            let time: i64 = time.parse()?;
            times = (if next == 0 { time } else { times.0 }, time);
            next += 1;
        }
    }
    ensure!(next == LINES, "the log has {next} of {LINES} lines");
    Ok((times.1 - times.0) as f64 / 1000.0)
}

fn follow(address: SocketAddr, path: &str, token: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(300)))?;
    // In HTTP/1.0 the body is the stream and nothing else.
    let head = format!(
        "GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: text/event-stream\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    Ok(stream)
}

/// Reads a followed log to its end.
fn read(mut stream: TcpStream) -> Result<()> {
    let mut reader = Reader::default();
    let (mut bytes, mut filled) = (vec![0; 1 << 20], 0);
    loop {
        let n = stream.read(bytes.get_mut(filled..).context("a frame of more than 1 MiB")?)?;
        if n == 0 {
            break;
        }
        filled += n;
        let used = reader.take(bytes.get(..filled).unwrap_or_default())?;
        bytes.copy_within(used..filled, 0);
        filled -= used;
    }
    ensure!(reader.ended, "the stream broke off");
    ensure!(reader.next == LINES, "a reader got {} of {LINES} lines", reader.next);
    Ok(())
}

#[derive(Default)]
struct Reader {
    /// Number of the next printed line.
    next: u64,
    /// Number of the last frame.
    id: u64,
    /// The beginning of a line that comes in pieces.
    begun: String,
    head_over: bool,
    ended: bool,
}

impl Reader {
    /// Checks the whole frames among `bytes`; how many bytes those are.
    fn take(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut used = 0;
        if !self.head_over {
            let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(0) };
            ensure!(bytes.starts_with(b"HTTP/1.0 200") || bytes.starts_with(b"HTTP/1.1 200"));
            (self.head_over, used) = (true, end + 4);
        }
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            let taken = match self.line(rest) {
                0 => self.other(rest)?,
                taken => taken,
            };
            if taken == 0 {
                break;
            }
            used += taken;
        }
        Ok(used)
    }

    /// The frame of the next printed line, when that is what comes. Only its time may be any.
    fn line(&mut self, rest: &[u8]) -> usize {
        const TIME: &str = "2026-11-24T18:00:00.000Z";
        let before = format!("id: {}\nevent: line\ndata: {{\"time\":\"", self.id + 1);
        let after = format!(
            "\",\"stream\":\"out\",\"whole\":true,\"text\":\"{:010}{WORDS}\"}}\n\n",
            self.next
        );
        let at = before.len() + TIME.len();
        let same = self.begun.is_empty()
            && rest.starts_with(before.as_bytes())
            && rest.get(at..).is_some_and(|rest| rest.starts_with(after.as_bytes()));
        if !same {
            return 0;
        }
        (self.id, self.next) = (self.id + 1, self.next + 1);
        at + after.len()
    }

    /// Any other frame: the command itself, naru's notes, a piece of a line whose end came late, the end.
    fn other(&mut self, rest: &[u8]) -> Result<usize> {
        let Some(end) = rest.windows(2).position(|w| w == b"\n\n") else { return Ok(0) };
        let frame = std::str::from_utf8(rest.get(..end).unwrap_or_default())?;
        if frame.starts_with("id: ") {
            self.id += 1;
            ensure!(frame.starts_with(&format!("id: {}\n", self.id)), "{frame:?} is out of turn");
            let data = frame.split("data: ").nth(1).context("no data")?;
            let line: Value = serde_json::from_str(data)?;
            self.begun.push_str(line["text"].as_str().unwrap_or_default());
            if line["whole"] == true {
                let text = std::mem::take(&mut self.begun);
                let printed = text.ends_with(WORDS);
                ensure!(
                    !printed || text.starts_with(&format!("{:010} ", self.next)),
                    "{text:?} for line {}",
                    self.next
                );
                self.next += u64::from(printed);
            }
        }
        self.ended |= frame.starts_with("event: end");
        Ok(end + 2)
    }
}
