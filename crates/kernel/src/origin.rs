//! Where from something was asked, and why it was allowed.

use serde::{Deserialize, Serialize};

/// What is known of the request behind an event, beside who made it. An event that nobody's request caused
/// (a reconciler's, a schedule's) has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The IP address of the peer, without its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The request's id, as it was given back in `X-Request-Id` and stands in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// What the principal proved itself with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialRef>,
    /// Why it was allowed: the reasons of the decision, as `policy` names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
}

impl Origin {
    /// Whether nothing is known at all.
    pub fn is_empty(&self) -> bool {
        *self == Origin::default()
    }
}

/// Which credential it was: never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRef {
    /// `session`, `token`, `job`.
    pub kind: String,
    /// Its stable id, or its name where it has no id.
    pub id: String,
}
