//! A principal with all that decisions ask of it, worked out once and kept until something changes.

use crate::index::Anchors;
use crate::kind::Given;
use crate::role::{PlatformRole, Role, Subject};
use crate::scene::Scenes;
use crate::schema::{Type, Uid};
use crate::world::{World, via};
use kernel::{Name, Principal, Text, Time, text};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// How somebody came by a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "by", content = "name")]
pub enum Via {
    /// Named in the project or the role itself.
    Direct,
    /// Through a group, which they may be in through others.
    Group(Name),
    Grant(Name),
    BrokenGlass(Name),
    /// Their account says so.
    Account,
    /// A run sees its own project.
    Run,
}

impl Via {
    pub fn text(&self) -> Text {
        match self {
            Via::Direct => Text::fixed("directly", "직접"),
            Via::Group(name) => text!("through group {name}", "{name} 그룹을 통해"),
            Via::Grant(name) => text!("by grant {name}", "임시 권한 {name}(으)로"),
            Via::BrokenGlass(name) => {
                text!("by broken glass {name}", "비상 권한 {name}(으)로")
            }
            Via::Account => Text::fixed("by their account", "계정 설정으로"),
            Via::Run => Text::fixed("as a run of the project", "프로젝트의 실행으로서"),
        }
    }
}

/// What an account says of its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Person {
    /// Disabled, deleted, never there.
    pub absent: bool,
    pub administrator: bool,
    pub department: Option<String>,
    pub email: Option<String>,
    /// Of a run.
    pub project: Option<Name>,
}

pub(crate) struct Who {
    pub principal: Principal,
    pub uid: Uid,
    pub person: Person,
    pub groups: Arc<[Name]>,
    pub roles: HashMap<Name, (Role, Via)>,
    pub platform: Vec<(PlatformRole, Via)>,
    /// A grant that is in it ends then.
    pub fresh_until: Option<Time>,
    pub anchors: Anchors,
    /// What Cedar needs of it before each target asked about.
    pub scenes: Scenes,
    /// Which state of the world this was worked out in.
    pub version: u64,
}

impl Who {
    /// Whether no grant in it has ended. What else changes forgets it.
    pub fn fresh(&self, now: Time) -> bool {
        self.fresh_until.is_none_or(|until| now < until)
    }

    pub fn role(&self, project: &Name) -> Option<&(Role, Via)> {
        self.roles.get(project)
    }

    pub fn platform(&self, role: PlatformRole) -> Option<&Via> {
        self.platform.iter().find(|(r, _)| *r == role).map(|(_, via)| via)
    }

    /// Everything it is in: groups, roles of projects, roles of the platform.
    pub fn ancestors(&self) -> impl Iterator<Item = Uid> {
        let groups = self.groups.iter().map(Uid::group);
        let roles = self.roles.iter().flat_map(|(project, (role, _))| {
            Role::ALL.into_iter().filter(|r| r <= role).map(|r| Uid::role(project, r))
        });
        groups.chain(roles).chain(self.platform.iter().map(|(r, _)| Uid::platform_role(*r)))
    }

    /// Every subject whose roles and grants are its own.
    pub fn subjects(&self) -> Vec<Subject> {
        let groups = self.groups.iter().map(|g| Subject::Group(g.clone()));
        Subject::of(&self.principal).into_iter().chain(groups).collect()
    }
}

pub(crate) fn principal_uid(who: &Principal) -> Uid {
    match who {
        Principal::User(name) => Uid::new(Type::User, name.as_str()),
        Principal::Service(name) => Uid::new(Type::ServiceAccount, name.as_str()),
        Principal::Run(id) => Uid::new(Type::Run, id),
        Principal::Part(name) => Uid::new(Type::Part, name),
        Principal::Anonymous => Uid::new(Type::User, ""),
    }
}

impl World {
    pub fn groups_of(&self, who: &Principal) -> Arc<[Name]> {
        Subject::of(who).map(|own| self.groups.of(&own)).unwrap_or_default()
    }

    /// Works out what `principal` has now.
    pub fn who(
        &self,
        principal: &Principal,
        groups: Arc<[Name]>,
        person: Person,
        now: Time,
    ) -> Who {
        let mut who = Who {
            principal: principal.clone(),
            uid: principal_uid(principal),
            person,
            groups,
            roles: HashMap::new(),
            platform: Vec::new(),
            fresh_until: None,
            anchors: Anchors::default(),
            scenes: Scenes::default(),
            version: self.version,
        };
        if let (Principal::Run(_), Some(project)) = (principal, &who.person.project) {
            who.roles.insert(project.clone(), (Role::Viewer, Via::Run));
        }
        if who.person.administrator {
            who.platform.push((PlatformRole::Administrator, Via::Account));
        }
        let subjects = who.subjects();
        for subject in &subjects {
            let through = || match subject {
                Subject::Group(name) => Via::Group(name.clone()),
                _ => Via::Direct,
            };
            for (project, role) in self.roles(subject) {
                give(&mut who.roles, project, role, through());
            }
            for role in PlatformRole::ALL {
                if self.platform_members(role).contains(subject) {
                    give_platform(&mut who.platform, role, through());
                }
            }
        }
        for granted in self.granted(&subjects, now) {
            match (granted.grant.give, granted.grant.on.project_name()) {
                (Given::Role(role), Some(project)) => {
                    give(&mut who.roles, project, role, via(granted));
                }
                (Given::PlatformRole(role), _) => {
                    give_platform(&mut who.platform, role, via(granted));
                }
                _ => continue,
            }
            let until = who.fresh_until.map_or(granted.until, |t| t.min(granted.until));
            who.fresh_until = Some(until);
        }
        // A role of a project that is gone is nothing.
        who.roles.retain(|project, _| self.projects.contains_key(project));
        self.anchor(&mut who);
        who
    }

    pub fn anchor(&self, who: &mut Who) {
        let answers = [PlatformRole::Administrator, PlatformRole::Auditor];
        let exempt = who.uid.0 == Type::Part || answers.iter().any(|r| who.platform(*r).is_some());
        who.anchors = self.index.anchors(&who.uid, who.ancestors(), exempt);
    }
}

fn give(roles: &mut HashMap<Name, (Role, Via)>, project: &Name, role: Role, via: Via) {
    match roles.get(project) {
        Some((held, _)) if *held >= role => {}
        _ => drop(roles.insert(project.clone(), (role, via))),
    }
}

fn give_platform(roles: &mut Vec<(PlatformRole, Via)>, role: PlatformRole, via: Via) {
    if roles.iter().all(|(held, _)| *held != role) {
        roles.push((role, via));
    }
}
