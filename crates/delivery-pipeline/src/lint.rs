//! A file looked at without running anything: is it sound, what would run, and why.

use crate::gitlab::{
    self, Context, Explained, FILE, Files, Gathered, Given, Got, Included, Loaded, MergeRequest,
    Origin, Side, Wanted,
};
use crate::library::{self, Library};
use crate::variables::Variable;
use kernel::error::{Place, Wire};
use kernel::journey::Commit;
use kernel::port::TreeEntry;
use kernel::{Error, ErrorKind, Lang, Name, Result, Text, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What to pretend while looking.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Suppose {
    /// `<project>/<repository>` that the file is of.
    pub path: Option<String>,
    /// Address of the server: `http://127.0.0.1:8080`.
    pub url: Option<String>,
    /// `main` when neither this nor `tag` is given.
    pub branch: Option<String>,
    pub tag: Option<String>,
    pub default_branch: Option<String>,
    /// As `CI_PIPELINE_SOURCE`; `push` when it is not given.
    pub source: Option<String>,
    pub variables: BTreeMap<String, String>,
    /// Values of the file's `spec:inputs`.
    pub inputs: Map<String, Value>,
    /// Paths that the push changed; without it `changes` always holds.
    pub changed: Option<BTreeSet<String>>,
    /// Paths that the commit has, for `exists`.
    pub tree: Vec<String>,
    /// Whether the whole file, everything written in, is to be in the answer.
    pub merged: bool,
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
    /// Every file that is included, and the line that asks for it.
    #[serde(default)]
    pub included: Vec<Included>,
    /// The whole pipeline as one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<String>,
    pub warnings: Vec<(Place, Text)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Planned {
    pub name: String,
    pub stage: String,
    pub needs: Vec<String>,
}

impl Lint {
    /// What is wrong, for a reader of the language.
    pub fn broken(error: &Error, lang: Lang) -> Lint {
        Lint {
            valid: false,
            error: Some(error.wire(lang)),
            nothing: None,
            jobs: Vec::new(),
            steps: Vec::new(),
            included: Vec::new(),
            merged: None,
            warnings: Vec::new(),
        }
    }
}

/// Looks at `root`. `read` finds what it includes, without waiting for anything.
pub fn lint(
    root: &str,
    suppose: &Suppose,
    lang: Lang,
    mut read: impl FnMut(&Wanted) -> Got,
) -> Lint {
    let mut look = || -> Result<Lint> {
        let context = context(suppose)?;
        let given = Given::by_hand(&suppose.inputs)?;
        let mut files = Files::default();
        // Each round reads at least one file, and the number of files is limited.
        let loaded = loop {
            match gitlab::gather(root, &given, &files, &context)? {
                Gathered::Whole(loaded) => break loaded,
                Gathered::Missing(missing) => {
                    for wanted in missing {
                        let got = read(&wanted);
                        files.insert(wanted, got);
                    }
                }
            }
        };
        compile(root, &loaded, &context, suppose.merged.then_some(lang))
    };
    look().unwrap_or_else(|error| Lint::broken(&error, lang))
}

/// Looks at the file `root` of a library.
///
/// # Errors
/// Faults of the library; what is wrong with the file is in the answer.
pub async fn look(
    library: &dyn Library,
    root: &str,
    files: Files,
    suppose: &Suppose,
    lang: Lang,
) -> Result<Lint> {
    let found = async {
        let mut context = context(suppose)?;
        let given = Given::by_hand(&suppose.inputs)?;
        let loaded = library::load(library, root, &given, files, &mut context).await?;
        let (root, merged) = (root.to_owned(), suppose.merged.then_some(lang));
        // A large file takes a while: not on a thread that serves.
        let work = tokio::task::spawn_blocking(move || compile(&root, &loaded, &context, merged));
        work.await.map_err(Error::internal)?
    };
    match found.await {
        Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::TooLarge) => {
            Ok(Lint::broken(&error, lang))
        }
        found => found,
    }
}

/// `merged`: the whole file is wanted, with remarks in the language.
fn compile(root: &str, loaded: &Loaded, context: &Context, merged: Option<Lang>) -> Result<Lint> {
    let compiled = gitlab::compile(&loaded.root, context)?;
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
        included: loaded.included.clone(),
        merged: merged.map(|lang| gitlab::show(loaded, lang)).transpose()?,
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
    let origin = suppose.source.as_deref().map_or(Ok(Origin::Push), Origin::parse)?;
    let path = suppose.path.as_deref().unwrap_or("project/repository");
    let (project, repository) = path.split_once('/').unwrap_or(("project", path));
    let merge_request = (origin == Origin::MergeRequest)
        .then(|| merge_request(path, branch.as_deref().unwrap_or("main"), &default_branch));
    let file = |path: &String| TreeEntry {
        path: path.clone(),
        mode: 0o100_644,
        object: "0".repeat(40),
        size: 0,
    };
    Ok(Context {
        project: Name::parse(project)?,
        repository: Name::parse(repository)?,
        commit: nobody_s_commit(),
        protected: branch.as_deref() == Some(&*default_branch),
        branch,
        tag: suppose.tag.clone(),
        default_branch,
        before: None,
        origin,
        number: 1,
        project_number: 1,
        url: suppose.url.clone().unwrap_or_else(|| "http://127.0.0.1:8080".to_owned()),
        now: Time(0),
        actor: "nobody".to_owned(),
        tree: suppose.tree.iter().map(file).collect(),
        changed: suppose.changed.clone(),
        given: suppose.variables.iter().map(|(n, v)| Variable::literal(n, v.as_str())).collect(),
        more: gitlab::More { merge_request, ..gitlab::More::default() },
    })
}

fn nobody_s_commit() -> Commit {
    Commit {
        id: "0".repeat(40),
        parents: Vec::new(),
        author: "nobody".to_owned(),
        email: "nobody@localhost".to_owned(),
        authored: Time(0),
        committed: Time(0),
        subject: String::new(),
        message: String::new(),
    }
}

/// From the branch to the default one.
fn merge_request(path: &str, branch: &str, default_branch: &str) -> MergeRequest {
    let side =
        |branch: &str| Side { path: path.to_owned(), branch: branch.to_owned(), ..Side::default() };
    MergeRequest {
        id: 1,
        number: 1,
        refname: "refs/merge-requests/1/head".to_owned(),
        event: "detached".to_owned(),
        source: side(branch),
        target: side(default_branch),
        ..MergeRequest::default()
    }
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
        lint("f.yml", suppose, Lang::Ko, |wanted| match wanted.name().as_str() {
            "f.yml" => Got::File(ci.as_bytes().to_vec()),
            "ci/more.yml" => Got::File(b"unit: {script: x, parallel: 2}".to_vec()),
            _ => Got::Absent,
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
    fn what_is_shown_of_templates_alone_reads_back() {
        let whole = Suppose { merged: true, ..Suppose::default() };
        let shown = look(".t: {script: x}\n", &whole).merged.unwrap();
        assert_eq!(shown, "{}\n");
        assert!(look(&shown, &Suppose::default()).valid, "{shown}");
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
