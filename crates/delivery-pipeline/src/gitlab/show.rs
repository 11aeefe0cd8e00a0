//! The merged file as a person can read it: includes, inputs, `extends` and references written in, and above
//! each key the lines that it came from. What is written reads back as the same tree.

use super::include::Loaded;
use super::job;
use super::merge::Whole;
use super::yaml::{Is, Node};
use kernel::{Lang, Result};
use serde_json::Value;
use std::collections::BTreeMap;

/// The whole pipeline in one file. Templates (`.name`) are left out: all that they say is in the jobs.
///
/// # Errors
/// As [`super::compile`] for what cannot be extended or referred to.
pub fn show(loaded: &Loaded, lang: Lang) -> Result<String> {
    let mut whole = Whole::new(&loaded.root);
    let mut out = String::new();
    for included in &loaded.included {
        let (file, by) = (&included.file, &included.by);
        out.push_str(&match lang {
            Lang::En => format!("# included: {file} by {by}\n"),
            Lang::Ko => format!("# 포함: {file}, {by}에서\n"),
        });
    }
    let keys: Vec<String> =
        whole.keys().iter().filter(|key| !job::is_hidden(key)).cloned().collect();
    let mut shown = false;
    for key in keys {
        let Some(value) = whole.get(&key)? else { continue };
        let Some(entry) = whole.entry(&key) else { continue };
        if !out.is_empty() {
            out.push('\n');
        }
        let mut places = BTreeMap::from([(entry.at.file.to_string(), entry.at.line)]);
        origins(&value, &mut places);
        let first = format!("{}:{}", entry.at.file, entry.at.line);
        let others = places.iter().filter(|(file, _)| **file != *entry.at.file);
        let others: Vec<String> = others.map(|(file, line)| format!("{file}:{line}")).collect();
        let all = [vec![first], others].concat().join(", ");
        out.push_str(&format!("# {}\n", one_line(&all)));
        entry_into(&mut out, &key, &value, 0);
        shown = true;
    }
    if !shown {
        // A file of templates alone says nothing, and an empty file would not be one.
        out.push_str("{}\n");
    }
    Ok(out)
}

/// The first line of each file that a value has parts of.
fn origins(node: &Node, places: &mut BTreeMap<String, u32>) {
    let line = places.entry(node.at.file.to_string()).or_insert(node.at.line);
    *line = (*line).min(node.at.line);
    match &node.is {
        Is::List(items) => items.iter().for_each(|n| origins(n, places)),
        Is::Map(entries) => entries.iter().for_each(|e| origins(&e.value, places)),
        Is::Scalar { .. } | Is::Reference(_) => {}
    }
}

fn one_line(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn entry_into(out: &mut String, key: &str, value: &Node, indent: usize) {
    out.push_str(&" ".repeat(indent));
    out.push_str(&word(key, false));
    out.push(':');
    match &value.is {
        Is::Map(entries) if !entries.is_empty() => {
            out.push('\n');
            for entry in entries {
                entry_into(out, &entry.key, &entry.value, indent + 2);
            }
        }
        Is::List(items) if !items.is_empty() => {
            out.push('\n');
            items.iter().for_each(|item| item_into(out, item, indent + 2));
        }
        _ => {
            out.push(' ');
            small_into(out, value, indent + 2);
        }
    }
}

fn item_into(out: &mut String, item: &Node, indent: usize) {
    out.push_str(&" ".repeat(indent));
    out.push_str("- ");
    match &item.is {
        Is::Map(entries) if !entries.is_empty() => {
            for (i, entry) in entries.iter().enumerate() {
                let mut part = String::new();
                entry_into(&mut part, &entry.key, &entry.value, indent + 2);
                // The first key stands behind the dash.
                out.push_str(if i == 0 {
                    part.get(indent + 2..).unwrap_or_default()
                } else {
                    &part
                });
            }
        }
        Is::List(items) if !items.is_empty() => {
            out.push('\n');
            items.iter().for_each(|item| item_into(out, item, indent + 2));
        }
        _ => small_into(out, item, indent + 2),
    }
}

/// A scalar, or something empty, and the end of its line.
fn small_into(out: &mut String, node: &Node, indent: usize) {
    match &node.is {
        Is::Scalar { text, plain: false } if is_block(text) => {
            let body = text.strip_suffix('\n');
            out.push_str(if body.is_some() { "|\n" } else { "|-\n" });
            for line in body.unwrap_or(text).split('\n') {
                if !line.is_empty() {
                    out.push_str(&" ".repeat(indent));
                    out.push_str(line);
                }
                out.push('\n');
            }
        }
        Is::Scalar { text, plain } => {
            out.push_str(&word(text, *plain));
            out.push('\n');
        }
        Is::Map(_) => out.push_str("{}\n"),
        Is::List(_) => out.push_str("[]\n"),
        Is::Reference(path) => {
            let path: Vec<String> = path.iter().map(|p| word(p, false)).collect();
            out.push_str(&format!("!reference [{}]\n", path.join(", ")));
        }
    }
}

/// Whether a text may be written below a `|` without saying more.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let strange = |c: char| (c.is_control() && c != '\n' && c != '\t') || is_break(c);
    body.contains('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && !body.ends_with('\n')
        && !text.contains(strange)
        && body.split('\n').all(|line| line.is_empty() || !line.trim().is_empty())
}

/// Line breaks and marks that a parser may eat.
fn is_break(c: char) -> bool {
    matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// A scalar on one line. `plain`: it was written without quotes, and `true` is no word then.
fn word(text: &str, plain: bool) -> String {
    let probe = |plain| {
        Node::new(
            super::yaml::At { file: "".into(), line: 1, column: 1 },
            Is::Scalar { text: text.to_owned(), plain },
        )
    };
    let as_plain = probe(true);
    let special = as_plain.is_null() || as_plain.bool().is_some() || as_plain.is_number();
    if plain && as_plain.is_null() {
        return "null".to_owned();
    }
    if (plain || !special) && is_simple(text) {
        return text.to_owned();
    }
    if text.contains(|c: char| c.is_control() || is_break(c)) {
        return Value::from(text).to_string().replace('\u{7f}', "\\x7f").chars().fold(
            String::new(),
            |mut out, c| {
                match c {
                    c if is_break(c) || c.is_control() => {
                        out.push_str(&format!("\\u{:04x}", u32::from(c)))
                    }
                    c => out.push(c),
                }
                out
            },
        );
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// Whether YAML reads the words as they are, without quotes, in block and in flow style.
fn is_simple(text: &str) -> bool {
    let first = |c: char| c.is_alphanumeric() || "$/_.".contains(c);
    let rest = |c: char| c.is_alphanumeric() || "$/_.-+=@%() ~;<>!*".contains(c);
    text.starts_with(first)
        && text.chars().all(rest)
        && !text.ends_with(' ')
        && !text.starts_with("...")
        && text != "<<"
}
