//! Things the team operates.

use crate::{Error, Id, Kind, Name, Result, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The address of a resource. Kinds that span projects have no project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Name>,
    pub name: Name,
}

impl Key {
    pub fn of<K: Kind>(project: &Name, name: &Name) -> Key {
        Key { kind: K::KIND.to_owned(), project: Some(project.clone()), name: name.clone() }
    }
    pub fn global<K: Kind>(name: &Name) -> Key {
        Key { kind: K::KIND.to_owned(), project: None, name: name.clone() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.project {
            Some(p) => write!(f, "{}/{p}/{}", self.kind, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

pub type Labels = BTreeMap<String, String>;

/// A resource as stored. `spec` is what people want, `status` is what its reconciler saw. `revision` is the
/// journal sequence of its last write, unique over the whole store; `generation` counts changes of `spec`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    #[serde(flatten)]
    pub key: Key,
    pub uid: Id,
    pub revision: u64,
    pub generation: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Labels,
    pub created: Time,
    pub updated: Time,
    pub spec: Value,
    #[serde(default)]
    pub status: Value,
}

impl Resource {
    /// The spec as its kind's struct.
    ///
    /// # Errors
    /// Internal, if what is stored does not fit the struct: writes are checked, so only a damaged store
    /// or a missed migration gets here.
    pub fn spec<K: Kind>(&self) -> Result<K> {
        K::deserialize(&self.spec)
            .map_err(|e| Error::internal(format!("spec of {}: {e}", self.key)))
    }

    /// The status as its kind's struct; a resource not yet seen has the default one.
    ///
    /// # Errors
    /// As [`Resource::spec`].
    pub fn status<K: Kind>(&self) -> Result<K::Status> {
        if self.status.is_null() {
            return Ok(K::Status::default());
        }
        K::Status::deserialize(&self.status)
            .map_err(|e| Error::internal(format!("status of {}: {e}", self.key)))
    }
}

/// A label selector: `tier=web,env!=qa,canary,!legacy`. All requirements must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    Is(String, String),
    IsNot(String, String),
    Has(String),
    Lacks(String),
}

impl Selector {
    /// # Errors
    /// `selector.invalid` for an empty key or more than 32 requirements.
    pub fn parse(words: &str) -> Result<Selector> {
        let bad = || {
            Error::invalid(
                "selector.invalid",
                crate::Text::fixed(
                    "the label selector cannot be read",
                    "레이블 선택자를 읽을 수 없습니다",
                ),
            )
            .hint(crate::Text::fixed(
                "write key=value, key!=value, key or !key, joined by commas",
                "key=value, key!=value, key, !key를 쉼표로 이어 쓰세요",
            ))
        };
        let mut out = Vec::new();
        for item in words.split(',').map(str::trim).filter(|i| !i.is_empty()) {
            let need = if let Some((k, v)) = item.split_once("!=") {
                Requirement::IsNot(k.trim().into(), v.trim().into())
            } else if let Some((k, v)) = item.split_once('=') {
                Requirement::Is(k.trim().into(), v.trim_start_matches('=').trim().into())
            } else if let Some(k) = item.strip_prefix('!') {
                Requirement::Lacks(k.trim().into())
            } else {
                Requirement::Has(item.into())
            };
            let (Requirement::Is(k, _)
            | Requirement::IsNot(k, _)
            | Requirement::Has(k)
            | Requirement::Lacks(k)) = &need;
            if k.is_empty() || out.len() >= 32 {
                return Err(bad());
            }
            out.push(need);
        }
        Ok(Selector(out))
    }

    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|need| match need {
            Requirement::Is(k, v) => labels.get(k) == Some(v),
            Requirement::IsNot(k, v) => labels.get(k) != Some(v),
            Requirement::Has(k) => labels.contains_key(k),
            Requirement::Lacks(k) => !labels.contains_key(k),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors() {
        let labels: Labels = [("tier".into(), "web".into()), ("env".into(), "prod".into())].into();
        for (words, want) in [
            ("", true),
            ("tier=web", true),
            ("tier==web,env!=qa", true),
            ("tier", true),
            ("!legacy", true),
            ("tier=db", false),
            ("legacy", false),
            ("tier!=web", false),
        ] {
            assert_eq!(Selector::parse(words).unwrap().matches(&labels), want, "{words}");
        }
        assert!(Selector::parse("=x").is_err());
    }
}
