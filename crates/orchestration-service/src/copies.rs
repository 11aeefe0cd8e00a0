//! Copies of services for environments, in the store.
//!
//! A service is a copy when its [`State`] says of which environment. Its environment's copies are made in
//! one transaction and go in one: there is never a part of them.

use crate::PART_NAME;
use crate::manifest::Wanted;
use crate::release::{self, Begun, Passed};
use crate::state::{STATE, ServiceKey, State};
use kernel::journey::{EnvironmentReleased, ServiceCopy};
use kernel::{Error, ErrorKind, Key, Name, Principal, Result, Text, text};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use store::{Tx, View};

/// [`Seen`] by `<project>/<environment>`.
pub(crate) const ROWS: &str = "service.environment";
/// The kind of the resource that environments are; another part's.
pub(crate) const KIND: &str = "Environment";
/// Bytes of a service's name.
const LONGEST: usize = 40;

/// The last wish for an environment that was acted upon.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Sequence of its event.
    pub seq: u64,
}

pub(crate) fn row(project: &Name, environment: &Name) -> String {
    format!("{project}/{environment}")
}

pub(crate) fn subject(project: &Name, environment: &Name) -> Key {
    Key { kind: KIND.to_owned(), project: Some(project.clone()), name: environment.clone() }
}

/// What a service is called in an environment.
pub(crate) fn name_in(service: &Name, environment: &Name) -> Result<Name> {
    Name::joined(&[service.as_str(), environment.as_str()], LONGEST)
        .ok_or_else(|| Error::internal("a name that does not fit"))
}

/// The copies of an environment, also those on their way out.
pub(crate) fn of(view: &View<'_>, project: &Name, environment: &Name) -> Result<Vec<ServiceKey>> {
    let mut found = Vec::new();
    for (row, state) in view.rows::<State>(STATE, &format!("{project}/"), None, usize::MAX >> 1)? {
        if state.environment.as_ref() == Some(environment)
            && let Some(service) = row.rsplit('/').next().and_then(|s| Name::parse(s).ok())
        {
            found.push(ServiceKey::new(project, &service));
        }
    }
    Ok(found)
}

/// Every copy of every environment.
pub(crate) fn all(view: &View<'_>) -> Result<BTreeSet<ServiceKey>> {
    let rows = view.rows::<State>(STATE, "", None, usize::MAX >> 1)?;
    let copies = rows.into_iter().filter(|(_, state)| state.environment.is_some());
    let key = |(row, _): (String, State)| {
        let (project, service) = row.split_once('/')?;
        Some(ServiceKey::new(&Name::parse(project).ok()?, &Name::parse(service).ok()?))
    };
    Ok(copies.filter_map(key).collect())
}

/// Instances that copies may have, of all environments but one.
fn elsewhere(view: &View<'_>, (project, environment): (&Name, &Name)) -> Result<u32> {
    let mut sum = 0_u32;
    for (row, state) in view.rows::<State>(STATE, "", None, usize::MAX >> 1)? {
        let here = state.environment.as_ref() == Some(environment)
            && row.split('/').next() == Some(project.as_str());
        if state.environment.is_some() && !here {
            sum = sum.saturating_add(state.spec.map_or(state.replicas, |s| s.replicas));
        }
    }
    Ok(sum)
}

/// What is to be made of a commit.
pub(crate) struct Order {
    pub passed: Passed,
    pub environment: Name,
    pub services: Vec<Wanted>,
    /// Their files.
    pub tree: String,
    /// Instances of copies that this machine takes.
    pub room: u32,
    /// Ready instances by the name of the copy.
    pub ready: BTreeMap<Name, u32>,
}

/// Makes or replaces the copies of an environment, and takes out those of services that the commit does not
/// have any more.
///
/// # Errors
/// `environment.full`, `service.owned`, `service.name`.
pub(crate) fn make(tx: &mut Tx<'_>, order: Order) -> Result<Vec<Begun>> {
    let Order { passed, environment, services, tree, room, ready } = order;
    let project = passed.project.clone();
    let siblings = services
        .iter()
        .map(|w| Ok((w.name.clone(), name_in(&w.name, &environment)?)))
        .collect::<Result<BTreeMap<Name, Name>>>()?;
    let services: Vec<Wanted> = services.into_iter().map(copy).collect();
    check_room(tx, (&project, &environment), &services, room)?;
    let before = of(tx, &project, &environment)?;
    let mut begun = Vec::new();
    let mut told = Vec::new();
    for wanted in services {
        let Some(copy) = siblings.get(&wanted.name) else { continue };
        let key = ServiceKey::new(&project, copy);
        release::check_owner(tx, &key, &passed.fact.repository, Some(&environment))?;
        let place = release::Place { environment: Some(&environment), siblings: &siblings };
        let old = ready.get(copy).copied().unwrap_or(0);
        let files = release::Files { tree: &tree, pushed: passed.event, old, place };
        let (name, listens) = (wanted.name.clone(), wanted.spec.listens);
        let one = release::make_one(tx, &passed, key, wanted, files)?;
        told.push(ServiceCopy { name, copy: copy.clone(), run: one.run.clone(), listens });
        begun.push(one);
    }
    for key in before.iter().filter(|k| !begun.iter().any(|b| b.key == **k)) {
        remove(tx, key)?;
    }
    answer(tx, &passed, &environment, told, None)?;
    Ok(begun)
}

/// The service as its copy is wanted.
fn copy(wanted: Wanted) -> Wanted {
    Wanted { spec: wanted.spec.in_environment(), replicas_given: true, ..wanted }
}

fn check_room(tx: &Tx<'_>, place: (&Name, &Name), services: &[Wanted], room: u32) -> Result<()> {
    let wanted: u32 = services.iter().map(|w| w.spec.replicas).fold(0, u32::saturating_add);
    let taken = elsewhere(tx, place)?;
    if wanted == 0 || wanted.saturating_add(taken) <= room {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        "environment.full",
        text!(
            "{wanted} instances were wanted, and environments already have {taken} of the {room} that this machine gives them",
            "인스턴스 {wanted}개가 필요하지만, 이 머신이 환경에 내주는 {room}개 중 {taken}개를 이미 쓰고 있습니다"
        ),
    )
    .hint(Text::fixed(
        "stop an environment that nobody needs: `naru environment list`",
        "쓰지 않는 환경을 멈추세요: `naru environment list`",
    )))
}

/// Nothing is made of the commit; what was there stays.
pub(crate) fn refuse(
    tx: &mut Tx<'_>,
    passed: &Passed,
    environment: &Name,
    why: Text,
) -> Result<()> {
    answer(tx, passed, environment, Vec::new(), Some(why))
}

/// The environment is closed: its copies go, each as a service that was deleted goes.
pub(crate) fn close(tx: &mut Tx<'_>, project: &Name, environment: &Name, seq: u64) -> Result<()> {
    for key in of(tx, project, environment)? {
        remove(tx, &key)?;
    }
    let row = row(project, environment);
    match tx.resource(&subject(project, environment))? {
        Some(_) => tx.set_row(ROWS, &row, &Seen { seq }),
        None => tx.delete_row(ROWS, &row).map(drop),
    }
}

fn remove(tx: &mut Tx<'_>, key: &ServiceKey) -> Result<()> {
    if tx.resource(&key.resource())?.is_some() {
        tx.delete(&key.resource(), None, Principal::part(PART_NAME))?;
    }
    Ok(())
}

fn answer(
    tx: &mut Tx<'_>,
    passed: &Passed,
    environment: &Name,
    services: Vec<ServiceCopy>,
    refused: Option<Text>,
) -> Result<()> {
    tx.set_row(ROWS, &row(&passed.project, environment), &Seen { seq: passed.event })?;
    let say = match &refused {
        Some(why) => Text::new(
            format!("nothing was released to {environment}: {}", why.en),
            format!("{environment} 환경에 릴리스하지 않음: {}", why.ko),
        ),
        None => {
            let count = services.len();
            text!("{count} services for {environment}", "{environment} 환경에 서비스 {count}개")
        }
    };
    let fact = EnvironmentReleased {
        environment: environment.clone(),
        repository: passed.fact.repository.clone(),
        commit: passed.fact.commit.clone(),
        opened: passed.event,
        services,
        refused,
    };
    passed.append(tx, &fact, say, Some(subject(&passed.project, environment)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Service;

    #[test]
    fn copies_have_names_of_their_own() {
        let name = |words: &str| Name::parse(words).unwrap();
        let copy = name_in(&name("web"), &name("review-fix-1")).unwrap();
        assert_eq!(copy.as_str(), "web-review-fix-1");
        let long = name(&format!("review-{}", "y".repeat(56)));
        let (one, two) = (name_in(&name("web"), &long), name_in(&name("api"), &long));
        assert_ne!(one.unwrap(), two.unwrap());
    }

    #[test]
    fn a_copy_is_one_instance_without_hosts_unless_the_file_says_otherwise() {
        let mut spec = Service::new("./serve");
        spec.replicas = 4;
        spec.hosts = vec!["shop.example.com".into()];
        let plain = spec.clone().in_environment();
        assert_eq!((plain.replicas, plain.hosts.len(), plain.command.as_str()), (1, 0, "./serve"));
        spec.env.insert("MAIL".into(), "on".into());
        let patch = serde_json::json!({"replicas": 2, "command": "./serve --debug", "env": {"MAIL": "off"}});
        spec.environments = Some(serde_json::from_value(patch).unwrap());
        let patched = spec.in_environment();
        assert_eq!((patched.replicas, patched.command.as_str()), (2, "./serve --debug"));
        assert_eq!(patched.env["MAIL"], "off");
    }
}
