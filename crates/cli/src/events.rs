//! Server-sent events out of bytes in any portions. Pure.

use kernel::{Error, Result};

/// The longest line, and the most data of one event, in bytes.
const LONGEST: usize = 4 * 1024 * 1024;

/// Reads a stream as the HTML standard says ("Interpreting an event stream"), less what the server never
/// writes: a lone CR does not end a line, and `id` and `retry` are passed over.
#[derive(Debug, Default)]
pub struct Events {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that have been taken; they go when more arrive, and not with each event.
    read: usize,
    /// Bytes after those that are known to hold no line end.
    seen: usize,
    event: Option<String>,
    data: String,
}

impl Events {
    /// Bytes that have arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..std::mem::take(&mut self.read));
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event's name (`message` when it has none) and data; `None` when it has not arrived whole.
    ///
    /// # Errors
    /// Internal, when a line or an event has no end.
    pub fn pull(&mut self) -> Result<Option<(String, String)>> {
        let buffer = std::mem::take(&mut self.buffer);
        let mut read = self.read;
        let found = self.lines(&buffer, &mut read);
        self.seen = if matches!(found, Ok(None)) { buffer.len() - read } else { 0 };
        (self.buffer, self.read) = (buffer, read);
        found
    }

    /// Takes lines from `read` on until one ends an event.
    fn lines(&mut self, buffer: &[u8], read: &mut usize) -> Result<Option<(String, String)>> {
        let mut seen = std::mem::take(&mut self.seen);
        loop {
            let rest = buffer.get(*read..).unwrap_or_default();
            let fresh = rest.get(seen..).unwrap_or_default();
            let end = memchr::memchr(b'\n', fresh).map(|at| at + seen);
            if end.unwrap_or(rest.len()) > LONGEST || self.data.len() > LONGEST {
                return Err(Error::internal("a line of the stream has no end"));
            }
            let Some(end) = end else { return Ok(None) };
            let line = String::from_utf8_lossy(rest.get(..end).unwrap_or_default());
            (*read, seen) = (*read + end + 1, 0);
            if let Some(event) = self.take(line.strip_suffix('\r').unwrap_or(&line)) {
                return Ok(Some(event));
            }
        }
    }

    fn take(&mut self, line: &str) -> Option<(String, String)> {
        if line.is_empty() {
            let event = self.event.take().unwrap_or_else(|| "message".into());
            let data = std::mem::take(&mut self.data);
            return (!data.is_empty()).then_some((event, data));
        }
        if let Some(name) = line.strip_prefix("event:") {
            self.event = Some(name.trim().to_owned());
        } else if let Some(data) = line.strip_prefix("data:") {
            if !self.data.is_empty() {
                self.data.push('\n');
            }
            self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(events: &mut Events) -> Vec<(String, String)> {
        std::iter::from_fn(|| events.pull().unwrap()).collect()
    }

    #[test]
    fn events_come_whole_however_they_arrive() {
        let stream =
            ": hello\r\nevent: line\r\ndata: one\ndata: two\n\ndata:x\n\nevent: none\n\ndata: cut";
        let mut whole = Events::default();
        whole.push(stream.as_bytes());
        let want = [("line", "one\ntwo"), ("message", "x")];
        let want = want.map(|(name, data)| (name.to_owned(), data.to_owned()));
        assert_eq!(all(&mut whole), want);
        let (mut slow, mut seen) = (Events::default(), Vec::new());
        for byte in stream.as_bytes() {
            slow.push(&[*byte]);
            seen.extend(all(&mut slow));
        }
        assert_eq!(seen, want);
    }

    #[test]
    fn what_has_no_end_is_given_up() {
        let mut endless = Events::default();
        endless.push(&vec![b'x'; LONGEST]);
        assert!(endless.pull().unwrap().is_none());
        endless.push(b"x");
        assert!(endless.pull().is_err());
        let mut event = Events::default();
        let line = [b"data:".as_slice(), &[b'x'; 1024], b"\n"].concat();
        let lines = line.repeat(LONGEST / 1024 + 1);
        event.push(&lines);
        assert!(event.pull().is_err());
    }
}
