//! Opening: for jobs, for services, and for a person who may.

use crate::kind::Secret;
use crate::lend::{self, Loan};
use crate::set::{MOST, find, slot};
use crate::{PART_NAME, Secrets, error, plan};
use kernel::port::{self, OpenedSecret, SecretUse, SecretUser};
use kernel::{
    BoxFuture, Key, Kind, Name, NewEvent, Principal, Resource, Result, SecretText, Time, text,
};
use secret::{Opened, Ring};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Tx, View};

/// Who used a secret: [`Used`] by `<project>/<secret>/<user>`.
pub(crate) const USES: &str = "security-secret.use";
/// Users of one secret that are remembered.
const MOST_USERS: usize = 200;

/// A user of a secret, and when it had it last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Used {
    pub last: Time,
    pub version: u32,
    pub times: u64,
    /// The run of a job, the instance of a service.
    pub by: String,
}

impl port::Secrets for Secrets {
    fn open<'a>(
        &'a self,
        who: &'a Principal,
        project: &'a Name,
        environment: Option<&'a str>,
        protected: bool,
        name: &'a str,
    ) -> BoxFuture<'a, Result<SecretText>> {
        Box::pin(async move {
            let (name, version) = asked(name)?;
            let environment = environment.map(str::to_owned);
            let user = User { who: who.clone(), by: None, environment, protected };
            let opened = self.hand_out(project, Choice::One(name, version), user).await?;
            let first = opened.into_iter().next().ok_or_else(|| error::unknown(""))?;
            Ok(first.value)
        })
    }

    fn offered<'a>(
        &'a self,
        project: &'a Name,
        of: &'a SecretUse,
    ) -> BoxFuture<'a, Result<Vec<OpenedSecret>>> {
        Box::pin(async move {
            let (p, u) = (project.clone(), of.clone());
            // Most projects have none: that costs a read and no more.
            if self.store().read(move |v| offered(v, &p, &u)).await?.is_empty() {
                return Ok(Vec::new());
            }
            self.hand_out(project, Choice::Offered, User::of(of)).await
        })
    }

    fn open_for<'a>(
        &'a self,
        project: &'a Name,
        name: &'a str,
        of: &'a SecretUse,
    ) -> BoxFuture<'a, Result<OpenedSecret>> {
        Box::pin(async move {
            let (name, version) = asked(name)?;
            let opened = self.hand_out(project, Choice::One(name, version), User::of(of)).await?;
            opened.into_iter().next().ok_or_else(|| error::unknown(""))
        })
    }
}

/// `NAME` or `NAME@3`, where the name may be the variable's.
fn asked(words: &str) -> Result<(String, Option<u32>)> {
    let Some((name, version)) = words.split_once('@') else { return Ok((words.to_owned(), None)) };
    let version = version.parse().map_err(|_| error::unknown(words))?;
    Ok((name.to_owned(), Some(version)))
}

#[derive(Clone)]
enum Choice {
    /// By name or variable, and its version.
    One(String, Option<u32>),
    Offered,
}

#[derive(Clone)]
struct User {
    who: Principal,
    by: Option<SecretUser>,
    environment: Option<String>,
    protected: bool,
}

impl User {
    fn of(of: &SecretUse) -> User {
        let who = match &of.by {
            SecretUser::Job { run, .. } => Principal::Run(run.to_string()),
            SecretUser::Service { .. } => Principal::part("orchestration-service"),
        };
        let SecretUse { by, environment, protected } = of.clone();
        User { who, by: Some(by), environment, protected }
    }

    /// What is asked for, as far as it counts for the scope.
    fn usage(&self) -> SecretUse {
        let nobody = || SecretUser::Job { run: kernel::Id::new(0, 0), step: String::new() };
        let by = self.by.clone().unwrap_or_else(nobody);
        SecretUse { by, environment: self.environment.clone(), protected: self.protected }
    }

    /// For the row of uses, and what to show beside it.
    fn named(&self) -> (String, String) {
        match &self.by {
            Some(SecretUser::Job { run, step }) => (format!("job {step}"), run.to_string()),
            Some(SecretUser::Service { service, instance }) => {
                (format!("service {service}"), instance.clone())
            }
            None => (self.who.to_string(), self.who.to_string()),
        }
    }

    fn data(&self) -> Value {
        let mut data = json!({ "environment": self.environment, "protected": self.protected });
        let more = match &self.by {
            Some(SecretUser::Job { run, step }) => json!({ "run": run, "step": step }),
            Some(SecretUser::Service { service, instance }) => {
                json!({ "service": service, "instance": instance })
            }
            None => json!({}),
        };
        if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
            data.extend(more);
        }
        data
    }
}

impl Secrets {
    /// Opens, and writes that down in the same transaction: a value whose opening is not on disk is not given out.
    async fn hand_out(
        &self,
        project: &Name,
        choice: Choice,
        user: User,
    ) -> Result<Vec<OpenedSecret>> {
        let mut again = 1;
        loop {
            // Whether there is such a secret is said first: a name that is wrong is the more useful answer.
            let (p, c, u) = (project.clone(), choice.clone(), user.clone());
            self.store().read(move |v| choose(v, &p, &c, &u).map(drop)).await?;
            let ring = self.vault.ring().await?;
            let (project, choice, user) = (project.clone(), choice.clone(), user.clone());
            let write = move |tx: &mut Tx<'_>| open_in(tx, &ring, &project, &choice, &user);
            let (mut opened, loans) = match self.store().write(write).await {
                Err(e) if e.code() == "secret.key-renewed" && again > 0 => {
                    again -= 1;
                    continue;
                }
                done => done?,
            };
            for (mut one, loan) in loans {
                one.value = self.pay_out(loan).await?;
                opened.push(one);
            }
            return Ok(opened);
        }
    }

    /// The value of a version, for a person: the one way out.
    ///
    /// # Errors
    /// `secret.unknown`, `secret.empty`, `secret.locked`.
    pub(crate) async fn reveal(
        &self,
        project: &Name,
        name: &Name,
        version: Option<u32>,
        actor: Principal,
    ) -> Result<Opened> {
        let (p, n) = (project.clone(), name.clone());
        self.store().read(move |v| find(v, &p, &n).map(drop)).await?;
        let ring = self.vault.ring().await?;
        let (project, name) = (project.clone(), name.clone());
        self.store()
            .write(move |tx| {
                let found = find(tx, &project, &name)?;
                let opened = ring.open_in(tx, &slot(&project, &found), version)?;
                let version = opened.version;
                let say = text!(
                    "{actor} read the secret {name} (version {version})",
                    "{actor}이(가) {name} 비밀 값을 열람함 (버전 {version})"
                );
                let event = NewEvent::new("secret.revealed", actor, say).subject(found.key);
                tx.append(event.data(json!({ "secret": name, "version": version })))?;
                Ok(opened)
            })
            .await
    }
}

fn of_project(view: &View<'_>, project: &Name) -> Result<Vec<(Resource, Secret)>> {
    let all = view.resources(Secret::KIND, Some(project), None, MOST)?;
    let with_spec = |r: Resource| {
        let spec = r.spec::<Secret>()?;
        Ok((r, spec))
    };
    all.into_iter().map(with_spec).collect()
}

/// What a job is offered: those within the scope that have a value.
fn offered(view: &View<'_>, project: &Name, of: &SecretUse) -> Result<Vec<(Resource, Secret)>> {
    let mut all = of_project(view, project)?;
    let mut set = Vec::new();
    for (resource, spec) in all.drain(..) {
        if resource.status::<Secret>()?.version.is_some() {
            set.push((resource, spec));
        }
    }
    let names: Vec<Name> =
        plan::chosen(set.iter().map(|(r, s)| (&r.key.name, s)), of).into_iter().cloned().collect();
    set.retain(|(r, _)| names.contains(&r.key.name));
    Ok(set)
}

type Chosen = Vec<(Resource, Secret, Option<u32>)>;

fn choose(view: &View<'_>, project: &Name, choice: &Choice, user: &User) -> Result<Chosen> {
    let of = user.usage();
    let Choice::One(words, version) = choice else {
        let all = offered(view, project, &of)?;
        return Ok(all.into_iter().map(|(r, s)| (r, s, None)).collect());
    };
    // By its name, else by the variable it is found in: of several the one that is meant most closely.
    let by_name = match Name::parse(words) {
        Ok(name) => view.resource(&Key::of::<Secret>(project, &name))?,
        Err(_) => None,
    };
    let found = match by_name {
        Some(resource) => {
            let spec = resource.spec::<Secret>()?;
            plan::fits(&spec, &of).map(|_| (resource, spec))
        }
        None => {
            let all = of_project(view, project)?.into_iter();
            let fitting = all
                .filter(|(r, s)| plan::variable(&r.key.name, s) == *words)
                .filter_map(|(r, s)| Some((plan::fits(&s, &of)?, (r, s))));
            fitting.max_by_key(|(closeness, _)| *closeness).map(|(_, found)| found)
        }
    };
    let (resource, spec) = found.ok_or_else(|| error::unknown(words))?;
    Ok(vec![(resource, spec, *version)])
}

/// An account that is lent, and as what it is opened.
type Lent = (OpenedSecret, Loan);

fn open_in(
    tx: &mut Tx<'_>,
    ring: &Ring,
    project: &Name,
    choice: &Choice,
    user: &User,
) -> Result<(Vec<OpenedSecret>, Vec<Lent>)> {
    let chosen = choose(tx, project, choice, user)?;
    let mut out = Vec::with_capacity(chosen.len());
    let mut loans = Vec::new();
    for (resource, spec, version) in &chosen {
        if let Some(lends) = &spec.lends {
            let (name, variable) =
                (resource.key.name.clone(), plan::variable(&resource.key.name, spec));
            let at = for_ourselves(tx, ring, project, &lends.connection)?;
            let loan = lend::grant(tx, project, lends, at, (user.who.clone(), user.by.clone()))?;
            note_use(tx, project, &name, 0, user)?;
            let value = SecretText::new("");
            loans.push((OpenedSecret { variable, name, version: 0, file: spec.file, value }, loan));
            continue;
        }
        let Opened { version, value } = ring.open_in(tx, &slot(project, resource), *version)?;
        let name = resource.key.name.clone();
        note_use(tx, project, &name, version, user)?;
        let variable = plan::variable(&name, spec);
        out.push(OpenedSecret { variable, name, version, file: spec.file, value });
    }
    if !chosen.is_empty() {
        let all: Vec<&OpenedSecret> = out.iter().chain(loans.iter().map(|(one, _)| one)).collect();
        tx.append(used(project, &all, chosen.first().map(|(r, ..)| &r.key), user))?;
    }
    Ok((out, loans))
}

/// The newest value of a secret for naru itself: how it reaches who makes accounts.
pub(crate) fn for_ourselves(
    tx: &mut Tx<'_>,
    ring: &Ring,
    project: &Name,
    name: &Name,
) -> Result<SecretText> {
    let found = find(tx, project, name)?;
    let Opened { version, value } = ring.open_in(tx, &slot(project, &found), None)?;
    let user = User { who: us(), by: None, environment: None, protected: true };
    note_use(tx, project, name, version, &user)?;
    let variable = plan::variable(name, &found.spec::<Secret>()?);
    let one = OpenedSecret { variable, name: name.clone(), version, file: false, value };
    tx.append(used(project, &[&one], Some(&found.key), &user))?;
    Ok(one.value)
}

fn used(project: &Name, all: &[&OpenedSecret], first: Option<&Key>, user: &User) -> NewEvent {
    let names: Vec<&str> = all.iter().map(|o| o.name.as_str()).collect();
    let (names, (whom, _)) = (names.join(", "), user.named());
    let say = text!("{whom} got {names}", "{whom}에 {names} 전달");
    let listed: Vec<Value> =
        all.iter().map(|o| json!({ "name": o.name, "version": o.version })).collect();
    let mut data = user.data();
    if let Some(data) = data.as_object_mut() {
        data.insert("secrets".into(), Value::Array(listed));
    }
    let event = NewEvent::new("secret.used", user.who.clone(), say).project(project).data(data);
    match first.filter(|_| all.len() == 1) {
        Some(key) => event.subject(key.clone()),
        None => event,
    }
}

fn note_use(tx: &mut Tx<'_>, project: &Name, name: &Name, version: u32, user: &User) -> Result<()> {
    let (whom, by) = user.named();
    let key = format!("{project}/{name}/{whom}");
    let before: Option<Used> = tx.row(USES, &key)?;
    if before.is_none() && uses(tx, project, name)?.len() >= MOST_USERS {
        return Ok(());
    }
    let times = before.map_or(0, |b| b.times).saturating_add(1);
    tx.set_row(USES, &key, &Used { last: tx.now(), version, times, by })
}

/// Who used a secret, by whom it was.
pub(crate) fn uses(view: &View<'_>, project: &Name, name: &Name) -> Result<Vec<(String, Used)>> {
    let prefix = format!("{project}/{name}/");
    let rows = view.rows::<Used>(USES, &prefix, None, MOST_USERS)?;
    Ok(rows
        .into_iter()
        .map(|(key, used)| (key.get(prefix.len()..).unwrap_or_default().to_owned(), used))
        .collect())
}

pub(crate) fn forget_uses(tx: &mut Tx<'_>, project: &Name, name: &Name) -> Result<()> {
    for (whom, _) in uses(tx, project, name)? {
        tx.delete_row(USES, &format!("{project}/{name}/{whom}"))?;
    }
    Ok(())
}

/// Who acts when nobody does.
pub(crate) fn us() -> Principal {
    Principal::part(PART_NAME)
}
