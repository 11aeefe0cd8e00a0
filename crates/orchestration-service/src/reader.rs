//! Reading the log of one instance. The shim keeps it in two halves: `<log>.1` is the older one, `<log>` the
//! one that grows until it takes the other's place.

use host::Keep;
use kernel::log::{Line, Stream, decode};
use kernel::{Error, Result, Text, Time};
use std::io::SeekFrom;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// Bytes from the end of a log that are read for its last lines.
const TAIL: u64 = 1024 * 1024;
/// Bytes read at a time when following.
const CHUNK: u64 = 64 * 1024;

/// A place in a log, from which it is read on.
pub(crate) struct Reader {
    path: PathBuf,
    /// Held open while it is read: as long as it is, no other file can have its inode.
    half: Option<Half>,
    /// The half to go on with when this one, which grows no more, has been read to its end.
    next: Option<Half>,
    /// The beginning of a record whose end has not been read.
    partial: Vec<u8>,
    /// Of the last line.
    time: Time,
}

struct Half {
    file: File,
    inode: u64,
    /// What came between this one and the one read before it may have been thrown away.
    gap: bool,
}

impl Reader {
    /// At the first line that is kept.
    pub fn at_start(path: PathBuf) -> Reader {
        Reader { path, half: None, next: None, partial: Vec::new(), time: Time(0) }
    }

    /// The last lines, and the place after them. A log that is not there is an empty one.
    pub async fn at_end(path: PathBuf) -> Result<(Vec<Line>, Reader)> {
        // In this order: should the shim begin again in between, both are the same file.
        let newer = open(&path).await?;
        let older = open(&Keep::older(&path)).await?;
        let older = older.filter(|o| newer.as_ref().is_none_or(|n| n.inode != o.inode));
        let mut reader = Reader::at_start(path);
        let (mut lines, mut room) = (Vec::new(), TAIL);
        for mut half in [newer, older].into_iter().flatten() {
            if room == 0 {
                break;
            }
            let (mut end, bytes) = end_of(&mut half.file, room).await?;
            room = room.saturating_sub(bytes);
            end.append(&mut lines);
            lines = end;
            reader.half.get_or_insert(half);
        }
        reader.time = lines.last().map_or(Time(0), |l| l.time);
        Ok((lines, reader))
    }

    /// The lines that have come; none: nothing has for now.
    ///
    /// # Errors
    /// Internal, when the log does not read.
    pub async fn read_on(&mut self) -> Result<Vec<Line>> {
        loop {
            if let Some(lines) = self.read().await? {
                if !lines.is_empty() {
                    return Ok(lines);
                }
            } else if let Some(next) = self.next.take() {
                self.partial.clear();
                let gap = next.gap.then(|| gap(self.time));
                self.half = Some(next);
                if let Some(line) = gap {
                    return Ok(vec![line]);
                }
            } else {
                // Once it is known, the half before it is complete: it is read to its end once more.
                self.next = self.find_next().await?;
                if self.next.is_none() {
                    return Ok(Vec::new());
                }
            }
        }
    }

    /// Whole records of the next chunk, of which there may be none; `None` at the end.
    async fn read(&mut self) -> Result<Option<Vec<Line>>> {
        let Some(half) = &mut self.half else { return Ok(None) };
        let mut chunk = (&mut half.file).take(CHUNK);
        if chunk.read_to_end(&mut self.partial).await.map_err(Error::internal)? == 0 {
            return Ok(None);
        }
        let mut lines = Vec::new();
        let used = cut(&self.partial, &mut lines);
        self.partial.drain(..used);
        self.time = lines.last().map_or(self.time, |l| l.time);
        Ok(Some(lines))
    }

    async fn find_next(&self) -> Result<Option<Half>> {
        let newer = open(&self.path).await?;
        let older = open(&Keep::older(&self.path)).await?;
        let Some(held) = &self.half else { return Ok(older.or(newer)) };
        let Some(newer) = newer.filter(|n| n.inode != held.inode) else { return Ok(None) };
        Ok(Some(match older {
            // It was begun again more than once since.
            Some(older) if older.inode != held.inode => Half { gap: true, ..older },
            _ => newer,
        }))
    }
}

fn gap(time: Time) -> Line {
    let Text { en, ko } = Text::fixed(
        "lines came faster than they were read here: some may be missing",
        "읽는 속도보다 빨리 출력되어 여기서 몇 줄이 빠졌을 수 있습니다",
    );
    Line { time, stream: Stream::Note, whole: true, text: format!("{en} · {ko}") }
}

async fn open(path: &Path) -> Result<Option<Half>> {
    let file = match File::open(path).await {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::internal(e)),
    };
    let inode = file.metadata().await.map_err(Error::internal)?.ino();
    Ok(Some(Half { file, inode, gap: false }))
}

/// The whole records in the last `most` bytes of a file, and how many bytes were looked at. The file is then
/// read on after those records.
async fn end_of(file: &mut File, most: u64) -> Result<(Vec<Line>, u64)> {
    let length = file.metadata().await.map_err(Error::internal)?.len();
    let from = length.saturating_sub(most);
    file.seek(SeekFrom::Start(from)).await.map_err(Error::internal)?;
    let mut bytes = Vec::new();
    (&mut *file).take(most).read_to_end(&mut bytes).await.map_err(Error::internal)?;
    // The first record is most likely cut.
    let skip = match from {
        0 => 0,
        _ => bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |i| i + 1),
    };
    let mut lines = Vec::new();
    let used = skip + cut(bytes.get(skip..).unwrap_or(&[]), &mut lines);
    file.seek(SeekFrom::Start(from + used as u64)).await.map_err(Error::internal)?;
    Ok((lines, bytes.len() as u64))
}

/// How many bytes the whole records at the start took.
fn cut(bytes: &[u8], lines: &mut Vec<Line>) -> usize {
    let mut used = 0;
    while let Some((line, length)) = decode(bytes.get(used..).unwrap_or(&[])) {
        lines.push(line);
        used += length;
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::log::encode;
    use proptest::prelude::*;
    use std::io::Write;

    /// What a shim does to a log.
    struct Shim {
        path: PathBuf,
        said: usize,
    }

    impl Shim {
        fn say(&mut self, lines: usize) {
            let file = std::fs::OpenOptions::new().append(true).create(true).open(&self.path);
            let mut out = Vec::new();
            for n in self.said..self.said + lines {
                encode(&mut out, Time(n as i64), Stream::Out, true, n.to_string().as_bytes());
            }
            self.said += lines;
            file.unwrap().write_all(&out).unwrap();
        }
        fn begin_again(&self) {
            if self.path.exists() {
                std::fs::rename(&self.path, Keep::older(&self.path)).unwrap();
                std::fs::File::create(&self.path).unwrap();
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Act {
        Say(usize),
        BeginAgain,
        /// Reads this often, and to the end when that is none.
        Read(Option<usize>),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0usize..60).prop_map(Act::Say),
            Just(Act::BeginAgain),
            prop::option::of(0usize..2).prop_map(Act::Read),
        ]
    }

    async fn read(reader: &mut Reader, most: Option<usize>, into: &mut Vec<Line>) {
        for _ in 0..most.unwrap_or(usize::MAX) {
            let lines = reader.read_on().await.unwrap();
            if lines.is_empty() {
                return;
            }
            into.extend(lines);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Whenever the shim begins again, each line is read once and in order; what is missing was thrown
        /// away before anyone could read it, and is said to be.
        #[test]
        fn no_line_is_lost_in_silence_and_none_is_doubled(acts in prop::collection::vec(act(), 1..60), tail: bool) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let dir = tempfile::tempdir().unwrap();
                let mut shim = Shim { path: dir.path().join("log"), said: 0 };
                if tail {
                    shim.say(10);
                    shim.begin_again();
                    shim.say(5);
                }
                let (mut seen, mut reader) = match tail {
                    true => Reader::at_end(shim.path.clone()).await.unwrap(),
                    false => (Vec::new(), Reader::at_start(shim.path.clone())),
                };
                let mut unread = 0;
                let mut overrun = false;
                for act in acts.into_iter().chain([Act::Say(1), Act::Read(None)]) {
                    match act {
                        Act::Say(lines) => shim.say(lines),
                        Act::BeginAgain => {
                            let there = shim.path.exists();
                            shim.begin_again();
                            unread += usize::from(there);
                            overrun |= unread > 1;
                        }
                        Act::Read(most) => {
                            read(&mut reader, most, &mut seen).await;
                            unread = if most.is_none() { 0 } else { unread };
                        }
                    }
                }
                let mut expected = 0;
                let mut gap = false;
                for line in seen {
                    if line.stream == Stream::Note {
                        prop_assert!(overrun, "nothing is missing");
                        gap = true;
                        continue;
                    }
                    let n: usize = line.text.parse().unwrap();
                    prop_assert!(n >= expected, "{n} again, or out of order");
                    prop_assert!(n == expected || gap || (overrun && expected == 0), "{expected} to {n} are missing");
                    (expected, gap) = (n + 1, false);
                }
                prop_assert_eq!(expected, shim.said, "the last line is read");
                Ok(())
            })?;
        }
    }
}
