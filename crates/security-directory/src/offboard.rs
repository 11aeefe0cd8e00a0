//! Somebody leaves: what they have, and who takes it over.
//!
//! Pure over what was read; [`run`] carries it out in one transaction, so that nobody is half gone.

use account::{Accounts, Member, User};
use kernel::{Error, Key, Name, Principal, Resource, Result, Text, text};
use serde::Serialize;
use serde_json::Value;
use store::{Put, Tx, View};

/// Projects that are looked through.
const MOST: usize = 200_000;

/// What somebody has that others will miss.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Belongings {
    /// Projects that nobody else owns.
    pub only_owner_of: Vec<Name>,
    /// Projects they are in, those included.
    pub projects: Vec<Name>,
    pub groups: Vec<Name>,
    /// Teams they look after.
    pub teams: Vec<Name>,
    /// People whose manager they are.
    pub manages: Vec<Name>,
    /// Service accounts of projects that nobody else owns.
    pub service_accounts: Vec<Name>,
}

impl Belongings {
    /// Whether somebody has to take over before they can go.
    pub fn needs_heir(&self) -> bool {
        !self.only_owner_of.is_empty()
    }
}

/// What `user` has.
pub(crate) fn belongings(accounts: &Accounts, v: &View<'_>, user: &Name) -> Result<Belongings> {
    let mut out = Belongings::default();
    for project in v.resources("Project", None, None, MOST)? {
        let members = members(&project.spec);
        if members.iter().any(|m| is(m, user)) {
            if !members.iter().any(|m| owns(m) && !is(m, user)) && members.iter().any(owns) {
                out.only_owner_of.push(project.key.name.clone());
            }
            out.projects.push(project.key.name);
        }
    }
    out.groups = accounts.direct_groups(&Member::User(user.clone()));
    out.teams = accounts.teams_of(user);
    out.manages = accounts.reports_of(user);
    let programs = out.only_owner_of.iter().flat_map(|project| accounts.services_of(project));
    out.service_accounts = programs.collect();
    out.service_accounts.sort_unstable();
    Ok(out)
}

fn members(spec: &Value) -> Vec<Value> {
    spec.get("members").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn is(member: &Value, user: &Name) -> bool {
    member.get("user").and_then(Value::as_str) == Some(user.as_str())
}

fn owns(member: &Value) -> bool {
    member.get("role").and_then(Value::as_str) == Some("owner")
}

/// The members of a project once `user` is gone, and `heir` has what only they had.
fn inherited(members: Vec<Value>, user: &Name, heir: Option<&Name>) -> Vec<Value> {
    let theirs = members.iter().find(|m| is(m, user)).cloned();
    let sole = !members.iter().any(|m| owns(m) && !is(m, user));
    let mut left: Vec<Value> = members.into_iter().filter(|m| !is(m, user)).collect();
    if let (Some(mut theirs), Some(heir)) = (theirs, heir.filter(|_| sole))
        && owns(&theirs)
    {
        left.retain(|m| !is(m, heir));
        if let Some(named) = theirs.get_mut("user") {
            *named = Value::from(heir.as_str());
        }
        left.push(theirs);
    }
    left
}

/// Disables `user` and takes them out of every project and group; what only they owned goes to `heir`.
///
/// # Errors
/// `user.unknown`; `offboard.heir` when somebody has to take over, or `heir` is not somebody who can; `offboard.self`;
/// `user.last-administrator`.
pub(crate) fn run(
    accounts: &Accounts,
    tx: &mut Tx<'_>,
    user: &Name,
    heir: Option<&Name>,
    actor: &Principal,
) -> Result<Belongings> {
    if *actor == Principal::User(user.clone()) {
        return Err(myself());
    }
    let found = known(tx, user)?;
    if let Some(heir) = heir {
        let spec: User = known(tx, heir)?.spec()?;
        if heir == user || spec.disabled {
            return Err(no_heir(user, &[]));
        }
    }
    let had = belongings(accounts, tx, user)?;
    if had.needs_heir() && heir.is_none() {
        return Err(no_heir(user, &had.only_owner_of));
    }
    for project in &had.projects {
        change(accounts, tx, "Project", project, actor, |spec| {
            let left = inherited(members(spec), user, heir);
            set(spec, "members", Value::from(left));
        })?;
    }
    for found in tx.resources("PlatformMembers", None, None, 10)? {
        change(accounts, tx, "PlatformMembers", &found.key.name, actor, |spec| {
            let left: Vec<Value> = members(spec).into_iter().filter(|m| !is(m, user)).collect();
            set(spec, "members", Value::from(left));
        })?;
    }
    for group in had.groups.iter().chain(&had.teams) {
        change(accounts, tx, "Group", group, actor, |spec| leave_group(spec, user, heir))?;
    }
    for person in &had.manages {
        change(accounts, tx, "User", person, actor, |spec| match heir {
            Some(heir) => set(spec, "manager", Value::from(heir.as_str())),
            None => drop(spec.as_object_mut().map(|o| o.remove("manager"))),
        })?;
    }
    let mut spec: User = found.spec()?;
    (spec.disabled, spec.administrator) = (true, false);
    let spec = serde_json::to_value(spec).map_err(Error::internal)?;
    let put =
        Put { key: found.key, labels: found.labels, spec, expected: None, actor: actor.clone() };
    accounts.put(tx, put)?;
    Ok(had)
}

fn leave_group(spec: &mut Value, user: &Name, heir: Option<&Name>) {
    let member = serde_json::json!({ "user": user });
    for (list, gone) in [("members", member), ("owners", Value::from(user.as_str()))] {
        let Some(all) = spec.get_mut(list).and_then(Value::as_array_mut) else { continue };
        let had = all.len();
        all.retain(|m| *m != gone);
        let heir = heir.map(|h| Value::from(h.as_str()));
        if let Some(heir) = heir.filter(|h| list == "owners" && all.len() < had && !all.contains(h))
        {
            all.push(heir);
        }
    }
}

fn set(spec: &mut Value, field: &str, value: Value) {
    if let Some(object) = spec.as_object_mut() {
        object.insert(field.to_owned(), value);
    }
}

fn change(
    accounts: &Accounts,
    tx: &mut Tx<'_>,
    kind: &str,
    name: &Name,
    actor: &Principal,
    edit: impl FnOnce(&mut Value),
) -> Result<()> {
    let key = Key { kind: kind.to_owned(), project: None, name: name.clone() };
    let Some(mut found) = tx.resource(&key)? else { return Ok(()) };
    edit(&mut found.spec);
    let Resource { labels, spec, .. } = found;
    let put = Put { key, labels, spec, expected: None, actor: actor.clone() };
    accounts.put(tx, put).map(drop)
}

pub(crate) fn known(v: &View<'_>, user: &Name) -> Result<Resource> {
    v.resource(&Key::global::<User>(user))?.ok_or_else(|| crate::people::unknown(user))
}

fn myself() -> Error {
    Error::conflict(
        "offboard.self",
        Text::fixed("nobody offboards himself", "자기 자신은 퇴사 처리할 수 없습니다"),
    )
    .hint(Text::fixed("another administrator can", "다른 관리자에게 부탁하세요"))
}

fn no_heir(user: &Name, projects: &[Name]) -> Error {
    let list = projects.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
    let say = if projects.is_empty() {
        text!(
            "nobody who can take over from {user} was named",
            "{user}의 일을 이어받을 사람이 없습니다"
        )
    } else {
        text!("{user} is the only owner of {list}", "{user}은(는) {list}의 유일한 소유자입니다")
    };
    Error::conflict("offboard.heir", say).hint(text!(
        "name who takes over: `naru user offboard {user} --to NAME`",
        "이어받을 사람을 정하세요: `naru user offboard {user} --to 이름`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn name(words: &str) -> Name {
        Name::parse(words).unwrap()
    }

    #[test]
    fn what_only_one_owned_goes_to_the_heir_and_the_rest_just_ends() {
        let (han, dalia) = (name("han"), name("dalia"));
        let sole = vec![
            json!({ "user": "han", "role": "owner" }),
            json!({ "user": "dalia", "role": "viewer" }),
            json!({ "group": "crew", "role": "developer" }),
        ];
        assert_eq!(
            inherited(sole.clone(), &han, Some(&dalia)),
            [
                json!({ "group": "crew", "role": "developer" }),
                json!({ "user": "dalia", "role": "owner" })
            ]
        );
        assert_eq!(inherited(sole, &han, None).len(), 2);
        let shared = vec![
            json!({ "user": "han", "role": "owner" }),
            json!({ "group": "crew", "role": "owner" }),
        ];
        assert_eq!(
            inherited(shared, &han, Some(&dalia)),
            [json!({ "group": "crew", "role": "owner" })],
            "the group owns it still"
        );
    }

    #[test]
    fn a_team_gets_a_new_owner_and_a_group_loses_a_member() {
        let mut spec =
            json!({ "members": [{ "user": "han" }, { "user": "eve" }], "owners": ["han"] });
        leave_group(&mut spec, &name("han"), Some(&name("dalia")));
        assert_eq!(spec, json!({ "members": [{ "user": "eve" }], "owners": ["dalia"] }));
    }
}
