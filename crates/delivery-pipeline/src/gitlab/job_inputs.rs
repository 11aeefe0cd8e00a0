//! `inputs` of a job: `${{ job.inputs.NAME }}` in its other keywords stands for the default.

use super::error;
use super::read;
use super::yaml::{Entry, Is, Node};
use kernel::{Result, Text, text};
use std::collections::BTreeMap;
use std::sync::Arc;

const OPEN: &str = "${{";
const CLOSE: &str = "}}";
/// GitLab's own limit.
const MAX_INPUTS: usize = 50;
/// Bytes of one text after the inputs are filled in.
const MAX_TEXT: usize = 1 << 20;

type Inputs = BTreeMap<String, String>;

const TYPES: &[(&str, &str)] =
    &[("string", "string"), ("number", "number"), ("boolean", "boolean"), ("array", "array")];

/// The job with its inputs filled in.
///
/// # Errors
/// `pipeline.value` and `pipeline.input` for an input that is not sound, or that does not exist.
pub fn fill(node: &Arc<Node>) -> Result<Arc<Node>> {
    let Some(entry) = node.get("inputs") else { return Ok(node.clone()) };
    let inputs = read(entry)?;
    let entries = node.map().unwrap_or_default().iter().map(|e| {
        let value = if e.key == "inputs" { e.value.clone() } else { fill_in(&e.value, &inputs)? };
        Ok(Entry { value, ..e.clone() })
    });
    let entries: Result<Vec<Entry>> = entries.collect();
    Ok(Arc::new(Node::new(node.at.clone(), Is::Map(entries?))))
}

fn read(entry: &Entry) -> Result<Inputs> {
    let wanted = ("a map of at most 50 inputs", "입력을 50개까지 담은 맵을");
    let entries = entry.value.map().filter(|e| e.len() <= MAX_INPUTS);
    let entries = entries.ok_or_else(|| error::wanted(&entry.value.at, "inputs", wanted))?;
    entries.iter().map(|e| Ok((e.key.clone(), default(e)?))).collect()
}

fn default(entry: &Entry) -> Result<String> {
    let (mut kind, mut options, mut regex) = ("string", Vec::new(), None);
    let known = ["type", "default", "options", "regex", "description"];
    for part in read::map(&entry.value, &entry.key, &known)? {
        match part.key.as_str() {
            "type" => kind = read::choice(part, TYPES)?,
            "options" => options = read::words(part)?,
            "regex" => regex = Some((read::text(part)?, part)),
            "description" => drop(read::text(part)?),
            _ => {}
        }
    }
    let missing = || error::wanted(&entry.value.at, &entry.key, ("a `default`", "`default`를"));
    let default = entry.value.get("default").ok_or_else(missing)?;
    let value = words(default, kind)?;
    if !options.is_empty() && !options.contains(&value) {
        let wanted = ("one of its `options`", "`options` 가운데 하나를");
        return Err(error::wanted(&default.value.at, &entry.key, wanted));
    }
    if let Some((pattern, part)) = regex {
        let built = regex::RegexBuilder::new(&pattern).size_limit(1 << 20).build();
        let built = built.map_err(|e| error::regex(&part.value.at, &pattern, &e.to_string()))?;
        if !built.is_match(&value) {
            let wanted = ("a value that its `regex` matches", "`regex`에 맞는 값을");
            return Err(error::wanted(&default.value.at, &entry.key, wanted));
        }
    }
    Ok(value)
}

/// The default as a script sees it; an array as JSON.
fn words(entry: &Entry, kind: &str) -> Result<String> {
    let wanted = |en: &str, ko: &str| error::wanted(&entry.value.at, "default", (en, ko));
    match kind {
        "number" => {
            let number = read::text(entry)?;
            number.parse::<f64>().map_err(|_| wanted("a number", "숫자를"))?;
            Ok(number)
        }
        "boolean" => Ok(read::flag(entry)?.to_string()),
        "array" => {
            entry.value.list().ok_or_else(|| wanted("a list", "목록을"))?;
            serde_json::to_string(&super::trigger::json(&entry.value))
                .map_err(kernel::Error::internal)
        }
        _ => read::text(entry),
    }
}

fn fill_in(node: &Arc<Node>, inputs: &Inputs) -> Result<Arc<Node>> {
    let is = match &node.is {
        Is::Scalar { text, plain } if text.contains(OPEN) => {
            let text = fill_words(text, node, inputs)?;
            Is::Scalar { text, plain: *plain }
        }
        Is::List(items) => {
            let items: Result<Vec<_>> = items.iter().map(|n| fill_in(n, inputs)).collect();
            Is::List(items?)
        }
        Is::Map(entries) => {
            let entry = |e: &Entry| Ok(Entry { value: fill_in(&e.value, inputs)?, ..e.clone() });
            let entries: Result<Vec<_>> = entries.iter().map(entry).collect();
            Is::Map(entries?)
        }
        _ => return Ok(node.clone()),
    };
    Ok(Arc::new(Node::new(node.at.clone(), is)))
}

fn fill_words(words: &str, node: &Node, inputs: &Inputs) -> Result<String> {
    let mut out = String::new();
    let mut rest = words;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let Some((inside, after)) = after.split_once(CLOSE) else { break };
        out.push_str(before);
        let name = inside.trim().strip_prefix("job.inputs.");
        out.push_str(
            name.and_then(|n| inputs.get(n)).ok_or_else(|| unknown(node, inside, inputs))?,
        );
        if out.len() > MAX_TEXT {
            return Err(error::too_large(&node.at, out.len(), MAX_TEXT));
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn unknown(node: &Node, inside: &str, inputs: &Inputs) -> kernel::Error {
    let shown = kernel::shown(inside.trim());
    let say = text!("the job has no input `{shown}`", "작업에 `{shown}` 입력이 없습니다");
    let names: Vec<String> = inputs.keys().map(|n| format!("job.inputs.{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hint = if names.is_empty() {
        Text::fixed("name it in `inputs`", "`inputs`에 적으세요")
    } else {
        error::nearest(inside.trim(), &names)
    };
    error::general(&node.at, "pipeline.input", say).hint(hint)
}
