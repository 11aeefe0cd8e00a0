//! Writing: whom a secret is for, and its values.

use crate::kind::{Generate, Lends, Letters, Secret};
use crate::{Secrets, error, lend, plan};
use kernel::{
    Error, Key, Kind, Name, NewEvent, Principal, Resource, Result, SecretText, Text, text,
};
use secret::{Alphabet, Ring, Slot, Vault, generate};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Put, Tx, View};

/// Bytes of a value; the kernel takes strings of 128 KiB in an environment.
pub(crate) const LARGEST: usize = 64 * 1024;
/// Secrets of a project.
pub(crate) const MOST: usize = 1_000;

/// What is to be changed of a secret; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    pub description: Option<String>,
    pub variable: Option<String>,
    pub environments: Option<Vec<String>>,
    pub protected: Option<bool>,
    pub file: Option<bool>,
    pub jobs: Option<bool>,
    /// Empty: no more.
    pub rotate_every: Option<String>,
    pub generate: Option<Generate>,
    pub lends: Option<Lends>,
    pub keep: Option<u32>,
}

impl Settings {
    fn apply(self, spec: &mut Secret) {
        let Settings { description, variable, environments, protected, file, jobs, .. } = self;
        spec.description = description.unwrap_or_else(|| spec.description.clone());
        spec.variable = variable.or(spec.variable.take()).filter(|v| !v.is_empty());
        spec.environments = environments.unwrap_or_else(|| spec.environments.clone());
        spec.protected = protected.unwrap_or(spec.protected);
        spec.file = file.unwrap_or(spec.file);
        spec.jobs = jobs.unwrap_or(spec.jobs);
        spec.rotate_every = match self.rotate_every {
            Some(words) => Some(words).filter(|w| !w.is_empty()),
            None => spec.rotate_every.take(),
        };
        spec.generate = self.generate.or(spec.generate);
        spec.lends = self.lends.or(spec.lends.take());
        spec.keep = self.keep.unwrap_or(spec.keep);
    }
}

/// A value on its way in.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Nothing is set.
    Same,
    Given(SecretText),
    /// Drawn here, so that nobody has seen it.
    Drawn(Option<Generate>),
}

/// One secret to be written.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub name: Name,
    pub settings: Settings,
    pub value: Value,
    /// It has to be there already.
    pub known: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Written {
    pub name: Name,
    pub variable: String,
    /// The version that was made.
    pub version: Option<u32>,
    /// Whether the value is hidden in logs: it is long enough for that.
    pub hidden: bool,
}

impl Secrets {
    /// Writes all or none.
    ///
    /// # Errors
    /// `secret.locked`, `secret.value`, `secret.spec`, `secret.unknown`, `secret.too-many`.
    pub(crate) async fn write(
        &self,
        project: &Name,
        all: Vec<Wanted>,
        actor: Principal,
    ) -> Result<Vec<Written>> {
        for wanted in &all {
            if let Value::Given(value) = &wanted.value {
                check_value(value)?;
            }
        }
        let seals = all.iter().any(|w| !matches!(w.value, Value::Same));
        let mut again = 1;
        loop {
            let ring = if seals { Some(self.vault.ring().await?) } else { None };
            let (project, all, actor) = (project.clone(), all.clone(), actor.clone());
            let write = move |tx: &mut Tx<'_>| {
                let one = |wanted| put(tx, ring.as_ref(), &project, wanted, &actor);
                all.into_iter().map(one).collect::<Result<Vec<_>>>()
            };
            match self.store().write(write).await {
                // The keys were renewed in between: once more with the new ones.
                Err(e) if e.code() == "secret.key-renewed" && again > 0 => again -= 1,
                done => return done,
            }
        }
    }

    /// Destroys a version for good.
    ///
    /// # Errors
    /// `secret.unknown`, `secret.empty`.
    pub(crate) async fn destroy(
        &self,
        project: &Name,
        name: &Name,
        version: u32,
        actor: Principal,
    ) -> Result<()> {
        let (project, name) = (project.clone(), name.clone());
        self.store()
            .write(move |tx| {
                let found = find(tx, &project, &name)?;
                let slot = slot(&project, &found);
                if !Vault::destroy_in(tx, &slot, version)? {
                    return Err(no_version(&name, version));
                }
                let newest =
                    Vault::versions_in(tx, &slot)?.into_iter().find(|v| v.number >= version);
                let mut status = found.status::<Secret>()?;
                if newest.is_none_or(|v| v.number == version) {
                    status.version = None;
                }
                tx.put_status(&found.key, &status, actor.clone())?;
                let say = text!(
                    "version {version} of the secret {name} was destroyed",
                    "{name} 비밀 값의 버전 {version} 파기"
                );
                let event = NewEvent::new("secret.destroyed", actor, say).subject(found.key);
                tx.append(event.data(json!({ "secret": name, "version": version }))).map(drop)
            })
            .await
    }

    /// Removes a secret with all its versions.
    ///
    /// # Errors
    /// `secret.unknown`
    pub(crate) async fn remove(&self, project: &Name, name: &Name, actor: Principal) -> Result<()> {
        let (project, name) = (project.clone(), name.clone());
        self.store()
            .write(move |tx| {
                let found = find(tx, &project, &name)?;
                if lend::is_needed(tx, &project, &name)? {
                    return Err(error::needed(&name));
                }
                Vault::forget_in(tx, &slot(&project, &found))?;
                crate::open::forget_uses(tx, &project, &name)?;
                tx.delete(&found.key, None, actor).map(drop)
            })
            .await
    }
}

/// Where a secret's values lie.
pub(crate) fn slot(project: &Name, resource: &Resource) -> Slot {
    let (project, name) = (project.clone(), resource.key.name.clone());
    Slot { project, name, uid: resource.uid.clone() }
}

/// # Errors
/// `secret.unknown`
pub(crate) fn find(view: &View<'_>, project: &Name, name: &Name) -> Result<Resource> {
    let found = view.resource(&Key::of::<Secret>(project, name))?;
    found.ok_or_else(|| error::unknown(name.as_str()))
}

pub(crate) fn put(
    tx: &mut Tx<'_>,
    ring: Option<&Ring>,
    project: &Name,
    wanted: Wanted,
    actor: &Principal,
) -> Result<Written> {
    let Wanted { name, settings, value, known } = wanted;
    let key = Key::of::<Secret>(project, &name);
    let found = tx.resource(&key)?;
    if known && found.is_none() {
        return Err(error::unknown(name.as_str()));
    }
    if found.is_none() && tx.resources(Secret::KIND, Some(project), None, MOST)?.len() >= MOST {
        return Err(error::too_many(MOST));
    }
    let mut spec = found.as_ref().map(Resource::spec::<Secret>).transpose()?.unwrap_or_default();
    settings.apply(&mut spec);
    spec.check()?;
    plan::check_variable(&plan::variable(&name, &spec))?;
    let labels = found.map(|r| r.labels).unwrap_or_default();
    let json = serde_json::to_value(&spec).map_err(Error::internal)?;
    let actor_ = actor.clone();
    let resource = tx.put(Put { key, labels, spec: json, expected: None, actor: actor_ })?;
    if spec.lends.is_some() && !matches!(value, Value::Same) {
        return Err(error::lends(&resource.key.name));
    }
    let drawn = match value {
        Value::Same => None,
        Value::Given(value) => Some(value),
        Value::Drawn(how) => Some(draw(how.or(spec.generate).unwrap_or_default())?),
    };
    let mut status = resource.status::<Secret>()?;
    let mut hidden = true;
    let version = match (drawn, ring) {
        (Some(value), Some(ring)) => {
            hidden = value.len() >= host::Mask::SHORTEST;
            let slot = slot(project, &resource);
            let version = ring.seal_in(tx, &slot, &value, spec.keep, actor.clone())?;
            status.version = Some(version);
            (status.set, status.by) = (Some(tx.now()), Some(actor.clone()));
            Some(version)
        }
        _ => None,
    };
    status.due = spec.rotates().and_then(|every| Some(status.set?.plus(every)));
    status.overdue = status.due.is_some_and(|due| due <= tx.now());
    tx.put_status(&resource.key, &status, actor.clone())?;
    if let Some(version) = version {
        told(tx, &resource, version, actor)?;
    }
    Ok(Written { variable: plan::variable(&name, &spec), name, version, hidden })
}

fn told(tx: &mut Tx<'_>, resource: &Resource, version: u32, actor: &Principal) -> Result<()> {
    let name = &resource.key.name;
    let say = text!(
        "the secret {name} was set (version {version})",
        "{name} 비밀 값 설정 (버전 {version})"
    );
    let event = NewEvent::new("secret.set", actor.clone(), say).subject(resource.key.clone());
    tx.append(event.data(json!({ "secret": name, "version": version }))).map(drop)
}

fn draw(how: Generate) -> Result<SecretText> {
    let of = match how.of {
        Letters::Plain => Alphabet::Plain,
        Letters::Hex => Alphabet::Hex,
        Letters::Full => Alphabet::Full,
    };
    generate(how.length.clamp(8, 4096), of)
}

/// # Errors
/// `secret.value`; what is wrong is said without the value.
pub(crate) fn check_value(value: &SecretText) -> Result<()> {
    if value.is_empty() {
        return Err(error::value(Text::fixed("the value is empty", "값이 비어 있습니다")));
    }
    if value.len() > LARGEST {
        let most = LARGEST / 1024;
        return Err(error::value(text!(
            "the value has more than {most} KiB",
            "값이 {most} KiB를 넘습니다"
        )));
    }
    if value.reveal().contains('\0') {
        return Err(error::value(Text::fixed(
            "the value holds a zero byte, which no variable can",
            "값에 0 바이트가 있습니다. 변수에는 담을 수 없습니다",
        ))
        .hint(Text::fixed(
            "set what is binary as base64, and decode it where it is used",
            "이진 값은 base64로 설정하고 쓰는 곳에서 디코드하세요",
        )));
    }
    Ok(())
}

fn no_version(name: &Name, version: u32) -> Error {
    Error::not_found(
        "secret.empty",
        text!(
            "the secret {name} has no version {version}",
            "{name} 비밀 값에 버전 {version}이(가) 없습니다"
        ),
    )
    .hint(text!(
        "`naru secret show {name}` lists its versions",
        "`naru secret show {name}`이 버전을 보여 줍니다"
    ))
}
