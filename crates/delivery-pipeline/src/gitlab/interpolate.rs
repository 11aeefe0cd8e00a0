//! `$[[ inputs.name | function ]]` and `$[[ component.name ]]` inside keys and values of a file.
//!
//! A value that is nothing but one such block takes the input as it is, whatever its type: a list replaces the
//! node. Inside of more words it is written out. What an input holds is never read as YAML and never
//! interpolated again, so a value from outside cannot add a key.

use super::error;
use super::wanted::Component;
use super::yaml::{At, Entry, Is, MAX_BYTES, MAX_NODES, Node};
use crate::variables::Scope;
use kernel::{Error, Result, Text, text};
use std::collections::BTreeMap;
use std::sync::Arc;

/// As GitLab's: characters of one block, functions in it.
const MAX_BLOCK: usize = 1000;
const MAX_FUNCTIONS: usize = 3;
/// Bytes that inputs may come to when all of them are written out in one file.
const MAX_WRITTEN: usize = 4 * MAX_BYTES;

const FUNCTIONS: &[&str] = &["expand_vars", "truncate(offset, length)", "posix_escape"];
pub const COMPONENT: &[&str] = &["name", "sha", "version", "reference"];

/// Inputs by name, each of its type: a text is a quoted scalar.
pub type Inputs = BTreeMap<String, Arc<Node>>;

/// What blocks of one file may name.
pub struct Known<'a> {
    pub inputs: &'a Inputs,
    /// The component that the file is, with its name.
    pub component: Option<(&'a str, &'a str, &'a Component)>,
    /// Which facts of it the header asks for.
    pub facts: &'a [String],
    pub scope: &'a Scope,
}

/// The file with every block replaced.
///
/// # Errors
/// `pipeline.interpolation` at the value that has the block.
pub fn interpolate(node: &Arc<Node>, known: &Known<'_>) -> Result<Arc<Node>> {
    let mut writer = Writer { known, written: 0 };
    let whole = writer.node(node)?;
    if whole.size() > MAX_NODES {
        return Err(error::bomb(&whole.at, MAX_NODES));
    }
    Ok(whole)
}

/// Every `$[[ … ]]` of some words: where it begins and ends, and what is in it. Those of jobs and matrices are
/// for later and are passed over.
pub fn blocks(words: &str) -> Vec<(std::ops::Range<usize>, &str)> {
    let mut out = Vec::new();
    let mut from = 0;
    while let Some(start) = words.get(from..).and_then(|rest| rest.find("$[[")).map(|i| i + from) {
        let inside = words.get(start + 3..).unwrap_or_default();
        let Some(end) = inside.find("]]") else { break };
        let inner = inside.get(..end).unwrap_or_default().trim();
        from = start + 3 + end + 2;
        let later = ["matrix.", "job.", "steps."].iter().any(|p| inner.starts_with(p));
        if !later && !inner.is_empty() && !inner.contains('\n') {
            out.push((start..from, inner));
        }
    }
    out
}

enum Value {
    Is(Arc<Node>),
    Text(String),
}

struct Writer<'a> {
    known: &'a Known<'a>,
    written: usize,
}

impl Writer<'_> {
    fn node(&mut self, node: &Arc<Node>) -> Result<Arc<Node>> {
        let is = match &node.is {
            Is::Scalar { text, plain } => return self.scalar(node, text, *plain),
            Is::List(items) => Is::List(items.iter().map(|n| self.node(n)).collect::<Result<_>>()?),
            Is::Reference(path) => {
                Is::Reference(path.iter().map(|p| self.words(p, &node.at)).collect::<Result<_>>()?)
            }
            Is::Map(entries) => Is::Map(self.entries(entries)?),
        };
        Ok(Arc::new(Node::new(node.at.clone(), is)))
    }

    /// Keys that come out the same are an error like keys that are written the same.
    fn entries(&mut self, entries: &[Entry]) -> Result<Vec<Entry>> {
        let mut seen: BTreeMap<String, At> = BTreeMap::new();
        let mut out = Vec::with_capacity(entries.len());
        for Entry { key, at, value } in entries {
            let key = self.words(key, at)?;
            if let Some(first) = seen.insert(key.clone(), at.clone()) {
                return Err(error::twice(at, &key, &first));
            }
            out.push(Entry { key, at: at.clone(), value: self.node(value)? });
        }
        Ok(out)
    }

    fn scalar(&mut self, node: &Arc<Node>, text: &str, plain: bool) -> Result<Arc<Node>> {
        let found = blocks(text);
        let Some((range, inner)) = found.first() else { return Ok(node.clone()) };
        let alone = text.trim().len() == range.len();
        let words = match self.value(inner, &node.at)? {
            Value::Is(value) if alone && value.list().is_some() => {
                self.spend(value.size(), &node.at)?;
                return Ok(value);
            }
            Value::Is(value) if alone => value.text().unwrap_or_default().to_owned(),
            Value::Text(words) if alone => words,
            Value::Is(_) | Value::Text(_) => self.words(text, &node.at)?,
        };
        self.spend(words.len(), &node.at)?;
        // An empty text would be null.
        let plain = plain && !words.is_empty();
        Ok(Arc::new(Node::new(node.at.clone(), Is::Scalar { text: words, plain })))
    }

    fn words(&mut self, text: &str, at: &At) -> Result<String> {
        let found = blocks(text);
        if found.is_empty() {
            return Ok(text.to_owned());
        }
        let mut out = String::new();
        let mut from = 0;
        for (range, inner) in found {
            out.push_str(text.get(from..range.start).unwrap_or_default());
            match self.value(inner, at)? {
                Value::Text(words) => out.push_str(&words),
                Value::Is(value) => match value.list() {
                    Some(_) => out.push_str(&super::trigger::json(&value).to_string()),
                    None => out.push_str(value.text().unwrap_or_default()),
                },
            }
            from = range.end;
            self.spend(out.len(), at)?;
        }
        out.push_str(text.get(from..).unwrap_or_default());
        Ok(out)
    }

    fn spend(&mut self, bytes: usize, at: &At) -> Result<()> {
        self.written += bytes;
        if self.written > MAX_WRITTEN {
            return Err(error::bomb(at, MAX_WRITTEN));
        }
        Ok(())
    }

    fn value(&self, inner: &str, at: &At) -> Result<Value> {
        if inner.len() > MAX_BLOCK {
            let say = text!(
                "a block of more than {MAX_BLOCK} characters",
                "블록이 {MAX_BLOCK}자를 넘습니다"
            );
            return Err(broken(at, say));
        }
        let mut parts = inner.split('|').map(str::trim);
        let mut value = self.named(parts.next().unwrap_or_default(), at)?;
        for (i, function) in parts.enumerate() {
            if i >= MAX_FUNCTIONS {
                let say = text!(
                    "more than {MAX_FUNCTIONS} functions in one block",
                    "한 블록에 함수가 {MAX_FUNCTIONS}개를 넘습니다"
                );
                return Err(broken(at, say));
            }
            value = Value::Text(self.call(function, value, at)?);
        }
        Ok(value)
    }

    fn named(&self, words: &str, at: &At) -> Result<Value> {
        if let Some(name) = words.strip_prefix("inputs.") {
            let found = self.known.inputs.get(name).cloned().map(Value::Is);
            return found.ok_or_else(|| {
                let known: Vec<&str> = self.known.inputs.keys().map(String::as_str).collect();
                let name_shown = kernel::shown(name);
                let say = text!(
                    "the header has no input `{name_shown}`",
                    "머리말에 `{name_shown}` 입력이 없습니다"
                );
                broken(at, say).hint(error::nearest(name, &known))
            });
        }
        if let Some(fact) = words.strip_prefix("component.") {
            return self.fact(fact, at).map(Value::Text);
        }
        let words = kernel::shown(words);
        let say = text!("`{words}` is not known here", "`{words}`은(는) 여기에 쓸 수 없습니다");
        Err(broken(at, say).hint(Text::plain("$[[ inputs.NAME ]], $[[ component.NAME ]]")))
    }

    fn fact(&self, fact: &str, at: &At) -> Result<String> {
        if !COMPONENT.contains(&fact) {
            return Err(error::unknown_key(at, fact, "component", COMPONENT));
        }
        if !self.known.facts.iter().any(|f| f == fact) {
            let say = text!(
                "the header does not ask for `component.{fact}`",
                "머리말이 `component.{fact}`을(를) 요청하지 않았습니다"
            );
            return Err(broken(at, say).hint(text!(
                "add `component: [{fact}]` below `spec`",
                "`spec` 아래에 `component: [{fact}]`를 추가하세요"
            )));
        }
        let Some((name, reference, component)) = self.known.component else {
            let say = Text::fixed(
                "only a file that is included as a component knows its component",
                "component로 포함한 파일에서만 쓸 수 있습니다",
            );
            return Err(broken(at, say));
        };
        Ok(match fact {
            "name" => name.to_owned(),
            "sha" => component.sha.clone(),
            "version" => component.version.clone(),
            _ => reference.to_owned(),
        })
    }

    fn call(&self, function: &str, value: Value, at: &At) -> Result<String> {
        let words = match &value {
            Value::Text(words) => Some(words.as_str()),
            Value::Is(node) => node.text(),
        };
        let words = words.ok_or_else(|| {
            let name = kernel::shown(function);
            broken(at, text!("`{name}` takes a text", "`{name}`에는 문자열이 필요합니다"))
        })?;
        match function {
            "expand_vars" => Ok(self.known.scope.expand_known(words)),
            "posix_escape" => Ok(posix_escape(words)),
            _ => match truncation(function) {
                Some((offset, length)) => Ok(words.chars().skip(offset).take(length).collect()),
                None => {
                    let name = kernel::shown(function);
                    let say = text!("there is no function `{name}`", "`{name}` 함수는 없습니다");
                    Err(broken(at, say).hint(error::nearest(function, FUNCTIONS)))
                }
            },
        }
    }
}

/// `truncate(0, 8)`
fn truncation(words: &str) -> Option<(usize, usize)> {
    let arguments = words.strip_prefix("truncate")?.trim().strip_prefix('(')?.strip_suffix(')')?;
    let (offset, length) = arguments.split_once(',')?;
    Some((offset.trim().parse().ok()?, length.trim().parse().ok()?))
}

/// One word of a POSIX shell, whatever is in it.
fn posix_escape(words: &str) -> String {
    if words.is_empty() {
        return "''".to_owned();
    }
    let mut out = String::new();
    for c in words.chars() {
        match c {
            '\n' => out.push_str("'\n'"),
            c if c.is_alphanumeric() || "_-.,:+/@".contains(c) => out.push(c),
            c => out.extend(['\\', c]),
        }
    }
    out
}

fn broken(at: &At, say: Text) -> Error {
    error::general(at, "pipeline.interpolation", say)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_where_they_are() {
        let words = "a $[[ inputs.x ]] $[[matrix.A]] $[[ ]] b$[[inputs.y|truncate(0,3)]]";
        let found: Vec<&str> = blocks(words).into_iter().map(|(_, inner)| inner).collect();
        assert_eq!(found, ["inputs.x", "inputs.y|truncate(0,3)"]);
        assert!(blocks("[[ $x ]] $[[ open").is_empty());
    }

    #[test]
    fn an_escaped_word_is_one_word_of_a_shell() {
        for words in ["", "plain-1.2", "it's $HOME; rm *", "a\nb", "한글 \"x\" \\"] {
            let script = format!("printf %s {}", posix_escape(words));
            let out = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), words);
        }
    }
}
