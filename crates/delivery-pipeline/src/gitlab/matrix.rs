//! `parallel`, and what a matrix says to those that need its jobs.

use super::error;
use super::read;
use super::yaml::{Entry, Node};
use crate::variables::is_name;
use kernel::{Result, text};

/// GitLab's own limit for one `parallel`.
const MAX_PARALLEL: u32 = 200;

/// One combination of a matrix, in the order of its keys.
pub type Row = Vec<(String, String)>;

#[derive(Clone, Debug, PartialEq)]
pub enum Parallel {
    Times(u32),
    Matrix(Vec<Row>),
}

impl Parallel {
    /// The name of each job that it makes of `job`, and the values that make it this one.
    pub fn names(&self, job: &str) -> Vec<(String, Row)> {
        match self {
            Parallel::Times(n) => {
                (1..=*n).map(|i| (format!("{job} {i}/{n}"), Vec::new())).collect()
            }
            Parallel::Matrix(rows) => {
                rows.iter().map(|row| (named(job, row), row.clone())).collect()
            }
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Parallel::Times(n) => *n as usize,
            Parallel::Matrix(rows) => rows.len(),
        }
    }
}

/// `job: [linux, gcc]`
pub fn named(job: &str, row: &Row) -> String {
    let values: Vec<&str> = row.iter().map(|(_, v)| v.as_str()).collect();
    format!("{job}: [{}]", values.join(", "))
}

pub fn parallel(entry: &Entry) -> Result<Parallel> {
    if entry.value.map().is_none() {
        return read::number(entry, 1..=MAX_PARALLEL).map(Parallel::Times);
    }
    matrix(entry).map(Parallel::Matrix)
}

/// `{matrix: [{A: [x, y]}, …]}`
pub fn matrix(entry: &Entry) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for part in read::map(&entry.value, "parallel", &["matrix"])? {
        if part.value.list().is_none() {
            return Err(read::no_list(part));
        }
        read::flatten(&part.value, 0, &mut |node| {
            rows.extend(combinations(node, rows.len())?);
            Ok(())
        })?;
    }
    if rows.is_empty() {
        return Err(error::wanted(&entry.value.at, "matrix", ("at least one row", "한 줄 이상을")));
    }
    Ok(rows)
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

/// `$[[ matrix.OS ]]` in the values that a job asks for, replaced by its own. The name of one that it
/// does not have is the error.
pub fn fill(wanted: &Row, own: &Row) -> Result<Row, String> {
    wanted.iter().map(|(name, value)| Ok((name.clone(), fill_words(value, own)?))).collect()
}

fn fill_words(words: &str, own: &Row) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = words;
    while let Some((before, after)) = rest.split_once("$[[") {
        let Some((inside, after)) = after.split_once("]]") else { break };
        let inside = inside.trim();
        let name = inside.strip_prefix("matrix.").ok_or_else(|| inside.to_owned())?;
        let (_, value) = own.iter().find(|(n, _)| n == name).ok_or_else(|| inside.to_owned())?;
        out.push_str(before);
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}
