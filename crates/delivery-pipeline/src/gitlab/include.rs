//! `include:` of files of the same commit.

use super::error;
use super::keywords::INCLUDE_RULE;
use super::rules;
use super::yaml::{self, At, Entry, Is, Node};
use super::{Context, Files, merge, read};
use crate::variables::Scope;
use kernel::{Result, Text, text};
use std::sync::Arc;

/// GitLab's own limit for one pipeline.
const MAX_FILES: usize = 150;

/// The merged file, or what has to be read first.
pub enum Gathered {
    Whole(Arc<Node>),
    Missing(Vec<String>),
}

/// Reads `root` and everything it includes.
///
/// # Errors
/// As [`yaml::parse`]; `pipeline.include` for what cannot be included.
pub fn gather(root: &str, files: &Files, context: &Context) -> Result<Gathered> {
    let scope = Scope::new([super::predefined::pipeline(context).as_slice(), &context.given]);
    let mut walk = Walk { files, context, scope, missing: Vec::new(), count: 0 };
    let start = At { file: root.into(), line: 1, column: 1 };
    let whole = walk.file(root, &start, &mut Vec::new())?;
    match whole {
        Some(node) if walk.missing.is_empty() => Ok(Gathered::Whole(node)),
        _ => Ok(Gathered::Missing(walk.missing)),
    }
}

struct Walk<'a> {
    files: &'a Files,
    context: &'a Context,
    scope: Scope,
    missing: Vec<String>,
    count: usize,
}

impl Walk<'_> {
    fn file(&mut self, path: &str, at: &At, chain: &mut Vec<String>) -> Result<Option<Arc<Node>>> {
        let bytes = match self.files.get(path) {
            Some(Some(bytes)) => bytes,
            Some(None) => return Err(absent(at, path)),
            None => {
                self.missing.push(path.to_owned());
                return Ok(None);
            }
        };
        self.count += 1;
        if self.count > MAX_FILES || chain.iter().any(|c| c == path) {
            return Err(too_many(at, path));
        }
        chain.push(path.to_owned());
        let own = root_of(path, bytes)?;
        let mut whole: Option<Arc<Node>> = None;
        if let Some(include) = own.get("include").cloned() {
            for (path, at) in self.local(&include)? {
                if let Some(node) = self.file(&path, &at, chain)? {
                    whole = Some(whole.map_or(node.clone(), |w| merge::deep(&w, &node)));
                }
            }
        }
        chain.pop();
        let entries = own.map().unwrap_or_default();
        let rest = entries.iter().filter(|e| e.key != "include").cloned().collect();
        let rest = Arc::new(Node::new(own.at.clone(), Is::Map(rest)));
        Ok(Some(whole.map_or(rest.clone(), |w| merge::deep(&w, &rest))))
    }

    /// The paths to include now, their rules considered.
    fn local(&self, include: &Entry) -> Result<Vec<(String, At)>> {
        let mut out = Vec::new();
        let one = |node: &Arc<Node>, out: &mut Vec<(String, At)>| -> Result<()> {
            if let Some(path) = node.text() {
                return push(out, path, &node.at, &self.scope);
            }
            let known = ["local", "rules", "inputs", "project", "file", "ref", "remote"];
            let more = ["template", "component", "integrity", "cache"];
            let known: Vec<&str> = known.into_iter().chain(more).collect();
            let entries = read::map(node, "include", &known)?;
            let other = entries.iter().find(|e| e.key != "local" && e.key != "rules");
            if let Some(other) = other {
                let hint = Text::fixed(
                    "copy the file into this repository and use `include:local`",
                    "파일을 이 저장소에 복사하고 `include:local`을 쓰세요",
                );
                let key = format!("include:{}", other.key);
                return Err(error::unsupported(&other.at, &key, hint));
            }
            if let Some(rules) = node.get("rules") {
                let rules = rules::read(rules, INCLUDE_RULE)?;
                let first = rules::first(&rules, &self.scope, self.context);
                if first.is_none_or(|(_, r)| r.when == Some(super::job::When::Never)) {
                    return Ok(());
                }
            }
            let wanted = || error::wanted(&node.at, "include", ("`local`", "`local`을"));
            let local = node.get("local").ok_or_else(wanted)?;
            push(out, &read::text(local)?, &local.value.at, &self.scope)
        };
        match include.value.list() {
            Some(items) => items.iter().try_for_each(|n| one(n, &mut out))?,
            None => one(&include.value, &mut out)?,
        }
        Ok(out)
    }
}

fn push(out: &mut Vec<(String, At)>, path: &str, at: &At, scope: &Scope) -> Result<()> {
    let path = scope.expand(path);
    if path.contains("://") {
        let hint = Text::fixed(
            "copy the file into this repository and use `include:local`",
            "파일을 이 저장소에 복사하고 `include:local`을 쓰세요",
        );
        return Err(error::unsupported(at, "include:remote", hint));
    }
    let path = path.trim_start_matches('/');
    let sound = |part: &str| !part.is_empty() && part != "." && part != ".." && part != ".git";
    if !path.split('/').all(sound) || path.contains(['*', '\0', '\\']) {
        let wanted = ("the path of one file of this repository", "이 저장소에 있는 파일 경로를");
        return Err(error::wanted(at, "include:local", wanted));
    }
    out.push((path.to_owned(), at.clone()));
    Ok(())
}

/// The one document of a file, which must be a map.
fn root_of(path: &str, bytes: &[u8]) -> Result<Arc<Node>> {
    let documents = yaml::parse(path, bytes)?;
    let start = At { file: path.into(), line: 1, column: 1 };
    if let Some(spec) = documents.first().and_then(|d| d.get("spec")) {
        let hint = Text::fixed("use `variables`", "`variables`를 쓰세요");
        return Err(error::unsupported(&spec.at, "spec", hint));
    }
    let mut documents = documents.into_iter().filter(|d| !d.is_null());
    match (documents.next(), documents.next()) {
        (Some(root), None) if root.map().is_some() => Ok(root),
        (Some(root), None) => {
            let wanted = ("a map of keywords and jobs", "키워드와 작업의 맵을");
            Err(error::wanted(&root.at, path, wanted))
        }
        (_, Some(second)) => {
            let say = Text::fixed(
                "the file holds more than one document",
                "파일에 문서가 둘 이상 있습니다",
            );
            Err(error::general(&second.at, "pipeline.yaml", say)
                .hint(Text::fixed("remove the `---`", "`---`를 지우세요")))
        }
        (None, None) => {
            let say = Text::fixed("the file is empty", "파일이 비어 있습니다");
            Err(error::general(&start, "pipeline.empty", say).hint(Text::fixed(
                "add a job with a `script`, or remove the file",
                "`script`가 있는 작업을 추가하거나 파일을 지우세요",
            )))
        }
    }
}

fn absent(at: &At, path: &str) -> kernel::Error {
    let path = error::shown(path);
    error::general(
        at,
        "pipeline.include",
        text!("this commit has no file `{path}`", "이 커밋에 `{path}` 파일이 없습니다"),
    )
}

fn too_many(at: &At, path: &str) -> kernel::Error {
    let path = error::shown(path);
    error::general(
        at,
        "pipeline.include",
        text!(
            "`{path}` includes itself, or more than {MAX_FILES} files are included",
            "`{path}`이(가) 자신을 포함하거나 포함한 파일이 {MAX_FILES}개를 넘습니다"
        ),
    )
}
