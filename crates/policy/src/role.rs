//! The built-in roles, of projects and of the platform.

use kernel::{Error, Name, Principal, Result, Text, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A member's part in a project. Each has what those before it have.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Viewer,
    Developer,
    Maintainer,
    Owner,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Developer, Role::Maintainer, Role::Owner];

    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Developer => "developer",
            Role::Maintainer => "maintainer",
            Role::Owner => "owner",
        }
    }

    pub fn text(self) -> Text {
        match self {
            Role::Viewer => Text::fixed("viewer", "뷰어"),
            Role::Developer => Text::fixed("developer", "개발자"),
            Role::Maintainer => Text::fixed("maintainer", "메인테이너"),
            Role::Owner => Text::fixed("owner", "소유자"),
        }
    }

    pub fn parse(words: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|r| r.name() == words)
    }
}

/// A part in running the platform. Members of a role have its rights in every project.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum PlatformRole {
    /// Keeps it running: sees all, deploys, may break the glass.
    Operator,
    /// Sees all and the audit log, changes nothing.
    Auditor,
    /// May do everything.
    Administrator,
}

impl PlatformRole {
    pub const ALL: [PlatformRole; 3] =
        [PlatformRole::Operator, PlatformRole::Auditor, PlatformRole::Administrator];

    pub fn name(self) -> &'static str {
        match self {
            PlatformRole::Operator => "operator",
            PlatformRole::Auditor => "auditor",
            PlatformRole::Administrator => "administrator",
        }
    }

    pub fn text(self) -> Text {
        match self {
            PlatformRole::Operator => Text::fixed("operator", "운영자"),
            PlatformRole::Auditor => Text::fixed("auditor", "감사자"),
            PlatformRole::Administrator => Text::fixed("administrator", "관리자"),
        }
    }

    pub fn parse(words: &str) -> Option<PlatformRole> {
        PlatformRole::ALL.into_iter().find(|r| r.name() == words)
    }
}

/// Whom a role or a grant can be given to. Written `user:ada`, `group:qa`, `service:bot`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    User(Name),
    Group(Name),
    Service(Name),
}

impl Subject {
    /// The subject that a principal is by itself; runs and parts are given nothing.
    pub fn of(who: &Principal) -> Option<Subject> {
        match who {
            Principal::User(name) => Some(Subject::User(name.clone())),
            Principal::Service(name) => Some(Subject::Service(name.clone())),
            Principal::Run(_) | Principal::Part(_) | Principal::Anonymous => None,
        }
    }

    pub fn name(&self) -> &Name {
        let (Subject::User(name) | Subject::Group(name) | Subject::Service(name)) = self;
        name
    }

    /// # Errors
    /// `subject.invalid`
    pub fn parse(words: &str) -> Result<Subject> {
        let bad = || {
            let shown = kernel::shown(words);
            Error::invalid(
                "subject.invalid",
                text!("“{shown}” names nobody", "“{shown}”은(는) 누구인지 알 수 없습니다"),
            )
            .hint(Text::fixed(
                "write user:NAME, group:NAME or service:NAME",
                "user:이름, group:이름, service:이름으로 쓰세요",
            ))
        };
        let (sort, name) = words.split_once(':').unwrap_or(("user", words));
        let name = Name::parse(name).map_err(|_| bad())?;
        match sort {
            "user" => Ok(Subject::User(name)),
            "group" => Ok(Subject::Group(name)),
            "service" => Ok(Subject::Service(name)),
            _ => Err(bad()),
        }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Subject::User(n) => write!(f, "user:{n}"),
            Subject::Group(n) => write!(f, "group:{n}"),
            Subject::Service(n) => write!(f, "service:{n}"),
        }
    }
}

impl TryFrom<String> for Subject {
    type Error = Error;
    fn try_from(words: String) -> Result<Subject> {
        Subject::parse(&words)
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> String {
        subject.to_string()
    }
}

impl JsonSchema for Subject {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Subject".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^(user|group|service):[a-z0-9]([-a-z0-9]*[a-z0-9])?$" })
    }
}
