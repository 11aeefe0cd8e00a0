//! Programs with accounts of their own.

use super::{SERVICE, field};
use kernel::{Kind, Name, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A program with an account of its own. It has tokens, and no password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceAccount {
    /// What it is for.
    pub title: String,
    /// The project whose people look after it; without one, the platform's administrators do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<Name>,
    /// Its tokens are over, and nothing of it is open.
    pub disabled: bool,
}

/// What naru has given it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServiceAccountStatus {
    /// Never another's, even after it has gone.
    pub uid_number: Option<u32>,
    pub gid_number: Option<u32>,
}

impl Kind for ServiceAccount {
    const KIND: &'static str = SERVICE;
    type Status = ServiceAccountStatus;

    fn check(&self) -> Result<()> {
        field::line("title", &self.title)
    }
}
