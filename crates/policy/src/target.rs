//! What an action is done to.

use kernel::{Error, Name, Result, Text, text};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The sorts of targets that policies can tell apart. What is of no sort of its own is a resource with its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sort {
    Platform,
    Project,
    Environment,
    Repository,
    Service,
    Secret,
    /// Any other kind of resource in a project.
    Resource,
}

impl Sort {
    pub const ALL: [Sort; 7] = [
        Sort::Platform,
        Sort::Project,
        Sort::Environment,
        Sort::Repository,
        Sort::Service,
        Sort::Secret,
        Sort::Resource,
    ];

    /// As a type in policies: `Environment`.
    pub fn type_name(self) -> &'static str {
        match self {
            Sort::Platform => "Platform",
            Sort::Project => "Project",
            Sort::Environment => "Environment",
            Sort::Repository => "Repository",
            Sort::Service => "Service",
            Sort::Secret => "Secret",
            Sort::Resource => "Resource",
        }
    }
}

/// What an action is done to: `platform`, `project/shop`, `environment/shop/production`, or any resource of a
/// project by kind, project and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target {
    sort: Sort,
    /// The kind of a [`Sort::Resource`].
    kind: Option<String>,
    project: Option<Name>,
    name: String,
}

/// The longest name of a target, in bytes: as long as names of environments and of branches get.
const LONGEST: usize = 255;

impl Target {
    pub fn platform() -> Target {
        Target { sort: Sort::Platform, kind: None, project: None, name: String::new() }
    }

    pub fn project(name: &Name) -> Target {
        Target {
            sort: Sort::Project,
            kind: None,
            project: Some(name.clone()),
            name: name.to_string(),
        }
    }

    pub fn environment(project: &Name, name: impl Into<String>) -> Target {
        Target::within(project, "environment", name)
    }

    /// Something in a project, by the singular of its kind in any case: `service`, `Secret`, `route`.
    pub fn within(project: &Name, kind: &str, name: impl Into<String>) -> Target {
        let own = [Sort::Environment, Sort::Repository, Sort::Service, Sort::Secret];
        let sort = own.into_iter().find(|s| s.type_name().eq_ignore_ascii_case(kind));
        let mut name: String = name.into();
        if name.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|i| name.is_char_boundary(*i)).unwrap_or(0);
            name.truncate(end);
        }
        Target {
            sort: sort.unwrap_or(Sort::Resource),
            kind: sort.is_none().then(|| kind.to_ascii_lowercase()),
            project: Some(project.clone()),
            name,
        }
    }

    pub fn sort(&self) -> Sort {
        self.sort
    }

    /// `None` for the platform.
    pub fn project_name(&self) -> Option<&Name> {
        self.project.as_ref()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind in lower case.
    pub fn kind(&self) -> &str {
        match self.sort {
            Sort::Platform => "platform",
            Sort::Project => "project",
            Sort::Environment => "environment",
            Sort::Repository => "repository",
            Sort::Service => "service",
            Sort::Secret => "secret",
            Sort::Resource => self.kind.as_deref().unwrap_or("resource"),
        }
    }

    /// As an id in policies: `naru`, `shop`, `shop/production`; with the kind in front when it has no type of its
    /// own: `route/shop/web`.
    pub fn id(&self) -> String {
        match (&self.project, self.sort) {
            (None, _) => "naru".to_owned(),
            (Some(project), Sort::Project) => project.to_string(),
            (Some(project), Sort::Resource) => format!("{}/{project}/{}", self.kind(), self.name),
            (Some(project), _) => format!("{project}/{}", self.name),
        }
    }

    /// # Errors
    /// `target.invalid`
    pub fn parse(words: &str) -> Result<Target> {
        let bad = || {
            let shown = kernel::shown(words);
            Error::invalid(
                "target.invalid",
                text!(
                    "“{shown}” is nothing that an action could be done to",
                    "“{shown}”은(는) 동작의 대상이 될 수 없습니다"
                ),
            )
            .hint(Text::fixed(
                "write platform, project/SHOP, environment/SHOP/production or KIND/SHOP/NAME",
                "platform, project/SHOP, environment/SHOP/production, KIND/SHOP/NAME 꼴로 쓰세요",
            ))
        };
        let mut bits = words.splitn(3, '/');
        let kind = bits.next().unwrap_or_default();
        let project = bits.next().map(Name::parse).transpose().map_err(|_| bad())?;
        match (kind.to_ascii_lowercase().as_str(), project, bits.next()) {
            ("platform", None, None) => Ok(Target::platform()),
            ("project", Some(project), None) => Ok(Target::project(&project)),
            ("platform" | "project", _, _) => Err(bad()),
            (kind, Some(project), Some(name)) if sound(kind, name) => {
                Ok(Target::within(&project, kind, name))
            }
            _ => Err(bad()),
        }
    }
}

fn sound(kind: &str, name: &str) -> bool {
    Name::parse(kind).is_ok()
        && !name.is_empty()
        && name.len() <= LONGEST
        && !name.chars().any(char::is_control)
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.project, self.sort) {
            (None, _) => f.write_str("platform"),
            (Some(project), Sort::Project) => write!(f, "project/{project}"),
            (Some(project), _) => write!(f, "{}/{project}/{}", self.kind(), self.name),
        }
    }
}

impl TryFrom<String> for Target {
    type Error = Error;
    fn try_from(words: String) -> Result<Target> {
        Target::parse(&words)
    }
}

impl From<Target> for String {
    fn from(target: Target) -> String {
        target.to_string()
    }
}

impl JsonSchema for Target {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Target".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": 400 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_back() {
        for words in [
            "platform",
            "project/shop",
            "environment/shop/review/fix-1",
            "service/shop/web",
            "secret/shop/db",
            "route/shop/web",
        ] {
            let target = Target::parse(words).unwrap();
            assert_eq!(target.to_string(), words);
            assert_eq!(Target::parse(&target.to_string()).unwrap(), target);
        }
        assert_eq!(Target::parse("Service/shop/web").unwrap().id(), "shop/web");
        assert_eq!(Target::parse("route/shop/web").unwrap().id(), "route/shop/web");
        for bad in [
            "",
            "shop",
            "project",
            "project/",
            "project/Shop",
            "platform/x",
            "service/shop",
            "/shop/x",
            "service/shop/",
        ] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }
}
