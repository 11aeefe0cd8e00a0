//! Values of the file as Rust's, with an error that names the place when they do not fit.

use super::error;
use super::yaml::{At, Entry, Is, Node};
use kernel::{Result, time::parse_duration};
use std::sync::Arc;

const MAX_NESTED: usize = 10;

/// A scalar's words.
pub fn text(entry: &Entry) -> Result<String> {
    let wanted = || error::wanted(&entry.value.at, &entry.key, ("a text", "문자열을"));
    entry.value.text().map(str::to_owned).ok_or_else(wanted)
}

/// `true` or `false`.
pub fn flag(entry: &Entry) -> Result<bool> {
    let wanted = || error::wanted(&entry.value.at, &entry.key, ("true or false", "true나 false를"));
    entry.value.bool().ok_or_else(wanted)
}

/// A whole number in a range.
pub fn number(entry: &Entry, range: std::ops::RangeInclusive<u32>) -> Result<u32> {
    let found = entry.value.text().and_then(|t| t.parse().ok()).filter(|n| range.contains(n));
    found.ok_or_else(|| {
        let (low, high) = (range.start(), range.end());
        let en = format!("a whole number from {low} to {high}");
        let ko = format!("{low}부터 {high}까지의 정수를");
        error::wanted(&entry.value.at, &entry.key, (&en, &ko))
    })
}

/// A length of time in milliseconds: `1h 30m`, `3 hours`, a number of seconds.
pub fn duration(entry: &Entry) -> Result<u64> {
    length(entry.value.text().unwrap_or_default(), &entry.value.at, &entry.key)
}

/// How long something lasts; `never` means that it does not end by itself.
pub fn expiry(words: &str, at: &At, key: &str) -> Result<Option<u64>> {
    match words.trim() {
        "never" => Ok(None),
        words => length(words, at, key).map(Some),
    }
}

fn length(words: &str, at: &At, key: &str) -> Result<u64> {
    let months = month_words(words);
    let found = months.or_else(|| parse_duration(words)).filter(|d| !d.is_zero());
    found.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)).ok_or_else(|| {
        error::wanted(at, key, ("a length of time such as `1h 30m`", "`1h 30m` 같은 시간을"))
    })
}

/// `2 months`, `1 year`: what the kernel's durations do not know, as 30 and 365 days.
fn month_words(words: &str) -> Option<std::time::Duration> {
    let words = words.trim();
    let digits = words.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = words.split_at(digits);
    let days = match unit.trim() {
        "mo" | "mos" | "month" | "months" => 30,
        "y" | "yr" | "yrs" | "year" | "years" => 365,
        _ => return None,
    };
    let days = number.parse::<u64>().ok()?.min(10_000) * days;
    Some(std::time::Duration::from_secs(days * 86_400))
}

/// A word or a list of words; nested lists (from `!reference`) are flattened.
pub fn words(entry: &Entry) -> Result<Vec<String>> {
    let mut out = Vec::new();
    flatten(&entry.value, 0, &mut |node| {
        let wanted = ("a text or a list of texts", "문자열이나 그 목록을");
        let words = node.text().ok_or_else(|| error::wanted(&node.at, &entry.key, wanted))?;
        out.push(words.to_owned());
        Ok(())
    })?;
    Ok(out)
}

/// A list of words, as [`words`]; a word alone is not enough.
pub fn list(entry: &Entry) -> Result<Vec<String>> {
    match entry.value.list() {
        Some(_) => words(entry),
        None => Err(no_list(entry)),
    }
}

/// What a value that has to be a list is not.
pub fn no_list(entry: &Entry) -> kernel::Error {
    let key = kernel::shown(&entry.key);
    let error = error::wanted(&entry.value.at, &entry.key, ("a list", "목록을"));
    error.hint(kernel::text!("write `{key}: [ … ]`", "`{key}: [ … ]` 꼴로 쓰세요"))
}

/// Lines of a script. `- echo "a: b"` without outer quotes is a map in YAML, and the commonest mistake.
pub fn script(entry: &Entry) -> Result<Vec<String>> {
    let mut out = Vec::new();
    flatten(&entry.value, 0, &mut |node| match &node.is {
        Is::Scalar { text, .. } if !node.is_null() => {
            out.push(text.clone());
            Ok(())
        }
        Is::Map(_) => Err(error::colon(&node.at, &entry.key)),
        _ => {
            let wanted = ("a command or a list of commands", "명령이나 그 목록을");
            Err(error::wanted(&node.at, &entry.key, wanted))
        }
    })?;
    Ok(out)
}

/// Visits a value that is not a list, or every one of a list, nested ones included.
pub fn flatten(
    node: &Arc<Node>,
    depth: usize,
    visit: &mut dyn FnMut(&Arc<Node>) -> Result<()>,
) -> Result<()> {
    match node.list() {
        Some(_) if depth > MAX_NESTED => Err(error::too_deep(&node.at, MAX_NESTED)),
        Some(items) => items.iter().try_for_each(|n| flatten(n, depth + 1, visit)),
        None => visit(node),
    }
}

/// The entries of a map, each of whose keys is among `known`.
pub fn map<'a>(node: &'a Node, inside: &str, known: &[&str]) -> Result<&'a [Entry]> {
    let wanted = ("a map of keywords", "키워드의 맵을");
    let entries = node.map().ok_or_else(|| error::wanted(&node.at, inside, wanted))?;
    for entry in entries {
        if !known.contains(&entry.key.as_str()) {
            return Err(error::unknown_key(&entry.at, &entry.key, inside, known));
        }
    }
    Ok(entries)
}

/// One of a few words.
pub fn choice<T: Copy>(entry: &Entry, choices: &[(&str, T)]) -> Result<T> {
    let words = entry.value.text().unwrap_or_default();
    let found = choices.iter().find(|(name, _)| *name == words).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let all = names.join(", ");
        let (en, ko) = (format!("one of {all}"), format!("{all} 가운데 하나를"));
        let error = error::wanted(&entry.value.at, &entry.key, (&en, &ko));
        if words.is_empty() { error } else { error.hint(error::nearest(words, &names)) }
    })
}
