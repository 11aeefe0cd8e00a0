//! How a secret may be written: by whoever encodes it, by a shell that shows what it does.

use super::Mask;
use std::collections::BTreeSet;

/// Of a longer value, in bytes, only the most likely spellings are known.
const LONG: usize = 1024;
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// How wide programs write base64: `base64`, and PEM files.
const WIDTHS: [usize; 2] = [76, 64];

/// Every spelling, none with a newline in it.
pub fn all(secret: &str) -> Vec<Vec<u8>> {
    let mut found = BTreeSet::new();
    for value in values(secret) {
        found.insert(value.as_bytes().to_vec());
        base64(value.as_bytes(), &mut found);
        found.extend(json(value));
        if value.len() <= LONG {
            found.extend(percent(value));
            found.extend(hex(value.as_bytes()));
            found.extend(shell(value));
        }
    }
    found.retain(|s| s.len() >= Mask::SHORTEST && !s.contains(&b'\n'));
    found.into_iter().collect()
}

/// Its lines as they are.
pub fn plain(secret: &str) -> Vec<Vec<u8>> {
    values(secret).map(|v| v.as_bytes().to_vec()).filter(|v| !v.contains(&b'\n')).collect()
}

/// The whole, and each of its lines. The lines around a key (`-----BEGIN …`) are no secret, and stand
/// around public keys, too.
fn values(secret: &str) -> impl Iterator<Item = &str> {
    let whole = secret.trim_end_matches(['\n', '\r']);
    let lines = secret.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    let long = |v: &&str| v.len() >= Mask::SHORTEST;
    [whole, whole.trim()].into_iter().chain(lines).filter(long)
}

fn base64(bytes: &[u8], found: &mut BTreeSet<Vec<u8>>) {
    let url = |words: &[u8]| -> Vec<u8> {
        let letter = |b: &u8| match b {
            b'+' => b'-',
            b'/' => b'_',
            b => *b,
        };
        words.iter().map(letter).collect()
    };
    for before in 0..3 {
        let core = base64_core(bytes, before);
        found.extend([url(&core), core]);
    }
    // As a file: with the newline that `echo` adds or without, in lines or in one.
    let with_newline = [bytes, b"\n"].concat();
    for bytes in [bytes, &with_newline] {
        let (whole, padding) = encode(bytes);
        let padded = [&whole[..], b"===".get(..padding).unwrap_or_default()].concat();
        for width in WIDTHS {
            let lines = padded.chunks(width).filter(|line| line.len() >= Mask::SHORTEST);
            lines.for_each(|line| found.extend([url(line), line.to_vec()]));
        }
        found.extend([url(&whole), url(&padded), whole, padded]);
    }
}

/// The letters that are the same whatever stands around the bytes, when `before` others come first.
fn base64_core(bytes: &[u8], before: usize) -> Vec<u8> {
    let shifted = [vec![0; before], bytes.to_vec()].concat();
    let (mut letters, _) = encode(&shifted);
    letters.truncate(shifted.len() * 8 / 6);
    letters.drain(..(before * 8).div_ceil(6));
    letters
}

/// Without padding, and how much there would be.
fn encode(bytes: &[u8]) -> (Vec<u8>, usize) {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, i| bits << 8 | u32::from(*chunk.get(i).unwrap_or(&0)));
        let letter = |i: usize| BASE64.get((bits >> (18 - 6 * i) & 63) as usize).copied();
        out.extend((0..=chunk.len()).filter_map(letter));
    }
    let padding = (3 - bytes.len() % 3) % 3;
    (out, padding)
}

/// RFC 8259, as the usual writers escape: what they must; and `/`, all that is not ASCII, what is special
/// in HTML, quotes, with digits in upper case, as one or another does.
fn json(value: &str) -> Vec<Vec<u8>> {
    let some = |bit: u8, of: fn(char) -> bool| u8::from(value.contains(of)) << bit;
    let special: u8 = [
        some(0, |c| c == '/'),
        some(1, |c| !c.is_ascii()),
        some(2, |c| "<>&".contains(c)),
        some(4, |c| c == '\''),
        some(5, |c| "\"+`".contains(c)),
    ]
    .iter()
    .sum();
    let mut found = Vec::new();
    // What is not in the value makes no difference.
    for options in (0..64_u8).filter(|options| options & !(special | 1 << 3) == 0) {
        let on = |bit: u8| options & 1 << bit != 0;
        let mut out = String::new();
        for c in value.chars() {
            let short = match c {
                '"' if !on(5) => Some("\\\""),
                '\\' => Some("\\\\"),
                '\n' => Some("\\n"),
                '\r' => Some("\\r"),
                '\t' => Some("\\t"),
                '\u{8}' => Some("\\b"),
                '\u{c}' => Some("\\f"),
                '/' if on(0) => Some("\\/"),
                _ => None,
            };
            let number = c.is_control()
                || on(1) && !c.is_ascii()
                || on(2) && "<>&".contains(c)
                || on(4) && c == '\''
                || on(5) && "\"+`".contains(c);
            match short {
                Some(short) => out.push_str(short),
                None if number => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        out += &if on(3) {
                            format!("\\u{unit:04X}")
                        } else {
                            format!("\\u{unit:04x}")
                        };
                    }
                }
                None => out.push(c),
            }
        }
        found.push(out.into_bytes());
    }
    found
}

/// RFC 3986, with what one or another program leaves as it is, and forms with `+` for a space.
fn percent(value: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for kept in ["-._~", "-._~/", "-._~!'()*", "-._*", "-._~!$&'()*+,;=:@", "-._~!#$&'()*+,;=:@/?"]
    {
        for (upper, plus) in [(true, false), (false, false), (true, true), (false, true)] {
            let mut out = String::new();
            for byte in value.bytes() {
                match byte {
                    b' ' if plus => out.push('+'),
                    b if b.is_ascii_alphanumeric() || kept.as_bytes().contains(&b) => {
                        out.push(char::from(b));
                    }
                    b if upper => out += &format!("%{b:02X}"),
                    b => out += &format!("%{b:02x}"),
                }
            }
            found.push(out.into_bytes());
        }
    }
    found
}

/// Two digits for each byte: as they are, and as URLs and string literals have them.
fn hex(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for before in ["", "%", "\\x"] {
        let lower: String = bytes.iter().map(|b| format!("{before}{b:02x}")).collect();
        let upper: String = bytes.iter().map(|b| format!("{before}{b:02X}")).collect();
        found.extend([lower.into_bytes(), upper.into_bytes()]);
    }
    found
}

/// As shells show a word that they were given (`set -x`), and `printf %q` does.
fn shell(value: &str) -> Vec<Vec<u8>> {
    let doubled: String = value
        .chars()
        .flat_map(|c| "\\\"$`".contains(c).then_some('\\').into_iter().chain([c]))
        .collect();
    let word = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    let bare: String =
        value.chars().flat_map(|c| (!word(c)).then_some('\\').into_iter().chain([c])).collect();
    let mut ansi = String::new();
    for c in value.chars() {
        match c {
            '\n' => ansi.push_str("\\n"),
            '\r' => ansi.push_str("\\r"),
            '\t' => ansi.push_str("\\t"),
            '\'' => ansi.push_str("\\'"),
            '\\' => ansi.push_str("\\\\"),
            '\u{1b}' => ansi.push_str("\\E"),
            c if c.is_ascii_control() => ansi += &format!("\\{:03o}", u32::from(c)),
            c => ansi.push(c),
        }
    }
    let quoted = [value.replace('\'', "'\\''"), value.replace('\'', "'\"'\"'")];
    quoted.into_iter().chain([doubled, bare, ansi]).map(String::into_bytes).collect()
}
