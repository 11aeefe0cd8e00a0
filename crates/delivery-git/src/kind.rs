//! The kind `Repository`.

use crate::refname;
use kernel::kind::{KindDef, Scope, Writer};
use kernel::{Error, Kind, Result, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A git repository. The first push to its address makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// The branch that goes to production; it cannot be deleted and moves forward only.
    #[serde(default = "main")]
    pub default_branch: String,
    #[serde(default)]
    pub description: String,
}

impl Default for Repository {
    fn default() -> Repository {
        Repository { default_branch: main(), description: String::new() }
    }
}

fn main() -> String {
    "main".to_owned()
}

/// What was seen on disk a little after the last push.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepositoryStatus {
    /// Bytes on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The commit of the default branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
}

impl Kind for Repository {
    const KIND: &'static str = "Repository";
    type Status = RepositoryStatus;

    fn check(&self) -> Result<()> {
        let branch = &self.default_branch;
        if refname::check(&format!("refs/heads/{branch}")).is_ok() {
            return Ok(());
        }
        let shown = kernel::shown(branch);
        Err(Error::invalid(
            "repository.branch-name",
            text!(
                "“{shown}” cannot be the name of a branch",
                "“{shown}”은(는) 브랜치 이름이 될 수 없습니다"
            ),
        )
        .hint(text!("`main` is the usual one", "보통 `main`을 씁니다")))
    }
}

pub(crate) static KINDS: &[KindDef] = &[KindDef::of::<Repository>(
    "repositories",
    Scope::Project,
    Writer::People,
    ("a git repository", "git 저장소"),
    &[
        ("BRANCH", "/spec/default_branch"),
        ("HEAD", "/status/head"),
        ("SIZE", "/status/size"),
        ("DESCRIPTION", "/spec/description"),
    ],
)];
