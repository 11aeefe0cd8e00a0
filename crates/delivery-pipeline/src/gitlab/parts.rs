//! The compound keywords of a job: needs, retry, parallel, environment and the like.

use super::error;
use super::expr;
use super::job::{Need, Warnings};
use super::keywords::{ENVIRONMENT, RETRY_WHEN};
use super::read;
use super::yaml::{At, Entry, Node};
use crate::variables::{Variable, is_name};
use crate::work::Environment;
use kernel::{Result, Text, text};
use regex::Regex;
use run::Retry;
use std::sync::Arc;

/// GitLab's own limit for one `parallel`.
const MAX_PARALLEL: u32 = 200;

pub type Variables = Vec<Variable>;

/// One combination of a matrix, in the order of its keys.
pub type Row = Vec<(String, String)>;

#[derive(Clone, Debug, PartialEq)]
pub enum AllowFailure {
    Is(bool),
    ExitCodes(Vec<i32>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Parallel {
    Times(u32),
    Matrix(Vec<Row>),
}

/// What `only` or `except` asks for. Any of `refs` and, where given, the others.
#[derive(Clone, Debug, Default)]
pub struct Only {
    pub refs: Option<Vec<RefIs>>,
    pub variables: Vec<expr::Expr>,
    pub changes: Option<Vec<String>>,
}

#[derive(Clone, Debug)]
pub enum RefIs {
    Branches,
    Tags,
    Source(&'static str),
    Name(String),
    Matches(Regex),
}

pub fn variables(entry: &Entry, warnings: &mut Warnings) -> Result<Variables> {
    let wanted = ("a map of names to values", "이름과 값의 맵을");
    let entries = entry.value.map();
    let entries = entries.ok_or_else(|| error::wanted(&entry.value.at, &entry.key, wanted))?;
    entries.iter().map(|e| variable(e, warnings)).collect()
}

fn variable(entry: &Entry, warnings: &mut Warnings) -> Result<Variable> {
    if !is_name(&entry.key) {
        let wanted = ("names of letters, digits and _", "영문자, 숫자, _로 된 이름을");
        return Err(error::wanted(&entry.at, "variables", wanted));
    }
    if entry.value.map().is_none() {
        let value = if entry.value.is_null() { String::new() } else { read::text(entry)? };
        return Ok(Variable::new(&entry.key, value));
    }
    let mut variable = Variable::new(&entry.key, "");
    let known = ["value", "description", "expand", "options"];
    for part in read::map(&entry.value, &entry.key, &known)? {
        match part.key.as_str() {
            "value" if !part.value.is_null() => variable.value = read::text(part)?,
            "expand" => variable.expand = read::flag(part)?,
            "value" => {}
            key => {
                read::words(part)?;
                warnings.push(error::no_effect(&part.at, &format!("variables:{key}")));
            }
        }
    }
    Ok(variable)
}

/// A list of job names with their places.
pub fn names(entry: &Entry) -> Result<Vec<(String, At)>> {
    let mut out = Vec::new();
    read::flatten(&entry.value, 0, &mut |node| {
        let wanted = ("a list of job names", "작업 이름의 목록을");
        let name = node.text().ok_or_else(|| error::wanted(&node.at, &entry.key, wanted))?;
        out.push((name.to_owned(), node.at.clone()));
        Ok(())
    })?;
    Ok(out)
}

pub fn needs(entry: &Entry) -> Result<Vec<Need>> {
    let mut out = Vec::new();
    read::flatten(&entry.value, 0, &mut |node| {
        out.push(need(node)?);
        Ok(())
    })?;
    Ok(out)
}

fn need(node: &Arc<Node>) -> Result<Need> {
    let mut need = Need {
        job: String::new(),
        at: node.at.clone(),
        artifacts: true,
        optional: false,
        matrix: Vec::new(),
    };
    if let Some(name) = node.text() {
        need.job = name.to_owned();
        return Ok(need);
    }
    let known = ["job", "artifacts", "optional", "parallel", "pipeline", "project", "ref"];
    for entry in read::map(node, "needs", &known)? {
        match entry.key.as_str() {
            "job" => need.job = read::text(entry)?,
            "artifacts" => need.artifacts = read::flag(entry)?,
            "optional" => need.optional = read::flag(entry)?,
            "parallel" => match parallel(entry)? {
                Parallel::Matrix(rows) => need.matrix = rows,
                Parallel::Times(_) => {
                    let wanted = ("`matrix` here", "여기에 `matrix`를");
                    return Err(error::wanted(&entry.value.at, "needs:parallel", wanted));
                }
            },
            key => {
                let hint = Text::fixed(
                    "only jobs of the same pipeline can be needed for now",
                    "지금은 같은 파이프라인의 작업만 필요로 할 수 있습니다",
                );
                return Err(error::unsupported(&entry.at, &format!("needs:{key}"), hint));
            }
        }
    }
    if need.job.is_empty() {
        return Err(error::wanted(&node.at, "needs", ("a `job` in each item", "항목마다 `job`을")));
    }
    Ok(need)
}

pub fn allow_failure(entry: &Entry) -> Result<AllowFailure> {
    if entry.value.map().is_none() {
        return read::flag(entry).map(AllowFailure::Is);
    }
    let mut codes = Vec::new();
    for part in read::map(&entry.value, "allow_failure", &["exit_codes"])? {
        for words in read::words(part)? {
            let wanted = ("exit codes from 0 to 255", "0부터 255까지의 종료 코드를");
            let code = words.parse::<u8>();
            let code = code.map_err(|_| error::wanted(&part.value.at, "exit_codes", wanted))?;
            codes.push(i32::from(code));
        }
    }
    Ok(AllowFailure::ExitCodes(codes))
}

pub fn image(entry: &Entry, warnings: &mut Warnings) -> Result<String> {
    let name = if entry.value.map().is_none() {
        read::text(entry)?
    } else {
        let known = ["name", "entrypoint", "docker", "kubernetes", "pull_policy"];
        let parts = read::map(&entry.value, "image", &known)?;
        let others = parts.iter().filter(|p| p.key != "name");
        warnings.extend(others.map(|p| error::no_effect(&p.at, &format!("image:{}", p.key))));
        let name = parts.iter().find(|p| p.key == "name");
        let wanted = ("a `name`", "`name`을");
        read::text(name.ok_or_else(|| error::wanted(&entry.value.at, "image", wanted))?)?
    };
    let shown = error::shown(&name);
    warnings.push((
        entry.at.clone(),
        text!(
            "`image` is not pulled yet: the machine's own tools stand in for `{shown}`",
            "`image`를 아직 받지 않습니다. `{shown}` 대신 이 컴퓨터의 도구를 씁니다"
        ),
    ));
    Ok(name)
}

pub fn retry(entry: &Entry) -> Result<Retry> {
    let mut retry = Retry { max: 0, backoff_ms: 1000, ..Retry::default() };
    if entry.value.map().is_none() {
        retry.max = read::number(entry, 0..=2)?;
        return Ok(retry);
    }
    for part in read::map(&entry.value, "retry", &["max", "when", "exit_codes"])? {
        match part.key.as_str() {
            "max" => retry.max = read::number(part, 0..=2)?,
            "when" => retry.only = retry_classes(part)?,
            _ => {
                let hint = Text::fixed("use `retry:when`", "`retry:when`을 쓰세요");
                return Err(error::unsupported(&part.at, "retry:exit_codes", hint));
            }
        }
    }
    Ok(retry)
}

fn retry_classes(entry: &Entry) -> Result<Vec<String>> {
    let mut classes = read::words(entry)?;
    if let Some(odd) = classes.iter().find(|c| !RETRY_WHEN.contains(&c.as_str())) {
        return Err(error::unknown_key(&entry.value.at, odd, "retry:when", RETRY_WHEN));
    }
    if classes.iter().any(|c| c == "always") {
        return Ok(Vec::new());
    }
    if classes.iter().any(|c| c == "stuck_or_timeout_failure") {
        classes.push("job_execution_timeout".to_owned());
    }
    Ok(classes)
}

pub fn parallel(entry: &Entry) -> Result<Parallel> {
    if entry.value.map().is_none() {
        return read::number(entry, 1..=MAX_PARALLEL).map(Parallel::Times);
    }
    let mut rows = Vec::new();
    for part in read::map(&entry.value, "parallel", &["matrix"])? {
        read::flatten(&part.value, 0, &mut |node| {
            rows.extend(combinations(node, rows.len())?);
            Ok(())
        })?;
    }
    if rows.is_empty() {
        return Err(error::wanted(&entry.value.at, "matrix", ("at least one row", "한 줄 이상을")));
    }
    Ok(Parallel::Matrix(rows))
}

/// Every combination of the values of one item of a matrix; the last key changes fastest.
fn combinations(node: &Node, before: usize) -> Result<Vec<Row>> {
    let wanted = ("maps of names to values", "이름과 값의 맵을");
    let entries = node.map().ok_or_else(|| error::wanted(&node.at, "matrix", wanted))?;
    let mut rows: Vec<Row> = vec![Vec::new()];
    for entry in entries {
        if !is_name(&entry.key) {
            let wanted = ("names of letters, digits and _", "영문자, 숫자, _로 된 이름을");
            return Err(error::wanted(&entry.at, "matrix", wanted));
        }
        let values = read::words(entry)?;
        let total = before + rows.len() * values.len();
        if total > MAX_PARALLEL as usize {
            return Err(error::general(
                &entry.at,
                "pipeline.matrix",
                text!(
                    "the matrix makes {total} jobs, the limit is {MAX_PARALLEL}",
                    "매트릭스가 작업 {total}개를 만듭니다. 최대 {MAX_PARALLEL}개까지 가능합니다"
                ),
            ));
        }
        let with = |row: &Row, value: &String| {
            row.iter().cloned().chain([(entry.key.clone(), value.clone())]).collect::<Row>()
        };
        rows = rows.iter().flat_map(|row| values.iter().map(move |v| with(row, v))).collect();
    }
    Ok(rows)
}

pub fn environment(entry: &Entry, warnings: &mut Warnings) -> Result<Environment> {
    if entry.value.map().is_none() {
        return Ok(Environment { name: read::text(entry)?, ..Environment::default() });
    }
    let mut found = Environment::default();
    for part in read::map(&entry.value, "environment", ENVIRONMENT)? {
        match part.key.as_str() {
            "name" => found.name = read::text(part)?,
            "url" => found.url = Some(read::text(part)?),
            key => warnings.push(error::no_effect(&part.at, &format!("environment:{key}"))),
        }
    }
    if found.name.is_empty() {
        return Err(error::wanted(&entry.value.at, "environment", ("a `name`", "`name`을")));
    }
    Ok(found)
}

/// `/regex/`, as the actor wants it: its flags inside of it.
pub fn coverage(entry: &Entry) -> Result<String> {
    let words = read::text(entry)?;
    let wanted = ("a /regular expression/", "/정규식/을");
    let found = expr::portable(&words, &entry.value.at)?;
    found.ok_or_else(|| error::wanted(&entry.value.at, "coverage", wanted))
}

pub fn only(entry: &Entry) -> Result<Only> {
    let mut only = Only::default();
    if entry.value.map().is_none() {
        only.refs = Some(refs(entry)?);
        return Ok(only);
    }
    let known = ["refs", "variables", "changes", "kubernetes"];
    for part in read::map(&entry.value, &entry.key, &known)? {
        match part.key.as_str() {
            "refs" => only.refs = Some(refs(part)?),
            "changes" => only.changes = Some(read::words(part)?),
            "variables" => {
                let parse = |words: &String| expr::parse(words, &part.value.at);
                only.variables = read::words(part)?.iter().map(parse).collect::<Result<_>>()?;
            }
            key => {
                let hint = Text::fixed("use `rules:if`", "`rules:if`를 쓰세요");
                let key = format!("{}:{key}", entry.key);
                return Err(error::unsupported(&part.at, &key, hint));
            }
        }
    }
    Ok(only)
}

fn refs(entry: &Entry) -> Result<Vec<RefIs>> {
    let sources = [
        "api",
        "external",
        "external_pull_requests",
        "merge_requests",
        "pipelines",
        "chat",
        "schedules",
        "triggers",
        "web",
    ];
    let one = |words: String| {
        Ok(match words.as_str() {
            "branches" => RefIs::Branches,
            "tags" => RefIs::Tags,
            "pushes" => RefIs::Source("push"),
            other => match sources.iter().find(|s| **s == other) {
                Some(source) => RefIs::Source(source),
                None => match expr::regex(other, &entry.value.at)? {
                    Some(regex) => RefIs::Matches(regex),
                    None => RefIs::Name(words),
                },
            },
        })
    };
    read::words(entry)?.into_iter().map(one).collect()
}
