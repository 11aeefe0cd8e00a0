//! Text to a [`Test`], with the place of whatever does not fit.

use crate::file::Test;
use kernel::{Error, Result, Text, text};
use saphyr_parser::{Event, Parser};
use std::collections::HashMap;

/// Bytes of a test file.
const MAX: usize = 1024 * 1024;

/// A file that was read, and where things stand in it.
pub struct Source {
    pub test: Test,
    pub name: String,
    places: HashMap<String, (u32, u32)>,
}

impl Source {
    /// An error about the thing at `path`: `scenarios.browse.rate`. Where nothing stands there, at the nearest
    /// thing around it.
    pub fn wrong(&self, path: &str, say: Text) -> Error {
        let mut path = path;
        let (line, column) = loop {
            match (self.places.get(path), path.rsplit_once('.')) {
                (Some(place), _) => break *place,
                (None, Some((outer, _))) => path = outer,
                (None, None) => break (1, 1),
            }
        };
        Error::invalid("load.file", say).at(self.name.as_str(), line, column)
    }
}

/// Reads a test in YAML or JSON. `name` is what errors call it.
///
/// # Errors
/// `load.file`, with file, line, column, what was expected and the nearest word.
pub fn read(name: &str, words: &str) -> Result<Source> {
    if words.len() > MAX {
        return Err(Error::invalid(
            "load.file",
            text!("{name} is larger than {MAX} bytes", "{name}이(가) {MAX}바이트를 넘습니다"),
        ));
    }
    let test = serde_saphyr::from_str::<Test>(words).map_err(|e| misfit(name, &e))?;
    Ok(Source { test, name: name.to_owned(), places: places(words) })
}

fn misfit(name: &str, error: &serde_saphyr::Error) -> Error {
    let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
    let (line, column) =
        error.location().map_or((1, 1), |l| (narrow(l.line()), narrow(l.column())));
    let at = |say: Text| Error::invalid("load.file", say).at(name, line, column);
    use serde_saphyr::Error as E;
    match error.without_snippet() {
        E::SerdeUnknownField { field, expected, .. } => {
            at(text!("`{field}` is not known here", "여기에서 `{field}`은(는) 알 수 없습니다"))
                .hint(nearest(field, expected))
        }
        E::SerdeUnknownVariant { variant, expected, .. } => {
            at(text!("“{variant}” is not known here", "여기에서 “{variant}”은(는) 알 수 없습니다"))
                .hint(nearest(variant, expected))
        }
        E::SerdeMissingField { field, .. } => {
            at(text!("`{field}` is missing", "`{field}`이(가) 없습니다"))
        }
        E::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or("");
            at(text!("`{key}` is there twice", "`{key}`이(가) 두 번 있습니다"))
        }
        other => {
            let why = other.to_string();
            let why = why.lines().next().unwrap_or("");
            let why = why.split(" at line ").next().unwrap_or(why).trim();
            at(text!("it cannot be read: {why}", "읽을 수 없습니다: {why}"))
        }
    }
}

/// The nearest of the words that could stand there, or all of them.
pub fn nearest(word: &str, expected: &[&str]) -> Text {
    let close = expected.iter().map(|e| (distance(word, e), e)).min();
    if let Some((steps, close)) = close
        && steps <= close.len().max(3) / 2
    {
        return text!("did you mean `{close}`?", "`{close}`을(를) 뜻하셨나요?");
    }
    let all = expected.join(", ");
    text!("known are: {all}", "쓸 수 있는 것: {all}")
}

/// Levenshtein's distance, without regard to case.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut before = i;
        let mut next = vec![i + 1];
        for (j, y) in b.chars().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(0);
            let left = next.last().copied().unwrap_or(0);
            next.push((above + 1).min(left + 1).min(before + usize::from(x != y)));
            before = above;
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// The place of every key and item by its path; maps and lists in keys have none.
fn places(words: &str) -> HashMap<String, (u32, u32)> {
    /// What is open: its path, the number of the next item, and the key that waits for its value.
    struct Open {
        path: String,
        list: bool,
        next: usize,
        key: Option<String>,
    }
    let mut out = HashMap::new();
    let mut open: Vec<Open> = Vec::new();
    for found in Parser::new_from_str(words) {
        let Ok((event, span)) = found else { break };
        let at = (narrow(span.start.line()), narrow(span.start.col() + 1));
        // Where a value that begins now stands; a scalar in a map without a key yet is a key.
        let mut step = |open: &mut Vec<Open>, scalar: Option<&str>| -> Option<String> {
            let Some(top) = open.last_mut() else { return Some(String::new()) };
            if top.list {
                let path = join(&top.path, &top.next.to_string());
                top.next += 1;
                out.insert(path.clone(), at);
                return Some(path);
            }
            match top.key.take() {
                Some(key) => Some(join(&top.path, &key)),
                None => {
                    let key = scalar.unwrap_or("").to_owned();
                    out.insert(join(&top.path, &key), at);
                    top.key = Some(key);
                    None
                }
            }
        };
        match event {
            Event::Scalar(words, ..) => drop(step(&mut open, Some(&words))),
            Event::Alias(_) => drop(step(&mut open, None)),
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                let path = step(&mut open, None).unwrap_or_default();
                let list = matches!(event, Event::SequenceStart(..));
                open.push(Open { path, list, next: 0, key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => drop(open.pop()),
            _ => {}
        }
    }
    out
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
