//! What a pipeline is made of beside its first file: what is asked for, and what came back. Gathering is pure:
//! it says what it wants, somebody else looks, and it is asked again.

use super::yaml::{self, Node};
use kernel::{Error, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// Where files lie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Home {
    /// The commit whose pipeline this is.
    Here,
    /// Another repository of this naru.
    Repository {
        /// `<project>/<repository>`
        path: String,
        /// A branch, a tag or a commit; `None`: the tip of the default branch.
        refname: Option<String>,
    },
}

/// One thing to look up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// A file by its path from the top of the repository. Found: [`Got::File`].
    File { home: Home, path: String },
    /// The paths of all files, for a pattern. Found: [`Got::Paths`].
    Paths { home: Home },
    /// A component. Found: [`Got::Component`].
    Component {
        /// `<project>/<repository>`
        path: String,
        name: String,
        /// What stands behind the `@`: a tag, a branch, a commit, `1`, `1.2` or `~latest`.
        reference: String,
    },
    /// A file of another server. Found: [`Got::File`].
    Remote { url: String },
    /// A file that ships with naru. Nobody has to look for it.
    Template { name: String },
}

impl Wanted {
    /// A file of the commit itself.
    pub fn here(path: impl Into<String>) -> Wanted {
        Wanted::File { home: Home::Here, path: path.into() }
    }

    /// As errors and people name the file.
    pub fn name(&self) -> String {
        match self {
            Wanted::File { home: Home::Here, path } => path.clone(),
            Wanted::File { home: Home::Repository { path: of, refname: Some(at) }, path } => {
                format!("{of}@{at}:{path}")
            }
            Wanted::File { home: Home::Repository { path: of, refname: None }, path } => {
                format!("{of}:{path}")
            }
            Wanted::Paths { home: Home::Here } => "**".to_owned(),
            Wanted::Paths { home: Home::Repository { path, .. } } => format!("{path}:**"),
            Wanted::Component { path, name, reference } => format!("{path}/{name}@{reference}"),
            Wanted::Remote { url } => url.clone(),
            Wanted::Template { name } => format!("template:{name}"),
        }
    }
}

/// A component, found.
#[derive(Clone, Debug)]
pub struct Component {
    pub bytes: Vec<u8>,
    /// The commit that the reference stands for.
    pub sha: String,
    /// The tag that was chosen; without one, the reference as it was asked for.
    pub version: String,
}

/// What came of looking.
#[derive(Clone, Debug)]
pub enum Got {
    File(Vec<u8>),
    Paths(Vec<String>),
    Component(Component),
    /// Whoever looked may look there, and there is no such file.
    Absent,
    /// Why it is not to be had. The place of the include is added to it.
    Refused(Error),
}

/// Everything that has been looked up.
#[derive(Debug, Default)]
pub struct Files(BTreeMap<Wanted, Slot>);

#[derive(Debug)]
struct Slot {
    got: Got,
    /// Gathering goes over the files again and again until none is missing.
    parsed: OnceLock<Result<Arc<[Arc<Node>]>>>,
}

impl Files {
    /// With the pipeline's first file.
    pub fn of(root: &str, bytes: Option<Vec<u8>>) -> Files {
        let mut files = Files::default();
        files.insert(Wanted::here(root), bytes.map_or(Got::Absent, Got::File));
        files
    }

    pub fn insert(&mut self, wanted: Wanted, got: Got) {
        self.0.insert(wanted, Slot { got, parsed: OnceLock::new() });
    }

    pub fn get(&self, wanted: &Wanted) -> Option<&Got> {
        self.0.get(wanted).map(|slot| &slot.got)
    }

    /// The texts of all files.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.values().filter_map(|slot| bytes(&slot.got))
    }

    /// The documents of a file; `None` when there is none.
    ///
    /// # Errors
    /// As [`yaml::parse`].
    pub(super) fn documents(&self, wanted: &Wanted) -> Option<Result<Arc<[Arc<Node>]>>> {
        let slot = self.0.get(wanted)?;
        let bytes = bytes(&slot.got)?;
        let parse = || yaml::parse(&wanted.name(), bytes).map(Arc::from);
        Some(slot.parsed.get_or_init(parse).clone())
    }
}

fn bytes(got: &Got) -> Option<&[u8]> {
    match got {
        Got::File(bytes) | Got::Component(Component { bytes, .. }) => Some(bytes),
        Got::Paths(_) | Got::Absent | Got::Refused(_) => None,
    }
}
