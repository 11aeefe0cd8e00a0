//! The record of endings: a file beside the store that remembers what has ended, so that a store that is put
//! back from an old copy does not bring it to life again.
//!
//! Each line is JSON with the place of its event in the journal. It is a projection of the journal with its own
//! cursor, the last line: what a crash kept from it is read from the journal at the next start. When the last line
//! is beyond the journal's end, the store is older than this file, and [`Record::missed`] says what it has
//! forgotten.

use kernel::{Error, Event, Principal, Result, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The longest line; ours are far shorter, but for many sessions ended at once.
const LINE: u64 = 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    seq: u64,
    time: Time,
    #[serde(flatten)]
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    /// Credentials, by their ids.
    Ended(Vec<String>),
    /// Everything that somebody held until then.
    EndedAll(Principal),
    Barred(Principal),
    /// No longer barred.
    Back(Principal),
    /// Numbers up to this may be somebody's.
    Numbers(u32),
    /// The record begins, or goes on with an older store, at this place.
    From(u64),
}

/// What an older store has forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missed {
    pub credentials: BTreeSet<String>,
    /// Whose credentials all ended.
    pub holders: Vec<Principal>,
    pub barred: Vec<Principal>,
    pub numbers: u32,
}

#[derive(Default)]
pub(crate) struct Record(Mutex<Option<Open>>);

struct Open {
    path: PathBuf,
    file: File,
    last: u64,
    /// Who is barred: letting in somebody who was not is no news.
    barred: BTreeSet<String>,
}

impl Record {
    /// Opens or begins the record at `path` for a journal that ends at `head`; gives what the store behind that
    /// journal has forgotten, if it is older than the record.
    ///
    /// # Errors
    /// Internal, when the file cannot be read or written.
    pub fn open(&self, path: &Path, head: u64, now: Time) -> Result<Option<Missed>> {
        let lines = read(path)?;
        let last = lines.iter().rev().map(Line::place).next();
        let mut options = std::fs::OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(path);
        let file = file.map_err(|e| broken(path, &e))?;
        let mut barred = BTreeSet::new();
        lines.iter().for_each(|line| line.what.bar(&mut barred));
        let mut open = Open { path: path.to_owned(), file, last: last.unwrap_or(head), barred };
        let missed = last.filter(|last| *last > head).map(|_| missed(&lines, head));
        if last.is_none() {
            open.append(&[Line { seq: head, time: now, what: What::From(head) }])?;
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(open);
        Ok(missed)
    }

    /// The place in the journal up to which all is noted.
    pub fn place(&self) -> Option<u64> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(|open| open.last)
    }

    /// Goes on behind an older store, once it has been told what it had forgotten.
    ///
    /// # Errors
    /// Internal, when the file cannot be written.
    pub fn go_on(&self, head: u64, now: Time) -> Result<()> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = Line { seq: head, time: now, what: What::From(head) };
        open.as_mut().map_or(Ok(()), |open| open.append(&[line]))
    }

    /// Notes what an event ends. A line that cannot be written is written at the next start, from the journal.
    pub fn note(&self, event: &Event) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = open.as_mut() else { return };
        let mut all = of(event);
        all.retain(
            |what| !matches!(what, What::Back(who) if !open.barred.contains(&who.to_string())),
        );
        if all.is_empty() || event.seq <= open.last {
            return;
        }
        all.iter().for_each(|what| what.bar(&mut open.barred));
        let line = |what| Line { seq: event.seq, time: event.time, what };
        let lines: Vec<Line> = all.into_iter().map(line).collect();
        if let Err(error) = open.append(&lines) {
            tracing::error!(%error, "an ending could not be noted beside the store");
        }
    }
}

impl Line {
    fn place(&self) -> u64 {
        match self.what {
            What::From(head) => head,
            _ => self.seq,
        }
    }
}

impl What {
    fn bar(&self, barred: &mut BTreeSet<String>) {
        match self {
            What::Barred(who) => drop(barred.insert(who.to_string())),
            What::Back(who) => drop(barred.remove(&who.to_string())),
            _ => {}
        }
    }
}

impl Open {
    fn append(&mut self, lines: &[Line]) -> Result<()> {
        let mut words = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut words, line).map_err(Error::internal)?;
            words.push(b'\n');
        }
        let write = |file: &mut File| {
            file.write_all(&words)?;
            file.sync_data()
        };
        write(&mut self.file).map_err(|e| broken(&self.path, &e))?;
        self.last = lines.iter().map(Line::place).next_back().unwrap_or(self.last);
        Ok(())
    }
}

/// A line that a crash has cut is passed over: the journal still has it.
fn read(path: &Path) -> Result<Vec<Line>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(broken(path, &e)),
    };
    let (mut lines, mut reader, mut words) = (Vec::new(), BufReader::new(file), Vec::new());
    loop {
        words.clear();
        let mut limited = std::io::Read::take(&mut reader, LINE);
        let read = limited.read_until(b'\n', &mut words).map_err(|e| broken(path, &e))?;
        if read == 0 {
            return Ok(lines);
        }
        lines.extend(serde_json::from_slice::<Line>(&words).ok());
    }
}

fn broken(path: &Path, error: &std::io::Error) -> Error {
    Error::internal(format!("{}: {error}", path.display()))
}

/// What an event ends, in lines.
fn of(event: &Event) -> Vec<What> {
    let data = &event.fact.data;
    let ids = |value: Option<&Value>| -> Vec<String> {
        match value {
            Some(Value::String(id)) => vec![id.clone()],
            Some(Value::Array(all)) => {
                all.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
            }
            _ => Vec::new(),
        }
    };
    let who = || serde_json::from_value::<Principal>(data.get("principal")?.clone()).ok();
    match event.fact.kind.as_str() {
        "token.revoked" | "token.rotated" | "session.closed" => {
            vec![What::Ended(ids(data.get("credential")))]
        }
        "sessions.closed" => vec![What::Ended(ids(data.get("credentials")))],
        "credentials.ended" => who().map(What::EndedAll).into_iter().collect(),
        "account.numbers" => data
            .get("promised")
            .and_then(Value::as_u64)
            .and_then(|n| u32::try_from(n).ok())
            .map(What::Numbers)
            .into_iter()
            .collect(),
        kind => standing(kind, event).into_iter().collect(),
    }
}

/// Whether an event bars somebody, or lets them in again.
fn standing(kind: &str, event: &Event) -> Option<What> {
    let key = event.fact.subject.as_ref()?;
    let who = crate::directory::principal(&key.kind, &key.name)?;
    let disabled = event.fact.data.pointer("/spec/disabled").and_then(Value::as_bool);
    match (kind, disabled) {
        ("resource.deleted", _) | ("resource.updated" | "resource.created", Some(true)) => {
            Some(What::Barred(who))
        }
        // Nobody is let in who was not barred, but what was is only in the lines before.
        ("resource.updated", Some(false)) => Some(What::Back(who)),
        _ => None,
    }
}

/// What the lines after `head` say.
fn missed(lines: &[Line], head: u64) -> Missed {
    // After the store went back once before, places come again: only lines since then count.
    let start = lines.iter().rposition(|l| matches!(l.what, What::From(at) if at <= head));
    let mut out = Missed::default();
    let mut standing: BTreeMap<String, (Principal, bool)> = BTreeMap::new();
    for line in lines.iter().skip(start.unwrap_or(0)) {
        match &line.what {
            What::Numbers(n) => out.numbers = out.numbers.max(*n),
            _ if line.seq <= head => {}
            What::Ended(ids) => out.credentials.extend(ids.iter().cloned()),
            What::EndedAll(who) if !out.holders.contains(who) => out.holders.push(who.clone()),
            What::EndedAll(_) => {}
            What::Barred(who) => {
                standing.insert(who.to_string(), (who.clone(), true));
            }
            What::Back(who) => {
                standing.insert(who.to_string(), (who.clone(), false));
            }
            What::From(_) => {}
        }
    }
    out.barred = standing.into_values().filter(|(_, barred)| *barred).map(|(who, _)| who).collect();
    out
}

/// For an event that says what was mended.
pub(crate) fn told(missed: &Missed, credentials: usize) -> Value {
    json!({ "credentials": credentials, "barred": missed.barred, "holders": missed.holders.len() })
}
