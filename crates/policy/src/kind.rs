//! Projects.

use crate::decide::Role;
use kernel::kind::{KindDef, Scope, Writer};
use kernel::{Error, Kind, Name, Result, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a team works on: repositories, pipelines, services and who may touch them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Project {
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub members: Vec<Member>,
    /// Whether a push to the default branch goes to production when its pipeline has passed.
    #[serde(default = "yes")]
    pub deploy: bool,
}

impl Default for Project {
    fn default() -> Project {
        Project { title: String::new(), members: Vec::new(), deploy: yes() }
    }
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub user: Name,
    pub role: Role,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectStatus {}

impl Kind for Project {
    const KIND: &'static str = "Project";
    type Status = ProjectStatus;

    fn check(&self) -> Result<()> {
        let mut seen = std::collections::BTreeSet::new();
        match self.members.iter().find(|m| !seen.insert(&m.user)) {
            Some(Member { user, .. }) => Err(Error::invalid(
                "project.member-twice",
                text!("{user} is listed twice", "{user}이(가) 두 번 나옵니다"),
            )),
            None => Ok(()),
        }
    }
}

pub static KINDS: &[KindDef] = &[KindDef::of::<Project>(
    "projects",
    Scope::Platform,
    Writer::People,
    ("what a team works on", "팀이 함께 일하는 단위"),
    &[("TITLE", "/spec/title"), ("DEPLOY", "/spec/deploy")],
)];
