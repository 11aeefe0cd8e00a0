//! Reading objects: a small pool of `git cat-file` processes per repository.
//!
//! A process answers in microseconds where starting one takes milliseconds. It sees objects that arrive
//! after it was started: git looks again when it misses one. The readers are blocking on purpose; they run
//! on tokio's blocking threads, where a loop over thousands of files costs no hop per file.

use crate::git::Program;
use crate::{io, refname};
use kernel::journey::{Commit, MAX_MESSAGE};
use kernel::{Error, ErrorKind, Result, Text, Time, text};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Processes of one repository at a time.
const PROCESSES: usize = 4;
/// Requests written before their answers are read: together they must fit into the smallest pipe (4 KiB),
/// or both sides would wait for the other to read.
const WINDOW: usize = 72;
/// For one piece of work with a reader, the checkout of a large tree included.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Bytes of a commit, tree or tag object.
const SMALL: u64 = 16 * 1024 * 1024;

/// Readers of one repository. Clones share them.
#[derive(Clone)]
pub(crate) struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    git: Program,
    dir: PathBuf,
    places: Semaphore,
    /// Counts resets: a reader from before one is not used again.
    era: AtomicU64,
    idle: Mutex<Vec<(Instant, Reader)>>,
}

impl Pool {
    pub fn new(git: Program, dir: PathBuf) -> Pool {
        let places = Semaphore::new(PROCESSES);
        let (era, idle) = (AtomicU64::new(0), Mutex::default());
        Pool { inner: Arc::new(Inner { git, dir, places, era, idle }) }
    }

    /// Runs `work` with a reader. One that failed is not used again.
    pub async fn with<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader) -> Result<T> + Send + 'static,
    {
        let inner = self.inner.clone();
        let place = self.inner.places.acquire().await.map_err(Error::internal)?;
        let mut reader = match inner.take() {
            Some(reader) => reader,
            None => inner.start()?,
        };
        let child = reader.child.clone();
        let running = tokio::task::spawn_blocking(move || {
            let outcome = work(&mut reader);
            // A refusal (`NotFound`, `TooLarge`) leaves the conversation in order; a failure does not.
            if !matches!(&outcome, Err(e) if e.kind() == ErrorKind::Internal || e.kind() == ErrorKind::Full)
            {
                inner.keep(reader);
            }
            outcome
        });
        let outcome = match tokio::time::timeout(PATIENCE, running).await {
            Ok(joined) => joined.map_err(Error::internal)?,
            Err(_) => {
                child.kill();
                Err(Error::internal("reading objects took too long"))
            }
        };
        drop(place);
        outcome
    }

    /// Ends readers that nobody used for `longer_than`.
    pub fn close_idle(&self, longer_than: Duration) {
        self.inner.idle().retain(|(since, _)| since.elapsed() < longer_than);
    }

    /// Ends all readers, those at work when they are done.
    pub fn reset(&self) {
        self.inner.era.fetch_add(1, Ordering::SeqCst);
        self.inner.idle().clear();
    }

    pub fn has_idle(&self) -> bool {
        !self.inner.idle().is_empty()
    }

    /// Starts a reader ahead of need.
    pub fn warm(&self) -> Result<()> {
        if self.inner.idle().is_empty() {
            let reader = self.inner.start()?;
            self.inner.keep(reader);
        }
        Ok(())
    }

    pub async fn commit(&self, id: &str) -> Result<Commit> {
        let id = id.to_owned();
        self.with(move |r| r.commit(&id)).await
    }
}

impl Inner {
    fn start(&self) -> Result<Reader> {
        Reader::start(&self.git, &self.dir, self.era.load(Ordering::SeqCst))
    }
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, Reader)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn take(&self) -> Option<Reader> {
        loop {
            let (_, reader) = self.idle().pop()?;
            if reader.child.alive() {
                return Some(reader);
            }
        }
    }
    fn keep(&self, reader: Reader) {
        let mut idle = self.idle();
        let current = reader.era == self.era.load(Ordering::SeqCst);
        if current && !reader.broken && idle.len() < PROCESSES {
            idle.push((Instant::now(), reader));
        }
    }
}

/// A process that dies with its last handle.
#[derive(Clone)]
struct Leash(Arc<Mutex<Child>>);

impl Leash {
    fn kill(&self) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
    fn alive(&self) -> bool {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(child.try_wait(), Ok(None))
    }
}

/// One `git cat-file --batch-command --buffer`.
pub(crate) struct Reader {
    child: Leash,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    broken: bool,
    era: u64,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.child.kill();
    }
}

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub id: String,
    pub kind: String,
    pub size: u64,
}

impl Reader {
    fn start(git: &Program, dir: &Path, era: u64) -> Result<Reader> {
        let mut command = git.on(dir);
        command.args(["cat-file", "--batch-command", "--buffer"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|e| io("git cat-file", e))?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::internal("git cat-file without pipes"));
        };
        let answers = BufReader::with_capacity(64 * 1024, answers);
        let child = Leash(Arc::new(Mutex::new(child)));
        Ok(Reader { child, requests, answers, broken: false, era })
    }

    /// What each of `names` (object ids) is. `None` for what is not there.
    pub fn info(&mut self, names: &[&str]) -> Result<Vec<Option<Found>>> {
        let mut out = Vec::with_capacity(names.len());
        for window in names.chunks(WINDOW) {
            self.ask("info", window)?;
            for _ in window {
                out.push(self.head()?);
            }
        }
        Ok(out)
    }

    /// Gives each object to `take` as a stream of exactly its size, in order. An object that is not there
    /// is an error.
    pub fn contents<F>(&mut self, names: &[&str], mut take: F) -> Result<()>
    where
        F: FnMut(usize, &Found, &mut dyn Read) -> Result<()>,
    {
        let mut index = 0;
        for window in names.chunks(WINDOW) {
            self.ask("contents", window)?;
            for name in window {
                let found = self.head()?.ok_or_else(|| {
                    self.broken = true;
                    missing(name)
                })?;
                let mut body = (&mut self.answers).take(found.size);
                let taken = take(index, &found, &mut body);
                let skipped = std::io::copy(&mut body, &mut std::io::sink());
                self.end(skipped)?;
                if let Err(error) = taken {
                    // The answers of the rest of the window are still on their way.
                    self.broken = true;
                    return Err(error);
                }
                index += 1;
            }
        }
        Ok(())
    }

    /// A commit, tree or tag, or a blob of at most `limit` bytes.
    ///
    /// # Errors
    /// `object.unknown`, `object.too-large`.
    pub fn object(&mut self, id: &str, limit: u64) -> Result<(Found, Vec<u8>)> {
        let found = self.info(&[id])?.into_iter().next().flatten();
        let found = found.ok_or_else(|| missing(id))?;
        if found.size > limit {
            return Err(too_large(found.size, limit));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(found.size).unwrap_or(0));
        self.contents(&[id], |_, _, body| {
            body.read_to_end(&mut bytes).map(drop).map_err(|e| io("git cat-file", e))
        })?;
        Ok((found, bytes))
    }

    /// The commit `id` names, through annotated tags as well.
    pub fn commit(&mut self, id: &str) -> Result<Commit> {
        self.commit_and_text(id).map(|(commit, _, _)| commit)
    }

    /// The commit, its tree and its whole message.
    pub fn commit_and_text(&mut self, id: &str) -> Result<(Commit, String, String)> {
        let mut id = id.to_owned();
        // A tag may name a tag, but nobody nests them ten deep.
        for _ in 0..10 {
            let (found, bytes) = self.object(&id, SMALL)?;
            match found.kind.as_str() {
                "commit" => return parse_commit(&found.id, &bytes),
                "tag" => id = header(&bytes, "object").ok_or_else(|| missing(&found.id))?,
                _ => break,
            }
        }
        Err(missing(&id))
    }

    pub fn tree_bytes(&mut self, ids: &[&str], out: &mut Vec<Vec<u8>>) -> Result<()> {
        self.contents(ids, |_, found, body| {
            if found.kind != "tree" || found.size > SMALL {
                return Err(Error::internal(format!("{} is no readable tree", found.id)));
            }
            let mut bytes = Vec::with_capacity(usize::try_from(found.size).unwrap_or(0));
            body.read_to_end(&mut bytes).map_err(|e| io("git cat-file", e))?;
            out.push(bytes);
            Ok(())
        })
    }

    fn ask(&mut self, what: &str, names: &[&str]) -> Result<()> {
        let mut words = String::with_capacity(names.len() * 52);
        for name in names {
            // One request a line: a name with a line break would be two.
            let safe = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
            let name = if safe { name } else { "0" };
            words.extend([what, " ", name, "\n"]);
        }
        words.push_str("flush\n");
        let wrote = self.requests.write_all(words.as_bytes()).and_then(|()| self.requests.flush());
        wrote.map_err(|e| self.fail(e))
    }

    fn head(&mut self) -> Result<Option<Found>> {
        let mut line = Vec::new();
        let read = (&mut self.answers).take(4096).read_until(b'\n', &mut line);
        read.map_err(|e| self.fail(e))?;
        if line.pop() != Some(b'\n') {
            return Err(self.fail(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let line = String::from_utf8_lossy(&line);
        let mut bits = line.split(' ');
        let (id, kind, size) = (bits.next(), bits.next(), bits.next());
        match (id, kind, size.and_then(|s| s.parse().ok())) {
            (Some(id), Some(kind), Some(size)) => {
                Ok(Some(Found { id: id.to_owned(), kind: kind.to_owned(), size }))
            }
            // `<name> missing`, `<name> ambiguous`
            _ => Ok(None),
        }
    }

    /// The line break after an object.
    fn end(&mut self, skipped: std::io::Result<u64>) -> Result<()> {
        let mut one = [0_u8; 1];
        skipped.and_then(|_| self.answers.read_exact(&mut one)).map_err(|e| self.fail(e))
    }

    fn fail(&mut self, error: std::io::Error) -> Error {
        self.broken = true;
        Error::internal(format!("git cat-file: {error}"))
    }
}

pub(crate) fn missing(id: &str) -> Error {
    let shown = kernel::shown(id);
    Error::not_found(
        "object.unknown",
        text!("the repository has no {shown}", "저장소에 {shown}이(가) 없습니다"),
    )
}

pub(crate) fn too_large(size: u64, limit: u64) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        "object.too-large",
        text!(
            "the file has {size} bytes; {limit} are shown at most",
            "파일이 {size}바이트입니다. 최대 {limit}바이트까지 읽습니다"
        ),
    )
    .hint(Text::fixed("clone the repository to read it", "저장소를 복제해서 읽으세요"))
}

fn header(bytes: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let head = text.split("\n\n").next()?;
    head.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned)
}

/// A commit object, read leniently: what is damaged in it shows as empty.
pub(crate) fn parse_commit(id: &str, bytes: &[u8]) -> Result<(Commit, String, String)> {
    let text = String::from_utf8_lossy(bytes);
    let (head, message) = text.split_once("\n\n").unwrap_or((&text, ""));
    // As git shows it: nothing after a NUL, which could not be handed to a program either.
    let message = message.split('\0').next().unwrap_or("");
    let all = |name: &'static str| {
        head.lines().filter_map(move |l| l.strip_prefix(name)?.strip_prefix(' '))
    };
    let tree = all("tree").next().filter(|t| refname::is_oid(t)).ok_or_else(|| missing(id))?;
    let (author, email, authored) = person(all("author").next().unwrap_or(""));
    let (_, _, committed) = person(all("committer").next().unwrap_or(""));
    let commit = Commit {
        id: id.to_owned(),
        parents: all("parent").map(str::to_owned).collect(),
        author,
        email,
        authored,
        committed,
        subject: message.trim_start().lines().next().unwrap_or("").chars().take(500).collect(),
        message: bounded(message.trim()).to_owned(),
    };
    Ok((commit, tree.to_owned(), message.trim_end().to_owned()))
}

/// The beginning of a message, cut between two characters.
fn bounded(message: &str) -> &str {
    let end = message.floor_char_boundary(MAX_MESSAGE);
    message.get(..end).unwrap_or("").trim_end()
}

/// `Ada <ada@example.org> 1764000000 +0900`
fn person(words: &str) -> (String, String, Time) {
    let (name, rest) = words.split_once('<').unwrap_or((words, ""));
    let (email, when) = rest.split_once('>').unwrap_or((rest, ""));
    let seconds: i64 = when.split_whitespace().next().and_then(|s| s.parse().ok()).unwrap_or(0);
    (name.trim().to_owned(), email.trim().to_owned(), Time(seconds.saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn commits_as_git_writes_them() {
        let raw = format!(
            "tree {ID}\nparent {ID}\nauthor 김나루 <na@ru.kr> 1764000000 +0900\n\
             committer C <c@d> 1764000001 +0000\ngpgsig -----BEGIN\n author x\n\nSubject here\n\nBody\n"
        );
        let (commit, tree, text) = parse_commit(ID, raw.as_bytes()).unwrap();
        assert_eq!((commit.author.as_str(), commit.email.as_str()), ("김나루", "na@ru.kr"));
        assert_eq!((commit.authored.0, commit.committed.0), (1_764_000_000_000, 1_764_000_001_000));
        assert_eq!((commit.subject.as_str(), tree.as_str()), ("Subject here", ID));
        assert_eq!((commit.parents.len(), text.as_str()), (1, "Subject here\n\nBody"));
        assert_eq!(commit.message, "Subject here\n\nBody");
    }

    #[test]
    fn a_message_is_carried_along_as_far_as_it_is_bounded() {
        let raw = format!("tree {ID}\n\nS\n\n{}\n", "가".repeat(4000));
        let (commit, _, text) = parse_commit(ID, raw.as_bytes()).unwrap();
        assert!(commit.message.len() <= MAX_MESSAGE && commit.message.len() > MAX_MESSAGE - 3);
        assert!(commit.message.starts_with("S\n\n가") && text.len() > 12_000);
        let raw = format!("tree {ID}\n\nbefore\0after\n");
        let (commit, _, text) = parse_commit(ID, raw.as_bytes()).unwrap();
        assert_eq!((&*commit.subject, &*commit.message, &*text), ("before", "before", "before"));
    }

    #[test]
    fn a_damaged_commit_is_an_error_or_empty_words() {
        assert!(parse_commit(ID, b"").is_err());
        assert!(parse_commit(ID, b"tree nonsense\n\nx").is_err());
        let (commit, _, _) = parse_commit(ID, format!("tree {ID}\nauthor <>>").as_bytes()).unwrap();
        assert_eq!((commit.author.as_str(), commit.authored.0), ("", 0));
    }
}
