//! What can be asked for: a closed list, so that help, policies, the matrix and the audit log speak of the same
//! things.

use crate::role::{PlatformRole, Role};
use kernel::kind::Text2;
use kernel::{Error, Lang, Result, Text, text};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Something that a principal may or may not do. Its name is what policies, commands and events say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Action {
    ProjectView,
    ProjectChange,
    JobEnter,
    Deploy,
    SecretRead,
    SecretWrite,
    AccessApprove,
    AccessBreakGlass,
    ProjectAdminister,
    ProjectDelete,
    ProjectCreate,
    PlatformView,
    PlatformOperate,
    AuditRead,
    PlatformAdminister,
}

/// Where an action can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a project, or to something in it.
    Project,
    /// On the platform.
    Platform,
    Both,
}

struct Row {
    action: Action,
    name: &'static str,
    words: Text2,
    place: Place,
    /// The least role of a project that has it.
    role: Option<Role>,
    /// Roles of the platform that have it everywhere, beside the administrator, who has all.
    platform: &'static [PlatformRole],
}

use PlatformRole::{Auditor, Operator};

const fn row(
    action: Action,
    name: &'static str,
    words: Text2,
    place: Place,
    role: Option<Role>,
    platform: &'static [PlatformRole],
) -> Row {
    Row { action, name, words, place, role, platform }
}

/// In the order of [`Action`], which is its index.
const ROWS: [Row; 15] = [
    row(
        Action::ProjectView,
        "project.view",
        ("see a project and what is in it", "프로젝트와 그 안의 것을 보기"),
        Place::Project,
        Some(Role::Viewer),
        &[Operator, Auditor],
    ),
    row(
        Action::ProjectChange,
        "project.change",
        ("push, edit resources, run pipelines", "푸시, 리소스 편집, 파이프라인 실행"),
        Place::Project,
        Some(Role::Developer),
        &[],
    ),
    row(
        Action::JobEnter,
        "job.enter",
        ("enter a running job", "실행 중인 작업에 들어가기"),
        Place::Project,
        Some(Role::Maintainer),
        &[],
    ),
    row(
        Action::Deploy,
        "deploy",
        ("touch what runs: roll back, scale, approve", "운영 조작: 되돌리기, 규모 조정, 승인"),
        Place::Project,
        Some(Role::Maintainer),
        &[Operator],
    ),
    row(
        Action::SecretRead,
        "secret.read",
        ("see a secret's value", "비밀 값 보기"),
        Place::Project,
        Some(Role::Maintainer),
        &[],
    ),
    row(
        Action::SecretWrite,
        "secret.write",
        ("set, rotate and delete secrets", "비밀 설정, 교체, 삭제"),
        Place::Project,
        Some(Role::Maintainer),
        &[],
    ),
    row(
        Action::AccessApprove,
        "access.approve",
        ("approve what others ask for", "다른 사람의 권한 요청 승인"),
        Place::Both,
        Some(Role::Owner),
        &[],
    ),
    row(
        Action::AccessBreakGlass,
        "access.break-glass",
        ("take a role at once in an emergency", "비상시 역할을 바로 얻기"),
        Place::Both,
        None,
        &[Operator],
    ),
    row(
        Action::ProjectAdminister,
        "project.administer",
        ("members, settings and policies of a project", "프로젝트의 구성원, 설정, 정책"),
        Place::Project,
        Some(Role::Owner),
        &[],
    ),
    row(
        Action::ProjectDelete,
        "project.delete",
        ("delete a project", "프로젝트 삭제"),
        Place::Project,
        Some(Role::Owner),
        &[],
    ),
    row(
        Action::ProjectCreate,
        "project.create",
        ("create a project", "프로젝트 만들기"),
        Place::Platform,
        None,
        &[],
    ),
    row(
        Action::PlatformView,
        "platform.view",
        ("see what belongs to no project", "프로젝트에 속하지 않은 것 보기"),
        Place::Platform,
        None,
        &[Operator, Auditor],
    ),
    row(
        Action::PlatformOperate,
        "platform.operate",
        ("keep the platform running", "플랫폼 운영"),
        Place::Platform,
        None,
        &[Operator],
    ),
    row(
        Action::AuditRead,
        "audit.read",
        ("read the audit log", "감사 기록 읽기"),
        Place::Platform,
        None,
        &[Auditor],
    ),
    row(
        Action::PlatformAdminister,
        "platform.administer",
        ("people, groups, policies of the platform", "플랫폼의 사람, 그룹, 정책"),
        Place::Platform,
        None,
        &[],
    ),
];

impl Action {
    /// Whether it takes more than looking. A secret's value and a terminal are more than that, by whatever method they
    /// are asked for.
    pub fn effect(self) -> account::Effect {
        match self {
            Action::ProjectView | Action::PlatformView | Action::AuditRead => {
                account::Effect::Reads
            }
            _ => account::Effect::Writes,
        }
    }

    pub const ALL: [Action; ROWS.len()] = {
        let mut all = [Action::ProjectView; ROWS.len()];
        let mut i = 0;
        while i < ROWS.len() {
            // Evaluated at compile time only.
            #[allow(clippy::indexing_slicing)]
            {
                all[i] = ROWS[i].action;
                assert!(all[i] as usize == i, "rows stand in the order of the actions");
            }
            i += 1;
        }
        all
    };

    fn row(self) -> &'static Row {
        // Rows stand in the order of the actions, which the compiler has checked.
        #[allow(clippy::indexing_slicing)]
        &ROWS[self as usize]
    }

    /// As in policies: `project.view`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    pub fn words(self, lang: Lang) -> &'static str {
        let (en, ko) = self.row().words;
        lang.pick(en, ko)
    }

    pub fn text(self) -> Text {
        let (en, ko) = self.row().words;
        Text::fixed(en, ko)
    }

    pub fn place(self) -> Place {
        self.row().place
    }

    /// Whether it can be done in a project.
    pub fn in_projects(self) -> bool {
        self.place() != Place::Platform
    }

    /// Whether it can be done on the platform.
    pub fn on_platform(self) -> bool {
        self.place() != Place::Project
    }

    /// The least role of a project that has it.
    pub fn role(self) -> Option<Role> {
        self.row().role
    }

    /// Whether a role of the platform has it, everywhere.
    pub fn of_platform(self, role: PlatformRole) -> bool {
        role == PlatformRole::Administrator || self.row().platform.contains(&role)
    }

    /// # Errors
    /// `action.unknown`
    pub fn parse(words: &str) -> Result<Action> {
        Action::ALL.into_iter().find(|a| a.name() == words).ok_or_else(|| {
            let shown = kernel::shown(words);
            Error::invalid(
                "action.unknown",
                text!("there is no action “{shown}”", "“{shown}” 동작은 없습니다"),
            )
            .hint(Text::fixed(
                "`naru policy actions` lists them",
                "`naru policy actions`가 목록을 보여 줍니다",
            ))
        })
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl TryFrom<String> for Action {
    type Error = Error;
    fn try_from(words: String) -> Result<Action> {
        Action::parse(&words)
    }
}

impl From<Action> for String {
    fn from(action: Action) -> String {
        action.name().to_owned()
    }
}

impl JsonSchema for Action {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Action".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Action::ALL.map(Action::name) })
    }
}

/// A right within a project, as routes name it. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// See everything in it; clone.
    View,
    /// Push, edit resources, run and cancel pipelines.
    Change,
    /// Be in the sandbox of a running job, where its secrets are.
    Enter,
    /// Touch production by hand: roll back, scale, approve.
    Deploy,
    /// Members, settings, deletion.
    Administer,
}

impl Permission {
    /// The action it stands for.
    pub fn action(self) -> Action {
        match self {
            Permission::View => Action::ProjectView,
            Permission::Change => Action::ProjectChange,
            Permission::Enter => Action::JobEnter,
            Permission::Deploy => Action::Deploy,
            Permission::Administer => Action::ProjectAdminister,
        }
    }
}
