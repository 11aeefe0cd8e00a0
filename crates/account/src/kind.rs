//! People.

use kernel::Kind;
use kernel::kind::{KindDef, Scope, Writer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) const USER: &str = "User";

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// How others see them.
    #[serde(default)]
    pub title: String,
    /// May do everything, in every project.
    #[serde(default)]
    pub administrator: bool,
}

impl User {
    pub(crate) fn administrator() -> User {
        User { title: "Administrator".into(), administrator: true }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserStatus {}

impl Kind for User {
    const KIND: &'static str = USER;
    type Status = UserStatus;
}

pub static KINDS: &[KindDef] = &[KindDef::of::<User>(
    "users",
    Scope::Platform,
    Writer::People,
    ("a person", "사람"),
    &[("TITLE", "/spec/title"), ("ADMIN", "/spec/administrator")],
)];
