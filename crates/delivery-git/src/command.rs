//! What a push asks for: the command list at the front of a `receive-pack` request
//! (gitprotocol-pack(5), "Reference Update Request").

use crate::pkt::{self, Bands, Packet};
use crate::refname;
use serde::{Deserialize, Serialize};

/// Refs of one push.
pub(crate) const COMMANDS: usize = 1000;
/// Push options of one push, and the bytes of each.
const OPTIONS: usize = 64;
const OPTION: usize = 4096;
/// Bytes of a whole command list.
pub(crate) const LIST: usize = 2 * 1024 * 1024;

const ZERO: &str = "0000000000000000000000000000000000000000";

/// One ref to be made, moved or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Command {
    pub refname: String,
    /// What the client believes it to be. `None`: it does not exist.
    pub before: Option<String>,
    /// `None`: remove it.
    pub after: Option<String>,
}

/// The whole list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub commands: Vec<Command>,
    pub bands: Bands,
    pub report: bool,
    /// Push options, as given.
    pub options: Vec<String>,
}

/// Why a list cannot be read at all. It never came from a git client as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Packet,
    Command,
    TooMany,
    TooLong,
    Certificate,
    Option,
}

impl From<pkt::Broken> for Broken {
    fn from(_: pkt::Broken) -> Broken {
        Broken::Packet
    }
}

/// Reads the list at the front of `bytes`. `None` when it has not arrived whole.
///
/// Names are only checked for being text here: one that is not allowed is refused with its own report, so
/// that the client says which.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Request>, Broken> {
    let mut lines = Lines { bytes, used: 0 };
    let mut request =
        Request { commands: Vec::new(), bands: Bands::None, report: false, options: Vec::new() };
    let mut with_options = false;
    loop {
        let line = match lines.next()? {
            None => return Ok(None),
            Some(Packet::Flush) => break,
            Some(Packet::Special) => return Err(Broken::Packet),
            Some(Packet::Data(line)) => line,
        };
        if line.starts_with(b"push-cert") {
            return Err(Broken::Certificate);
        }
        if line.starts_with(b"shallow ") {
            continue;
        }
        let (line, capabilities) = split(line);
        if request.commands.is_empty() {
            with_options = read_capabilities(capabilities, &mut request);
        }
        if request.commands.len() == COMMANDS {
            return Err(Broken::TooMany);
        }
        request.commands.push(command(line)?);
    }
    if with_options {
        loop {
            match lines.next()? {
                None => return Ok(None),
                Some(Packet::Flush) => break,
                Some(Packet::Special) => return Err(Broken::Packet),
                Some(Packet::Data(option)) => request.options.push(push_option(option, &request)?),
            }
        }
    }
    Ok(Some(request))
}

struct Lines<'a> {
    bytes: &'a [u8],
    used: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<Option<Packet<'a>>, Broken> {
        if self.used > LIST {
            return Err(Broken::TooLong);
        }
        match pkt::front(self.bytes)? {
            None if self.used + self.bytes.len() > LIST => Err(Broken::TooLong),
            None => Ok(None),
            Some((packet, length)) => {
                self.bytes = self.bytes.get(length..).unwrap_or_default();
                self.used += length;
                Ok(Some(packet))
            }
        }
    }
}

/// A line and the capabilities behind its zero byte.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|b| *b == 0) {
        Some(at) => (line.get(..at).unwrap_or_default(), line.get(at + 1..).unwrap_or_default()),
        None => (line, &[]),
    }
}

/// Whether push options follow.
fn read_capabilities(bytes: &[u8], request: &mut Request) -> bool {
    let words = String::from_utf8_lossy(bytes);
    let has = |name: &str| words.split_ascii_whitespace().any(|w| w == name);
    request.bands = match () {
        () if has("side-band-64k") => Bands::Large,
        () if has("side-band") => Bands::Small,
        () => Bands::None,
    };
    request.report = has("report-status") || has("report-status-v2");
    has("push-options")
}

/// `<old> <new> <name>`
fn command(line: &[u8]) -> Result<Command, Broken> {
    let line = std::str::from_utf8(line).map_err(|_| Broken::Command)?;
    let line = line.strip_suffix('\n').unwrap_or(line);
    let mut bits = line.splitn(3, ' ');
    let mut id = || match bits.next() {
        Some(ZERO) => Ok(None),
        Some(id) if refname::is_oid(id) => Ok(Some(id.to_owned())),
        _ => Err(Broken::Command),
    };
    let (before, after) = (id()?, id()?);
    match bits.next() {
        Some(name) if !name.is_empty() => Ok(Command { refname: name.to_owned(), before, after }),
        _ => Err(Broken::Command),
    }
}

fn push_option(bytes: &[u8], request: &Request) -> Result<String, Broken> {
    let words = std::str::from_utf8(bytes).map_err(|_| Broken::Option)?;
    let words = words.strip_suffix('\n').unwrap_or(words);
    let full = request.options.len() >= OPTIONS || words.len() > OPTION;
    if full || words.chars().any(char::is_control) {
        return Err(Broken::Option);
    }
    Ok(words.to_owned())
}

impl Request {
    pub fn option(&self, name: &str) -> bool {
        self.options.iter().any(|o| o == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "1111111111111111111111111111111111111111";
    const B: &str = "2222222222222222222222222222222222222222";

    fn list(lines: &[String], options: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        lines.iter().for_each(|l| pkt::push(&mut out, l.as_bytes()));
        out.extend_from_slice(pkt::FLUSH);
        if !options.is_empty() {
            options.iter().for_each(|o| pkt::push(&mut out, o.as_bytes()));
            out.extend_from_slice(pkt::FLUSH);
        }
        out
    }

    #[test]
    fn a_push_of_a_git_client() {
        let first = format!(
            "{A} {B} refs/heads/main\0 report-status-v2 side-band-64k push-options object-format=sha1 agent=git/2.47"
        );
        let lines =
            [first, format!("{A} {ZERO} refs/heads/old"), format!("{ZERO} {B} refs/tags/v1")];
        let mut bytes = list(&lines, &["follow", "ci.variable=A=b c"]);
        bytes.extend_from_slice(b"PACK");
        let request = parse(&bytes).unwrap().unwrap();
        assert_eq!((request.bands, request.report), (Bands::Large, true));
        assert_eq!(request.options, ["follow", "ci.variable=A=b c"]);
        let kinds: Vec<_> =
            request.commands.iter().map(|c| (c.before.is_some(), c.after.is_some())).collect();
        assert_eq!(kinds, [(true, true), (true, false), (false, true)]);
        for cut in 0..bytes.len() - 4 {
            assert_eq!(parse(&bytes[..cut]), Ok(None), "{cut}");
        }
        assert!(parse(b"0000").unwrap().unwrap().commands.is_empty());
    }

    #[test]
    fn what_no_client_sends() {
        let one = |line: String| parse(&list(&[line], &[]));
        for line in [
            format!("{A} {B}"),
            format!("{A} {B} "),
            format!("{A}{B} refs/heads/x"),
            format!("{} {B} refs/heads/x", &A[1..]),
            format!("{} {B} refs/heads/x", "G".repeat(40)),
            "nonsense".into(),
            String::new(),
        ] {
            assert_eq!(one(line.clone()), Err(Broken::Command), "{line}");
        }
        assert_eq!(one("push-cert\0x".into()), Err(Broken::Certificate));
        assert_eq!(parse(b"0001"), Err(Broken::Packet));
        assert_eq!(parse(b"zzzz"), Err(Broken::Packet));
        let many: Vec<String> =
            (0..=COMMANDS).map(|i| format!("{ZERO} {A} refs/heads/b{i}")).collect();
        assert_eq!(parse(&list(&many, &[])), Err(Broken::TooMany));
        assert!(parse(&list(&many[1..], &[])).is_ok());
        let options = format!("{A} {B} refs/heads/x\0push-options");
        assert_eq!(
            parse(&list(std::slice::from_ref(&options), &["a\x1b[2J"])),
            Err(Broken::Option)
        );
        assert_eq!(parse(&list(&[options], &["x"; OPTIONS + 1])), Err(Broken::Option));
    }

    proptest! {
        #[test]
        fn bytes_never_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn names_come_through_as_sent(name in "[^\0]{1,40}") {
            prop_assume!(!name.ends_with('\n'));
            let request = parse(&list(&[format!("{A} {B} {name}")], &[])).unwrap().unwrap();
            prop_assert_eq!(&request.commands[0].refname, &name);
        }
    }
}
