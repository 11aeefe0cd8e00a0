//! What instances print: their last words, the end of their logs, and following them all at once.

use crate::crew::Crew;
use crate::error;
use crate::files::Files;
use crate::launch::Place;
use crate::reader::Reader;
use crate::state::ServiceKey;
use crate::yard::Yard;
use futures_util::Stream;
use kernel::log::{Line, Stream as Kind};
use kernel::{Result, Text};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

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
    let lines = Reader::at_end(files.log(id)).await.map(|(lines, _)| lines).unwrap_or_default();
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

/// The last lines, and the places after them.
async fn gather(
    files: &Files,
    ids: &[String],
    tail: usize,
) -> Result<(Vec<LogLine>, BTreeMap<String, Reader>)> {
    let (mut all, mut places) = (Vec::new(), BTreeMap::new());
    for id in ids {
        let (lines, end) = Reader::at_end(files.log(id)).await?;
        let from = lines.len().saturating_sub(tail);
        let named = |line| LogLine { instance: id.clone(), line };
        all.extend(lines.into_iter().skip(from).map(named));
        places.insert(id.clone(), end);
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
    let (past, mut places) = gather(yard.files(), &ids, tail).await?;
    let crew = yard.crew(key);
    // Each holds a file open, and those of instances that are gone have been read.
    places.retain(|id, _| crew.member(id).is_some());
    let (out, lines) = mpsc::channel(QUEUE);
    let follower = Follower {
        files: yard.files().clone(),
        crew,
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
    places: BTreeMap<String, Reader>,
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
                let reader = self.places.remove(&id);
                let reader = reader.unwrap_or_else(|| Reader::at_start(self.files.log(&id)));
                let out = self.out.clone();
                let ended = {
                    let member = member.clone();
                    move || member.workload.exit().is_some()
                };
                let grew = member.workload.log_grew();
                tails.spawn(follow_one(reader, id, grew, ended, out));
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
    mut reader: Reader,
    id: String,
    mut grew: watch::Receiver<u64>,
    ended: impl Fn() -> bool,
    out: mpsc::Sender<Result<LogLine>>,
) {
    loop {
        grew.borrow_and_update();
        let over = ended();
        loop {
            let lines = match reader.read_on().await {
                Ok(lines) => lines,
                Err(error) => return drop(out.send(Err(error)).await),
            };
            if lines.is_empty() {
                break;
            }
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
