//! Groups, and teams: groups whose owners look after their members themselves.

use super::{GROUP, field};
use kernel::{Error, Kind, Name, Result, Text, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// People, programs and other groups together. Whoever is in a group is in every group that the group is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// How people call it.
    pub title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
    /// Users who may change its members and its words. With one, a group is a team.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Name>,
    /// Where mail for all of them goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<String>,
    /// What the directory that it comes from calls it: `externalId` of SCIM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// One of a group: `{user: ada}`, `{group: interns}`, `{service: deployer}`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Member {
    User(Name),
    Group(Name),
    /// A service account.
    Service(Name),
}

impl std::fmt::Display for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Member::User(name) => write!(f, "user:{name}"),
            Member::Group(name) => write!(f, "group:{name}"),
            Member::Service(name) => write!(f, "service:{name}"),
        }
    }
}

/// What naru has given it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GroupStatus {
    /// Never another's, even after it has gone.
    pub gid_number: Option<u32>,
}

impl Group {
    /// Members of one group; more belong in groups within it.
    const MEMBERS: usize = 20_000;
    const OWNERS: usize = 100;
}

impl Kind for Group {
    const KIND: &'static str = GROUP;
    type Status = GroupStatus;

    fn check(&self) -> Result<()> {
        field::line("title", &self.title)?;
        field::lines([("external_id", &self.external_id)])?;
        if self.description.len() > 4096 {
            return Err(Error::invalid(
                "account.field",
                Text::fixed(
                    "`description` is longer than 4096 bytes",
                    "`description`이 4096바이트를 넘습니다",
                ),
            ));
        }
        if let Some(mail) = &self.mail {
            field::mail("mail", mail)?;
        }
        field::count("members", self.members.len(), Group::MEMBERS)?;
        field::count("owners", self.owners.len(), Group::OWNERS)?;
        let mut seen = BTreeSet::new();
        match self.members.iter().find(|m| !seen.insert(*m)) {
            Some(member) => Err(Error::invalid(
                "group.member-twice",
                text!("{member} is listed twice", "{member}이(가) 두 번 나옵니다"),
            )),
            None => Ok(()),
        }
    }
}
