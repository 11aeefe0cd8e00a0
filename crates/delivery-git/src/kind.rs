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
    /// Branches that not everybody who may push may change; the first that fits counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protected: Vec<Protected>,
}

/// Who may change a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Protected {
    /// Its name, or a pattern with `*`: `release/*`.
    pub branch: String,
    /// Who may push to it.
    #[serde(default)]
    pub push: Right,
    /// Who may merge into it by a merge request.
    #[serde(default)]
    pub merge: Right,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    Nobody,
    /// Who may push at all.
    #[default]
    Developers,
    /// Who may deploy.
    Maintainers,
}

impl Repository {
    /// What is said of a branch, if it is protected.
    pub(crate) fn protection(&self, branch: &str) -> Option<&Protected> {
        self.protected.iter().find(|p| fits(&p.branch, branch))
    }
}

/// Whether a name is of a pattern in which `*` stands for anything.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(head) else { return false };
    let starts = rest.char_indices().map(|(i, _)| i).chain([rest.len()]);
    starts.into_iter().any(|i| rest.get(i..).is_some_and(|rest| fits(tail, rest)))
}

impl Default for Repository {
    fn default() -> Repository {
        Repository { default_branch: main(), description: String::new(), protected: Vec::new() }
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
        // A `*` for anything: what it could stand for has to be possible.
        let sound = |p: &Protected| {
            p.branch.matches('*').count() <= 4
                && refname::check(&format!("refs/heads/{}", p.branch.replace('*', "x"))).is_ok()
        };
        if let Some(bad) = self.protected.iter().find(|p| !sound(p)) {
            let shown = kernel::shown(&bad.branch);
            return Err(Error::invalid(
                "repository.protected",
                text!("“{shown}” fits no branch", "“{shown}”에 맞는 브랜치는 있을 수 없습니다"),
            )
            .hint(text!(
                "write a branch or a pattern such as `release/*`",
                "브랜치 이름이나 `release/*` 같은 패턴을 쓰세요"
            )));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_branches() {
        for (pattern, name, wanted) in [
            ("main", "main", true),
            ("main", "main2", false),
            ("release/*", "release/1.0", true),
            ("release/*", "release", false),
            ("*", "a/b", true),
            ("*-stable", "1-0-stable", true),
            ("*-stable", "1-0-stable-x", false),
            ("기능/*", "기능/하나", true),
        ] {
            assert_eq!(fits(pattern, name), wanted, "{pattern} {name}");
        }
    }
}
