//! Facts that happened.

use crate::{Key, Name, Origin, Principal, Text, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One entry of the journal, appended in the transaction that made it true and never changed.
///
/// `hash` is SHA-256 over the previous entry's hash and this entry's own fields, so that a changed or
/// missing entry is noticed by whoever walks the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the journal, from 1, without gaps.
    pub seq: u64,
    pub time: Time,
    #[serde(flatten)]
    pub fact: NewEvent,
    /// Lower-case hex.
    pub hash: String,
}

/// An event on its way into the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewEvent {
    /// `<noun>.<past verb>`: `git.pushed`, `rollout.finished`.
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Name>,
    /// The resource it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Key>,
    /// The change it belongs to, by its name in the project: `web-1a2b3c4d5e6f`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Name>,
    pub actor: Principal,
    /// One line for people.
    pub say: Text,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
    /// Where from it was asked. The store fills it in; whoever appends a fact leaves it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl NewEvent {
    pub fn new(kind: &str, actor: Principal, say: Text) -> NewEvent {
        NewEvent {
            kind: kind.to_owned(),
            project: None,
            subject: None,
            change: None,
            actor,
            say,
            data: Value::Null,
            origin: None,
        }
    }
    pub fn project(mut self, project: &Name) -> NewEvent {
        self.project = Some(project.clone());
        self
    }
    pub fn subject(mut self, key: Key) -> NewEvent {
        self.project = key.project.clone().or(self.project);
        self.subject = Some(key);
        self
    }
    pub fn change(mut self, change: Option<Name>) -> NewEvent {
        self.change = change;
        self
    }
    pub fn data(mut self, data: Value) -> NewEvent {
        self.data = data;
        self
    }
}
