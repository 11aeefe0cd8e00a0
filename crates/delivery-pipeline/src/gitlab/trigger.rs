//! `trigger`: a job that starts another pipeline.

use super::error;
use super::keywords::TRIGGER;
use super::read;
use super::yaml::{At, Entry, Is, Node};
use crate::trigger_plan::Strategy;
use kernel::{Result, Text};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// GitLab's own limit for the files of a child pipeline.
const MAX_FILES: usize = 3;

#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    pub to: To,
    pub strategy: Strategy,
    /// Whether the other pipeline is given the variables of this file, and those that this one was given.
    pub yaml: bool,
    pub given: bool,
    pub inputs: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum To {
    Repository {
        path: String,
        refname: Option<String>,
    },
    /// What the child's file includes, and which of it earlier jobs make.
    Child {
        include: Vec<Value>,
        artifacts: Vec<Made>,
    },
}

/// A file that an earlier job makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    pub job: String,
    pub at: At,
    pub path: String,
    /// What the child's file calls it.
    pub name: String,
}

pub fn trigger(entry: &Entry) -> Result<Trigger> {
    let mut path = None;
    let mut refname = None;
    let mut child = None;
    let mut found = Trigger {
        to: To::Repository { path: String::new(), refname: None },
        strategy: Strategy::Start,
        yaml: true,
        given: false,
        inputs: BTreeMap::new(),
    };
    if entry.value.map().is_none() {
        path = Some(read::text(entry)?);
    } else {
        for part in read::map(&entry.value, "trigger", TRIGGER)? {
            match part.key.as_str() {
                "project" => path = Some(read::text(part)?),
                "branch" => refname = Some(read::text(part)?),
                "strategy" => {
                    let known = [("depend", Strategy::Depend), ("mirror", Strategy::Mirror)];
                    found.strategy = read::choice(part, &known)?;
                }
                "inputs" => found.inputs = inputs(part)?,
                "forward" => (found.yaml, found.given) = forward(part)?,
                _ => child = Some(include(part)?),
            }
        }
    }
    found.to = match (path, child) {
        (Some(path), None) => To::Repository { path, refname },
        (None, Some(child)) if refname.is_none() && found.inputs.is_empty() => child,
        _ => {
            let wanted = ("either `project` or `include`", "`project`와 `include` 가운데 하나를");
            return Err(error::wanted(&entry.value.at, "trigger", wanted).hint(Text::fixed(
                "`branch` and `inputs` go with `project`; a file of `include` has its own `inputs`",
                "`branch`와 `inputs`는 `project`와 함께 씁니다. `include`의 파일에는 따로 `inputs`를 적습니다",
            )));
        }
    };
    Ok(found)
}

fn forward(entry: &Entry) -> Result<(bool, bool)> {
    let (mut yaml, mut given) = (true, false);
    for part in read::map(&entry.value, "forward", &["yaml_variables", "pipeline_variables"])? {
        match part.key.as_str() {
            "yaml_variables" => yaml = read::flag(part)?,
            _ => given = read::flag(part)?,
        }
    }
    Ok((yaml, given))
}

/// The values of `inputs`, with their types.
fn inputs(entry: &Entry) -> Result<BTreeMap<String, Value>> {
    let wanted = ("a map of names to values", "이름과 값의 맵을");
    let entries = entry.value.map();
    let entries = entries.ok_or_else(|| error::wanted(&entry.value.at, "inputs", wanted))?;
    Ok(entries.iter().map(|e| (e.key.clone(), json(&e.value))).collect())
}

/// The files of a child pipeline become the includes of its own file.
fn include(entry: &Entry) -> Result<To> {
    let (mut include, mut artifacts) = (Vec::new(), Vec::new());
    read::flatten(&entry.value, 0, &mut |node| {
        if let Some(words) = node.text() {
            if !(words.ends_with(".yml") || words.ends_with(".yaml")) {
                let wanted = (
                    "a file whose name ends in .yml or .yaml",
                    "이름이 .yml이나 .yaml로 끝나는 파일을",
                );
                return Err(error::wanted(&node.at, "trigger:include", wanted));
            }
            include.push(json(node));
            return Ok(());
        }
        let item = item(node, artifacts.len(), &mut artifacts)?;
        include.push(item);
        Ok(())
    })?;
    if include.is_empty() || include.len() > MAX_FILES {
        let wanted = ("one to three files", "파일 한 개에서 세 개를");
        return Err(error::wanted(&entry.value.at, "trigger:include", wanted));
    }
    Ok(To::Child { include, artifacts })
}

fn item(node: &Arc<Node>, number: usize, artifacts: &mut Vec<Made>) -> Result<Value> {
    let known = [
        "local",
        "template",
        "artifact",
        "job",
        "project",
        "ref",
        "file",
        "component",
        "remote",
        "inputs",
    ];
    let entries = read::map(node, "trigger:include", &known)?;
    let has = |key: &str| entries.iter().find(|e| e.key == key);
    let kinds = ["local", "template", "artifact", "project", "component", "remote"];
    if kinds.iter().filter(|kind| has(kind).is_some()).count() != 1 {
        let all = kinds.join(", ");
        let (en, ko) = (format!("one of {all}"), format!("{all} 가운데 하나를"));
        return Err(error::wanted(&node.at, "trigger:include", (&en, &ko)));
    }
    let Some(artifact) = has("artifact") else {
        if let Some(odd) = has("job") {
            return Err(error::unknown_key(&odd.at, "job", "trigger:include", &kinds));
        }
        return Ok(json(node));
    };
    let wanted = || error::wanted(&node.at, "artifact", ("a `job` beside it", "`job`을 함께"));
    let job = has("job").ok_or_else(wanted)?;
    let path = read::text(artifact)?;
    let name = format!(".artifact-{}/{}", number + 1, path.trim_start_matches('/'));
    let mut item = Map::from_iter([("local".to_owned(), json!(name))]);
    item.extend(has("inputs").map(|e| ("inputs".to_owned(), json(&e.value))));
    let (job, at) = (read::text(job)?, job.value.at.clone());
    artifacts.push(Made { job, at, path, name });
    Ok(Value::Object(item))
}

/// A value of the file with the type that YAML gives it.
pub fn json(node: &Node) -> Value {
    match &node.is {
        Is::Scalar { .. } if node.is_null() => Value::Null,
        Is::Scalar { text, plain } => match node.bool() {
            Some(flag) => json!(flag),
            None if *plain => number(text).unwrap_or_else(|| json!(text)),
            None => json!(text),
        },
        Is::List(items) => items.iter().map(|n| json(n)).collect(),
        Is::Map(entries) => {
            Value::Object(entries.iter().map(|e| (e.key.clone(), json(&e.value))).collect())
        }
        // References are written out before.
        Is::Reference(_) => Value::Null,
    }
}

fn number(words: &str) -> Option<Value> {
    if let Ok(whole) = words.parse::<i64>() {
        return Some(json!(whole));
    }
    let digits = words.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let number = words.parse::<f64>().ok().filter(|n| digits && n.is_finite())?;
    Some(json!(number))
}
