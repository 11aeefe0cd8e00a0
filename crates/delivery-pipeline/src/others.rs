//! Files of other repositories, asked of whoever has them: a local run asks a server as its user.

use crate::Pipelines;
use crate::gitlab::{Component, Got, Home, Wanted};
use crate::shelf::Shelf;
use kernel::{BoxFuture, Error, Result, Text};
use naru_http::{Call, Response, json};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where includes of other repositories are found when they are not in this process's own store.
pub trait Others: Send + Sync {
    /// As [`crate::library::Library::find`], for what [`asked`] has an answer for.
    ///
    /// # Errors
    /// Only faults of ours, after which asking again may help.
    fn find<'a>(&'a self, path: &'a str, ask: &'a Ask) -> BoxFuture<'a, Result<Got>>;

    /// A file of another server, for `include:remote`.
    fn remote<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Got>;
}

/// What is wanted of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// A file; `refname` is a branch, a tag or a commit, `None` the tip of the default branch.
    File { path: String, refname: Option<String> },
    /// The paths of all files.
    Paths { refname: Option<String> },
    /// A component: `reference` is a tag, a branch, a commit, `1`, `1.2` or `~latest`.
    Component { name: String, reference: String },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    File(String),
    Paths(Vec<String>),
    Component {
        text: String,
        sha: String,
        version: String,
    },
    /// Whoever asks may look there, and there is no such file.
    Absent,
}

/// The repository, `project/repository`, and what is wanted of it; `None` for what is no other repository's.
pub fn asked(wanted: &Wanted) -> Option<(&str, Ask)> {
    match wanted {
        Wanted::File { home: Home::Repository { path, refname }, path: file } => {
            Some((path, Ask::File { path: file.clone(), refname: refname.clone() }))
        }
        Wanted::Paths { home: Home::Repository { path, refname } } => {
            Some((path, Ask::Paths { refname: refname.clone() }))
        }
        Wanted::Component { path, name, reference } => {
            Some((path, Ask::Component { name: name.clone(), reference: reference.clone() }))
        }
        _ => None,
    }
}

impl Ask {
    fn wanted(self, of: String) -> Wanted {
        match self {
            Ask::File { path, refname } => {
                Wanted::File { home: Home::Repository { path: of, refname }, path }
            }
            Ask::Paths { refname } => {
                Wanted::Paths { home: Home::Repository { path: of, refname } }
            }
            Ask::Component { name, reference } => Wanted::Component { path: of, name, reference },
        }
    }
}

impl From<Answer> for Got {
    fn from(answer: Answer) -> Got {
        match answer {
            Answer::File(text) => Got::File(text.into_bytes()),
            Answer::Paths(paths) => Got::Paths(paths),
            Answer::Component { text, sha, version } => {
                Got::Component(Component { bytes: text.into_bytes(), sha, version })
            }
            Answer::Absent => Got::Absent,
        }
    }
}

/// `POST …/repositories/{repository}/include`: what a pipeline of the caller's would find there.
pub(crate) async fn include(mut call: Call) -> Result<Response> {
    let (project, repository) = (call.project()?, call.name("repository")?);
    let ask: Ask = call.json().await?;
    let pipelines = call.part::<Pipelines>()?;
    let laid = BTreeMap::new();
    let shelf = Shelf { parts: &pipelines.0, tip: None, who: &call.who, laid: &laid };
    let wanted = ask.wanted(format!("{project}/{repository}"));
    let answer = match crate::library::Library::find(&shelf, &wanted).await? {
        Got::File(bytes) => Answer::File(words(bytes)?),
        Got::Paths(paths) => Answer::Paths(paths),
        Got::Component(Component { bytes, sha, version }) => {
            Answer::Component { text: words(bytes)?, sha, version }
        }
        Got::Absent => Answer::Absent,
        Got::Refused(error) => return Err(error),
    };
    json(&answer)
}

fn words(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| {
        let say = Text::fixed("the file is not in UTF-8", "파일이 UTF-8이 아닙니다");
        Error::invalid("pipeline.include", say)
    })
}
