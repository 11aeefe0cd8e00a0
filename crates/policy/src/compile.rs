//! From Cedar text to what the index holds: the scope apart from the condition, and a project's policies confined
//! to their project.

use crate::action::Action;
use crate::role::{PlatformRole, Role};
use crate::schema::{Type, Uid, action_group, schema};
use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint,
    ResourceConstraint, ValidationMode, Validator,
};
use kernel::{Error, Name, Result, Text, Time, text};
use miette::Diagnostic;
use serde_json::{Value, json};
use std::str::FromStr;

/// What the scope of a policy asks of a principal or a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope<T> {
    Any,
    Eq(T),
    In(T),
    Is(Type),
    IsIn(Type, T),
}

impl<T> Scope<T> {
    pub fn map<U>(&self, mut f: impl FnMut(&T) -> U) -> Scope<U> {
        match self {
            Scope::Any => Scope::Any,
            Scope::Eq(t) => Scope::Eq(f(t)),
            Scope::In(t) => Scope::In(f(t)),
            Scope::Is(kind) => Scope::Is(*kind),
            Scope::IsIn(kind, t) => Scope::IsIn(*kind, f(t)),
        }
    }
}

/// Which parts of a request's context a condition can see; the others need not be made for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub now: bool,
    pub address: bool,
    /// Whether what it comes to may change at any moment, not only at the policy's [`Compiled::edges`].
    pub any_moment: bool,
}

/// One policy, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    /// `shop/freeze`, `shop/freeze#2`, `platform/mfa`, `grant/…`
    pub id: String,
    pub forbids: bool,
    /// A bit for each action.
    pub actions: u32,
    pub principal: Scope<Uid>,
    pub target: Scope<Uid>,
    /// Holds for what is in this project alone.
    pub project: Option<Name>,
    /// Does not hold for administrators, auditors and naru itself: a project's own `forbid`.
    pub exempt: bool,
    /// Holds before this time alone.
    pub until: Option<Time>,
    /// Conditions without the scope; `None` when the scope is all there is.
    pub condition: Option<Policy>,
    pub needs: Needs,
    /// The moments that the condition compares the time with.
    pub edges: Box<[Time]>,
    /// The whole, as plain Cedar evaluates it.
    pub whole: Policy,
}

pub(crate) fn bit(action: Action) -> u32 {
    1 << action as u32
}

/// Reads and validates the policies of one resource. `name` is how they are called: `shop/freeze`.
///
/// # Errors
/// `policy.syntax`, `policy.invalid`, `policy.template`, `policy.beyond-project`, `policy.elsewhere`, at their
/// line and column in `name.cedar`.
pub(crate) fn compile(name: &str, project: Option<&Name>, cedar: &str) -> Result<Vec<Compiled>> {
    let file = format!("{name}.cedar");
    let set = PolicySet::from_str(cedar).map_err(|e| syntax(&file, cedar, &e))?;
    if let Some(template) = set.templates().next() {
        let id = template.id().to_string();
        return Err(Error::invalid(
            "policy.template",
            text!(
                "{id} has slots (?principal, ?resource), which nothing fills",
                "{id}에 채워지지 않는 자리(?principal, ?resource)가 있습니다"
            ),
        ));
    }
    if set.is_empty() {
        return Err(Error::invalid(
            "policy.empty",
            Text::fixed("there is no policy in it", "정책이 하나도 없습니다"),
        )
        .hint(Text::fixed(
            "write `permit (…);` or `forbid (…);`",
            "`permit (…);`이나 `forbid (…);`을 쓰세요",
        )));
    }
    validate(&file, cedar, &set)?;
    let mut policies: Vec<&Policy> = set.policies().collect();
    // `policy0`, `policy1`, … in the order of the text.
    policies.sort_by_key(|p| (p.id().to_string().len(), p.id().to_string()));
    let many = policies.len() > 1;
    let mut out = Vec::new();
    for (i, policy) in policies.into_iter().enumerate() {
        let id = match policy.annotation("id") {
            Some(own) if !own.is_empty() => format!("{name}#{own}"),
            _ if many => format!("{name}#{}", i + 1),
            _ => name.to_owned(),
        };
        if out.iter().any(|c: &Compiled| c.id == id) {
            return Err(Error::invalid(
                "policy.twice",
                text!("two policies have the @id of {id}", "{id}의 @id가 두 번 나옵니다"),
            ));
        }
        out.push(one(id, project, policy)?);
    }
    Ok(out)
}

fn one(id: String, project: Option<&Name>, policy: &Policy) -> Result<Compiled> {
    let est = policy.to_json().map_err(Error::internal)?;
    let conditions = est.get("conditions").cloned().unwrap_or(json!([]));
    rooted(&id, &conditions)?;
    let forbids = policy.effect() == Effect::Forbid;
    if let Some(project) = project {
        within(&id, project, policy)?;
    }
    let exempt = project.is_some() && forbids;
    let whole = named(&confined(est.clone(), project, exempt)?, &id)?;
    let condition = match conditions.as_array().is_some_and(|all| !all.is_empty()) {
        true => Some(named(&unscoped(est), &id)?),
        false => None,
    };
    Ok(Compiled {
        forbids,
        actions: actions(&policy.action_constraint()),
        principal: principal(&policy.principal_constraint())?,
        target: target(&policy.resource_constraint())?,
        project: project.cloned(),
        exempt,
        until: None,
        condition,
        needs: needs(&conditions),
        edges: crate::moment::edges(&conditions).unwrap_or_default(),
        whole,
        id,
    })
}

/// A grant of an action as a policy. The end of it is the index's to see, which costs no evaluation.
pub(crate) fn granted(
    id: &str,
    to: &Uid,
    action: Action,
    on: &Uid,
    until: Time,
) -> Result<Compiled> {
    let entity = |uid: &Uid| json!({ "type": uid.0.name(), "id": &*uid.1 });
    let op = if to.0 == Type::Group { "in" } else { "==" };
    let when = json!({ "kind": "when", "body": { "<": {
        "left": { ".": { "left": { "Var": "context" }, "attr": "now" } },
        "right": { "datetime": [{ "Value": format!("{until}") }] },
    } } });
    let est = json!({
        "effect": "permit",
        "principal": { "op": op, "entity": entity(to) },
        "action": { "op": "==", "entity": { "type": "Action", "id": action.name() } },
        "resource": { "op": "in", "entity": entity(on) },
        "conditions": [when],
    });
    let scope = |uid: &Uid| {
        if uid.0 == Type::Group { Scope::In(uid.clone()) } else { Scope::Eq(uid.clone()) }
    };
    Ok(Compiled {
        id: id.to_owned(),
        forbids: false,
        actions: bit(action),
        principal: scope(to),
        target: Scope::In(on.clone()),
        project: None,
        exempt: false,
        until: Some(until),
        condition: None,
        needs: Needs::default(),
        edges: Box::default(),
        whole: named(&est, id)?,
    })
}

fn named(est: &Value, id: &str) -> Result<Policy> {
    Policy::from_json(Some(PolicyId::new(id)), est.clone()).map_err(Error::internal)
}

/// The policy with the condition that its project adds to it, and for a `forbid` the exemption of those who
/// answer for all projects: whoever owns a project must not be able to shut out its auditors.
fn confined(mut est: Value, project: Option<&Name>, exempt: bool) -> Result<Value> {
    let Some(project) = project else { return Ok(est) };
    let entity =
        |kind: &str, id: &str| json!({ "Value": { "__entity": { "type": kind, "id": id } } });
    let within = |var: &str, of: Value| json!({ "in": { "left": { "Var": var }, "right": of } });
    let conditions = est.get_mut("conditions").and_then(Value::as_array_mut);
    let conditions = conditions.ok_or_else(|| Error::internal("a policy without conditions"))?;
    let here = within("resource", entity("Project", project.as_str()));
    conditions.insert(0, json!({ "kind": "when", "body": here }));
    if exempt {
        let role = |r: PlatformRole| within("principal", entity("Role", r.name()));
        let part = json!({ "is": { "left": { "Var": "principal" }, "entity_type": "Part" } });
        for who in [role(PlatformRole::Administrator), role(PlatformRole::Auditor), part] {
            conditions.insert(1, json!({ "kind": "unless", "body": who }));
        }
    }
    Ok(est)
}

/// The policy's conditions, for any principal, action and resource: the index has seen to its scope.
fn unscoped(mut est: Value) -> Value {
    for part in ["principal", "action", "resource"] {
        if let Some(slot) = est.get_mut(part) {
            *slot = json!({ "op": "All" });
        }
    }
    est
}

fn actions(constraint: &ActionConstraint) -> u32 {
    match constraint {
        ActionConstraint::Any => Action::ALL.into_iter().fold(0, |all, a| all | bit(a)),
        ActionConstraint::Eq(uid) => actions_of(uid, false),
        ActionConstraint::In(uids) => uids.iter().fold(0, |all, uid| all | actions_of(uid, true)),
    }
}

/// The action of that id and, for a group, those in it.
fn actions_of(uid: &EntityUid, group: bool) -> u32 {
    let id = uid.id().unescaped();
    let has = |action: &Action| {
        let of_role = |role: Role| {
            id == action_group(role.name()) && action.role().is_some_and(|least| least <= role)
        };
        let of_platform = |role: PlatformRole| {
            id == action_group(role.name())
                && role != PlatformRole::Administrator
                && action.of_platform(role)
        };
        let in_group =
            Role::ALL.into_iter().any(of_role) || PlatformRole::ALL.into_iter().any(of_platform);
        action.name() == id || group && in_group
    };
    Action::ALL.into_iter().filter(has).fold(0, |all, a| all | bit(a))
}

fn known(uid: &EntityUid) -> Result<Uid> {
    Uid::of(uid).ok_or_else(|| Error::internal(format!("an entity of an unknown type: {uid}")))
}

fn kind(name: &cedar_policy::EntityTypeName) -> Result<Type> {
    let name = name.to_string();
    Type::parse(&name).ok_or_else(|| Error::internal(format!("an unknown type: {name}")))
}

fn principal(constraint: &PrincipalConstraint) -> Result<Scope<Uid>> {
    Ok(match constraint {
        PrincipalConstraint::Any => Scope::Any,
        PrincipalConstraint::In(uid) => Scope::In(known(uid)?),
        PrincipalConstraint::Eq(uid) => Scope::Eq(known(uid)?),
        PrincipalConstraint::Is(name) => Scope::Is(kind(name)?),
        PrincipalConstraint::IsIn(name, uid) => Scope::IsIn(kind(name)?, known(uid)?),
    })
}

fn target(constraint: &ResourceConstraint) -> Result<Scope<Uid>> {
    Ok(match constraint {
        ResourceConstraint::Any => Scope::Any,
        ResourceConstraint::In(uid) => Scope::In(known(uid)?),
        ResourceConstraint::Eq(uid) => Scope::Eq(known(uid)?),
        ResourceConstraint::Is(name) => Scope::Is(kind(name)?),
        ResourceConstraint::IsIn(name, uid) => Scope::IsIn(kind(name)?, known(uid)?),
    })
}

/// A policy may ask about the request's principal, resource and context, and about what hangs on them. What it
/// says of anybody else (`User::"eve" in Group::"x"`) would have to be looked up for every decision.
fn rooted(id: &str, value: &Value) -> Result<()> {
    const READS: [&str; 8] = ["in", "is", ".", "has", "hasTag", "getTag", "is in", "isIn"];
    match value {
        Value::Array(all) => all.iter().try_for_each(|v| rooted(id, v)),
        Value::Object(map) => map.iter().try_for_each(|(key, inside)| {
            let left = inside.get("left").filter(|_| READS.contains(&key.as_str()));
            if left.is_some_and(|l| !hangs(l)) {
                return Err(elsewhere(id));
            }
            rooted(id, inside)
        }),
        _ => Ok(()),
    }
}

/// Whether it is a variable of the request, or an attribute of one.
fn hangs(value: &Value) -> bool {
    let deeper = value.get(".").and_then(|v| v.get("left"));
    value.get("Var").is_some() || deeper.is_some_and(hangs)
}

fn elsewhere(id: &str) -> Error {
    Error::invalid(
        "policy.elsewhere",
        text!(
            "{id} asks about something other than the principal, the resource and the context",
            "{id}이(가) principal, resource, context가 아닌 것을 묻습니다"
        ),
    )
    .hint(Text::fixed(
        "begin each `in`, `has`, `is` and attribute with principal, resource or context",
        "`in`, `has`, `is`와 속성은 principal, resource, context에서 시작하세요",
    ))
}

fn needs(conditions: &Value) -> Needs {
    // A context that is looked at as a whole may be looked at anywhere.
    fn bare(value: &Value) -> bool {
        match value {
            Value::Object(map) => map.iter().any(|(key, inside)| match key.as_str() {
                "Var" => inside == "context",
                "." | "has" => {
                    let left = inside.get("left").unwrap_or(&Value::Null);
                    left.get("Var").is_none() && bare(left)
                }
                _ => bare(inside),
            }),
            Value::Array(all) => all.iter().any(bare),
            _ => false,
        }
    }
    let whole = bare(conditions);
    let words = conditions.to_string();
    let now = whole || words.contains("\"now\"");
    Needs {
        now,
        address: whole || words.contains("\"address\""),
        any_moment: now && (whole || crate::moment::edges(conditions).is_none()),
    }
}

/// A project's policy that names another project, or the platform, says something it cannot mean.
fn within(id: &str, project: &Name, policy: &Policy) -> Result<()> {
    let uid = match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::Is(_) => return Ok(()),
        ResourceConstraint::In(uid)
        | ResourceConstraint::Eq(uid)
        | ResourceConstraint::IsIn(_, uid) => uid,
    };
    let own = project.as_str();
    let here = match known(&uid)? {
        Uid(Type::Target(crate::Sort::Project), name) => &*name == own,
        Uid(Type::Target(crate::Sort::Platform), _) => false,
        // `route/shop/web` has its kind in front.
        Uid(Type::Target(crate::Sort::Resource), id) => id.split('/').nth(1) == Some(own),
        Uid(_, id) => id.split('/').next() == Some(own),
    };
    if here {
        return Ok(());
    }
    let there = uid.to_string();
    Err(Error::invalid(
        "policy.beyond-project",
        text!(
            "{id} is about {there}, and a policy of project {project} holds in it alone",
            "{id}은(는) {there}에 관한 것인데, {project} 프로젝트의 정책은 그 프로젝트 안에서만 적용됩니다"
        ),
    )
    .hint(Text::fixed(
        "an administrator can write it as a platform policy",
        "관리자는 플랫폼 정책으로 쓸 수 있습니다",
    )))
}

fn validate(file: &str, cedar: &str, set: &PolicySet) -> Result<()> {
    let validator = Validator::new(schema()?.clone());
    let answer = validator.validate(set, ValidationMode::default());
    match answer.validation_errors().next() {
        None => Ok(()),
        Some(error) => {
            let why = error.to_string();
            let found = Error::invalid(
                "policy.invalid",
                text!("the policy does not fit: {why}", "정책이 맞지 않습니다: {why}"),
            );
            let found = match error.help() {
                Some(help) => found.hint(Text::plain(help.to_string())),
                None => found.hint(Text::fixed(
                    "`naru policy schema` shows what policies can speak of",
                    "`naru policy schema`가 정책에 쓸 수 있는 것을 보여 줍니다",
                )),
            };
            Err(at(found, file, cedar, error))
        }
    }
}

fn syntax(file: &str, cedar: &str, errors: &cedar_policy::ParseErrors) -> Error {
    let Some(first) = errors.iter().next() else { return Error::internal("no error in errors") };
    let label =
        first.labels().and_then(|mut l| l.next()).and_then(|l| l.label().map(str::to_owned));
    let why = match label {
        Some(label) => format!("{first}: {label}"),
        None => first.to_string(),
    };
    let found = Error::invalid(
        "policy.syntax",
        text!("this is not Cedar: {why}", "Cedar로 읽을 수 없습니다: {why}"),
    );
    let found = match first.help() {
        Some(help) => found.hint(Text::plain(help.to_string())),
        None => found,
    };
    at(found, file, cedar, first)
}

/// With the line and column of its first label.
fn at(error: Error, file: &str, cedar: &str, diagnostic: &dyn Diagnostic) -> Error {
    let Some(label) = diagnostic.labels().and_then(|mut l| l.next()) else { return error };
    let before = cedar.get(..label.offset()).unwrap_or(cedar);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    error.at(file, number(line), number(column))
}
