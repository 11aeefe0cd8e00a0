//! A file looked at without running anything: is it sound, what would run, and why.

use crate::gitlab::{self, Context, Explained, FILE, Files, Gathered, Origin};
use crate::variables::Variable;
use kernel::error::{Place, Wire};
use kernel::journey::Commit;
use kernel::port::TreeEntry;
use kernel::{Error, Lang, Name, Result, Text, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What to pretend while looking.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Suppose {
    /// `main` when neither this nor `tag` is given.
    pub branch: Option<String>,
    pub tag: Option<String>,
    pub default_branch: Option<String>,
    pub variables: BTreeMap<String, String>,
    /// Paths that the push changed; without it `changes` always holds.
    pub changed: Option<BTreeSet<String>>,
    /// Paths that the commit has, for `exists`.
    pub tree: Vec<String>,
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lint {
    pub valid: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Wire>,
    /// Why nothing would run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nothing: Option<Text>,
    /// Every job of the file.
    pub jobs: Vec<Explained>,
    /// What would run, in order: instances of `parallel` are steps of their own.
    pub steps: Vec<Planned>,
    pub warnings: Vec<(Place, Text)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Planned {
    pub name: String,
    pub stage: String,
    pub needs: Vec<String>,
}

/// Looks at `root`. `read` gives the files it includes.
pub fn lint(
    root: &str,
    suppose: &Suppose,
    lang: Lang,
    read: impl FnMut(&str) -> Option<Vec<u8>>,
) -> Lint {
    match compile(root, suppose, read) {
        Ok(lint) => lint,
        Err(error) => Lint {
            valid: false,
            error: Some(error.wire(lang)),
            nothing: None,
            jobs: Vec::new(),
            steps: Vec::new(),
            warnings: Vec::new(),
        },
    }
}

fn compile(
    root: &str,
    suppose: &Suppose,
    mut read: impl FnMut(&str) -> Option<Vec<u8>>,
) -> Result<Lint> {
    let context = context(suppose)?;
    let mut files = Files::from([(root.to_owned(), read(root))]);
    // Each round reads at least one file, and the number of files is limited.
    let node = loop {
        match gitlab::gather(root, &files, &context)? {
            Gathered::Whole(node) => break node,
            Gathered::Missing(paths) => {
                for path in paths {
                    let bytes = read(&path);
                    files.insert(path, bytes);
                }
            }
        }
    };
    let compiled = gitlab::compile(&node, &context)?;
    compiled.plan.check().map_err(|e| e.at(root, 1, 1))?;
    let step = |step: &run::Step| Planned {
        name: step.name.clone(),
        stage: step.stage.clone(),
        needs: step.needs.iter().map(|n| n.step.clone()).collect(),
    };
    Ok(Lint {
        valid: true,
        error: None,
        nothing: compiled.nothing,
        jobs: compiled.jobs,
        steps: compiled.plan.steps.iter().map(step).collect(),
        warnings: compiled.warnings,
    })
}

/// A push that never was.
fn context(suppose: &Suppose) -> Result<Context> {
    let branch = match (&suppose.branch, &suppose.tag) {
        (None, None) => Some("main".to_owned()),
        (branch, _) => branch.clone(),
    };
    let default_branch = suppose.default_branch.clone().unwrap_or_else(|| "main".to_owned());
    let file = |path: &String| TreeEntry {
        path: path.clone(),
        mode: 0o100_644,
        object: "0".repeat(40),
        size: 0,
    };
    Ok(Context {
        project: Name::parse("project")?,
        repository: Name::parse("repository")?,
        commit: Commit {
            id: "0".repeat(40),
            parents: Vec::new(),
            author: "nobody".to_owned(),
            email: "nobody@localhost".to_owned(),
            authored: Time(0),
            committed: Time(0),
            subject: String::new(),
            message: String::new(),
        },
        protected: branch.as_deref() == Some(&*default_branch),
        branch,
        tag: suppose.tag.clone(),
        default_branch,
        before: None,
        origin: Origin::Push,
        number: 1,
        project_number: 1,
        url: "http://127.0.0.1:8080".to_owned(),
        now: Time(0),
        actor: "nobody".to_owned(),
        tree: suppose.tree.iter().map(file).collect(),
        changed: suppose.changed.clone(),
        given: suppose.variables.iter().map(|(n, v)| Variable::literal(n, v.as_str())).collect(),
        more: gitlab::More::default(),
    })
}

/// The name that a file has when it comes without one.
pub const UNNAMED: &str = FILE;

/// The error of a lint as the command line tells it.
pub fn failure(wire: Wire) -> Error {
    let mut error = Error::new(wire.kind, "pipeline.invalid", Text::plain(wire.say));
    if let Some(hint) = wire.hint {
        error = error.hint(Text::plain(hint));
    }
    match wire.at {
        Some(at) => error.at(at.file, at.line, at.column),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CI: &str = "include: ci/more.yml
build: {stage: build, script: make}
release: {stage: deploy, script: ship, rules: [{if: $CI_COMMIT_TAG}]}
docs: {script: x, rules: [{changes: [docs/**]}]}
";

    fn look(ci: &str, suppose: &Suppose) -> Lint {
        lint("f.yml", suppose, Lang::Ko, |path| match path {
            "f.yml" => Some(ci.as_bytes().to_vec()),
            "ci/more.yml" => Some(b"unit: {script: x, parallel: 2}".to_vec()),
            _ => None,
        })
    }

    fn steps(lint: &Lint) -> Vec<&str> {
        lint.steps.iter().map(|s| s.name.as_str()).collect()
    }

    #[test]
    fn every_job_has_its_reason() {
        let changed = Some(["src/main.rs".to_owned()].into());
        let found = look(CI, &Suppose { changed, ..Suppose::default() });
        assert!(found.valid);
        assert_eq!(steps(&found), ["unit 1/2", "unit 2/2", "build"]);
        let release = found.jobs.iter().find(|j| j.job == "release").unwrap();
        assert_eq!((release.included, &*release.because.en), (false, "no rule holds"));
        let tag = Suppose { tag: Some("v1".into()), ..Suppose::default() };
        assert!(steps(&look(CI, &tag)).contains(&"release"));
    }

    #[test]
    fn an_error_is_in_the_reader_s_language_with_its_place() {
        let found = look("a:\n  scirpt: x\n", &Suppose::default());
        let error = found.error.unwrap();
        let at = error.at.unwrap();
        assert_eq!((found.valid, &*at.file, at.line, at.column), (false, "f.yml", 2, 3));
        assert_eq!(error.hint.unwrap(), "혹시 `script`인가요?");
    }
}
