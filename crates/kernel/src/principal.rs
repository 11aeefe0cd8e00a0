//! Who acts.

use crate::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who did it, or asks to. Every request of every protocol is decided for one of these.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", content = "name")]
pub enum Principal {
    /// A person.
    User(Name),
    /// A program with an account of its own.
    Service(Name),
    /// A run, by its id.
    Run(String),
    /// naru itself: the part that acted.
    Part(String),
    /// Nobody said who they are.
    Anonymous,
}

impl Principal {
    pub fn part(name: &str) -> Principal {
        Principal::Part(name.to_owned())
    }
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Principal::User(n) => write!(f, "user:{n}"),
            Principal::Service(n) => write!(f, "service:{n}"),
            Principal::Run(id) => write!(f, "run:{id}"),
            Principal::Part(n) => write!(f, "naru:{n}"),
            Principal::Anonymous => f.write_str("anonymous"),
        }
    }
}
