//! `needs` and `dependencies`: other jobs, of this pipeline and of others.

use super::error;
use super::matrix::{self, Row};
use super::read;
use super::yaml::{At, Entry, Node};
use crate::work::Fetch;
use kernel::{Result, Text};
use std::sync::Arc;

/// A job of the same pipeline that another one needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    pub job: String,
    pub at: At,
    pub artifacts: bool,
    pub optional: bool,
    /// Only the instances with these matrix values.
    pub matrix: Vec<Row>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needs {
    pub jobs: Vec<Need>,
    /// Artifacts of other pipelines.
    pub fetch: Vec<Fetch>,
    /// Another repository whose newest pipeline the job ends like.
    pub mirror: Option<(String, At)>,
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

pub fn needs(entry: &Entry) -> Result<Needs> {
    let mut out = Needs::default();
    read::flatten(&entry.value, 0, &mut |node| need(node, &mut out))?;
    Ok(out)
}

/// One item as it is written, before it is known what it means.
#[derive(Default)]
struct Item {
    job: Option<String>,
    pipeline: Option<String>,
    project: Option<String>,
    refname: Option<String>,
    artifacts: bool,
    optional: bool,
    matrix: Vec<Row>,
}

fn need(node: &Arc<Node>, out: &mut Needs) -> Result<()> {
    let item = match node.text() {
        Some(name) => Item { job: Some(name.to_owned()), artifacts: true, ..Item::default() },
        None => item(node)?,
    };
    let at = node.at.clone();
    match (&item.job, &item.pipeline, &item.project) {
        (Some(job), None, None) if item.refname.is_none() => out.jobs.push(Need {
            job: job.clone(),
            at,
            artifacts: item.artifacts,
            optional: item.optional,
            matrix: item.matrix,
        }),
        (Some(job), Some(run), None) => {
            let of = |job| Fetch::Run { run: run.clone(), job, optional: item.optional };
            out.fetch.extend(item.jobs(job).into_iter().map(of));
        }
        (Some(_), None, Some(_)) if item.optional => return Err(never_optional(&at)),
        (Some(job), None, Some(path)) => {
            let wanted = || {
                error::wanted(&at, "needs", ("a `ref` with `project`", "`project`와 함께 `ref`를"))
            };
            let refname = item.refname.clone().ok_or_else(wanted)?;
            let of = |job| Fetch::Newest { path: path.clone(), refname: refname.clone(), job };
            out.fetch.extend(item.jobs(job).into_iter().map(of));
        }
        (None, Some(path), None) => out.mirror = Some((path.clone(), at)),
        (Some(_), Some(_), Some(_)) => {
            let wanted = ("either `pipeline` or `project`", "`pipeline`과 `project` 가운데 하나를");
            return Err(error::wanted(&at, "needs", wanted));
        }
        _ => {
            return Err(error::wanted(&at, "needs", ("a `job` in each item", "항목마다 `job`을")));
        }
    }
    Ok(())
}

impl Item {
    /// The jobs of another pipeline, if their artifacts are wanted at all.
    fn jobs(&self, job: &str) -> Vec<String> {
        match (self.artifacts, self.matrix.is_empty()) {
            (false, _) => Vec::new(),
            (true, true) => vec![job.to_owned()],
            (true, false) => self.matrix.iter().map(|row| matrix::named(job, row)).collect(),
        }
    }
}

fn item(node: &Arc<Node>) -> Result<Item> {
    let mut item = Item { artifacts: true, ..Item::default() };
    let known = ["job", "artifacts", "optional", "parallel", "pipeline", "project", "ref"];
    for entry in read::map(node, "needs", &known)? {
        match entry.key.as_str() {
            "job" => item.job = Some(read::text(entry)?),
            "pipeline" => item.pipeline = Some(read::text(entry)?),
            "project" => item.project = Some(read::text(entry)?),
            "ref" => item.refname = Some(read::text(entry)?),
            "artifacts" => item.artifacts = read::flag(entry)?,
            "optional" => item.optional = read::flag(entry)?,
            _ if entry.value.map().is_none() => {
                let wanted = ("`matrix` here", "여기에 `matrix`를");
                return Err(error::wanted(&entry.value.at, "needs:parallel", wanted));
            }
            _ => item.matrix = matrix::matrix(entry)?,
        }
    }
    Ok(item)
}

/// As in GitLab: what is asked for is what the newest pipeline that passed has left.
fn never_optional(at: &At) -> kernel::Error {
    let wanted = ("no `optional` beside `project`", "`project` 옆에 `optional` 없이");
    error::wanted(at, "needs", wanted).hint(Text::fixed(
        "leave it out, or give the job a rule that holds only when the artifacts are there",
        "`optional`을 빼거나, 아티팩트가 있을 때만 맞는 규칙을 작업에 주세요",
    ))
}

/// A job that mirrors another pipeline does nothing else.
pub fn mirror_alone(at: &At) -> kernel::Error {
    let wanted = ("a `job` beside `pipeline`", "`pipeline`과 함께 `job`을");
    error::wanted(at, "needs", wanted).hint(Text::fixed(
        "a job that only shows how another pipeline ended has no `script`",
        "다른 파이프라인의 결과만 보여 주는 작업에는 `script`가 없습니다",
    ))
}
