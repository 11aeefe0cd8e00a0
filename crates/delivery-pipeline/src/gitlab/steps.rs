//! `run`: a job as named steps, each in a shell of its own with an environment of its own.

use super::error;
use super::read;
use super::yaml::{Entry, Node};
use crate::variables::is_name;
use kernel::{Result, Text};
use std::sync::Arc;

/// The steps as commands of one script.
pub fn run(entry: &Entry) -> Result<Vec<String>> {
    let mut out = Vec::new();
    read::flatten(&entry.value, 0, &mut |node| {
        out.push(step(node)?);
        Ok(())
    })?;
    if out.is_empty() {
        return Err(error::wanted(
            &entry.value.at,
            "run",
            ("at least one step", "단계 하나 이상을"),
        ));
    }
    Ok(out)
}

fn step(node: &Arc<Node>) -> Result<String> {
    let (mut name, mut script, mut exports) = (String::new(), None, String::new());
    for part in read::map(node, "run", &["name", "script", "env", "step", "func", "inputs"])? {
        match part.key.as_str() {
            "name" => name = read::text(part)?,
            "script" => script = Some((read::text(part)?, part)),
            "env" => exports = env(part)?,
            "inputs" => {}
            key => {
                let hint = Text::fixed(
                    "write what it does as `script`, or include a component",
                    "하는 일을 `script`로 쓰거나 컴포넌트를 포함하세요",
                );
                return Err(error::unsupported(&part.at, &format!("run:{key}"), hint));
            }
        }
    }
    if !is_name(&name) {
        let wanted = ("a `name` of letters, digits and _", "영문자, 숫자, _로 된 `name`을");
        return Err(error::wanted(&node.at, "run", wanted));
    }
    let Some((script, at)) = script else {
        return Err(error::wanted(
            &node.at,
            "run",
            ("a `script` in each step", "단계마다 `script`를"),
        ));
    };
    if script.contains("${{") {
        let hint = Text::fixed("use shell variables", "셸 변수를 쓰세요");
        return Err(error::unsupported(&at.value.at, "${{ }}", hint));
    }
    Ok(format!("( # {name}\n{exports}{script}\n)"))
}

/// What the step's shell is told before its commands. Values in `env` are texts, not shell.
fn env(entry: &Entry) -> Result<String> {
    let wanted = ("a map of names to values", "이름과 값의 맵을");
    let entries = entry.value.map();
    let entries = entries.ok_or_else(|| error::wanted(&entry.value.at, "env", wanted))?;
    let mut out = String::new();
    for entry in entries {
        if !is_name(&entry.key) {
            let wanted = ("names of letters, digits and _", "영문자, 숫자, _로 된 이름을");
            return Err(error::wanted(&entry.at, "env", wanted));
        }
        let value = read::text(entry)?.replace('\'', "'\\''");
        out += &format!("export {}='{value}'\n", entry.key);
    }
    Ok(out)
}
