//! Our people and things as Cedar's entities: as few as the conditions of a policy can reach.

use crate::kind::Context as Asked;
use crate::people::Who;
use crate::role::Role;
use crate::schema::{Uid, attribute, schema};
use crate::target::{Sort, Target};
use crate::world::target_uid;
use cedar_policy::{Context, Entities, Entity, RestrictedExpression as Expression};
use kernel::{Error, Name, Result, Time};
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

type Attributes = HashMap<String, Expression>;

fn words(value: &str) -> Expression {
    Expression::new_string(value.to_owned())
}

fn entity(uid: &Uid, attributes: Attributes, parents: Vec<Uid>) -> Result<Entity> {
    let parents = parents.iter().map(Uid::cedar).collect::<Result<HashSet<_>>>()?;
    Entity::new(uid.cedar()?, attributes, parents).map_err(Error::internal)
}

/// The principal, in all its groups and roles.
pub(crate) fn principal(who: &Who) -> Result<Entity> {
    let mut attributes = Attributes::new();
    match &who.person.project {
        Some(project) => {
            let project = Expression::new_entity_uid(Uid::project(project).cedar()?);
            attributes.insert("project".into(), project);
        }
        None => drop(attributes.insert("name".into(), words(&who.uid.1))),
    }
    if who.uid.0 == crate::schema::Type::User {
        let own = [("department", &who.person.department), ("email", &who.person.email)];
        for (name, value) in own {
            if let Some(value) = value {
                attributes.insert(name.into(), words(value));
            }
        }
    }
    entity(&who.uid, attributes, who.ancestors().collect())
}

/// The target, and what hangs on it: its project, that project's roles, the platform.
pub(crate) fn target(target: &Target) -> Result<Vec<Entity>> {
    let platform = target_uid(&Target::platform());
    let mut all = vec![entity(&platform, Attributes::new(), Vec::new())?];
    let Some(name) = target.project_name() else { return Ok(all) };
    all.extend(project(name, platform)?);
    if target.sort() != Sort::Project {
        let uid = Uid::project(name);
        let mut attributes = Attributes::from([
            ("name".into(), words(target.name())),
            ("project".into(), Expression::new_entity_uid(uid.cedar()?)),
        ]);
        if target.sort() == Sort::Resource {
            attributes.insert("kind".into(), words(target.kind()));
        }
        all.push(entity(&target_uid(target), attributes, vec![uid])?);
    }
    Ok(all)
}

fn project(name: &Name, platform: Uid) -> Result<Vec<Entity>> {
    let uid = Uid::project(name);
    let mut attributes = Attributes::from([
        ("name".into(), words(name.as_str())),
        ("project".into(), Expression::new_entity_uid(uid.cedar()?)),
    ]);
    let mut all = Vec::new();
    for (i, role) in Role::ALL.into_iter().enumerate() {
        let own = Uid::role(name, role);
        attributes.insert(attribute(role).into(), Expression::new_entity_uid(own.cedar()?));
        let below = i.checked_sub(1).and_then(|i| Role::ALL.get(i));
        let parents = below.map(|r| Uid::role(name, *r)).into_iter().collect();
        all.push(entity(&own, Attributes::new(), parents)?);
    }
    all.push(entity(&uid, attributes, vec![platform])?);
    Ok(all)
}

static ACTIONS: LazyLock<Result<Entities>> =
    LazyLock::new(|| schema()?.action_entities().map_err(Error::internal));

pub(crate) fn actions() -> Result<&'static Entities> {
    ACTIONS.as_ref().map_err(Clone::clone)
}

/// What the conditions of policies can reach from a principal and a target.
pub(crate) fn slice(who: &Who, on: &Target) -> Result<Entities> {
    let mut all = target(on)?;
    all.push(principal(who)?);
    actions()?.clone().add_entities(all, None).map_err(Error::internal)
}

/// The context of a request; what nobody will look at is left out.
pub(crate) fn context(asked: &Asked, now: Option<Time>, address: bool) -> Result<Context> {
    let mut pairs: Vec<(String, Expression)> = Vec::new();
    if let Some(now) = now {
        pairs.push(("now".into(), Expression::new_datetime(now.to_string())));
    }
    if let Some(address) = asked.address.filter(|_| address) {
        pairs.push(("address".into(), Expression::new_ip(address.to_string())));
    }
    let named = [
        ("credential", &asked.credential),
        ("environment", &asked.environment),
        ("branch", &asked.branch),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            pairs.push((name.into(), words(value)));
        }
    }
    if let Some(protected) = asked.protected {
        pairs.push(("protected".into(), Expression::new_bool(protected)));
    }
    Context::from_pairs(pairs).map_err(Error::internal)
}
