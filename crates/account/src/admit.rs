//! What has to hold of people, groups and service accounts as a whole, decided in the transaction that writes
//! them: names that are never given again, an administrator who remains, groups without cycles, addresses that
//! are one person's, numbers for Unix, and the end of all that a disabled account has.

use crate::directory::{self, Directory};
use crate::{Group, GroupStatus, Member, ServiceAccount, ServiceAccountStatus, User, UserStatus};
use crate::{held, kind, number};
use kernel::{Error, Key, Kind, Name, NewEvent, Principal, Resource, Result, Text, text};
use serde_json::json;
use store::{Put, Tx};

/// Names that were somebody's.
const RETIRED: &str = "account.retired";
/// Addresses of mail, in lower case, to whom they belong.
const MAIL: &str = "account.mail";
/// Groups looked at for a cycle; a tree that has more belongs apart.
const GROUPS: usize = 20_000;

/// Writes with all rules.
pub(crate) struct Rules<'a> {
    pub directory: &'a Directory,
    /// Where numbers begin.
    pub first: u32,
}

impl Rules<'_> {
    pub fn put(&self, tx: &mut Tx<'_>, put: Put) -> Result<Resource> {
        let old = tx.resource(&put.key)?;
        if old.is_none() {
            not_retired(tx, &put.key)?;
        }
        match put.key.kind.as_str() {
            kind::USER => self.put_user(tx, put, old),
            kind::GROUP => self.put_group(tx, put, old),
            _ => self.put_service(tx, put, old),
        }
    }

    fn put_user(&self, tx: &mut Tx<'_>, put: Put, old: Option<Resource>) -> Result<Resource> {
        let new: User = typed(&put)?;
        let old: Option<User> = old.map(|r| r.spec()).transpose()?;
        let (name, actor) = (put.key.name.clone(), put.actor.clone());
        let leads = |user: &User| user.administrator && !user.disabled;
        if old.as_ref().is_some_and(leads) && !leads(&new) {
            self.another_administrator(tx, &name)?;
        }
        if let Some(manager) = &new.manager {
            if *manager == name {
                return Err(Error::invalid(
                    "user.own-manager",
                    text!(
                        "{name} cannot be their own manager",
                        "{name}은(는) 자신의 관리자가 될 수 없습니다"
                    ),
                ));
            }
            known::<User>(tx, manager)?;
        }
        move_mails(tx, &name, old.as_ref(), Some(&new))?;
        let resource = tx.put(put)?;
        if new.disabled && old.is_none_or(|old| !old.disabled) {
            held::end_all(tx, &Principal::User(name), &actor)?;
        }
        let mut status: UserStatus = resource.status::<User>()?;
        if status.uid_number.is_none() {
            let number = self.number(tx)?;
            (status.uid_number, status.gid_number) = (Some(number), Some(number));
        }
        status.ssh_fingerprints =
            new.ssh_keys.iter().map(|key| key.fingerprint()).collect::<Result<_>>()?;
        status.pgp_fingerprints =
            new.pgp_keys.iter().map(|key| key.fingerprint()).collect::<Result<_>>()?;
        tx.put_status(&resource.key, &status, part())
    }

    fn put_group(&self, tx: &mut Tx<'_>, put: Put, old: Option<Resource>) -> Result<Resource> {
        let new: Group = typed(&put)?;
        let old: Option<Group> = old.map(|r| r.spec()).transpose()?;
        for member in &new.members {
            match member {
                Member::User(name) => known::<User>(tx, name)?,
                Member::Service(name) => known::<ServiceAccount>(tx, name)?,
                Member::Group(name) if *name == put.key.name => {}
                Member::Group(name) => known::<Group>(tx, name)?,
            }
        }
        new.owners.iter().try_for_each(|owner| known::<User>(tx, owner))?;
        no_cycle(tx, &put.key.name, old.as_ref(), &new)?;
        let resource = tx.put(put)?;
        let mut status: GroupStatus = resource.status::<Group>()?;
        if status.gid_number.is_none() {
            status.gid_number = Some(self.number(tx)?);
        }
        tx.put_status(&resource.key, &status, part())
    }

    fn put_service(&self, tx: &mut Tx<'_>, put: Put, old: Option<Resource>) -> Result<Resource> {
        let new: ServiceAccount = typed(&put)?;
        let old: Option<ServiceAccount> = old.map(|r| r.spec()).transpose()?;
        let (name, actor) = (put.key.name.clone(), put.actor.clone());
        if let Some(project) = &new.project {
            let key = Key { kind: "Project".into(), project: None, name: project.clone() };
            tx.resource(&key)?.ok_or_else(|| unknown(&key))?;
        }
        if old.as_ref().is_some_and(|old| old.project != new.project) {
            return Err(Error::invalid(
                "service.project",
                text!(
                    "{name} belongs to its project for good: its tokens are that project's",
                    "{name}의 프로젝트는 바꿀 수 없습니다. 토큰이 그 프로젝트의 것이기 때문입니다"
                ),
            )
            .hint(Text::fixed("make another service account", "서비스 계정을 새로 만드세요")));
        }
        let resource = tx.put(put)?;
        if new.disabled && old.is_none_or(|old| !old.disabled) {
            held::end_all(tx, &Principal::Service(name), &actor)?;
        }
        let mut status: ServiceAccountStatus = resource.status::<ServiceAccount>()?;
        if status.uid_number.is_none() {
            let number = self.number(tx)?;
            (status.uid_number, status.gid_number) = (Some(number), Some(number));
        }
        tx.put_status(&resource.key, &status, part())
    }

    pub fn delete(
        &self,
        tx: &mut Tx<'_>,
        key: &Key,
        expected: Option<u64>,
        actor: Principal,
    ) -> Result<Resource> {
        let gone = tx.delete(key, expected, actor.clone())?;
        let name = &key.name;
        match key.kind.as_str() {
            kind::USER => {
                let user: User = gone.spec()?;
                if user.administrator && !user.disabled {
                    self.another_administrator(tx, name)?;
                }
                move_mails(tx, name, Some(&user), None)?;
                self.leave_groups(tx, &Member::User(name.clone()), &actor)?;
                held::end_all(tx, &Principal::User(name.clone()), &actor)?;
            }
            kind::GROUP => self.leave_groups(tx, &Member::Group(name.clone()), &actor)?,
            _ => {
                self.leave_groups(tx, &Member::Service(name.clone()), &actor)?;
                held::end_all(tx, &Principal::Service(name.clone()), &actor)?;
            }
        }
        tx.set_row(RETIRED, &retired(key), &tx.now())?;
        Ok(gone)
    }

    /// The service accounts of a project go with it.
    pub fn delete_services_of(
        &self,
        tx: &mut Tx<'_>,
        project: &Name,
        actor: &Principal,
    ) -> Result<()> {
        for name in self.directory.services_of(project) {
            let key = Key::global::<ServiceAccount>(&name);
            if tx.resource(&key)?.is_some() {
                self.delete(tx, &key, None, actor.clone())?;
            }
        }
        Ok(())
    }

    /// Gives what was written past these rules, by an older naru or by its import, its number.
    pub fn number_all(&self, tx: &mut Tx<'_>, keys: &[Key]) -> Result<()> {
        for key in keys {
            let found = tx.resource(key)?;
            if found.is_none_or(|resource| number::is_given(&resource)) {
                continue;
            }
            let number = self.number(tx)?;
            let status = match key.kind.as_str() {
                kind::GROUP => json!({ "gid_number": number }),
                _ => json!({ "uid_number": number, "gid_number": number }),
            };
            tx.put_status(key, &status, part())?;
        }
        Ok(())
    }

    fn number(&self, tx: &mut Tx<'_>) -> Result<u32> {
        number::take(tx, self.first, |tx, promised| {
            let say = text!(
                "numbers of accounts up to {promised} in use",
                "계정 번호를 {promised}까지 사용"
            );
            let event = NewEvent::new("account.numbers", part(), say);
            tx.append(event.data(json!({ "promised": promised }))).map(drop)
        })
    }

    /// Somebody must be able to let the others in again. The index says who may lead, the transaction whether
    /// they still do: two who step down at once do not count on each other.
    fn another_administrator(&self, tx: &Tx<'_>, leaving: &Name) -> Result<()> {
        for name in self.directory.administrators() {
            if name == *leaving {
                continue;
            }
            let found = tx.resource(&Key::global::<User>(&name))?;
            let user: Option<User> = found.map(|r| r.spec()).transpose()?;
            if user.is_some_and(|user| user.administrator && !user.disabled) {
                return Ok(());
            }
        }
        Err(Error::conflict(
            "user.last-administrator",
            text!("{leaving} is the last administrator", "{leaving}은(는) 마지막 관리자입니다"),
        )
        .hint(Text::fixed(
            "make somebody else an administrator first",
            "먼저 다른 사람을 관리자로 만드세요",
        )))
    }

    /// Takes a member out of the groups that name it.
    fn leave_groups(&self, tx: &mut Tx<'_>, member: &Member, actor: &Principal) -> Result<()> {
        for group in self.directory.direct(member) {
            let key = Key::global::<Group>(&group);
            let Some(resource) = tx.resource(&key)? else { continue };
            let mut spec: Group = resource.spec()?;
            spec.members.retain(|m| m != member);
            if let Member::User(user) = member {
                spec.owners.retain(|owner| owner != user);
            }
            let spec = serde_json::to_value(spec).map_err(Error::internal)?;
            let labels = resource.labels;
            tx.put(Put { key, labels, spec, expected: None, actor: actor.clone() })?;
        }
        Ok(())
    }
}

fn part() -> Principal {
    Principal::part("account")
}

fn typed<K: Kind>(put: &Put) -> Result<K> {
    serde_json::from_value(put.spec.clone()).map_err(Error::internal)
}

fn retired(key: &Key) -> String {
    format!("{}/{}", key.kind, key.name)
}

/// What is written down of somebody names them for ever, so that their name is never another's.
fn not_retired(tx: &Tx<'_>, key: &Key) -> Result<()> {
    let Some(at) = tx.row::<kernel::Time>(RETIRED, &retired(key))? else { return Ok(()) };
    let name = &key.name;
    Err(Error::conflict(
        "account.retired",
        text!(
            "{name} was deleted on {at}, and what it did is on record under that name",
            "{name}은(는) {at}에 삭제되었고, 그 이름으로 한 일이 기록에 남아 있습니다"
        ),
    )
    .hint(Text::fixed(
        "choose another name; next time disable an account instead of deleting it",
        "다른 이름을 고르세요. 다음에는 삭제 대신 비활성화하세요",
    )))
}

fn known<K: Kind>(tx: &Tx<'_>, name: &Name) -> Result<()> {
    let key = Key::global::<K>(name);
    tx.resource(&key)?.map(drop).ok_or_else(|| unknown(&key))
}

fn unknown(key: &Key) -> Error {
    Error::invalid(
        "account.unknown",
        text!("there is no {key} to refer to", "가리킬 {key}이(가) 없습니다"),
    )
    .hint(Text::fixed("create it first", "먼저 만드세요"))
}

/// Only groups that come in can close a cycle; within a group that is new, only itself can.
fn no_cycle(tx: &Tx<'_>, group: &Name, old: Option<&Group>, new: &Group) -> Result<()> {
    let held = old.map(groups).unwrap_or_default();
    let mut come = groups(new);
    come.retain(|name| !held.contains(name) && (old.is_some() || name == group));
    let mut left = GROUPS;
    let found = directory::cycle(group, &come, |at| {
        left = left.checked_sub(1).ok_or_else(|| {
            Error::invalid(
                "group.too-many",
                text!(
                    "there are more than {GROUPS} groups within {group}",
                    "{group} 안의 그룹이 {GROUPS}개를 넘습니다"
                ),
            )
        })?;
        let found = tx.resource(&Key::global::<Group>(at))?;
        Ok(found.map(|r| r.spec::<Group>()).transpose()?.map(|g| groups(&g)).unwrap_or_default())
    })?;
    let Some(way) = found else { return Ok(()) };
    let way = way.iter().map(Name::as_str).collect::<Vec<_>>().join(" → ");
    Err(Error::invalid(
        "group.cycle",
        text!(
            "the group would be within itself: {way}",
            "그룹이 자기 자신을 포함하게 됩니다: {way}"
        ),
    )
    .hint(Text::fixed(
        "take one of these out of the one before it",
        "이 가운데 하나를 앞 그룹에서 빼세요",
    )))
}

fn groups(spec: &Group) -> Vec<Name> {
    let group = |m: &Member| match m {
        Member::Group(name) => Some(name.clone()),
        _ => None,
    };
    spec.members.iter().filter_map(group).collect()
}

/// Other systems know people by their address: two people with one would be one to them.
fn move_mails(tx: &mut Tx<'_>, who: &Name, old: Option<&User>, new: Option<&User>) -> Result<()> {
    let lower = |user: Option<&User>| -> Vec<String> {
        user.map_or(&[][..], |u| &u.mails).iter().map(|m| m.address.to_ascii_lowercase()).collect()
    };
    let (held, wanted) = (lower(old), lower(new));
    for mail in held.iter().filter(|mail| !wanted.contains(mail)) {
        tx.delete_row(MAIL, mail)?;
    }
    for mail in wanted.iter().filter(|mail| !held.contains(mail)) {
        if let Some(owner) = tx.row::<Name>(MAIL, mail)?
            && owner != *who
        {
            return Err(Error::conflict(
                "user.mail-taken",
                text!("{mail} is the address of {owner}", "{mail}은(는) {owner}의 주소입니다"),
            ));
        }
        tx.set_row(MAIL, mail, who)?;
    }
    Ok(())
}

/// Whose address this is, in any case of letters.
pub(crate) fn by_mail(view: &store::View<'_>, mail: &str) -> Result<Option<Name>> {
    view.row(MAIL, &mail.to_ascii_lowercase())
}
