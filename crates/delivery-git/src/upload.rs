//! A request's body: unpacked, counted, and never waited for without limit.

use crate::Limits;
use bytes::Bytes;
use flate2::write::GzDecoder;
use http_body_util::BodyExt;
use kernel::{Error, ErrorKind, Result, Text, text};
use naru_http::Body;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Compressed bytes unpacked in one go. deflate makes at most about 1,032 bytes of one, so a bomb is
/// noticed before it has grown by more than a few MiB.
const BITE: usize = 4096;

/// A body as it arrives.
pub(crate) struct Upload {
    body: Body,
    gunzip: Option<GzDecoder<Vec<u8>>>,
    taken: u64,
    limit: u64,
    /// Bytes beyond the limit that are no pack.
    room: u64,
    idle: Duration,
    until: Instant,
}

impl Upload {
    /// `encoding` is the `Content-Encoding`; `limit` counts unpacked bytes.
    ///
    /// # Errors
    /// `encoding.unknown` for anything but gzip.
    pub fn new(body: Body, encoding: Option<&str>, limit: u64, limits: &Limits) -> Result<Upload> {
        let gunzip = match encoding.map(str::trim) {
            None | Some("" | "identity") => None,
            Some("gzip" | "x-gzip") => Some(GzDecoder::new(Vec::new())),
            Some(_) => {
                return Err(Error::invalid(
                    "encoding.unknown",
                    Text::fixed(
                        "only gzip is understood as Content-Encoding",
                        "Content-Encoding은 gzip만 쓸 수 있습니다",
                    ),
                ));
            }
        };
        let (idle, until) = (limits.idle, Instant::now() + limits.transfer);
        Ok(Upload { body, gunzip, taken: 0, limit, room: 0, idle, until })
    }

    /// Lets so many bytes more pass, without another word about the limit.
    pub fn with_room(self, room: u64) -> Upload {
        Upload { room, ..self }
    }

    /// Whether so many unpacked bytes are more than may come.
    fn check(&self, taken: u64) -> Result<()> {
        if taken > self.limit.saturating_add(self.room) {
            Err(too_large(self.limit))
        } else {
            Ok(())
        }
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// `push.too-large`, `body.slow`, `body.broken`.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let frame = tokio::time::timeout_at(self.patience(), self.body.frame()).await;
            let frame = frame.map_err(|_| slow(self.idle))?;
            let data = match frame {
                None => return self.finish(),
                Some(Err(e)) => return Err(broken().why(e)),
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            };
            let data = self.unpack(data)?;
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
    }

    /// When the next bytes have to be here.
    fn patience(&self) -> Instant {
        self.until.min(Instant::now() + self.idle)
    }

    fn unpack(&mut self, data: Bytes) -> Result<Bytes> {
        let Some(mut gunzip) = self.gunzip.take() else {
            self.taken += data.len() as u64;
            return self.check(self.taken).map(|()| data);
        };
        let mut out = Vec::new();
        for bite in data.chunks(BITE) {
            gunzip.write_all(bite).map_err(|e| broken().why(e))?;
            out.append(gunzip.get_mut());
            self.check(self.taken + out.len() as u64)?;
        }
        self.taken += out.len() as u64;
        self.gunzip = Some(gunzip);
        Ok(out.into())
    }

    fn finish(&mut self) -> Result<Option<Bytes>> {
        let Some(gunzip) = self.gunzip.take() else { return Ok(None) };
        let rest = gunzip.finish().map_err(|e| broken().why(e))?;
        self.taken += rest.len() as u64;
        self.check(self.taken)?;
        Ok((!rest.is_empty()).then(|| rest.into()))
    }

    /// Reads the rest and forgets it, so that a client that is still sending gets to read the answer; gives
    /// up after `most` bytes.
    pub async fn drain(&mut self, most: u64) {
        let mut seen = 0;
        while seen <= most {
            match tokio::time::timeout_at(self.patience(), self.body.frame()).await {
                Ok(Some(Ok(frame))) => seen += frame.data_ref().map_or(0, Bytes::len) as u64,
                _ => return,
            }
        }
    }
}

/// A body that has arrived whole: in memory while it is small, then in a file without a name.
pub(crate) struct Spool {
    memory: Vec<u8>,
    file: Option<tokio::fs::File>,
}

/// What is kept in memory of one push.
const MEMORY: usize = 1024 * 1024;

impl Spool {
    pub fn new() -> Spool {
        Spool { memory: Vec::new(), file: None }
    }

    /// The beginning, for reading the command list. All of it while it is small.
    pub fn front(&self) -> &[u8] {
        &self.memory
    }

    pub async fn push(&mut self, data: &[u8], dir: &Path, keep: usize) -> Result<()> {
        use tokio::io::AsyncWriteExt;
        if let Some(file) = &mut self.file {
            return file.write_all(data).await.map_err(|e| crate::io("spool", e));
        }
        self.memory.extend_from_slice(data);
        if self.memory.len() <= MEMORY.max(keep) {
            return Ok(());
        }
        let mut file = nameless(dir).await?;
        file.write_all(&self.memory).await.map_err(|e| crate::io("spool", e))?;
        self.memory = Vec::new();
        self.file = Some(file);
        Ok(())
    }

    /// The bytes, or the file that holds them, at its start.
    pub async fn finish(self) -> Result<Spooled> {
        use tokio::io::{AsyncSeekExt, AsyncWriteExt};
        let Some(mut file) = self.file else { return Ok(Spooled::Memory(self.memory)) };
        file.flush().await.map_err(|e| crate::io("spool", e))?;
        file.rewind().await.map_err(|e| crate::io("spool", e))?;
        Ok(Spooled::File(file.into_std().await))
    }
}

pub(crate) enum Spooled {
    Memory(Vec<u8>),
    File(std::fs::File),
}

/// A file that is gone with its last handle, whatever happens.
async fn nameless(dir: &Path) -> Result<tokio::fs::File> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = dir.join(format!("push-{}-{number}", std::process::id()));
    let mut options = tokio::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    let file = options.open(&path).await.map_err(|e| crate::io(path.display(), e))?;
    tokio::fs::remove_file(&path).await.map_err(|e| crate::io(path.display(), e))?;
    Ok(file)
}

/// `1 GiB`, `1.5 MiB`, `700 bytes`: powers of 1024, in which limits are set.
fn units(bytes: u64) -> Text {
    const UNITS: [(u64, &str); 4] =
        [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((unit, name)) = UNITS.into_iter().find(|(unit, _)| bytes >= *unit) else {
        return text!("{bytes} bytes", "{bytes}바이트");
    };
    // Cut, not rounded: what is said to be too large must not be.
    let tenths = (bytes % unit) * 10 / unit;
    let whole = bytes / unit;
    let number = if tenths == 0 { whole.to_string() } else { format!("{whole}.{tenths}") };
    Text::plain(format!("{number} {name}"))
}

pub(crate) fn too_large(limit: u64) -> Error {
    let Text { en, ko } = units(limit);
    Error::new(
        ErrorKind::TooLarge,
        "push.too-large",
        text!("the push is larger than {en}", "푸시가 {ko}를 넘습니다"),
    )
    .hint(Text::fixed(
        "keep large files out of git, or push in several steps",
        "큰 파일은 git에 넣지 말거나 여러 번에 나누어 푸시하세요",
    ))
}

fn slow(limit: Duration) -> Error {
    let seconds = limit.as_secs();
    Error::invalid(
        "body.slow",
        text!(
            "the request came too slowly: nothing for {seconds} seconds, or too long in all",
            "요청이 너무 느립니다. {seconds}초 동안 오지 않았거나 전체가 너무 오래 걸렸습니다"
        ),
    )
}

fn broken() -> Error {
    Error::invalid(
        "body.broken",
        Text::fixed("the request did not arrive whole", "요청이 끝까지 오지 않았습니다"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_named_as_they_were_set() {
        for (bytes, en, ko) in [
            (1 << 30, "1 GiB", "1 GiB"),
            (3 << 19, "1.5 MiB", "1.5 MiB"),
            (64 << 10, "64 KiB", "64 KiB"),
            (700, "700 bytes", "700바이트"),
        ] {
            let error = too_large(bytes);
            assert_eq!(error.say().en, format!("the push is larger than {en}"));
            assert_eq!(error.say().ko, format!("푸시가 {ko}를 넘습니다"));
        }
    }
}
