//! Projects, roles of the platform, policies, and grants.

use crate::action::Action;
use crate::check;
use crate::role::{PlatformRole, Role, Subject};
use crate::target::Target;
use kernel::kind::{KindDef, Scope, Writer};
use kernel::{Error, Kind, Name, Principal, Result, Text, Time, text};
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
    /// Actions here that take the approval of a second person, beside those of the platform's rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub two_person: Vec<TwoPerson>,
}

impl Default for Project {
    fn default() -> Project {
        Project { title: String::new(), members: Vec::new(), deploy: yes(), two_person: Vec::new() }
    }
}

fn yes() -> bool {
    true
}

/// A user, a group or a service account, and its role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Name>,
    /// Everybody in the group, and in the groups within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    /// A service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Name>,
    pub role: Role,
}

impl Member {
    pub fn new(who: &Subject, role: Role) -> Member {
        let (subject, name) = (who, Some(who.name().clone()));
        let empty = Member { user: None, group: None, service: None, role };
        match subject {
            Subject::User(_) => Member { user: name, ..empty },
            Subject::Group(_) => Member { group: name, ..empty },
            Subject::Service(_) => Member { service: name, ..empty },
        }
    }

    pub fn user(name: Name, role: Role) -> Member {
        Member::new(&Subject::User(name), role)
    }

    /// Who it is; `None` when nobody or more than one is named, which [`Kind::check`] refuses.
    pub fn subject(&self) -> Option<Subject> {
        subject(&self.user, &self.group, &self.service)
    }
}

fn subject(user: &Option<Name>, group: &Option<Name>, service: &Option<Name>) -> Option<Subject> {
    match (user, group, service) {
        (Some(n), None, None) => Some(Subject::User(n.clone())),
        (None, Some(n), None) => Some(Subject::Group(n.clone())),
        (None, None, Some(n)) => Some(Subject::Service(n.clone())),
        _ => None,
    }
}

/// Each names exactly one, and none is there twice.
fn distinct(subjects: impl Iterator<Item = Option<Subject>>) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for subject in subjects {
        let subject = subject.ok_or_else(|| {
            Error::invalid(
                "member.unclear",
                Text::fixed(
                    "a member is one of `user`, `group` and `service`",
                    "구성원에는 `user`, `group`, `service` 중 하나를 쓰세요",
                ),
            )
        })?;
        if !seen.insert(subject.clone()) {
            return Err(Error::invalid(
                "project.member-twice",
                text!("{subject} is listed twice", "{subject}이(가) 두 번 나옵니다"),
            ));
        }
    }
    Ok(())
}

/// An action that takes the approval of a second person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TwoPerson {
    pub action: Action,
    /// Only in these environments, by name or pattern (`prod*`); empty: everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectStatus {}

impl Kind for Project {
    const KIND: &'static str = "Project";
    type Status = ProjectStatus;

    fn check(&self) -> Result<()> {
        distinct(self.members.iter().map(Member::subject))?;
        self.two_person.iter().try_for_each(|rule| two_person(rule.action, &rule.environments))
    }
}

fn two_person(action: Action, environments: &[String]) -> Result<()> {
    // Whoever approves would need an approval to approve it.
    if matches!(action, Action::ProjectView | Action::AccessApprove | Action::AccessBreakGlass) {
        return Err(Error::invalid(
            "two-person.action",
            text!(
                "{action} cannot take a second person",
                "{action}에는 두 사람 규칙을 쓸 수 없습니다"
            ),
        ));
    }
    if environments.is_empty() || action == Action::Deploy {
        return Ok(());
    }
    Err(Error::invalid(
        "two-person.environments",
        text!(
            "{action} is not done to an environment",
            "{action}은(는) 환경에 하는 동작이 아닙니다"
        ),
    )
    .hint(Text::fixed("leave `environments` out", "`environments`를 빼세요")))
}

/// Who has a role of the platform. Its name is the role: `operator`, `auditor` or `administrator`. Users whose
/// account says `administrator` have that one, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformMembers {
    #[serde(default)]
    pub members: Vec<PlatformMember>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformMember {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Name>,
}

impl PlatformMember {
    pub fn subject(&self) -> Option<Subject> {
        subject(&self.user, &self.group, &self.service)
    }
}

impl Kind for PlatformMembers {
    const KIND: &'static str = "PlatformRole";
    type Status = ProjectStatus;

    fn check(&self) -> Result<()> {
        distinct(self.members.iter().map(PlatformMember::subject))
    }
}

/// An action that takes a second person in every project it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TwoPersonRule {
    pub action: Action,
    /// Only in these projects, by name or pattern; empty: everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
    /// Only in these environments, by name or pattern; empty: everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
}

impl Kind for TwoPersonRule {
    const KIND: &'static str = "TwoPersonRule";
    type Status = ProjectStatus;

    fn check(&self) -> Result<()> {
        two_person(self.action, &self.environments)
    }
}

/// Cedar policies, and tests of what they come to. In a project they hold within that project alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// What it is for, in a line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// One or more policies in Cedar: `permit (principal in Group::"qa", action == Action::"deploy", resource);`.
    pub cedar: String,
    /// Run when the policy is applied; one that fails refuses it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<PolicyTest>,
}

/// Who asks for what, and what has to come of it when the policy holds beside all the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyTest {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `user:ada` or `service:bot`; they need not exist when `groups` or `role` is given.
    pub principal: Subject,
    /// As if they were in these groups and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<Name>>,
    /// As if this were their only role, of the project or of the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    pub action: Action,
    /// `project/shop`, `environment/shop/production`; in a project's policy `environment/production` will do.
    pub resource: String,
    #[serde(default)]
    pub context: Context,
    pub expect: Expect,
}

/// What a request brings with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// RFC 3339; now, when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub address: Option<std::net::IpAddr>,
    /// `session`, `token` or `job`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Whether the branch is protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    Allow,
    Deny,
}

impl Kind for PolicySpec {
    const KIND: &'static str = "Policy";
    type Status = ProjectStatus;

    fn check(&self) -> Result<()> {
        check::spec(self)
    }
}

/// A policy that holds everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PlatformPolicy(pub PolicySpec);

impl Kind for PlatformPolicy {
    const KIND: &'static str = "PlatformPolicy";
    type Status = ProjectStatus;

    fn check(&self) -> Result<()> {
        check::spec(&self.0)
    }
}

/// A right for a time: asked for, approved by somebody else, and gone by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Who gets it.
    pub to: Subject,
    pub give: Given,
    /// Where: a project, something in it, or the platform.
    pub on: Target,
    /// Why it is needed.
    pub reason: String,
    /// For how long, in seconds.
    pub lasts_s: u64,
    /// Taken in an emergency, without an approval.
    #[serde(default)]
    pub broken_glass: bool,
}

/// What a grant gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// A role in the project of `on`.
    Role(Role),
    /// A role of the platform.
    PlatformRole(PlatformRole),
    /// One action on `on`.
    Action(Action),
    /// The second person's approval for an action that takes one; the right itself is not given.
    SecondPerson(Action),
}

impl Given {
    pub fn text(self) -> Text {
        let of = |words: Text, en: &str, ko: &str| {
            Text::new(format!("{en} {}", words.en), format!("{} {ko}", words.ko))
        };
        match self {
            Given::Role(role) => of(role.text(), "role", "역할"),
            Given::PlatformRole(role) => of(role.text(), "platform role", "플랫폼 역할"),
            Given::Action(action) => Text::plain(action.name()),
            Given::SecondPerson(action) => {
                let name = action.name();
                text!("approval for {name}", "{name} 승인")
            }
        }
    }
}

/// Where a grant stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Asked for.
    #[default]
    Requested,
    /// Holds until its end.
    Active,
    Denied,
    /// Taken back before its end, or before anybody decided.
    Revoked,
    /// Its time is over, or nobody decided in time.
    Expired,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GrantStatus {
    pub phase: Phase,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<Principal>,
    /// Who approved, denied or revoked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Principal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Time>,
    /// What they said about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remark: String,
    /// When it ends; a request: until when it can be decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

impl Kind for Grant {
    const KIND: &'static str = "Grant";
    type Status = GrantStatus;
}

pub static KINDS: &[KindDef] = &[
    KindDef::of::<Project>(
        "projects",
        Scope::Platform,
        Writer::People,
        ("what a team works on", "팀이 함께 일하는 단위"),
        &[("TITLE", "/spec/title"), ("DEPLOY", "/spec/deploy")],
    ),
    KindDef::of::<PlatformMembers>(
        "platform-roles",
        Scope::Platform,
        Writer::People,
        ("who has a role of the platform", "플랫폼 역할을 가진 사람"),
        &[("MEMBERS", "/spec/members")],
    ),
    KindDef::of::<PlatformPolicy>(
        "platform-policies",
        Scope::Platform,
        Writer::People,
        ("policies that hold everywhere, with their tests", "어디서나 적용되는 정책과 그 테스트"),
        &[("ABOUT", "/spec/about")],
    ),
    KindDef::of::<TwoPersonRule>(
        "two-person-rules",
        Scope::Platform,
        Writer::People,
        ("actions that take a second person", "두 사람이 필요한 동작"),
        &[("ACTION", "/spec/action"), ("PROJECTS", "/spec/projects")],
    ),
    KindDef::of::<PolicySpec>(
        "policies",
        Scope::Project,
        Writer::People,
        ("policies of a project, with their tests", "프로젝트의 정책과 그 테스트"),
        &[("ABOUT", "/spec/about")],
    ),
    KindDef::of::<Grant>(
        "grants",
        Scope::Platform,
        Writer::Part,
        ("rights for a time, asked for and approved", "요청하고 승인받은 임시 권한"),
        &[
            ("TO", "/spec/to"),
            ("ON", "/spec/on"),
            ("PHASE", "/status/phase"),
            ("UNTIL", "/status/until"),
        ],
    ),
];
