//! What decisions are made from: projects with their members, roles, grants and policies, kept in memory in step
//! with the journal.

use crate::compile::{self, Compiled};
use crate::groups::Groups;
use crate::index::Index;
use crate::kind::{
    Given, Grant, Member, Phase, PlatformMembers, PlatformPolicy, PolicySpec, Project, TwoPerson,
    TwoPersonRule,
};
use crate::people::Via;
use crate::role::{PlatformRole, Role, Subject};
use crate::schema::Uid;
use crate::target::Target;
use crate::{Action, Sort};
use kernel::{Key, Kind, Name, Principal, Resource, Result, Time};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use store::View;

/// Read at a time when the world is first seen.
const PAGE: usize = 500;

/// A grant that holds, until its end.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    pub id: Name,
    pub grant: Grant,
    pub until: Time,
    pub approved_by: Option<Principal>,
}

#[derive(Default)]
pub(crate) struct World {
    /// The journal up to here is in it.
    pub seq: u64,
    /// Counts the changes of what somebody has or of what policies say.
    pub version: u64,
    pub projects: HashMap<Name, Arc<Project>>,
    platform: HashMap<PlatformRole, Vec<Subject>>,
    rules: BTreeMap<Name, TwoPersonRule>,
    pub grants: BTreeMap<Name, Arc<Granted>>,
    /// Of each resource that holds policies.
    texts: BTreeMap<Key, Vec<Arc<Compiled>>>,
    /// Each subject's roles.
    members: HashMap<Subject, BTreeMap<Name, Role>>,
    pub groups: Groups,
    pub index: Index,
}

/// Kinds whose resources make the world.
const OURS: [&str; 7] = [
    account::Group::KIND,
    Project::KIND,
    PlatformMembers::KIND,
    TwoPersonRule::KIND,
    Grant::KIND,
    PlatformPolicy::KIND,
    PolicySpec::KIND,
];

/// What a change touched, so that no more is forgotten than has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touched {
    Nothing,
    /// Who somebody is and what they have.
    People,
}

impl World {
    pub fn load(view: &View<'_>, seq: u64) -> Result<World> {
        let mut world = World { seq, ..World::default() };
        for kind in OURS {
            let mut after: Option<Key> = None;
            loop {
                let page = view.resources(kind, None, after.as_ref(), PAGE)?;
                let last = page.len() < PAGE;
                after = page.last().map(|r| r.key.clone());
                for resource in &page {
                    world.put(resource);
                }
                if last {
                    break;
                }
            }
        }
        world.reindex();
        Ok(world)
    }

    /// Takes one write of a resource over.
    pub fn apply(&mut self, resource: &Resource, gone: bool) -> Touched {
        if !OURS.contains(&resource.key.kind.as_str()) {
            return Touched::Nothing;
        }
        self.version += 1;
        self.remove(&resource.key);
        if !gone {
            self.put(resource);
        }
        if ![Project::KIND, account::Group::KIND].contains(&resource.key.kind.as_str()) {
            self.reindex();
        }
        Touched::People
    }

    /// Takes many over and builds the index once.
    pub fn apply_all(&mut self, resources: &[Resource]) {
        for resource in resources {
            self.remove(&resource.key);
            self.put(resource);
        }
        self.reindex();
    }

    fn remove(&mut self, key: &Key) {
        match key.kind.as_str() {
            Project::KIND => {
                for member in self.projects.remove(&key.name).iter().flat_map(|p| &p.members) {
                    if let Some(roles) = member.subject().and_then(|s| self.members.get_mut(&s)) {
                        roles.remove(&key.name);
                    }
                }
            }
            PlatformMembers::KIND => {
                if let Some(role) = PlatformRole::parse(key.name.as_str()) {
                    self.platform.remove(&role);
                }
            }
            TwoPersonRule::KIND => drop(self.rules.remove(&key.name)),
            account::Group::KIND => self.groups.remove(&key.name),
            Grant::KIND => {
                self.grants.remove(&key.name);
                self.texts.remove(key);
            }
            _ => drop(self.texts.remove(key)),
        }
    }

    fn put(&mut self, resource: &Resource) {
        let (key, name) = (&resource.key, resource.key.name.clone());
        let read = match key.kind.as_str() {
            Project::KIND => resource.spec::<Project>().map(|p| self.put_project(name, p)),
            PlatformMembers::KIND => resource.spec::<PlatformMembers>().map(|spec| {
                let members = spec.members.iter().filter_map(|m| m.subject()).collect();
                PlatformRole::parse(name.as_str()).map(|role| self.platform.insert(role, members));
            }),
            TwoPersonRule::KIND => {
                resource.spec::<TwoPersonRule>().map(|rule| drop(self.rules.insert(name, rule)))
            }
            account::Group::KIND => {
                resource.spec::<account::Group>().map(|g| self.groups.put(&name, &g.members))
            }
            Grant::KIND => self.put_grant(resource),
            PlatformPolicy::KIND => resource.spec::<PlatformPolicy>().map(|spec| {
                let all = taken(&format!("platform/{name}"), None, &spec.0);
                self.texts.insert(key.clone(), all);
            }),
            _ => resource.spec::<PolicySpec>().map(|spec| {
                let project = key.project.as_ref();
                let called = project.map_or(String::new(), |p| format!("{p}/{name}"));
                self.texts.insert(key.clone(), taken(&called, project, &spec));
            }),
        };
        if let Err(error) = read {
            tracing::error!(%key, %error, "not part of any decision");
        }
    }

    fn put_project(&mut self, name: Name, project: Project) {
        for (subject, role) in project.members.iter().filter_map(|m| Some((m.subject()?, m.role))) {
            self.members.entry(subject).or_default().insert(name.clone(), role);
        }
        self.projects.insert(name, Arc::new(project));
    }

    fn put_grant(&mut self, resource: &Resource) -> Result<()> {
        let (grant, status) = (resource.spec::<Grant>()?, resource.status::<Grant>()?);
        let (Phase::Active, Some(until)) = (status.phase, status.until) else { return Ok(()) };
        let id = resource.key.name.clone();
        if let Given::Action(action) = grant.give {
            let called = format!("grant/{id}");
            let (to, on) = (uid_of(&grant.to), target_uid(&grant.on));
            let policy = compile::granted(&called, &to, action, &on, until)?;
            self.texts.insert(resource.key.clone(), vec![Arc::new(policy)]);
        }
        let approved_by = status.decided_by;
        self.grants.insert(id.clone(), Arc::new(Granted { id, grant, until, approved_by }));
        Ok(())
    }

    fn reindex(&mut self) {
        self.index = Index::build(self.texts.values().flatten().cloned().collect());
    }

    /// Every policy that people wrote or were granted.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<Compiled>> {
        self.texts.values().flatten()
    }

    /// The same world with the policies of one resource put in their place: what a test of them runs in.
    pub fn with(&self, key: &Key, policies: Vec<Compiled>) -> World {
        let mut texts = self.texts.clone();
        texts.insert(key.clone(), policies.into_iter().map(Arc::new).collect());
        let mut world = World {
            seq: self.seq,
            version: self.version,
            projects: self.projects.clone(),
            platform: self.platform.clone(),
            rules: self.rules.clone(),
            grants: self.grants.clone(),
            texts,
            members: self.members.clone(),
            groups: self.groups.clone(),
            index: Index::default(),
        };
        world.reindex();
        world
    }

    /// The role of each project that a subject has by being named in it.
    pub fn roles(&self, subject: &Subject) -> impl Iterator<Item = (&Name, Role)> {
        self.members.get(subject).into_iter().flatten().map(|(name, role)| (name, *role))
    }

    pub fn platform_members(&self, role: PlatformRole) -> &[Subject] {
        self.platform.get(&role).map_or(&[], Vec::as_slice)
    }

    /// Grants of roles and of actions that hold for one of these subjects.
    pub fn granted<'a>(
        &'a self,
        subjects: &'a [Subject],
        now: Time,
    ) -> impl Iterator<Item = &'a Arc<Granted>> {
        self.grants.values().filter(move |g| now < g.until && subjects.contains(&g.grant.to))
    }

    /// The rule by which the action takes a second person there, if any, and who made it: `None` is the platform.
    pub fn two_person(
        &self,
        action: Action,
        target: &Target,
        environment: Option<&str>,
    ) -> Option<Option<Name>> {
        let project = target.project_name();
        let environment = match target.sort() {
            Sort::Environment => Some(target.name()),
            _ => environment,
        };
        let here = |patterns: &[String]| {
            // Where the environment is not known it may be any of them.
            patterns.is_empty()
                || environment.is_none_or(|e| patterns.iter().any(|p| matches(p, e)))
        };
        let platform = self.rules.values().any(|rule| {
            let named = |p: &Name| rule.projects.iter().any(|pattern| matches(pattern, p.as_str()));
            rule.action == action
                && (rule.projects.is_empty() || project.is_some_and(named))
                && here(&rule.environments)
        });
        if platform {
            return Some(None);
        }
        let own = project.and_then(|p| self.projects.get(p)).is_some_and(|p| {
            p.two_person.iter().any(|r: &TwoPerson| r.action == action && here(&r.environments))
        });
        own.then(|| project.cloned())
    }

    /// Members of a project as they are written in it.
    pub fn members(&self, project: &Name) -> &[Member] {
        self.projects.get(project).map_or(&[], |p| p.members.as_slice())
    }
}

/// `*` stands for any characters; everything else for itself.
pub(crate) fn matches(pattern: &str, words: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or("");
    let Some(mut rest) = words.strip_prefix(first) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or(""),
            None => return false,
        }
    }
    true
}

/// The policies of a resource. Ones that cannot be read any more (they were checked when they were written, so
/// naru has changed since) forbid all that they could have been about to everybody but administrators and
/// auditors: what cannot be understood must not open anything.
fn taken(name: &str, project: Option<&Name>, spec: &PolicySpec) -> Vec<Arc<Compiled>> {
    let compiled = compile::compile(name, project, &spec.cedar).or_else(|error| {
        tracing::error!(policy = name, %error, "forbids everything until it is mended");
        let cedar = "forbid (principal, action, resource);";
        let mut all = compile::compile(name, project, cedar)?;
        all.iter_mut().for_each(|policy| policy.exempt = true);
        Ok::<_, kernel::Error>(all)
    });
    compiled.unwrap_or_default().into_iter().map(Arc::new).collect()
}

pub(crate) fn uid_of(subject: &Subject) -> Uid {
    use crate::schema::Type;
    let kind = match subject {
        Subject::User(_) => Type::User,
        Subject::Group(_) => Type::Group,
        Subject::Service(_) => Type::ServiceAccount,
    };
    Uid::new(kind, subject.name().as_str())
}

pub(crate) fn target_uid(target: &Target) -> Uid {
    Uid(crate::schema::Type::Target(target.sort()), target.id().into())
}

/// How a grant gives what it gives.
pub(crate) fn via(granted: &Granted) -> Via {
    match granted.grant.broken_glass {
        true => Via::BrokenGlass(granted.id.clone()),
        false => Via::Grant(granted.id.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, words, want) in [
            ("production", "production", true),
            ("production", "production2", false),
            ("prod*", "production", true),
            ("*", "", true),
            ("*-live", "eu-live", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c", false),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, words), want, "{pattern} {words}");
        }
    }
}
