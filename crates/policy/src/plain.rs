//! Plain Cedar over everything at once: the definition that the index has to be equal to. Slow; for tests and for
//! the measurement beside it.

use crate::entities;
use crate::judge::Question;
use crate::kind::{Context, PolicySpec, Project};
use crate::people::{Person, Who};
use crate::schema::builtin;
use crate::target::Target;
use crate::world::World;
use crate::{Action, Member};
use cedar_policy::{Authorizer, Entities, Entity, PolicySet, Request};
use kernel::{Error, Id, Key, Kind, Name, Principal, Resource, Result, Time};
use std::collections::HashMap;
use std::sync::Arc;

/// A world of any size, without a store.
pub struct Case {
    world: World,
    people: Vec<Who>,
    targets: Vec<Target>,
    set: PolicySet,
    all: Entities,
}

/// What a case is made of.
#[derive(Default)]
pub struct Parts {
    pub projects: Vec<(Name, Vec<Member>)>,
    /// Each with its groups, and whether it administers the platform.
    pub people: Vec<(Principal, Vec<Name>, bool)>,
    /// By project, or of the platform.
    pub policies: Vec<(Option<Name>, Name, String)>,
    /// Resources of kinds that grants and roles of the platform are made of.
    pub others: Vec<Resource>,
    pub targets: Vec<Target>,
    pub now: Time,
}

/// Reads Cedar text as people's is read when it is applied.
///
/// # Errors
/// `policy.…`, at a place in the text.
pub fn read(cedar: &str) -> Result<()> {
    crate::compile::compile("policy", None, cedar).map(drop)
}

/// A resource as the store would give it.
///
/// # Errors
/// Internal, when the spec cannot be written as JSON.
pub fn resource<K: Kind>(project: Option<&Name>, name: &Name, spec: &K) -> Result<Resource> {
    Ok(Resource {
        key: Key { kind: K::KIND.into(), project: project.cloned(), name: name.clone() },
        uid: Id::new(0, 0),
        revision: 1,
        generation: 1,
        labels: Default::default(),
        created: Time(0),
        updated: Time(0),
        spec: serde_json::to_value(spec).map_err(Error::internal)?,
        status: serde_json::Value::Null,
    })
}

impl Case {
    /// # Errors
    /// What is wrong with a policy.
    pub fn new(parts: Parts) -> Result<Case> {
        let mut world = World::default();
        for (name, members) in parts.projects {
            let project = Project { members, ..Project::default() };
            world.apply(&resource(None, &name, &project)?, false);
        }
        let mut policies = Vec::new();
        for (project, name, cedar) in parts.policies {
            let spec = PolicySpec { cedar, ..PolicySpec::default() };
            let mut made = resource(project.as_ref(), &name, &spec)?;
            if project.is_none() {
                made.key.kind = crate::PlatformPolicy::KIND.into();
            }
            policies.push(made);
        }
        policies.extend(parts.others);
        world.apply_all(&policies);
        let who = |(principal, groups, administrator): &(Principal, Vec<Name>, bool)| {
            let person = Person { administrator: *administrator, ..Person::default() };
            world.who(principal, Arc::from(groups.as_slice()), person, parts.now)
        };
        let people: Vec<Who> = parts.people.iter().map(who).collect();
        let (set, all) = (set(&world)?, everything(&people, &parts.targets)?);
        Ok(Case { world, people, targets: parts.targets, set, all })
    }

    pub fn people(&self) -> usize {
        self.people.len()
    }

    pub fn policies(&self) -> usize {
        self.world.index.policies.len()
    }

    fn question<'a>(
        &'a self,
        who: usize,
        action: Action,
        target: usize,
        context: &'a Context,
        now: Time,
    ) -> Option<Question<'a>> {
        let (who, target) = (self.people.get(who)?, self.targets.get(target)?);
        crate::judge::fits(action, target).then_some(Question { who, action, target, context, now })
    }

    /// Through the index, as soon as the answer is known; `None` when the action is never done there.
    ///
    /// # Errors
    /// Internal.
    pub fn indexed(
        &self,
        who: usize,
        action: Action,
        target: usize,
        context: &Context,
        now: Time,
    ) -> Result<Option<bool>> {
        let q = self.question(who, action, target, context, now);
        q.map(|q| Ok(self.world.judge(&q)?.allow)).transpose()
    }

    /// Through the index, with every policy that determines the answer, sorted.
    ///
    /// # Errors
    /// Internal.
    pub fn explained(
        &self,
        who: usize,
        action: Action,
        target: usize,
        context: &Context,
        now: Time,
    ) -> Result<Option<(bool, Vec<String>)>> {
        use crate::Reason;
        let Some(q) = self.question(who, action, target, context, now) else { return Ok(None) };
        let found = self.world.explain(&q)?;
        let own = |r: &Reason| match r {
            Reason::Permitted { policy } | Reason::Forbidden { policy } => Some(policy.clone()),
            Reason::Granted { grant } => Some(format!("grant/{grant}")),
            _ => None,
        };
        let mut ids: Vec<String> = found.because.iter().filter_map(own).collect();
        ids.sort();
        Ok(Some((found.allow, ids)))
    }

    /// Every policy, every entity, Cedar alone.
    ///
    /// # Errors
    /// Internal.
    pub fn plain(
        &self,
        who: usize,
        action: Action,
        target: usize,
        context: &Context,
        now: Time,
    ) -> Result<Option<(bool, Vec<String>)>> {
        let Some(q) = self.question(who, action, target, context, now) else { return Ok(None) };
        let asked = entities::context(context, Some(now), true)?;
        let (principal, target) = (q.who.uid.cedar()?, crate::world::target_uid(q.target).cedar()?);
        let action = crate::scene::action(q.action)?;
        let request = Request::new(principal, action, target, asked, None);
        let request = request.map_err(Error::internal)?;
        let answer = Authorizer::new().is_authorized(&request, &self.set, &self.all);
        let mut ids: Vec<String> = answer
            .diagnostics()
            .reason()
            .map(ToString::to_string)
            .filter(|i| i.contains('/'))
            .collect();
        ids.sort();
        Ok(Some((answer.decision() == cedar_policy::Decision::Allow, ids)))
    }
}

/// The built-in policies and everybody's, as Cedar has them.
fn set(world: &World) -> Result<PolicySet> {
    let mut set = builtin()?;
    for policy in world.policies() {
        set.add(policy.whole.clone()).map_err(Error::internal)?;
    }
    Ok(set)
}

fn everything(people: &[Who], targets: &[Target]) -> Result<Entities> {
    let mut all: HashMap<String, Entity> = HashMap::new();
    for who in people {
        let entity = entities::principal(who)?;
        all.insert(entity.uid().to_string(), entity);
    }
    for target in targets {
        for entity in entities::target(target)? {
            all.insert(entity.uid().to_string(), entity);
        }
    }
    let all = all.into_values();
    entities::actions()?.clone().add_entities(all, None).map_err(Error::internal)
}
