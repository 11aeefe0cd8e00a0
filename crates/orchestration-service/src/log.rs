//! What instances print: their last words, the end of their logs, and following them all at once.

use crate::crew::Crew;
use crate::error;
use crate::files::Files;
use crate::launch::Place;
use crate::state::ServiceKey;
use crate::yard::Yard;
use futures_util::Stream;
use kernel::log::{Line, Stream as Kind, decode};
use kernel::{Error, Result, Text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::{mpsc, watch};

/// Bytes from the end of a log that are read for its last lines.
const TAIL: u64 = 1024 * 1024;
/// Bytes read at a time when following.
const CHUNK: u64 = 64 * 1024;
/// Instances whose logs are read for one answer: the newest.
const MOST: usize = 50;
/// Lines on their way to one follower.
const QUEUE: usize = 256;

/// A line with the instance that printed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    pub instance: String,
    #[serde(flatten)]
    pub line: Line,
}

/// The end of what an instance printed.
pub(crate) struct LastWords {
    /// At most twenty.
    pub lines: Vec<String>,
    /// What it most likely died of.
    gist: String,
}

pub(crate) async fn last_words(files: &Files, id: &str) -> LastWords {
    let (lines, _) = end_of(&files.log(id)).await.unwrap_or_default();
    let said = |kind: Kind| {
        let of = lines.iter().filter(move |l| l.stream == kind && !l.text.trim().is_empty());
        let words: Vec<&str> = of.map(|l| l.text.trim()).collect();
        words
    };
    let errors = said(Kind::Err);
    let words = if errors.is_empty() { said(Kind::Out) } else { errors };
    let last = words.iter().rev().take(3).rev().copied().collect::<Vec<_>>().join(" / ");
    let gist = last.chars().filter(|c| !c.is_control()).take(400).collect();
    let from = lines.len().saturating_sub(20);
    LastWords { lines: lines.into_iter().skip(from).map(|l| l.text).collect(), gist }
}

impl LastWords {
    /// The sentence, with the words at its end.
    pub fn after(&self, say: Text) -> Text {
        if self.gist.is_empty() {
            let (en, ko) = (say.en, say.ko);
            return kernel::text!("{en}; it printed nothing", "{ko}; 출력 없음");
        }
        let gist = &self.gist;
        Text::new(
            format!("{}; last words: {gist}", say.en),
            format!("{}; 마지막 출력: {gist}", say.ko),
        )
    }
}

/// The whole records in the last part of a file, and where they end. A missing file is an empty one.
async fn end_of(path: &Path) -> Result<(Vec<Line>, u64)> {
    let Some(mut file) = open(path).await? else { return Ok((Vec::new(), 0)) };
    let length = file.metadata().await.map_err(Error::internal)?.len();
    let from = length.saturating_sub(TAIL);
    file.seek(std::io::SeekFrom::Start(from)).await.map_err(Error::internal)?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).await.map_err(Error::internal)?;
    // The first record is most likely cut.
    let skip = match from {
        0 => 0,
        _ => bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |i| i + 1),
    };
    let mut lines = Vec::new();
    let used = skip + cut(bytes.get(skip..).unwrap_or(&[]), &mut lines);
    Ok((lines, from + used as u64))
}

async fn open(path: &Path) -> Result<Option<tokio::fs::File>> {
    match tokio::fs::File::open(path).await {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::internal(e)),
    }
}

fn cut(bytes: &[u8], lines: &mut Vec<Line>) -> usize {
    let mut used = 0;
    while let Some((line, length)) = decode(bytes.get(used..).unwrap_or(&[])) {
        lines.push(line);
        used += length;
    }
    used
}

/// Which logs somebody asked for.
async fn chosen(yard: &Yard, key: &ServiceKey, instance: Option<&str>) -> Result<Vec<String>> {
    let all = yard.files().logs(&format!("{}.{}.", key.project, key.service)).await?;
    let mut all: Vec<String> = all
        .into_iter()
        .filter(|id| Place::parse(id).is_some_and(|p| p.key == *key))
        .filter(|id| instance.is_none_or(|i| matches(id, i)))
        .collect();
    if let (Some(instance), true) = (instance, all.is_empty()) {
        return Err(error::unknown_instance(instance));
    }
    all.drain(..all.len().saturating_sub(MOST));
    Ok(all)
}

/// Instances are known by their workload's id or by their resource's name.
fn matches(id: &str, wanted: &str) -> bool {
    id == wanted
        || Place::parse(id).and_then(|p| p.instance()).is_some_and(|n| n.as_str() == wanted)
}

/// The last `tail` lines of a service's instances together, in the order of time.
pub(crate) async fn tail(
    yard: &Yard,
    key: &ServiceKey,
    instance: Option<&str>,
    tail: usize,
) -> Result<Vec<LogLine>> {
    let ids = chosen(yard, key, instance).await?;
    Ok(gather(yard.files(), &ids, tail).await?.0)
}

async fn gather(
    files: &Files,
    ids: &[String],
    tail: usize,
) -> Result<(Vec<LogLine>, Vec<(String, u64)>)> {
    let (mut all, mut places) = (Vec::new(), Vec::new());
    for id in ids {
        let (lines, end) = end_of(&files.log(id)).await?;
        let from = lines.len().saturating_sub(tail);
        let named = |line| LogLine { instance: id.clone(), line };
        all.extend(lines.into_iter().skip(from).map(named));
        places.push((id.clone(), end));
    }
    // Stable: lines of one instance stay in their order.
    all.sort_by_key(|l| l.line.time);
    all.drain(..all.len().saturating_sub(tail));
    Ok((all, places))
}

/// The last `tail` lines, then what comes, of the instances there are and of those that come. Without end,
/// unless one instance was asked for and it has ended.
pub(crate) async fn follow(
    yard: &Yard,
    key: &ServiceKey,
    instance: Option<String>,
    tail: usize,
) -> Result<impl Stream<Item = Result<LogLine>> + Send + use<>> {
    let ids = chosen(yard, key, instance.as_deref()).await?;
    let (past, places) = gather(yard.files(), &ids, tail).await?;
    let (out, lines) = mpsc::channel(QUEUE);
    let follower = Follower {
        files: yard.files().clone(),
        crew: yard.crew(key),
        instance,
        out,
        places,
        followed: BTreeSet::new(),
    };
    let stop = yard.stop().clone();
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = follower.run() => {}
        }
    });
    let live = futures_util::stream::unfold(lines, |mut lines| async move {
        Some((lines.recv().await?, lines))
    });
    let past = futures_util::stream::iter(past.into_iter().map(Ok));
    Ok(futures_util::StreamExt::chain(past, live))
}

struct Follower {
    files: Files,
    crew: Arc<Crew>,
    instance: Option<String>,
    out: mpsc::Sender<Result<LogLine>>,
    /// How far the logs that were there have been read.
    places: Vec<(String, u64)>,
    followed: BTreeSet<String>,
}

impl Follower {
    async fn run(mut self) {
        let mut changes = self.crew.changes();
        let mut tails = tokio::task::JoinSet::new();
        loop {
            changes.borrow_and_update();
            for member in self.crew.members() {
                let id = member.id().to_owned();
                let wanted = self.instance.as_ref().is_none_or(|i| matches(&id, i));
                if !wanted || !self.followed.insert(id.clone()) {
                    continue;
                }
                let from = self.places.iter().find(|p| p.0 == id).map_or(0, |p| p.1);
                let file = self.files.log(&id);
                let out = self.out.clone();
                let ended = {
                    let member = member.clone();
                    move || member.workload.exit().is_some()
                };
                let grew = member.workload.log_grew();
                tails.spawn(async move { follow_one(&file, id, from, grew, ended, out).await });
            }
            let over = self.instance.is_some() && tails.is_empty();
            if over {
                return;
            }
            tokio::select! {
                () = self.out.closed() => return,
                Some(_) = tails.join_next(), if !tails.is_empty() => {}
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }
}

async fn follow_one(
    path: &Path,
    id: String,
    mut from: u64,
    mut grew: watch::Receiver<u64>,
    ended: impl Fn() -> bool,
    out: mpsc::Sender<Result<LogLine>>,
) {
    let mut partial = Vec::new();
    loop {
        grew.borrow_and_update();
        let over = ended();
        loop {
            let read = match read_on(path, from).await {
                Ok(read) => read,
                Err(error) => return drop(out.send(Err(error)).await),
            };
            if read.is_empty() {
                break;
            }
            from += read.len() as u64;
            partial.extend_from_slice(&read);
            let mut lines = Vec::new();
            let used = cut(&partial, &mut lines);
            partial.drain(..used);
            for line in lines {
                if out.send(Ok(LogLine { instance: id.clone(), line })).await.is_err() {
                    return;
                }
            }
        }
        if over || grew.changed().await.is_err() {
            return;
        }
    }
}

async fn read_on(path: &Path, from: u64) -> Result<Vec<u8>> {
    let Some(mut file) = open(path).await? else { return Ok(Vec::new()) };
    file.seek(std::io::SeekFrom::Start(from)).await.map_err(Error::internal)?;
    let mut chunk = Vec::new();
    file.take(CHUNK).read_to_end(&mut chunk).await.map_err(Error::internal)?;
    Ok(chunk)
}
