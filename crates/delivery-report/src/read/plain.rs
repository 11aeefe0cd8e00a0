//! Bytes to text.

use std::borrow::Cow;

/// Longest name, class or suite, in characters.
pub(super) const NAME: usize = 500;

/// UTF-8, or what a byte order mark or an XML declaration names: UTF-16, ISO 8859-1, Windows-1252. What does
/// not decode becomes U+FFFD.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [b'<', 0, ..] => wide(bytes, u16::from_le_bytes),
        [0, b'<', ..] => wide(bytes, u16::from_be_bytes),
        _ if latin(bytes) => Cow::Owned(bytes.iter().map(|b| char::from(*b)).collect()),
        _ => String::from_utf8_lossy(bytes),
    }
}

fn wide(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'_, str> {
    let units = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok()).map(unit);
    Cow::Owned(char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect())
}

/// Whether an XML declaration names an encoding of one byte a character.
fn latin(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(100)).unwrap_or_default();
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let declared = head.trim_start().starts_with("<?xml");
    let end = head.find("?>").unwrap_or(head.len());
    let names = ["iso-8859-1", "iso8859-1", "latin1", "latin-1", "windows-1252", "cp1252"];
    declared && head.get(..end).is_some_and(|h| names.iter().any(|n| h.contains(n)))
}

/// The first `most` characters, without what a terminal would act on.
pub(super) fn clip(words: &str, most: usize) -> String {
    let keep = |c: &char| *c == '\n' || *c == '\t' || !c.is_control();
    words.chars().filter(keep).take(most).collect()
}

/// A name: one line, trimmed.
pub(super) fn name(words: &str) -> String {
    clip(words.trim(), NAME).replace('\n', " ")
}

/// The last `most` bytes or a little less, from the start of a character on.
pub(super) fn tail(words: &str, most: usize) -> &str {
    let from = words.len().saturating_sub(most);
    let from = (from..words.len()).find(|i| words.is_char_boundary(*i)).unwrap_or(0);
    words.get(from..).unwrap_or(words)
}

/// The line of a byte, counted from 1.
pub(super) fn line_of(words: &str, byte: u64) -> u32 {
    let end = usize::try_from(byte).unwrap_or(usize::MAX).min(words.len());
    let before = words.as_bytes().get(..end).unwrap_or_default();
    let lines = before.iter().filter(|b| **b == b'\n').count();
    u32::try_from(lines + 1).unwrap_or(u32::MAX)
}

/// Seconds as reports write them: `1.25`, `1,234.5` with commas between thousands, `0,25` with a comma for
/// the point. As milliseconds.
pub(super) fn seconds(words: &str) -> Option<u64> {
    let words = words.trim().trim_end_matches('s').trim_end();
    let plain = match words.split_once(',') {
        None => words.to_owned(),
        Some(_) if words.contains('.') => words.replace(',', ""),
        Some((whole, part)) => {
            let thousands =
                part.len() == 3 && whole != "0" && !whole.is_empty() && whole.len() <= 3;
            words.replace(',', if thousands || part.contains(',') { "" } else { "." })
        }
    };
    let seconds: f64 = plain.parse().ok()?;
    (seconds.is_finite() && (0.0..=1e7).contains(&seconds))
        .then(|| (seconds * 1000.0).round() as u64)
}
