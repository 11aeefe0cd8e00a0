//! Our people, things and actions in Cedar's terms.

use crate::action::{Action, Place};
use crate::role::{PlatformRole, Role};
use crate::target::Sort;
use cedar_policy::{EntityId, EntityTypeName, EntityUid, PolicySet, Schema};
use kernel::{Error, Name, Result};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

/// Types of entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Type {
    User,
    ServiceAccount,
    Run,
    /// naru itself.
    Part,
    Group,
    Role,
    Target(Sort),
}

impl Type {
    pub fn name(self) -> &'static str {
        match self {
            Type::User => "User",
            Type::ServiceAccount => "ServiceAccount",
            Type::Run => "Run",
            Type::Part => "Part",
            Type::Group => "Group",
            Type::Role => "Role",
            Type::Target(sort) => sort.type_name(),
        }
    }

    const SOMEBODY: [Type; 6] =
        [Type::User, Type::ServiceAccount, Type::Run, Type::Part, Type::Group, Type::Role];

    pub fn parse(name: &str) -> Option<Type> {
        let somebody = Type::SOMEBODY.into_iter().find(|t| t.name() == name);
        let target = || Sort::ALL.into_iter().find(|s| s.type_name() == name).map(Type::Target);
        somebody.or_else(target)
    }
}

/// An entity's type and id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Uid(pub Type, pub Arc<str>);

impl Uid {
    pub fn new(kind: Type, id: &str) -> Uid {
        Uid(kind, Arc::from(id))
    }

    pub fn group(name: &Name) -> Uid {
        Uid::new(Type::Group, name.as_str())
    }

    pub fn project(name: &Name) -> Uid {
        Uid::new(Type::Target(Sort::Project), name.as_str())
    }

    /// `shop/owner`
    pub fn role(project: &Name, role: Role) -> Uid {
        Uid(Type::Role, format!("{project}/{}", role.name()).into())
    }

    /// `auditor`; no project's role is written without a slash.
    pub fn platform_role(role: PlatformRole) -> Uid {
        Uid::new(Type::Role, role.name())
    }

    /// `None`: of a type that we do not know, which the schema refuses.
    pub fn of(uid: &EntityUid) -> Option<Uid> {
        let kind = Type::parse(&uid.type_name().to_string())?;
        Some(Uid::new(kind, uid.id().unescaped()))
    }

    /// # Errors
    /// Internal: names of types are ours and sound.
    pub fn cedar(&self) -> Result<EntityUid> {
        let known = NAMES.iter().find(|(of, _)| *of == self.0).map(|(_, name)| name.clone());
        let name = known.unwrap_or_else(|| Err(Error::internal("a type without a name")))?;
        Ok(EntityUid::from_type_name_and_id(name, EntityId::new(&self.1)))
    }
}

/// Names of types in Cedar's terms, read once.
static NAMES: LazyLock<Vec<(Type, Result<EntityTypeName>)>> = LazyLock::new(|| {
    let targets = Sort::ALL.into_iter().map(Type::Target);
    let all = Type::SOMEBODY.into_iter().chain(targets);
    all.map(|t| (t, EntityTypeName::from_str(t.name()).map_err(Error::internal))).collect()
});

pub(crate) fn uid(kind: &str, id: &str) -> Result<EntityUid> {
    let kind = EntityTypeName::from_str(kind).map_err(Error::internal)?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

/// A role of a project as an attribute of it: `owners`.
pub(crate) fn attribute(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewers",
        Role::Developer => "developers",
        Role::Maintainer => "maintainers",
        Role::Owner => "owners",
    }
}

/// The group of actions that a role has: `role.owner`.
pub(crate) fn action_group(role: &str) -> String {
    format!("role.{role}")
}

const TYPES: &str = r#"
entity Role in [Role];
entity Group in [Group, Role] { name: String };
entity User in [Group, Role] { name: String, department?: String, email?: String };
entity ServiceAccount in [Group, Role] { name: String };
entity Run in [Role] { project: Project };
entity Part { name: String };

entity Platform;
entity Project in [Platform] {
    name: String,
    project: Project,
    viewers: Role,
    developers: Role,
    maintainers: Role,
    owners: Role,
};
entity Environment, Repository, Service, Secret in [Project] { name: String, project: Project };
entity Resource in [Project] { name: String, kind: String, project: Project };

type Asked = {
    now: datetime,
    address?: ipaddr,
    credential?: String,
    environment?: String,
    branch?: String,
    protected?: Bool,
};
"#;

const IN_PROJECTS: &str = "Project, Environment, Repository, Service, Secret, Resource";

/// The schema as people read it.
pub fn text() -> String {
    let mut out = String::from(TYPES.trim_start());
    out.push_str("\n// What each role has.\n");
    for (i, role) in Role::ALL.into_iter().enumerate() {
        let above = Role::ALL.get(i + 1).map(|r| action_group(r.name()));
        let above = above.map(|a| format!(" in [\"{a}\"]")).unwrap_or_default();
        out.push_str(&format!("action \"{}\"{above};\n", action_group(role.name())));
    }
    for role in [PlatformRole::Operator, PlatformRole::Auditor] {
        out.push_str(&format!("action \"{}\";\n", action_group(role.name())));
    }
    out.push('\n');
    for action in Action::ALL {
        let platform = [PlatformRole::Operator, PlatformRole::Auditor];
        let of = platform.into_iter().filter(|r| action.of_platform(*r)).map(PlatformRole::name);
        let groups: Vec<String> = (action.role().map(Role::name).into_iter().chain(of))
            .map(|role| format!("\"{}\"", action_group(role)))
            .collect();
        let groups = match groups.is_empty() {
            true => String::new(),
            false => format!(" in [{}]", groups.join(", ")),
        };
        let on = match action.place() {
            Place::Project => IN_PROJECTS.to_owned(),
            Place::Platform => "Platform".to_owned(),
            Place::Both => format!("Platform, {IN_PROJECTS}"),
        };
        let words = action.words(kernel::Lang::En);
        out.push_str(&format!(
            "// {words}\naction \"{action}\"{groups} appliesTo {{\n    principal: [User, ServiceAccount, Run, Part],\n    resource: [{on}],\n    context: Asked,\n}};\n"
        ));
    }
    out
}

static SCHEMA: LazyLock<Result<Schema>> = LazyLock::new(|| {
    let (schema, _) = Schema::from_cedarschema_str(&text()).map_err(Error::internal)?;
    Ok(schema)
});

/// # Errors
/// Internal, when the schema above is not one, which a test rules out.
pub(crate) fn schema() -> Result<&'static Schema> {
    SCHEMA.as_ref().map_err(Clone::clone)
}

/// The built-in roles as policies: what the compiled decision has to be equal to.
pub const BUILTIN: &str = include_str!("builtin.cedar");

/// The built-in policies, each under the name in its `@id`.
pub(crate) fn builtin() -> Result<PolicySet> {
    let read = PolicySet::from_str(BUILTIN).map_err(Error::internal)?;
    let named = read.policies().map(|p| {
        let id = p.annotation("id").unwrap_or_default();
        p.new_id(cedar_policy::PolicyId::new(id))
    });
    PolicySet::from_policies(named.collect::<Vec<_>>()).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cedar_policy::{ValidationMode, Validator};

    #[test]
    fn the_built_in_policies_fit_the_schema() {
        let validator = Validator::new(schema().unwrap().clone());
        let answer = validator.validate(&builtin().unwrap(), ValidationMode::default());
        assert!(answer.validation_passed(), "{answer}");
        assert_eq!(builtin().unwrap().num_of_policies(), 9);
    }
}
